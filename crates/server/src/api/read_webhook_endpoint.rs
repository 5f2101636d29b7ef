//! `GET /v1/webhook-endpoints/{endpoint}`: a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::{Operation, scopes_of};

use super::{json, webhook_shapes::EndpointBody};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::loaded,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/webhook-endpoints/{endpoint}",
    operation: Operation::ReadWebhookEndpoint,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// Read a webhook endpoint: its settings, its state and its keys, never their secrets.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{endpoint}",
    operation_id = "read_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
    ),
    responses(
        (status = 200, description = "The endpoint", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:read"]), ("api_key" = ["webhooks:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let loaded = loaded::read(&app, call.tenant(), call.id("endpoint")?).await?;
    let (public_url, reader) = (&app.config.server.public_url, scopes_of(&call.principal));
    Ok(json(&EndpointBody::of(&loaded, public_url, app.now(), reader)?))
}
