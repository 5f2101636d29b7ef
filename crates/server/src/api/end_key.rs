//! `POST /v1/keys/{key}/end`: end an API key.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{
    answer, json_answer, kept,
    key_shapes::{KeyBody, KeyUseBody},
};
use crate::{
    api_keys::{self, Known, State},
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/keys/{key}/end",
    operation: Operation::EndKey,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(end(app, call)),
};

/// End an API key. It is refused from its next use on.
#[utoipa::path(
    post,
    path = "/v1/keys/{key}/end",
    operation_id = "end_key",
    tag = "keys",
    params(
        ("key" = String, Path, pattern = "^key_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the key"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The key as it was", body = KeyBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:keys"])),
)]
pub(super) async fn end(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let key = call.id("key")?;
    let organization = app.organization(call.tenant().organization()).await?;
    let used = KeyUseBody::of(&app, &api_keys::read(&app, call.tenant(), key).await?).await?;
    let body = |known: &Known| KeyBody::of(known, State::Ended, used.clone());
    let keep = |known: &Known| kept(&app, &organization, &call, &answer(200, None, &body(known)));
    let ended = api_keys::end(&app, call.tenant(), &call.circumstances(), key, Some(&keep)).await?;
    Ok(json_answer(200, None, &body(&ended)))
}
