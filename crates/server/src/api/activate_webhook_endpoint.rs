//! `POST /v1/webhook-endpoints/{endpoint}/activate`: have events delivered to a webhook endpoint.

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
    webhooks::endpoints,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/activate",
    operation: Operation::ActivateWebhookEndpoint,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(activate(app, call)),
};

/// Have events delivered to a webhook endpoint from now on.
///
/// In `live` its receiver must be proven. What was parked goes out; events of before are sent by `replay`.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/activate",
    operation_id = "activate_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:write"]), ("api_key" = ["webhooks:write"])),
)]
pub(super) async fn activate(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    endpoint_act(&app, &call, async |act| endpoints::activate(&app, act, endpoint).await).await
}
