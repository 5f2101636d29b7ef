//! `GET /v1/webhook-blocks`: what blocks webhooks besides the state of their endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{block_shapes::BlocksBody, json};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::containment,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/webhook-blocks",
    operation: Operation::ListWebhookBlocks,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(list(app, call)),
};

/// List what blocks webhooks here besides the state of their endpoint: a few at most.
#[utoipa::path(
    get,
    path = "/v1/webhook-blocks",
    operation_id = "list_webhook_blocks",
    tag = "webhooks",
    responses(
        (status = 200, description = "All of them", body = BlocksBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:read"]), ("api_key" = ["webhooks:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    Ok(json(&BlocksBody::of(&containment::of(&app, call.tenant()).await?)))
}
