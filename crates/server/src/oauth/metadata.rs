//! What the server says about itself (RFC 8414, OpenID Connect Discovery, RFC 9728), and its public keys.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::oauth::{
    jose::Algorithm,
    metadata::{self, Server},
};
use serde_json::Value;

use super::{answer::Denied, signing::SIGNS_WITH};
use crate::app::App;

/// How long caches may keep a document: less than a key is published before it signs.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=3600");

fn server(app: &App) -> Server<'_> {
    const ALGORITHMS: &[Algorithm] = &SIGNS_WITH;
    Server {
        issuer: &app.oauth.issuer,
        mtls: app.config.oauth.mtls_url.as_deref(),
        signs_with: ALGORITHMS,
        has_sandboxes: true,
    }
}

fn document(body: &Value) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, KEPT);
    response
}

/// The metadata of the authorization server.
pub async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    document(&metadata::authorization_server(&server(&app)))
}

/// The metadata of the API.
pub async fn protected_resource(State(app): State<Arc<App>>) -> Response {
    document(&metadata::protected_resource(&server(&app), &app.oauth.issuer))
}

/// The public keys of the authorization server.
pub async fn keys(State(app): State<Arc<App>>) -> Response {
    match app.oauth.keys.published(&app).await {
        Ok(keys) => document(&keys),
        Err(fault) => Denied::from(fault).into_response(),
    }
}
