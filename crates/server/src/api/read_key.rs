//! `GET /v1/keys/{key}`: an API key, never the key itself.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{
    json,
    key_shapes::{KeyBody, KeyUseBody},
};
use crate::{
    api_keys,
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/keys/{key}",
    operation: Operation::ReadKey,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// Read an API key: what it may do, from where, until when, and its last use.
#[utoipa::path(
    get,
    path = "/v1/keys/{key}",
    operation_id = "read_key",
    tag = "keys",
    params(
        ("key" = String, Path, pattern = "^key_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the key"),
    ),
    responses(
        (status = 200, description = "The key", body = KeyBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["keys:read"]), ("api_key" = ["keys:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let known = api_keys::read(&app, call.tenant(), call.id("key")?).await?;
    let used = KeyUseBody::of(&app, &known).await?;
    Ok(json(&KeyBody::of(&known, known.state(app.now()), used)))
}
