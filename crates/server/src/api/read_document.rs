//! `GET /v1/documents/{document}`: what is known about an uploaded document.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, shapes::points};
use crate::{
    app::App,
    documents::{self, Document},
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/documents/{document}",
    operation: Operation::ReadDocument,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// An uploaded document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentBody {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// SHA-256 of the upload, lower-case hex.
    sha256: String,
    /// Size in bytes.
    size_bytes: u64,
    /// When it was uploaded (RFC 3339, UTC).
    created_at: String,
    /// Its pages in order, as displayed.
    pages: Vec<PageBody>,
    /// What the inspection found: form fields, make of the file, notices. Members may be added.
    #[schema(value_type = Object)]
    inspection: serde_json::Value,
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageBody {
    /// Width as displayed, in points.
    width: f64,
    /// Height as displayed, in points.
    height: f64,
}

impl DocumentBody {
    pub(super) fn of(document: &Document) -> Self {
        let page = |(width, height): &(u32, u32)| PageBody { width: points(*width), height: points(*height) };
        Self {
            id: document.row.document.to_string(),
            name: document.name.disclose().clone(),
            sha256: document.row.sha256.to_string(),
            size_bytes: document.row.size_bytes,
            created_at: document.row.created_at.to_string(),
            pages: document.page_sizes_cpt.iter().map(page).collect(),
            inspection: document.report.clone(),
        }
    }
}

/// Read what is known about a document.
#[utoipa::path(
    get,
    path = "/v1/documents/{document}",
    operation_id = "read_document",
    tag = "documents",
    params(("document" = String, Path, pattern = "^doc_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the document")),
    responses(
        (status = 200, description = "The document", body = DocumentBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["documents:read"]), ("api_key" = ["documents:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let document = documents::read(&app, call.tenant(), call.id("document")?).await?;
    Ok(json(&DocumentBody::of(&document)))
}
