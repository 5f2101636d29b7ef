//! `GET /v1/webhook-endpoints/{endpoint}/proof`: what the probes of a webhook endpoint showed.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, webhook_shapes::ProofBody};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::proof,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/webhook-endpoints/{endpoint}/proof",
    operation: Operation::ReadWebhookProof,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// What is known of a receiver.
#[derive(Serialize, ToSchema)]
pub(super) struct LastProofBody {
    /// What the last probes showed; null where it was not probed since it leads there.
    proof: Option<ProofBody>,
}

/// Read what the last probes of the receiver of a webhook endpoint showed.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{endpoint}/proof",
    operation_id = "read_webhook_proof",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
    ),
    responses(
        (status = 200, description = "What they showed", body = LastProofBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:read"]), ("api_key" = ["webhooks:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let last = proof::last(&app, call.tenant(), call.id("endpoint")?).await?;
    Ok(json(&LastProofBody { proof: last.as_ref().map(ProofBody::of) }))
}
