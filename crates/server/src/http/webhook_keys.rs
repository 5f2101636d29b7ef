//! `GET /webhooks/{endpoint}/jwks.json`: the public keys that verify what an endpoint is sent, open to all.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use countersign_core::{id::EndpointId, refusal::Refusal};

use super::{headers::KeptFor, problem::Problem};
use crate::{app::App, webhooks::publishing};

/// As long as a receiver may go without looking: a revoked key is refused after that at the latest.
const KEPT_S: i64 = 300;

/// The route.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/webhooks/{endpoint}/jwks.json", get(keys))
}

async fn keys(State(app): State<Arc<App>>, Path(endpoint): Path<String>) -> Result<Response, Problem> {
    let endpoint: EndpointId = endpoint.parse().map_err(|_| Refusal::not_found())?;
    let set = publishing::jwks(&app, endpoint).await?.ok_or_else(Refusal::not_found)?;
    let mut response = Json(set).into_response();
    response.extensions_mut().insert(KeptFor(KEPT_S));
    Ok(response)
}
