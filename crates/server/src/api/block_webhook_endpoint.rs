//! `POST /v1/webhook-endpoints/{endpoint}/block`: block the deliveries of a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{
    block_shapes::reason,
    endpoint_act,
    webhook_shapes::{BlockBody, EndpointBody},
};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::endpoints,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/block",
    operation: Operation::BlockWebhookEndpoint,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(block(app, call)),
};

/// Block the deliveries of a webhook endpoint: they are parked, and none is lost.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/block",
    operation_id = "block_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = BlockBody,
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn block(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let asked: BlockBody = call.json()?;
    let reason = reason(&asked.reason)?;
    endpoint_act(&app, &call, async |act| endpoints::block(&app, act, endpoint, reason).await).await
}
