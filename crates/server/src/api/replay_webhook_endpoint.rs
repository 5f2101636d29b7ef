//! `POST /v1/webhook-endpoints/{endpoint}/replay`: have sent what the endpoint was told nothing of.

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
    path: "/v1/webhook-endpoints/{endpoint}/replay",
    operation: Operation::ReplayWebhookEndpoint,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(replay(app, call)),
};

/// Have events since a time sent of which the endpoint was told nothing.
///
/// Because it was not there yet, or not active. It goes on after a restart, at a bounded rate. An endpoint has one replay at a time: 409
/// `webhook_state` until it is over. There are at most 12 recoveries and replays in a day (UTC): 429 `too_many`.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/replay",
    operation_id = "replay_webhook_endpoint",
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
pub(super) async fn replay(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let since = call.json::<SinceBody>()?.time()?;
    endpoint_act(&app, &call, async |act| again::replay(&app, act, endpoint, since).await).await
}
