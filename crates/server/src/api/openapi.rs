//! `GET /v1/openapi.json`: OpenAPI 3.1, generated from the handlers.

use std::borrow::Cow;

use axum::{Json, response::IntoResponse as _, response::Response};
use utoipa::{
    Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    create_envelope, list_envelopes, list_events, list_mailbox, read_certificate, read_document,
    read_envelope, read_evidence, read_original, read_sealed, resend_envelope, send_envelope,
    upload_document, void_envelope,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "Send documents, have them signed, and get evidence that anyone can verify.",
    ),
    paths(
        upload_document::upload,
        read_document::read,
        create_envelope::create,
        list_envelopes::list,
        read_envelope::read,
        send_envelope::send,
        resend_envelope::resend,
        void_envelope::void,
        list_events::list,
        read_original::original,
        read_sealed::sealed,
        read_certificate::certificate,
        read_evidence::package,
        list_mailbox::list,
    ),
    modifiers(&ApiKeys),
)]
struct Document;

struct ApiKeys;

/// A body that is a PDF file.
pub(super) enum PdfBytes {}

/// A body that is a ZIP archive.
pub(super) enum ZipBytes {}

/// Bytes as they are, of a media type (JSON Schema 2020-12, validation, §8.4).
fn bytes_of(media_type: &str) -> RefOr<Schema> {
    let bytes = ObjectBuilder::new().schema_type(Type::String).content_media_type(media_type);
    bytes.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).into()
}

impl PartialSchema for PdfBytes {
    fn schema() -> RefOr<Schema> {
        bytes_of("application/pdf")
    }
}

impl ToSchema for PdfBytes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("PdfBytes")
    }
}

impl PartialSchema for ZipBytes {
    fn schema() -> RefOr<Schema> {
        bytes_of("application/zip")
    }
}

impl ToSchema for ZipBytes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ZipBytes")
    }
}

impl Modify for ApiKeys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("csk_…")
            .description(Some("An API key. Each operation names the one scope that it needs."))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The document as JSON.
pub async fn serve() -> Response {
    Json(document()).into_response()
}
