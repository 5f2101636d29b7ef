//! The token endpoint (RFC 6749 §3.2): one form in, one token out, and everything that it changes in one commit.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    id::GrantId,
    limits,
    oauth::{
        client::GrantType,
        dpop::Proof,
        error::{ErrorCode, OAuthError},
    },
};
use countersign_store::{Batch, access_rows::GrantRow, batch::Row};
use serde_json::Value;

use super::{
    answer::{DPOP_NONCE, Denied, json},
    asked::Asked,
    client_auth::{Client, authenticate},
    issue::{self, Wish, Written},
};
use crate::{app::App, fault::Fault};

/// Where it is.
pub const PATH: &str = "/oauth/token";

/// Answers a token request. The next nonce for proofs goes along with every answer.
pub async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let mut response = match respond(&app, request).await {
        Ok(response) => response,
        Err(denied) => denied.into_response(),
    };
    if let Ok(nonce) = HeaderValue::try_from(app.oauth.nonces.issue(app.now())) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}

async fn respond(app: &App, request: Request) -> Result<Response, Denied> {
    let asked = Asked::read(request, PATH).await?;
    let grant_type = GrantType::parse(asked.parameters.require("grant_type")?).ok_or_else(|| {
        let sentence = "the grant types are authorization_code, refresh_token and client_credentials";
        OAuthError::new(ErrorCode::UnsupportedGrantType, sentence)
    })?;
    // Judged before anything is looked up; spent with whatever follows.
    let proof = asked.proof(app)?;
    let client = authenticate(app, &asked).await?;
    if !client.registration.may_use(grant_type) {
        let sentence = "this grant type is not among those that are registered for the client";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence).into());
    }
    let body = match grant_type {
        GrantType::ClientCredentials => client_credentials(app, &asked, &client, proof.as_ref()).await?,
        GrantType::AuthorizationCode | GrantType::RefreshToken => {
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "not yet").into());
        }
    };
    Ok(json(StatusCode::OK, &body))
}

/// A token for the client itself (RFC 6749 §4.4): its grant lives as long as the token.
async fn client_credentials(
    app: &App,
    asked: &Asked,
    client: &Client,
    proof: Option<&Proof>,
) -> Result<Value, Denied> {
    let ceiling = client.row.scopes.and(client.row.tenant.environment().ceiling());
    let scopes = issue::scopes(asked.parameters.get("scope"), ceiling)?;
    let binding = issue::binding(client, proof)?;
    let grant = own_grant(app, client, scopes);
    let made = issue::make(app, Wish { grant: &grant, scopes, audience: None, binding });
    let mut batch = Batch { spends: issue::spends(client, proof), ..Batch::default() };
    batch.rows.push(Row::Grant(grant.clone()));
    let circumstances = client.circumstances(asked);
    let grant_type = GrantType::ClientCredentials.text();
    issue::record(app, &circumstances, &grant, &made, grant_type, &mut batch).await?;
    match issue::commit(app, client, asked, batch).await? {
        Written::Yes => Ok(Value::Object(issue::answer(&made, app.now()))),
        Written::Outdated => Err(Fault::Task("a new grant met another of its id".to_owned()).into()),
    }
}

fn own_grant(app: &App, client: &Client, scopes: countersign_core::scope::Scopes) -> GrantRow {
    let now = app.now();
    GrantRow {
        tenant: client.row.tenant,
        grant: GrantId::new(now, app.draw()),
        client: client.row.client,
        user: None,
        sign_in: None,
        scopes,
        terms: "{}".to_owned(),
        authenticated: None,
        binding: None,
        generation: 0,
        retry_of: None,
        rotated_at: now,
        created_at: now,
        expires_at: now.plus_s(limits::ACCESS_TOKEN_LONGEST_S),
        ended_at: None,
        version: 1,
    }
}
