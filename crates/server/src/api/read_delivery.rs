//! `GET /v1/webhook-endpoints/{endpoint}/deliveries/{message}`: a delivery with every attempt.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, scopes_of},
    refusal::Refusal,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    webhook_shapes::{AttemptBody, DeliveryBody},
};
use crate::{
    app::App,
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/webhook-endpoints/{endpoint}/deliveries/{message}",
    operation: Operation::ReadDelivery,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// A delivery and what was tried of it.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryWithAttemptsBody {
    /// The delivery.
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// Every attempt that is still kept, oldest first.
    tried: Vec<AttemptBody>,
}

/// Read a delivery with every attempt: what was sent, what was answered, and how long it took.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{endpoint}/deliveries/{message}",
    operation_id = "read_delivery",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("message" = String, Path, pattern = "^msg_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the message"),
    ),
    responses(
        (status = 200, description = "The delivery", body = DeliveryWithAttemptsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:read"]), ("api_key" = ["webhooks:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let (endpoint, message) = (call.id("endpoint")?, call.id("message")?);
    let row = app.store.delivery(call.tenant(), endpoint, message).await.map_err(Fault::from)?;
    let row = row.ok_or_else(Refusal::not_found)?;
    let organization = app.organization(call.tenant().organization()).await?;
    let tried = app.store.attempts(call.tenant(), endpoint, message).await.map_err(Fault::from)?;
    let tried = tried.iter().map(|row| AttemptBody::of(&organization, row)).collect::<Result<_, _>>()?;
    Ok(json(&DeliveryWithAttemptsBody {
        delivery: DeliveryBody::of(&row, scopes_of(&call.principal)),
        tried,
    }))
}
