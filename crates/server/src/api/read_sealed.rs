//! `GET /v1/envelopes/{envelope}/documents/{document}/sealed`: a sealed document.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    envelope::{Command, event::Download},
    id::{DocumentId, EnvelopeId},
};

use super::{openapi::PdfBytes, pdf_download};
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
    path: "/v1/envelopes/{envelope}/documents/{document}/sealed",
    operation: Operation::ReadSealed,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(sealed(app, call)),
};

/// Download a sealed document. Its bytes are hashed again before they go out.
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}/documents/{document}/sealed",
    operation_id = "read_sealed",
    tag = "sealed",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
        ("document" = String, Path, pattern = "^doc_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the document"),
    ),
    responses(
        (status = 200, description = "The PDF", content_type = "application/pdf", body = PdfBytes),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["sealed:read"]), ("api_key" = ["sealed:read"])),
)]
pub(super) async fn sealed(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let (envelope, document): (EnvelopeId, DocumentId) = (call.id("envelope")?, call.id("document")?);
    let opened = envelopes::read(&app, call.tenant(), envelope).await?;
    evidence::completed(&opened.folded.state)?;
    let bytes = crate::documents::artifact(&app, call.tenant(), envelope, Some(document)).await?;
    let command = Command::RecordDownload { what: Download::Sealed { document } };
    envelopes::act_on(&app, &call.asking(), opened, command, Along::default()).await?;
    Ok(pdf_download(&format!("{document}.sealed.pdf"), bytes))
}
