//! The log under `/log/`, as C2SP tlog-tiles lays it out: open to all, because its leaves tell nothing.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use countersign_core::refusal::Refusal;

use super::problem::Problem;
use crate::app::App;

/// What never changes may be kept for ever.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The log's routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/key", get(key))
        .route("/log/tile/{*path}", get(tile))
}

fn answer(content_type: &'static str, caching: &'static str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
    ];
    (headers, bytes).into_response()
}

/// `GET /log/checkpoint`: the newest checkpoint, a signed note.
async fn checkpoint(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let note = app.log.checkpoint().await?.ok_or_else(Refusal::not_found)?;
    Ok(answer("text/plain; charset=utf-8", "no-store", note.into_bytes()))
}

/// `GET /log/key`: the key that verifies checkpoints. Pin it from a place that you trust.
async fn key(State(app): State<Arc<App>>) -> Response {
    answer("text/plain; charset=utf-8", "no-store", format!("{}\n", app.log.verifier_key()).into_bytes())
}

/// `GET /log/tile/…`: tiles and entry bundles.
async fn tile(State(app): State<Arc<App>>, Path(path): Path<String>) -> Result<Response, Problem> {
    let bytes = app.log.file(&format!("tile/{path}")).await?.ok_or_else(Refusal::not_found)?;
    Ok(answer("application/octet-stream", IMMUTABLE, bytes))
}
