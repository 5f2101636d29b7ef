//! `POST /v1/webhook-endpoints/{endpoint}/test`: send a test to a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{answer, json_answer, kept, webhook_shapes::AttemptBody};
use crate::{
    app::App,
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::{
        act::Act,
        testing::{self, Tested},
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/test",
    operation: Operation::TestWebhookEndpoint,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(test(app, call)),
};

/// What came of a test.
#[derive(Serialize, ToSchema)]
pub(super) struct TestedBody {
    /// Whether the receiver took it (2xx).
    accepted: bool,
    /// The message: `webhook-id`.
    message: String,
    /// The key that signed it.
    key: String,
    /// What was sent and answered.
    attempt: AttemptBody,
}

/// Send a test to a webhook endpoint now, and say what it answered.
///
/// One key signs it alone: the new one while a key is rotated, which is proven when the receiver accepts it. A test is not tried again.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/test",
    operation_id = "test_webhook_endpoint",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "What came of it", body = TestedBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:send"]), ("api_key" = ["webhooks:send"])),
)]
pub(super) async fn test(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let act = Act { tenant, circumstances: &circumstances, keep: None };
    let organization = app.organization(tenant.organization()).await?;
    let body = |tested: &Tested| -> Result<TestedBody, Fault> {
        Ok(TestedBody {
            accepted: tested.is_accepted(),
            message: tested.message.to_string(),
            key: tested.key.to_string(),
            attempt: AttemptBody::of(&organization, &tested.attempt)?,
        })
    };
    let keep = |tested: &Tested| kept(&app, &organization, &call, &answer(200, None, &body(tested)?));
    let tested = testing::test(&app, &act, endpoint, Some(&keep)).await?;
    Ok(json_answer(200, None, &body(&tested)?))
}
