//! `POST /v1/webhook-endpoints/{endpoint}/end`: end a webhook endpoint.

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
    path: "/v1/webhook-endpoints/{endpoint}/end",
    operation: Operation::EndWebhookEndpoint,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(end(app, call)),
};

/// End a webhook endpoint. It is told of nothing any more.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/end",
    operation_id = "end_webhook_endpoint",
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
pub(super) async fn end(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    endpoint_act(&app, &call, async |act| endpoints::end(&app, act, endpoint).await).await
}
