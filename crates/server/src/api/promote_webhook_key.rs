//! `POST /v1/webhook-endpoints/{endpoint}/keys/promote`: make the new key of a webhook endpoint the primary one.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{
    endpoint_act,
    webhook_shapes::{EndpointBody, PromotionBody},
};
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
    path: "/v1/webhook-endpoints/{endpoint}/keys/promote",
    operation: Operation::PromoteWebhookKey,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(promote(app, call)),
};

/// Make the new key of a webhook endpoint the primary one.
///
/// Not before the receiver accepted a test that it alone had signed. The old one signs beside it until the overlap is over.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/keys/promote",
    operation_id = "promote_webhook_key",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = PromotionBody,
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn promote(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let PromotionBody { overlap_s } = call.json()?;
    endpoint_act(&app, &call, async |act| rotating::promote(&app, act, endpoint, overlap_s).await).await
}
