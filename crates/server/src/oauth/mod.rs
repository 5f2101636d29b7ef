//! The authorization server: HTTP around the rules of `countersign_core::oauth`.

pub mod answer;
pub mod asked;
pub mod client_auth;
pub mod issue;
pub mod server;
pub mod token;

use std::sync::Arc;

use axum::{Router, middleware, routing::post};

pub use answer::{DPOP_NONCE, Outcome};
pub use asked::{base, dpop_headers};
pub use server::AuthorizationServer;

use crate::{app::App, http::gate};

/// Its endpoints.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route(token::PATH, post(token::serve)).route_layer(middleware::from_fn(gate::without_query))
}
