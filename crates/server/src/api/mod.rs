//! The API under `/v1`: one endpoint per file, all in one table that the router, the docs and the tests read.

mod create_envelope;
pub mod errors_page;
pub mod health;
mod list_envelopes;
mod list_events;
pub mod list_mailbox;
pub mod openapi;
mod read_certificate;
mod read_document;
mod read_envelope;
mod read_original;
mod read_sealed;
mod resend_envelope;
mod send_envelope;
mod shapes;
mod upload_document;
mod void_envelope;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use crate::{
    envelopes::{Answer, Opened},
    http::gate::Endpoint,
};

/// Every endpoint that needs a credential.
pub const ENDPOINTS: &[Endpoint] = &[
    upload_document::ENDPOINT,
    read_document::ENDPOINT,
    create_envelope::ENDPOINT,
    list_envelopes::ENDPOINT,
    read_envelope::ENDPOINT,
    send_envelope::ENDPOINT,
    resend_envelope::ENDPOINT,
    void_envelope::ENDPOINT,
    list_events::ENDPOINT,
    read_original::ENDPOINT,
    read_sealed::ENDPOINT,
    read_certificate::ENDPOINT,
    list_mailbox::ENDPOINT,
];

/// Paths that need no credential: the exceptions to authentication.
pub const OPEN_PATHS: &[&str] = &["/v1/openapi.json", "/docs/errors", "/health", "/ready"];

/// An answer with a body, for keeping.
fn answer<T: Serialize>(status: u16, location: Option<String>, body: &T) -> Answer {
    // These bodies are structs of strings and numbers: they cannot fail to encode.
    Answer { status, location, body: serde_json::to_vec(body).unwrap_or_default() }
}

/// The answer of an act on an envelope: the envelope as it is afterwards.
fn envelope_answer(opened: &Opened) -> Answer {
    answer(200, None, &shapes::EnvelopeBody::of(opened))
}

/// A plain JSON answer.
fn json<T: Serialize>(body: &T) -> Response {
    Json(body).into_response()
}

/// A PDF to keep: never shown by the browser itself.
fn pdf_download(name: &str, bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
