//! `POST /v1/webhook-endpoints/{endpoint}`: change a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::{Operation, most_given};

use super::{
    endpoint_act,
    webhook_shapes::{EndpointBody, EndpointEditBody},
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
    path: "/v1/webhook-endpoints/{endpoint}",
    operation: Operation::ChangeWebhookEndpoint,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(change(app, call)),
};

/// Change a webhook endpoint.
///
/// Whoever does it must have all of its scopes. With another address or profile it is another receiver: in `live` it takes the proof anew, and what waits is parked until then.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}",
    operation_id = "change_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = EndpointEditBody,
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:write"]), ("api_key" = ["webhooks:write"])),
)]
pub(super) async fn change(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let edit = call.json::<EndpointEditBody>()?.edit()?;
    endpoint_act(&app, &call, async |act| {
        endpoints::change(&app, act, most_given(&call.principal), endpoint, &edit).await
    })
    .await
}
