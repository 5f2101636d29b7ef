//! `POST /v1/webhook-endpoints/{endpoint}/keys/{webhook_key}/revoke`: end a key of a webhook endpoint at once.

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
    path: "/v1/webhook-endpoints/{endpoint}/keys/{webhook_key}/revoke",
    operation: Operation::RevokeWebhookKey,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(revoke(app, call)),
};

/// End a key of a webhook endpoint at once: it signs no more, and is published no more.
///
/// Without another key nothing is sent until one is staged.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/keys/{webhook_key}/revoke",
    operation_id = "revoke_webhook_key",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("webhook_key" = String, Path, pattern = "^whk_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the key"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn revoke(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let key = call.id("webhook_key")?;
    endpoint_act(&app, &call, async |act| rotating::revoke(&app, act, endpoint, key).await).await
}
