//! `GET /v1/envelopes/{envelope}/documents/{document}/sealed`: a sealed document.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    envelope::{Command, event::Download},
    id::{DocumentId, EnvelopeId},
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
    path: "/v1/envelopes/{envelope}/documents/{document}/sealed",
    operation: Operation::ReadSealed,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(sealed(app, call)),
};

/// Download a sealed document. Its bytes are hashed again before they go out (D-1).
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}/documents/{document}/sealed",
    operation_id = "read_sealed",
    tag = "sealed",
    params(
        ("envelope" = String, Path, description = "Id of the envelope"),
        ("document" = String, Path, description = "Id of the document"),
    ),
    responses(
        (status = 200, description = "The PDF", content_type = "application/pdf", body = Vec<u8>),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("api_key" = ["sealed:read"])),
)]
pub(super) async fn sealed(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let (envelope, document): (EnvelopeId, DocumentId) = (call.id("envelope")?, call.id("document")?);
    let bytes = crate::documents::artifact(&app, call.tenant(), envelope, Some(document)).await?;
    let command = Command::RecordDownload { what: Download::Sealed { document } };
    envelopes::act(&app, &call.asking(), envelope, command, Along::default()).await?;
    Ok(pdf_download(&format!("{document}.sealed.pdf"), bytes))
}
