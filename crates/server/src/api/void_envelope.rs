//! `POST /v1/envelopes/{envelope}/void`: end an envelope as its sender.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, envelope::Command, secret::Personal};
use serde::Deserialize;
use utoipa::ToSchema;

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
    path: "/v1/envelopes/{envelope}/void",
    operation: Operation::VoidEnvelope,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(void(app, call)),
};

/// Why an envelope is voided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoidBody {
    /// Told to the recipients who were asked: in a mail, and on the page that they have open.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 4000)]
    reason: Option<Personal<String>>,
}

/// End an envelope that is not complete. Voiding twice is not an error.
#[utoipa::path(
    post,
    path = "/v1/envelopes/{envelope}/void",
    operation_id = "void_envelope",
    tag = "envelopes",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = VoidBody,
    responses(
        (status = 200, description = "The envelope afterwards", body = EnvelopeBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["envelopes:void"]), ("api_key" = ["envelopes:void"])),
)]
pub(super) async fn void(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let body: VoidBody = call.json()?;
    let command = Command::Void { reason: body.reason };
    let answering = Some(Answering { claim: call.claim()?, answer: &envelope_answer });
    let along = Along { answering, ..Along::default() };
    let acted = envelopes::act(&app, &call.asking(), call.id("envelope")?, command, along).await?;
    acted.answer.map(|answer| respond(answer, false)).ok_or_else(Problem::internal)
}
