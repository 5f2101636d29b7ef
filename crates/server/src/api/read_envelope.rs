//! `GET /v1/envelopes/{envelope}`: one envelope with its people and fields.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{json, shapes::EnvelopeBody};
use crate::{
    app::App,
    envelopes,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/envelopes/{envelope}",
    operation: Operation::ReadEnvelope,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// Read an envelope with its people and fields.
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}",
    operation_id = "read_envelope",
    tag = "envelopes",
    params(("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope")),
    responses(
        (status = 200, description = "The envelope", body = EnvelopeBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["envelopes:read"]), ("api_key" = ["envelopes:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let opened = envelopes::read(&app, call.tenant(), call.id("envelope")?).await?;
    Ok(json(&EnvelopeBody::of(&opened)))
}
