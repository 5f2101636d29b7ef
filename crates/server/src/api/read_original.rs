//! `GET /v1/envelopes/{envelope}/documents/{document}/original`: a document as it was uploaded.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    envelope::{Command, event::Download},
    id::{DocumentId, EnvelopeId},
    refusal::Refusal,
};

use super::{openapi::PdfBytes, pdf_download};
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
    path: "/v1/envelopes/{envelope}/documents/{document}/original",
    operation: Operation::ReadOriginal,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(original(app, call)),
};

/// Download a document as it was uploaded. Its bytes are hashed again before they go out.
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}/documents/{document}/original",
    operation_id = "read_original",
    tag = "documents",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
        ("document" = String, Path, pattern = "^doc_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the document"),
    ),
    responses(
        (status = 200, description = "The PDF", content_type = "application/pdf", body = PdfBytes),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["documents:read"]), ("api_key" = ["documents:read"])),
)]
pub(super) async fn original(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let (envelope, document): (EnvelopeId, DocumentId) = (call.id("envelope")?, call.id("document")?);
    let opened = envelopes::read(&app, call.tenant(), envelope).await?;
    let contents = opened.folded.state.contents();
    contents.and_then(|contents| contents.document(document)).ok_or_else(Refusal::not_found)?;
    let bytes = crate::documents::original(&app, call.tenant(), document).await?;
    let command = Command::RecordDownload { what: Download::Original { document } };
    envelopes::act_on(&app, &call.asking(), opened, command, Along::default()).await?;
    Ok(pdf_download(&format!("{document}.pdf"), bytes))
}
