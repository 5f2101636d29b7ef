//! A refresh token is used (RFC 6749 §6): rotated, retried after a lost response, or reused, which ends the grant, its access
//! tokens and the session in which it was given. The rules are `core/oauth/refresh.rs`; here they meet the store.

use countersign_core::{
    access::ceiling_of_client,
    limits,
    oauth::{
        details,
        error::{ErrorCode, OAuthError},
        refresh::{GrantNow, Use, decide},
        token,
    },
    scope::Scopes,
    security::{EndReason, Fingerprint, SecurityBody},
};
use countersign_store::{
    Batch,
    access_rows::{Change, GrantRow, GrantView},
    batch::Row,
};
use serde_json::{Value, json};

use super::{
    answer::Denied,
    client_auth::Client,
    code::busy,
    issue::{self, Made, Wish, Written},
    token::TokenRequest,
};
use crate::{
    accounts::{letters::Notice, mails, provider::required, session},
    grants, security,
};

fn refused() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidGrant,
        "the refresh token is not known, is over, was used, or is not this client's: send the person through a new \
         authorization request",
    )
}

fn too_soon() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidGrant,
        "this refresh token was used a moment ago: use the answer of that request, or try again after a second if it \
         was lost",
    )
}

/// Uses the refresh token of a request.
pub async fn refresh(request: &TokenRequest<'_>) -> Result<Value, Denied> {
    let TokenRequest { app, asked, client, proof } = *request;
    let text = asked.parameters.require("refresh_token")?;
    let presented = app.oauth.refresh.parse(text).map_err(|_| refused())?;
    for _ in 0..limits::CONFLICT_TRIES {
        let view = app.store.grant_view(presented.grant).await?.ok_or_else(refused)?;
        if !holds(&view) || !required::bears(app, &view).await? {
            return Err(refused().into());
        }
        let ceiling = ceiling(client, &view);
        let grant = view.grant;
        let caller = client.proof(proof);
        let used =
            decide(&now_of(client, &grant), presented.generation, client.row.client, &caller, app.now());
        let written = match used {
            Use::Rotate { .. } | Use::Retry { .. } | Use::Keep => {
                next(request, &grant, ceiling, used, presented.generation).await?
            }
            Use::Reuse => {
                if end_reused(request, &grant, presented.generation).await? {
                    return Err(refused().into());
                }
                None
            }
            Use::TooSoon => return Err(too_soon().into()),
            Use::Unproven | Use::Ended | Use::Expired => return Err(refused().into()),
        };
        if let Some(body) = written {
            return Ok(body);
        }
    }
    Err(busy())
}

fn now_of(client: &Client, grant: &GrantRow) -> GrantNow {
    GrantNow {
        client: grant.client,
        is_confidential: !client.registration.is_public(),
        rotates: client.registration.rotates(),
        binding: grant.binding,
        generation: grant.generation,
        retry_of: grant.retry_of,
        rotated_at: grant.rotated_at,
        created_at: grant.created_at,
        expires_at: grant.expires_at,
        is_ended: grant.ended_at.is_some(),
    }
}

/// The most that a token of the grant may do at this moment: what the client, or the member, lost since is not in a new
/// token, which others may take without asking.
pub fn ceiling(client: &Client, view: &GrantView) -> Scopes {
    let role = view.member.as_ref().map(|member| member.role);
    ceiling_of_client(view.grant.tenant.environment(), client.row.scopes, role)
}

/// Whether the user behind the grant and the session in which it was given still hold.
pub fn holds(view: &GrantView) -> bool {
    let is_member = view.member.as_ref().is_some_and(|member| member.ended_at.is_none());
    let is_of_user = view.user_valid_from.is_some_and(|valid_from| view.grant.created_at >= valid_from);
    view.grant.user.is_none() || (is_member && is_of_user && !view.sign_in_ended)
}

