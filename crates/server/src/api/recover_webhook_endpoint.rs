//! `POST /v1/webhook-endpoints/{endpoint}/recover`: have sent again what failed.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{
    endpoint_act,
    webhook_shapes::{EndpointBody, SinceBody},
};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::again,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/recover",
    operation: Operation::RecoverWebhookEndpoint,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(recover(app, call)),
};

/// Have sent again what failed since a time.
///
/// It goes on after a restart, at a bounded rate. An endpoint has one recovery at a time: 409
/// `webhook_state` until it is over. There are at most 12 recoveries and replays in a day (UTC): 429 `too_many`.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/recover",
    operation_id = "recover_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = SinceBody,
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:send"]), ("api_key" = ["webhooks:send"])),
)]
pub(super) async fn recover(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let since = call.json::<SinceBody>()?.time()?;
    endpoint_act(&app, &call, async |act| again::recover(&app, act, endpoint, since).await).await
}
