//! `GET /v1/webhook-endpoints`: the webhook endpoints of an environment.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::{Operation, scopes_of};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{cursor_of, cut, limit_of},
    webhook_shapes::EndpointBody,
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
    method: Method::Get,
    path: "/v1/webhook-endpoints",
    operation: Operation::ListWebhookEndpoints,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of webhook endpoints.
#[derive(Serialize, ToSchema)]
pub(super) struct EndpointsBody {
    /// Newest first.
    endpoints: Vec<EndpointBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// List the webhook endpoints, newest first, also those that have ended.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints",
    operation_id = "list_webhook_endpoints",
    tag = "webhooks",
    params(
        ("cursor" = Option<String>, Query, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = EndpointsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:read"]), ("api_key" = ["webhooks:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let limit = limit_of(&call)?;
    let found = endpoints::page(&app, call.tenant(), cursor_of(&call)?, limit).await?;
    let (found, next_cursor) = cut(found, limit, |loaded| loaded.row.endpoint);
    let (public_url, reader) = (&app.config.server.public_url, scopes_of(&call.principal));
    let mut endpoints = Vec::new();
    for loaded in &found {
        endpoints.push(EndpointBody::of(loaded, public_url, app.now(), reader)?);
    }
    Ok(json(&EndpointsBody { endpoints, next_cursor }))
}