/// The next tokens; `None` if somebody else was first.
async fn next(
    request: &TokenRequest<'_>,
    grant: &GrantRow,
    ceiling: Scopes,
    used: Use,
    presented: u64,
) -> Result<Option<Value>, Denied> {
    let TokenRequest { app, asked, client, proof } = *request;
    let Some(after) = now_of(client, grant).after(used, app.now()) else { return Err(refused().into()) };
    let terms = issue::terms(grant)?;
    let scopes =
        token::narrowed_scope(token::remaining_scope(grant.scopes, ceiling)?, asked.parameters.get("scope"))?;
    let narrowed = details::narrow(&terms.details, asked.parameters.get("authorization_details"))?;
    if narrowed != terms.details {
        let sentence =
            "details are narrowed by a new authorization request: leave authorization_details out here";
        return Err(OAuthError::new(ErrorCode::InvalidAuthorizationDetails, sentence).into());
    }
    let binding = token::binding(&client.registration, &client.proof(proof), terms.bound)?;
    let row = GrantRow {
        generation: after.generation,
        retry_of: after.retry_of,
        rotated_at: after.rotated_at,
        expires_at: after.expires_at,
        version: grant.version + 1,
        ..grant.clone()
    };
    let audience = issue::audience(app, &row.tenant, terms.resource.as_deref()).await??;
    let made = issue::make(app, Wish { grant: &row, scopes, audience, binding }).await?;
    let mut batch = Batch {
        spends: issue::spends(client, proof),
        changes: vec![Change::Grant(row.clone())],
        rows: vec![Row::AccessToken(made.row.clone())],
        ..Batch::default()
    };
    if let Use::Retry { burn: (from, to), .. } = used {
        batch.changes.push(Change::EndTokens { grant: grant.grant, from, to });
    }
    let circumstances = client.circumstances_for(asked, grant.user);
    security::record(app, &grant.tenant, &circumstances, told(&row, &made, used, presented), &mut batch)
        .await?;
    match issue::commit(app, client, asked, batch).await? {
        Written::Outdated => Ok(None),
        Written::Yes => {
            let mut body = issue::answer(&made, app.now());
            if used != Use::Keep {
                let refresh = app.oauth.refresh.issue(row.grant, row.generation);
                body.insert("refresh_token".to_owned(), json!(refresh.expose()));
            }
            if !terms.details.is_empty() {
                body.insert("authorization_details".to_owned(), json!(terms.details));
            }
            Ok(Some(Value::Object(body)))
        }
    }
}

fn told(grant: &GrantRow, made: &Made, used: Use, presented: u64) -> SecurityBody {
    let (id, client) = (grant.grant, grant.client);
    let (token, expires_at) = (Fingerprint::of(&made.row.hash), made.row.expires_at);
    match used {
        Use::Retry { .. } => {
            SecurityBody::RefreshRetried { grant: id, client, token, generation: presented, expires_at }
        }
        _ => SecurityBody::TokenRefreshed { grant: id, client, token, generation: presented, expires_at },
    }
}

/// Ends the grant of a refresh token that was used after its time, the session in which it was given, and with them every
/// access token, in one commit; `false` if somebody else ended the grant first. The mail goes out with it.
async fn end_reused(request: &TokenRequest<'_>, grant: &GrantRow, generation: u64) -> Result<bool, Denied> {
    let TokenRequest { app, asked, client, .. } = *request;
    let (id, owner, tenant) = (grant.grant, grant.client, grant.tenant);
    let mut batch = Batch { changes: vec![grants::ending(app, id, true)], ..Batch::default() };
    let circumstances = client.circumstances_for(asked, grant.user);
    let reused = SecurityBody::RefreshReused { grant: id, client: owner, generation };
    security::record(app, &tenant, &circumstances, reused, &mut batch).await?;
    let over = SecurityBody::GrantEnded { grant: id, client: owner, reason: EndReason::RefreshReused };
    security::record(app, &tenant, &circumstances, over, &mut batch).await?;
    if let Some(user) = grant.user {
        let member: Vec<_> = app.store.member(tenant.organization(), user).await?.into_iter().collect();
        let correlation = asked.context.correlation;
        mails::notify(app, user, &member, Notice::AccessStolen, correlation, &mut batch);
    }
    if let (Some(user), Some(sign_in)) = (grant.user, grant.sign_in) {
        let sessions = app.store.sign_ins(user).await?;
        if sessions.iter().any(|row| row.sign_in == sign_in && row.ended_at.is_none()) {
            batch.changes.push(session::ending(sign_in, app.now()));
            let out = SecurityBody::SignedOut { user, sign_in, reason: EndReason::RefreshReused };
            security::record(app, &tenant, &circumstances, out, &mut batch).await?;
        }
    }
    Ok(matches!(issue::commit(app, client, asked, batch).await?, Written::Yes))
}
