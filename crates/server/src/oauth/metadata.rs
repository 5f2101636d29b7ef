//! What the server says about itself (RFC 8414, OpenID Connect Discovery, RFC 9728), and its public keys.

use std::sync::Arc;

use super::{answer::Denied, signing::SIGNS_WITH};
use crate::{app::App, http::headers::KeptFor};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    limits,
    oauth::{
        jose::Algorithm,
        metadata::{self, Server},
    },
};

fn server(app: &App) -> Server<'_> {
    const ALGORITHMS: &[Algorithm] = &SIGNS_WITH;
    Server {
        issuer: &app.oauth.issuer,
        mtls: app.config.oauth.mtls_url.as_deref(),
        signs_with: ALGORITHMS,
        has_sandboxes: true,
    }
}

/// The metadata of the authorization server.
pub async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    Json(metadata::authorization_server(&server(&app))).into_response()
}

/// The metadata of the API.
pub async fn protected_resource(State(app): State<Arc<App>>) -> Response {
    Json(metadata::protected_resource(&server(&app), &app.oauth.issuer)).into_response()
}

/// The public keys of the authorization server.
pub async fn keys(State(app): State<Arc<App>>) -> Response {
    match app.oauth.keys.published(&app).await {
        Ok(keys) => {
            let mut response = Json(keys).into_response();
            response.extensions_mut().insert(KeptFor(limits::JWKS_KEPT_S));
            response
        }
        Err(fault) => Denied::from(fault).into_response(),
    }
}
