//! Introspection (RFC 7662), plain or signed (RFC 9701): resource servers that prove who they are ask about tokens of their
//! own tenant. Whatever is not good is answered alike.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    access::ceiling_of_client,
    oauth::{
        challenge::Scheme,
        error::{ErrorCode, OAuthError},
        introspection::{self, Active, Asker, SIGNED_MEDIA_TYPE, SIGNED_TYPE, Traces},
        metadata::path,
        presented::{self, Shown},
        token::Binding,
    },
    scope::Scope,
    security::{Fingerprint, SecurityBody},
};
use countersign_store::{
    Batch,
    access_rows::{Change, TokenView},
};
use serde_json::Value;

use super::{
    answer::{Denied, json},
    asked::Asked,
    client_auth::{Client, authenticate},
    issue,
    revoke::access_token,
    with_nonce,
};
use crate::{app::App, fault::Fault, http::auth::standing, security};

/// Answers an introspection.
pub async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let response = match respond(&app, request).await {
        Ok(response) => response,
        Err(denied) => denied.into_response(),
    };
    with_nonce(&app, response)
}

async fn respond(app: &App, request: Request) -> Result<Response, Denied> {
    let asked = Asked::read(request, path::INTROSPECT).await?;
    let text = asked.parameters.require("token")?.to_owned();
    let client = authenticate(app, &asked).await?;
    let may_ask_about_all = client.row.scopes.has(Scope::TokensIntrospect);
    let may_ask = may_ask_about_all || client.registration.resource.is_some();
    if !may_ask || !client.registration.token_endpoint_auth_method.has_key() {
        let sentence = "introspection is for resource servers: clients with tokens:introspect or a resource";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence).into());
    }
    app.oauth.introspections.admit(&client.row.client).map_err(Denied::TooMany)?;
    let hash = access_token(&text);
    let view = match &hash {
        Some(hash) => app.store.access_token(hash).await?,
        None => None,
    };
    let is_its_to_know = |view: &TokenView| {
        view.grant.tenant == client.row.tenant && (may_ask_about_all || is_for(view, &client))
    };
    let view = view.filter(|view| is_its_to_know(view) && is_good(view, app));
    let answer = match &view {
        Some(view) => described(app, &client, view)?,
        None => introspection::inactive(),
    };
    let mut batch = Batch { spends: client.spends.clone(), ..Batch::default() };
    if let Some(hash) = &hash {
        let (token, active) = (Fingerprint::of(hash), view.is_some());
        let body = SecurityBody::TokenIntrospected { client: client.row.client, token, active };
        let circumstances = client.circumstances(&asked);
        security::record_of_program(app, &client.row.tenant, &circumstances, body, &mut batch).await?;
    }
    if view.is_some_and(|view| is_for(&view, &client)) {
        batch.changes.extend(hash.map(|hash| Change::SeeToken(hash, app.now())));
    }
    issue::commit(app, &client, &asked, batch).await?;
    signed_or_not(app, &asked, &client, answer).await
}

/// Whether the client is the resource server that the token is for.
fn is_for(view: &TokenView, client: &Client) -> bool {
    view.token.audience.is_some() && view.token.audience == client.registration.resource
}

/// Whether the token would be taken at this moment from whoever holds what it is bound to.
fn is_good(view: &TokenView, app: &App) -> bool {
    let mut standing = standing(view);
    standing.is_for_this_api = true;
    let (scheme, key, certificate) = match view.token.binding {
        Some(Binding::Key(thumbprint)) => (Scheme::Dpop, Some(thumbprint), None),
        Some(Binding::Certificate(sha256)) => (Scheme::Bearer, None, Some(sha256)),
        None => (Scheme::Bearer, None, None),
    };
    let shown = Shown { scheme, environment: standing.environment, key, certificate };
    presented::judge(&standing, &shown, app.now()).is_ok()
}

fn described(app: &App, client: &Client, view: &TokenView) -> Result<Value, Fault> {
    let terms = issue::terms(&view.grant)?;
    let environment = view.grant.tenant.environment();
    let role = view.member.as_ref().map(|member| member.role);
    let scopes = view.grant.scopes.and(ceiling_of_client(environment, view.client.scopes, role));
    let audience = view.token.audience.as_deref().unwrap_or(&app.oauth.issuer);
    let active = Active {
        issuer: &app.oauth.issuer,
        client: view.grant.client,
        user: view.grant.user,
        scopes: view.token.scopes.and(scopes),
        audience,
        binding: view.token.binding,
        authenticated: view.grant.authenticated,
        details: &terms.details,
        issued_at: view.token.created_at,
        expires_at: view.token.expires_at,
        traces: Traces {
            grant: view.grant.grant,
            generation: view.token.generation,
            last_seen: view.token.seen_at,
        },
    };
    Ok(introspection::active(&active, if is_for(view, client) { Asker::Audience } else { Asker::Other }))
}

/// A caller that asks for the signed form gets it (RFC 9701 §4).
async fn signed_or_not(app: &App, asked: &Asked, client: &Client, answer: Value) -> Result<Response, Denied> {
    let accepts = asked.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_signed =
        accepts.split(',').any(|one| one.split(';').next().map(str::trim) == Some(SIGNED_MEDIA_TYPE));
    if !wants_signed {
        return Ok(json(StatusCode::OK, &answer));
    }
    let claims = introspection::signed(answer, &app.oauth.issuer, client.row.client, app.now());
    let token = app.oauth.keys.sign(app, SIGNED_TYPE, &claims).await?;
    let mut response = token.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SIGNED_MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
