//! The token endpoint (RFC 6749 §3.2): one form in, one token out, and everything that it changes in one commit.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    id::GrantId,
    limits,
    oauth::{
        client::GrantType,
        details,
        dpop::Proof,
        error::{ErrorCode, OAuthError},
        metadata::path,
        terms::Terms,
        token,
    },
    scope::Scopes,
};
use countersign_store::{Batch, access_rows::GrantRow, batch::Row};
use serde_json::Value;

use super::{
    answer::{Denied, json},
    asked::Asked,
    client_auth::{Client, authenticate},
    code,
    issue::{self, Wish, Written},
    refresh, with_nonce,
};
use crate::{app::App, fault::Fault};

/// Answers a token request.
pub async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let response = match respond(&app, request).await {
        Ok(response) => response,
        Err(denied) => denied.into_response(),
    };
    with_nonce(&app, response)
}

/// A token request whose client proved who it is.
pub struct TokenRequest<'a> {
    /// The application.
    pub app: &'a App,
    /// What was asked.
    pub asked: &'a Asked,
    /// By whom.
    pub client: &'a Client,
    /// With which proof of possession, not spent yet.
    pub proof: Option<&'a Proof>,
}

async fn respond(app: &App, request: Request) -> Result<Response, Denied> {
    let asked = Asked::read(request, path::TOKEN).await?;
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
    let request = TokenRequest { app, asked: &asked, client: &client, proof: proof.as_ref() };
    let body = match grant_type {
        GrantType::ClientCredentials => client_credentials(&request).await?,
        GrantType::AuthorizationCode => code::redeem(&request).await?,
        GrantType::RefreshToken => refresh::refresh(&request).await?,
    };
    Ok(json(StatusCode::OK, &body))
}

/// A token for the client itself (RFC 6749 §4.4): its grant lives as long as the token.
async fn client_credentials(request: &TokenRequest<'_>) -> Result<Value, Denied> {
    let TokenRequest { app, asked, client, proof } = *request;
    let parameters = &asked.parameters;
    let asked_scope = parameters.get("scope").ok_or_else(|| {
        OAuthError::new(ErrorCode::InvalidScope, "name the scopes that you need in the parameter scope")
    })?;
    let ceiling = client.row.scopes.and(client.row.tenant.environment().ceiling());
    let scopes = token::own_scope(ceiling, Some(asked_scope))?;
    let asked_details = parameters.get("authorization_details").map(details::parse).transpose()?;
    let asked_details = asked_details.unwrap_or_default();
    details::check_scopes(&asked_details, scopes)?;
    let binding = token::binding(&client.registration, &client.proof(proof), None)?;
    let audience = issue::audience(app, &client.row.tenant, parameters.get("resource")).await??;
    let grant = own_grant(app, client, scopes, Terms::of_client(asked_details))?;
    let made = issue::make(app, Wish { grant: &grant, scopes, audience, binding }).await?;
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

fn own_grant(app: &App, client: &Client, scopes: Scopes, terms: Terms) -> Result<GrantRow, Fault> {
    let now = app.now();
    Ok(GrantRow {
        tenant: client.row.tenant,
        grant: GrantId::new(now, app.draw()),
        client: client.row.client,
        user: None,
        sign_in: None,
        scopes,
        terms: issue::terms_text(&terms)?,
        authenticated: None,
        binding: None,
        generation: 0,
        retry_of: None,
        rotated_at: now,
        created_at: now,
        expires_at: now.plus_s(limits::ACCESS_TOKEN_LONGEST_S),
        ended_at: None,
        version: 1,
    })
}
