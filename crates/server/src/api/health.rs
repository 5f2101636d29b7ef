//! `GET /health` and `GET /ready`: for whoever restarts us, and for whoever sends us traffic.

use std::sync::{Arc, PoisonError};

use axum::{Json, extract::State};
use countersign_core::refusal::{Code, Refusal};
use serde_json::{Value, json};

use crate::{app::App, http::problem::Problem};

/// The process runs.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database answers and takes writes, and so does the folder of the blobs.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    // These have no place among the requests in work, and cost writes: where many ask, most get the last answer.
    let Ok(_turn) = app.probes.turns.try_acquire() else {
        return answer(*app.probes.last.lock().unwrap_or_else(PoisonError::into_inner));
    };
    let found = look(&app).await;
    *app.probes.last.lock().unwrap_or_else(PoisonError::into_inner) = found;
    answer(found)
}

fn answer(not_ready: Option<&'static str>) -> Result<Json<Value>, Problem> {
    match not_ready {
        None => Ok(Json(json!({ "status": "ok" }))),
        Some(sentence) => Err(Refusal::new(Code::NotReady, sentence).into()),
    }
}

/// What is in the way.
async fn look(app: &App) -> Option<&'static str> {
    let pinged = [
        (app.store.ping().await, "the database does not answer, or takes no writes"),
        (app.blobs.ping().await, "the folder of the documents cannot be written to"),
    ];
    for (ping, sentence) in pinged {
        if let Err(fault) = ping {
            tracing::warn!(event_type = "ready", event_result = "failed", "{fault}");
            return Some(sentence);
        }
    }
    None
}
