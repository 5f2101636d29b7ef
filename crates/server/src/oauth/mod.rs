//! The authorization server: HTTP around the rules of `countersign_core::oauth`.

pub mod answer;
pub mod asked;
pub mod authorize;
pub mod client_auth;
pub mod client_keys;
pub mod code;
pub mod consent;
pub mod id_token;
pub mod introspect;
pub mod issue;
pub mod metadata;
pub mod par;
pub mod refresh;
pub mod registrations;
pub mod revoke;
pub mod server;
pub mod signing;
pub mod token;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::HeaderValue,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use countersign_core::oauth::metadata::path;

pub use answer::{DPOP_NONCE, Outcome};
pub use asked::{base, dpop_headers};
pub use server::AuthorizationServer;

use crate::{
    app::App,
    http::{gate, problem::Problem},
    signer::same_site,
};

/// Its endpoints: for programs, and for the browsers of people.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let people = Router::new()
        .route("/oauth/authorize/{handle}", get(authorize::show).post(authorize::decide))
        .layer(middleware::from_fn_with_state(Arc::clone(app), same_site_alone))
        .route_layer(middleware::from_fn(gate::without_query))
        .route(path::AUTHORIZE, get(authorize::begin));
    people.merge(programs())
}

/// A form that decides something began on a page of this server.
async fn same_site_alone(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match same_site::check(&app.config.server.public_url, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

fn programs() -> Router<Arc<App>> {
    Router::new()
        .route(path::PAR, post(par::serve))
        .route(path::TOKEN, post(token::serve))
        .route(path::REVOKE, post(revoke::serve))
        .route(path::INTROSPECT, post(introspect::serve))
        .route(path::JWKS, get(metadata::keys))
        .route(path::SERVER_METADATA, get(metadata::authorization_server))
        .route(path::OPENID_METADATA, get(metadata::authorization_server))
        .route(path::RESOURCE_METADATA, get(metadata::protected_resource))
        .route_layer(middleware::from_fn(gate::without_query))
}

/// The next nonce for proofs goes along with an answer (RFC 9449 §8.2).
pub fn with_nonce(app: &App, mut response: Response) -> Response {
    if let Ok(nonce) = HeaderValue::try_from(app.oauth.nonces.issue(app.now())) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}
