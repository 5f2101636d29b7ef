//! `GET /v1/webhook-endpoints/{endpoint}/deliveries`: what is delivered to a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, scopes_of},
    refusal::{Code, Refusal},
};
use countersign_store::webhook_rows::{DeliveryQuery, DeliveryState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{cursor_of, cut, limit_of},
    webhook_shapes::DeliveryBody,
};
use crate::{
    app::App,
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::loaded,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/webhook-endpoints/{endpoint}/deliveries",
    operation: Operation::ListDeliveries,
    takes: Takes::Nothing,
    query: &["state", "envelope", "cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveriesBody {
    /// Newest first.
    deliveries: Vec<DeliveryBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

fn wrong_state() -> Refusal {
    Refusal::new(Code::Malformed, "`state` is `due`, `parked`, `delivered` or `failed`")
}

fn wrong_envelope() -> Refusal {
    Refusal::new(Code::Malformed, "`envelope` is the id of an envelope, `env_…`")
}

/// List the deliveries of a webhook endpoint, newest first. They are kept for 30 days after they are over.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{endpoint}/deliveries",
    operation_id = "list_deliveries",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("state" = Option<String>, Query, pattern = "^(due|parked|delivered|failed)$", description = "Only in this state"),
        ("envelope" = Option<String>, Query, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Only of this envelope"),
        ("cursor" = Option<String>, Query, pattern = "^msg_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = DeliveriesBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:read"]), ("api_key" = ["webhooks:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let loaded = loaded::read(&app, call.tenant(), endpoint).await?;
    let state = call.query("state").map(|text| DeliveryState::parse(text).ok_or_else(wrong_state));
    let stream = call.query("envelope").map(|text| text.parse().map_err(|_| wrong_envelope()));
    let limit = limit_of(&call)?;
    let query = DeliveryQuery {
        state: state.transpose()?,
        stream: stream.transpose()?,
        before: cursor_of(&call)?,
        limit: limit.saturating_add(1),
    };
    let rows = app.store.deliveries(call.tenant(), loaded.row.endpoint, &query).await.map_err(Fault::from)?;
    let (rows, next_cursor) = cut(rows, limit, |row| row.message.message);
    let reader = scopes_of(&call.principal);
    let deliveries = rows.iter().map(|row| DeliveryBody::of(row, reader)).collect();
    Ok(json(&DeliveriesBody { deliveries, next_cursor }))
}
