//! `GET /v1/openapi.json`: OpenAPI 3.1, generated from the handlers.

use axum::{Json, response::IntoResponse as _, response::Response};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    create_envelope, list_envelopes, list_events, list_mailbox, read_certificate, read_document,
    read_envelope, read_original, read_sealed, resend_envelope, send_envelope, upload_document,
    void_envelope,
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
        list_mailbox::list,
    ),
    modifiers(&ApiKeys),
)]
struct Document;

struct ApiKeys;

impl Modify for ApiKeys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("csk_…")
            .description(Some("An API key. Each operation names the one scope that it needs."))
            .build();
        document.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(scheme));
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
