//! `GET /health` and `GET /ready`: for whoever restarts us, and for whoever sends us traffic.

use std::sync::Arc;

use axum::{Json, extract::State};
use countersign_core::refusal::{Code, Refusal};
use serde_json::{Value, json};

use crate::{app::App, fault::Fault, http::problem::Problem};

/// The process runs.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database answers and takes writes, and so does the folder of the blobs.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    // These have no place among the requests in work, and cost writes: they wait for each other instead.
    let _turn = app.probes.acquire().await.map_err(|error| Fault::Task(error.to_string()))?;
    let pinged = [
        (app.store.ping().await, "the database does not answer, or takes no writes"),
        (app.blobs.ping().await, "the folder of the documents cannot be written to"),
    ];
    for (ping, sentence) in pinged {
        if let Err(fault) = ping {
            tracing::warn!(event_type = "ready", event_result = "failed", "{fault}");
            return Err(Refusal::new(Code::NotReady, sentence).into());
        }
    }
    Ok(Json(json!({ "status": "ok" })))
}
