//! `GET /v1/keys`: the API keys of an environment, never the keys themselves.

use std::{cmp::Ordering, sync::Arc};

use axum::response::Response;
use countersign_core::access::Operation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    key_shapes::{KeyBody, KeyUseBody},
    paging::page,
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
    path: "/v1/keys",
    operation: Operation::ListKeys,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of API keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeysBody {
    /// Newest first.
    keys: Vec<KeyBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// List the API keys, also those that have ended.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "keys",
    params(
        ("cursor" = Option<String>, Query, pattern = "^key_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = KeysBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["keys:read"]), ("api_key" = ["keys:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let all = api_keys::all(&app, call.tenant()).await?;
    let (found, next_cursor) = page(&call, all, Ordering::Less, |known| known.row.key)?;
    let mut keys = Vec::new();
    for known in &found {
        let used = KeyUseBody::of(&app, known).await?;
        keys.push(KeyBody::of(known, known.state(app.now()), used));
    }
    Ok(json(&KeysBody { keys, next_cursor }))
}
