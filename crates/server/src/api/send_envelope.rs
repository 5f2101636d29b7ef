//! `POST /v1/envelopes/{envelope}/send`: send a draft.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, envelope::Command};

use super::{envelope_answer, shapes::EnvelopeBody};
use crate::{
    app::App,
    envelopes::{self, Along, Answering},
    http::{
        gate::{Call, Endpoint, Method, Takes},
        idempotency::respond,
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/envelopes/{envelope}/send",
    operation: Operation::SendEnvelope,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(send(app, call)),
};

/// Send a draft: those whose turn it is get a link by mail.
///
/// A link lives for 72 hours; `resend` mails new ones. Sending twice changes nothing.
#[utoipa::path(
    post,
    path = "/v1/envelopes/{envelope}/send",
    operation_id = "send_envelope",
    tag = "envelopes",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The envelope afterwards", body = EnvelopeBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["envelopes:send"]), ("api_key" = ["envelopes:send"])),
)]
pub(super) async fn send(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let command = Command::Send;
    let answering = Some(Answering { claim: call.claim()?, answer: &envelope_answer });
    let along = Along { answering, ..Along::default() };
    let acted = envelopes::act(&app, &call.asking(), call.id("envelope")?, command, along).await?;
    acted.answer.map(|answer| respond(answer, false)).ok_or_else(Problem::internal)
}
