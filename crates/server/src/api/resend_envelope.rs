//! `POST /v1/envelopes/{envelope}/resend`: send links again.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, envelope::Command, id::RecipientId};
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
    path: "/v1/envelopes/{envelope}/resend",
    operation: Operation::ResendEnvelope,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(resend(app, call)),
};

/// To whom links are sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResendBody {
    /// One recipient, who may have acted already; by default all whose turn it is, and all once everybody has acted.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^rcp_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    recipient: Option<RecipientId>,
}

/// Issue new links, to act or to the receipt of what was done; earlier links of the same recipients end.
#[utoipa::path(
    post,
    path = "/v1/envelopes/{envelope}/resend",
    operation_id = "resend_envelope",
    tag = "envelopes",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = ResendBody,
    responses(
        (status = 200, description = "The envelope afterwards", body = EnvelopeBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["envelopes:send"]), ("api_key" = ["envelopes:send"])),
)]
pub(super) async fn resend(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let body: ResendBody = call.json()?;
    let command = Command::Resend { recipient: body.recipient };
    let answering = Some(Answering { claim: call.claim()?, answer: &envelope_answer });
    let along = Along { answering, ..Along::default() };
    let acted = envelopes::act(&app, &call.asking(), call.id("envelope")?, command, along).await?;
    acted.answer.map(|answer| respond(answer, false)).ok_or_else(Problem::internal)
}
