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

use super::{headers::Immutable, problem::Problem};
use crate::app::App;

/// The log's routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/key", get(key))
        .route("/log/tile/{*path}", get(tile))
}

fn answer(content_type: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], bytes).into_response()
}

/// `GET /log/checkpoint`: the newest checkpoint, a signed note.
async fn checkpoint(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let note = app.log.checkpoint().await?.ok_or_else(Refusal::not_found)?;
    Ok(answer("text/plain; charset=utf-8", note.into_bytes()))
}

/// `GET /log/key`: the key that verifies checkpoints. Pin it from a place that you trust.
async fn key(State(app): State<Arc<App>>) -> Response {
    answer("text/plain; charset=utf-8", format!("{}\n", app.log.verifier_key()).into_bytes())
}

/// `GET /log/tile/…`: tiles and entry bundles. A full one never changes, and may be kept for ever; one that is still
/// growing is soon worth nothing.
async fn tile(State(app): State<Arc<App>>, Path(path): Path<String>) -> Result<Response, Problem> {
    let bytes = app.log.file(&format!("tile/{path}")).await?.ok_or_else(Refusal::not_found)?;
    let mut response = answer("application/octet-stream", bytes);
    if !path.contains(".p/") {
        response.extensions_mut().insert(Immutable);
    }
    Ok(response)
}
