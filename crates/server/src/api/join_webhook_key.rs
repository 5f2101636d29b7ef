//! `POST /v1/webhook-endpoints/{endpoint}/keys/join`: have the new key of a webhook endpoint sign.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{endpoint_act, webhook_shapes::EndpointBody};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::rotating,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/keys/join",
    operation: Operation::JoinWebhookKey,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(join(app, call)),
};

/// Have the new key of a webhook endpoint sign beside the primary one.
///
/// Do it when the receiver has the new key.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/keys/join",
    operation_id = "join_webhook_key",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn join(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    endpoint_act(&app, &call, async |act| rotating::join(&app, act, endpoint).await).await
}
