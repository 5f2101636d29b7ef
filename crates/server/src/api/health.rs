//! `GET /health` and `GET /ready`: for whoever restarts us, and for whoever sends us traffic.

use std::sync::Arc;

use axum::{Json, extract::State};
use countersign_core::refusal::{Code, Refusal};
use serde_json::{Value, json};

use crate::{app::App, http::problem::Problem};

/// The process runs.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database answers.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    match app.store.ping().await {
        Ok(()) => Ok(Json(json!({ "status": "ok" }))),
        Err(fault) => {
            tracing::warn!(event_type = "ready", event_result = "failed", "{fault}");
            Err(Refusal::new(Code::NotReady, "the database does not answer").into())
        }
    }
}
