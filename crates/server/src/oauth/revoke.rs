//! Revocation (RFC 7009): a client gives up a token. A refresh token takes its grant along, with all access tokens; an access
//! token goes alone. Unknown tokens, and those of others, are answered like one that was revoked.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    limits,
    oauth::{client::Registration, jwt_access, metadata::path},
    secret::{HashedToken, PlainToken, TokenKind},
    security::{EndReason, Fingerprint, SecurityBody},
};
use countersign_store::{
    Batch,
    access_rows::{Change, GrantRow},
};
use serde_json::json;

use super::{
    answer::{Denied, json},
    asked::Asked,
    client_auth::{Client, authenticate},
    code::busy,
    issue::{self, Written},
    with_nonce,
};
use crate::{app::App, grants, security};

/// Answers a revocation.
pub async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let response = match respond(&app, request).await {
        Ok(response) => response,
        Err(denied) => denied.into_response(),
    };
    with_nonce(&app, response)
}

async fn respond(app: &App, request: Request) -> Result<Response, Denied> {
    let asked = Asked::read(request, path::REVOKE).await?;
    let text = asked.parameters.require("token")?.to_owned();
    let client = authenticate(app, &asked).await?;
    for _ in 0..limits::CONFLICT_TRIES {
        if revoke(app, &asked, &client, &text).await? {
            return Ok(json(StatusCode::OK, &json!({})));
        }
    }
    Err(busy())
}

/// What the database keeps of an access token of this server, of either environment and format.
pub fn access_token(text: &str) -> Option<HashedToken> {
    if jwt_access::looks_like_one(text) {
        return Some(jwt_access::hash(text));
    }
    let kinds = [TokenKind::SandboxAccessToken, TokenKind::LiveAccessToken];
    kinds.into_iter().find_map(|kind| PlainToken::parse(kind, text).ok()).map(|token| token.hash())
}

/// Revokes; `false` if somebody else ended the grant first.
async fn revoke(app: &App, asked: &Asked, client: &Client, text: &str) -> Result<bool, Denied> {
    let mut batch = Batch { spends: client.spends.clone(), ..Batch::default() };
    let circumstances = client.circumstances(asked);
    if let Ok(presented) = app.oauth.refresh.parse(text) {
        let grant = app.store.grant(presented.grant).await?;
        let grant = grant.filter(|grant| grant.client == client.row.client && grant.ended_at.is_none());
        if let Some(grant) =
            grant.filter(|grant| is_newest(grant, presented.generation, &client.registration))
        {
            let id = grant.grant;
            let (owner, token) = (grant.client, Fingerprint::of(&presented.hash));
            batch.changes.push(grants::ending(app, id, true));
            let told = SecurityBody::TokenRevoked { grant: id, client: owner, token };
            security::record(app, &grant.tenant, &circumstances, told, &mut batch).await?;
            let over = SecurityBody::GrantEnded { grant: id, client: owner, reason: EndReason::Revoked };
            security::record(app, &grant.tenant, &circumstances, over, &mut batch).await?;
        }
    } else if let Some(hash) = access_token(text) {
        let view = app.store.access_token(&hash).await?;
        if let Some(view) = view.filter(|view| view.grant.client == client.row.client) {
            batch.changes.push(Change::EndToken(hash));
            let told = SecurityBody::TokenRevoked {
                grant: view.grant.grant,
                client: view.grant.client,
                token: Fingerprint::of(&hash),
            };
            security::record(app, &view.grant.tenant, &circumstances, told, &mut batch).await?;
        }
    }
    Ok(matches!(issue::commit(app, client, asked, batch).await?, Written::Yes))
}

/// A token from before the newest gives nobody the power to end what came after it: that is what a reuse is for.
fn is_newest(grant: &GrantRow, generation: u64, registration: &Registration) -> bool {
    generation == grant.generation || !registration.rotates()
}
