//! `POST /v1/documents`: the PDF itself is the body, its name is in the query.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    refusal::{Code, Refusal},
    secret::Personal,
};

use super::{answer, openapi::PdfBytes, read_document::DocumentBody};
use crate::{
    app::App,
    documents,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        idempotency::respond,
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/documents",
    operation: Operation::UploadDocument,
    takes: Takes::Pdf,
    query: &["name"],
    run: |app, call| Box::pin(upload(app, call)),
};

/// Upload a PDF. It is inspected before it is kept; what cannot be sealed safely is refused with a reason.
#[utoipa::path(
    post,
    path = "/v1/documents",
    operation_id = "upload_document",
    tag = "documents",
    params(
        ("name" = String, Query, description = "Name that recipients see, at most 200 characters"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body(content = PdfBytes, content_type = "application/pdf", description = "The PDF, at most 25 MiB and 1,000 pages"),
    responses(
        (status = 201, description = "Kept", body = DocumentBody, headers(("Location" = String, description = "The document"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["documents:write"]), ("api_key" = ["documents:write"])),
)]
pub(super) async fn upload(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let name = call
        .query("name")
        .ok_or_else(|| Refusal::new(Code::Invalid, "name the document: /v1/documents?name=contract.pdf"))?;
    let person = call.principal.sender().ok_or_else(Refusal::not_found)?;
    let upload = documents::Upload {
        tenant: *call.tenant(),
        person,
        name: Personal::new(name.to_owned()),
        bytes: call.body.clone(),
    };
    let answered = documents::upload(&app, upload, call.claim()?, &|document| {
        let location = format!("/v1/documents/{}", document.row.document);
        answer(201, Some(location), &DocumentBody::of(document))
    })
    .await?;
    Ok(respond(answered, false))
}
