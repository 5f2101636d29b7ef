//! What a person's decision does: a grant with a code, or the news that there is none; and the request is over.

use axum::response::Response;
use countersign_core::{
    id::GrantId,
    limits,
    oauth::{
        client::GrantType,
        error::{ErrorCode, OAuthError},
        redirect,
        terms::Terms,
        token::CodeTerms,
    },
    refusal::{Code, Refusal},
    scope::Scopes,
    secret::{PlainToken, TokenKind},
    security::{SecurityActor, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{AuthorizationCodeRow, Change, GrantRow, MemberRow, PushedRequestRow},
    batch::Row,
};

use super::{
    authorize::{Waiting, away},
    issue,
};
use crate::{
    accounts::session::{self, SignedIn},
    app::App,
    fault::{Failure, Fault},
    security::{self, Circumstances},
    signer::strict::Caller,
};

/// What this person can give of what is asked for: below the ceilings of client, environment and role.
pub fn offered(waiting: &Waiting, member: &MemberRow) -> Scopes {
    let environment = waiting.row.tenant.environment();
    waiting.request.scope.and(waiting.client.row.scopes).and(member.role.ceiling(environment))
}

fn circumstances(
    caller: &Caller,
    waiting: &Waiting,
    signed_in: &SignedIn,
    member: &MemberRow,
) -> Circumstances {
    let environment = waiting.row.tenant.environment();
    Circumstances {
        actor: SecurityActor::User { user: signed_in.user_id(), sign_in: Some(signed_in.sign_in()) },
        origin: Some((member.person(environment), caller.origin.clone())),
        correlation: caller.correlation,
    }
}

fn decided(app: &App, waiting: &Waiting) -> Change {
    let row = waiting.row.clone();
    Change::PushedRequest(PushedRequestRow { used_at: Some(app.now()), version: row.version + 1, ..row })
}

async fn commit(app: &App, batch: Batch) -> Result<(), Failure> {
    match app.store.commit(batch).await {
        Ok(_) => Ok(()),
        Err(CommitError::Outdated) => {
            let sentence = "this request was decided a moment ago: go back to the application";
            Err(Refusal::new(Code::NotFound, sentence).into())
        }
        Err(error) => Err(Fault::of_commit(error).into()),
    }
}

/// The person agrees: a grant, a code for it, and the address that takes the code to the client.
pub async fn agree(
    app: &App,
    caller: &Caller,
    waiting: &Waiting,
    signed_in: &SignedIn,
    member: &MemberRow,
) -> Result<String, Failure> {
    let request = &waiting.request;
    let scopes = offered(waiting, member);
    if scopes.is_empty() && !request.openid {
        return back_without(app, caller, waiting, signed_in, member).await;
    }
    let origin = session::origin(&signed_in.user, &signed_in.row)?;
    let terms = Terms {
        grant_type: GrantType::AuthorizationCode,
        details: request.authorization_details.clone(),
        resource: request.resource.clone().filter(|resource| *resource != app.oauth.issuer),
        openid: request.openid,
        nonce: request.nonce.clone(),
        methods: origin.methods,
        provider: signed_in.row.provider,
        bound: None,
    };
    let now = app.now();
    let code = PlainToken::new(TokenKind::AuthorizationCode, &app.draw());
    let grant = GrantRow {
        tenant: waiting.row.tenant,
        grant: GrantId::new(now, app.draw()),
        client: waiting.row.client,
        user: Some(signed_in.user_id()),
        sign_in: Some(signed_in.sign_in()),
        scopes,
        terms: issue::terms_text(&terms)?,
        authenticated: Some((signed_in.level(), signed_in.authenticated_at())),
        binding: None,
        generation: 0,
        retry_of: None,
        rotated_at: now,
        created_at: now,
        expires_at: now.plus_s(limits::AUTHORIZATION_CODE_S),
        ended_at: None,
        version: 1,
    };
    let code_terms = CodeTerms {
        client_id: waiting.row.client,
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge,
        dpop_jkt: request.dpop_jkt,
    };
    let row = AuthorizationCodeRow {
        hash: code.hash(),
        grant: grant.grant,
        request: serde_json::to_string(&code_terms).map_err(|error| Fault::Task(error.to_string()))?,
        expires_at: now.plus_s(limits::AUTHORIZATION_CODE_S),
        used_at: None,
        version: 1,
    };
    let consented = SecurityBody::GrantConsented {
        grant: grant.grant,
        client: grant.client,
        user: signed_in.user_id(),
        scopes,
        level: signed_in.level(),
    };
    let mut batch = Batch {
        rows: vec![Row::Grant(grant), Row::AuthorizationCode(row)],
        changes: vec![decided(app, waiting)],
        ..Batch::default()
    };
    let circumstances = circumstances(caller, waiting, signed_in, member);
    security::record(app, &waiting.row.tenant, &circumstances, consented, &mut batch).await?;
    commit(app, batch).await?;
    Ok(redirect::success(&request.redirect_uri, code.expose(), request.state.as_deref(), &app.oauth.issuer))
}

/// Nothing of what is asked for can be given by this person.
async fn back_without(
    app: &App,
    caller: &Caller,
    waiting: &Waiting,
    signed_in: &SignedIn,
    member: &MemberRow,
) -> Result<String, Failure> {
    let error = OAuthError::new(
        ErrorCode::InvalidScope,
        "the role of this person allows nothing of what is asked for",
    );
    refuse_with(app, caller, waiting, signed_in, member, &error).await
}

/// The person refuses.
pub async fn refuse(
    app: &App,
    caller: &Caller,
    waiting: &Waiting,
    signed_in: &SignedIn,
    member: &MemberRow,
) -> Result<String, Failure> {
    let error = OAuthError::new(ErrorCode::AccessDenied, "the person refused");
    refuse_with(app, caller, waiting, signed_in, member, &error).await
}

async fn refuse_with(
    app: &App,
    caller: &Caller,
    waiting: &Waiting,
    signed_in: &SignedIn,
    member: &MemberRow,
    error: &OAuthError,
) -> Result<String, Failure> {
    let mut batch = Batch { changes: vec![decided(app, waiting)], ..Batch::default() };
    let body = SecurityBody::GrantRefused { client: waiting.row.client, user: signed_in.user_id() };
    let circumstances = circumstances(caller, waiting, signed_in, member);
    security::record(app, &waiting.row.tenant, &circumstances, body, &mut batch).await?;
    commit(app, batch).await?;
    let request = &waiting.request;
    Ok(redirect::failure(&request.redirect_uri, error, request.state.as_deref(), &app.oauth.issuer))
}

/// Nobody was asked: the request is over, and the client learns why.
pub async fn turn_away(app: &App, waiting: &Waiting, error: &OAuthError) -> Result<Response, Failure> {
    commit(app, Batch { changes: vec![decided(app, waiting)], ..Batch::default() }).await?;
    let request = &waiting.request;
    Ok(away(&redirect::failure(&request.redirect_uri, error, request.state.as_deref(), &app.oauth.issuer)))
}
