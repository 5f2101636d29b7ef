//! An authorization code becomes tokens, once (RFC 6749 §4.1.3). A code that comes a second time ends the grant that the
//! first one began (§4.1.2).

use countersign_core::{
    limits,
    oauth::{
        client::GrantType,
        refresh as rules,
        terms::BoundBy,
        token::{self, CodeNow, CodeTerms, Redeemer, Redemption, code_refused},
    },
    scope::Scopes,
    secret::{PlainToken, TokenKind},
    security::{EndReason, SecurityBody},
};
use countersign_store::{
    Batch,
    access_rows::{AuthorizationCodeRow, Change, GrantRow},
};
use serde_json::{Value, json};

use super::{
    answer::Denied,
    id_token,
    issue::{self, Wish, Written},
    refresh,
    token::TokenRequest,
};
use crate::{
    accounts::provider::required,
    fault::Fault,
    grants,
    security::{self},
};

/// Redeems the code of a request.
pub async fn redeem(request: &TokenRequest<'_>) -> Result<Value, Denied> {
    let TokenRequest { app, asked, client, proof } = *request;
    let parameters = &asked.parameters;
    let code = PlainToken::parse(TokenKind::AuthorizationCode, parameters.require("code")?);
    let hash = code.map_err(|_| code_refused())?.hash();
    for _ in 0..limits::CONFLICT_TRIES {
        let found = app.store.authorization_code(&hash).await?;
        let (row, grant) = found.filter(|(row, _)| row.hash == hash).ok_or_else(code_refused)?;
        let terms: CodeTerms = serde_json::from_str(&row.request)
            .map_err(|error| Fault::Task(format!("the terms of a code: {error}")))?;
        let now = CodeNow { terms: &terms, expires_at: row.expires_at, is_used: row.used_at.is_some() };
        let redeemer = Redeemer {
            client: client.row.client,
            redirect_uri: parameters.get("redirect_uri"),
            code_verifier: parameters.get("code_verifier"),
            proof: client.proof(proof),
        };
        match token::redeem(&now, &redeemer, app.now()) {
            Redemption::Refused(error) => return Err(error.into()),
            Redemption::Reused => {
                if end_reused(request, &grant).await? {
                    return Err(code_refused().into());
                }
            }
            Redemption::Granted if grant.ended_at.is_some() => return Err(code_refused().into()),
            Redemption::Granted => {
                let view = app.store.grant_view(grant.grant).await?.ok_or_else(code_refused)?;
                if !refresh::holds(&view) || !required::bears(app, &view).await? {
                    return Err(code_refused().into());
                }
                let scopes = token::remaining_scope(grant.scopes, refresh::ceiling(client, &view))?;
                if let Some(body) = grant_tokens(request, row, grant, scopes).await? {
                    return Ok(body);
                }
            }
        }
    }
    Err(busy())
}

/// What too many writers of one grant get.
pub fn busy() -> Denied {
    Fault::Store(countersign_store::Fault::Unavailable("too many others change this grant".to_owned())).into()
}

/// Tokens for a code that was not used; `None` if somebody else was first.
async fn grant_tokens(
    request: &TokenRequest<'_>,
    row: AuthorizationCodeRow,
    grant: GrantRow,
    scopes: Scopes,
) -> Result<Option<Value>, Denied> {
    let TokenRequest { app, asked, client, proof } = *request;
    let mut terms = issue::terms(&grant)?;
    let caller = client.proof(proof);
    let binding = token::binding(&client.registration, &caller, None)?;
    terms.bound = binding.map(BoundBy::from);
    let has_refresh = client.registration.may_use(GrantType::RefreshToken);
    let now = app.now();
    let begun = GrantRow {
        terms: issue::terms_text(&terms)?,
        binding: if client.registration.is_public() { caller.key.or(caller.certificate) } else { None },
        generation: u64::from(has_refresh),
        rotated_at: now,
        expires_at: if has_refresh {
            rules::expires_at(grant.created_at, now)
        } else {
            now.plus_s(limits::ACCESS_TOKEN_LONGEST_S)
        },
        version: grant.version + 1,
        ..grant
    };
    let audience = issue::audience(app, &begun.tenant, terms.resource.as_deref()).await??;
    let made = issue::make(app, Wish { grant: &begun, scopes, audience, binding }).await?;
    let used = AuthorizationCodeRow { used_at: Some(now), version: row.version + 1, ..row };
    let mut batch = Batch {
        spends: issue::spends(client, proof),
        changes: vec![Change::AuthorizationCode(used), Change::Grant(begun.clone())],
        ..Batch::default()
    };
    let circumstances = client.circumstances_for(asked, begun.user);
    let grant_type = GrantType::AuthorizationCode.text();
    issue::record(app, &circumstances, &begun, &made, grant_type, &mut batch).await?;
    let mut body = issue::answer(&made, now);
    if has_refresh {
        let refresh = app.oauth.refresh.issue(begun.grant, begun.generation);
        body.insert("refresh_token".to_owned(), json!(refresh.expose()));
    }
    if !terms.details.is_empty() {
        body.insert("authorization_details".to_owned(), json!(terms.details));
    }
    if terms.openid {
        body.insert("id_token".to_owned(), json!(id_token::make(app, &begun, &terms, &made.token).await?));
    }
    match issue::commit(app, client, asked, batch).await? {
        Written::Yes => Ok(Some(Value::Object(body))),
        Written::Outdated => Ok(None),
    }
}

/// Ends the grant of a code that was used before; `false` if somebody else ended it first.
async fn end_reused(request: &TokenRequest<'_>, grant: &GrantRow) -> Result<bool, Denied> {
    let TokenRequest { app, asked, client, .. } = *request;
    if grant.ended_at.is_some() {
        return Ok(true);
    }
    let mut batch = Batch { changes: vec![grants::ending(app, grant.grant, true)], ..Batch::default() };
    let circumstances = client.circumstances_for(asked, grant.user);
    let (id, owner) = (grant.grant, grant.client);
    let told = SecurityBody::CodeReused { grant: id, client: owner };
    security::record(app, &grant.tenant, &circumstances, told, &mut batch).await?;
    let over = SecurityBody::GrantEnded { grant: id, client: owner, reason: EndReason::CodeReused };
    security::record(app, &grant.tenant, &circumstances, over, &mut batch).await?;
    Ok(matches!(issue::commit(app, client, asked, batch).await?, Written::Yes))
}
