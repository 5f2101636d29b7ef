//! `POST /v1/webhook-endpoints/{endpoint}/prove`: probe the receiver of a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{answer, json_answer, kept, webhook_shapes::ProofBody};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::{
        act::Act,
        proof::{self, Report},
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/prove",
    operation: Operation::ProveWebhookEndpoint,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(prove(app, call)),
};

/// Probe the receiver of a webhook endpoint: whether it accepts a right message, and refuses wrong ones.
///
/// It is sent one good message, and a forged, a stale, a tampered and a replayed one, one with the id and time of another, and one with a wrong
/// key id. Live events take a receiver that is proven. Takes up to 20 s.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/prove",
    operation_id = "prove_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "What the probes showed", body = ProofBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:send"]), ("api_key" = ["webhooks:send"])),
)]
pub(super) async fn prove(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let organization = app.organization(tenant.organization()).await?;
    let act = Act { tenant, circumstances: &circumstances, keep: None };
    let keep = |report: &Report| kept(&app, &organization, &call, &answer(200, None, &ProofBody::of(report)));
    let report = proof::prove(&app, &act, endpoint, Some(&keep)).await?;
    Ok(json_answer(200, None, &ProofBody::of(&report)))
}
