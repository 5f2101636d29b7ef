//! `GET /v1/envelopes/{envelope}/certificate`: the sealed certificate of completion.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    envelope::{Command, event::Download},
    id::EnvelopeId,
};

use super::pdf_download;
use crate::{
    app::App,
    envelopes::{self, Along},
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/envelopes/{envelope}/certificate",
    operation: Operation::ReadCertificate,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(certificate(app, call)),
};

/// Download the sealed certificate of completion. Its bytes are hashed again before they go out (D-1).
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}/certificate",
    operation_id = "read_certificate",
    tag = "sealed",
    params(
        ("envelope" = String, Path, description = "Id of the envelope"),
    ),
    responses(
        (status = 200, description = "The PDF", content_type = "application/pdf", body = Vec<u8>),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("api_key" = ["sealed:read"])),
)]
pub(super) async fn certificate(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let envelope: EnvelopeId = call.id("envelope")?;
    let bytes = crate::documents::artifact(&app, call.tenant(), envelope, None).await?;
    let command = Command::RecordDownload { what: Download::Certificate };
    envelopes::act(&app, &call.asking(), envelope, command, Along::default()).await?;
    Ok(pdf_download(&format!("{envelope}.certificate.pdf"), bytes))
}
