//! `GET /v1/envelopes/{envelope}/evidence`: the evidence package.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{access::Operation, envelope::Command, id::EnvelopeId};

use super::openapi::ZipBytes;
use crate::{
    app::App,
    envelopes::{self, Along},
    evidence,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/envelopes/{envelope}/evidence",
    operation: Operation::ReadEvidence,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(package(app, call)),
};

/// Export the evidence package of a completed envelope: everything that `countersign-verify` needs to check it without
/// the network and without this server. The export itself is recorded afterwards.
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}/evidence",
    operation_id = "read_evidence",
    tag = "sealed",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
    ),
    responses(
        (status = 200, description = "The package, a ZIP archive", content_type = "application/zip", body = ZipBytes),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["evidence:read"]), ("api_key" = ["evidence:read"])),
)]
pub(super) async fn package(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let envelope: EnvelopeId = call.id("envelope")?;
    let (name, bytes) = evidence::package(&app, call.tenant(), envelope).await?;
    envelopes::act(&app, &call.asking(), envelope, Command::RecordExport, Along::default()).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
