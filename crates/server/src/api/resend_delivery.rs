//! `POST /v1/webhook-endpoints/{endpoint}/deliveries/{message}/resend`: have a message sent again.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, scopes_of},
    refusal::Refusal,
};

use super::{answer, json_answer, kept, webhook_shapes::DeliveryBody};
use crate::{
    app::App,
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::{act::Act, again, loaded::Loaded},
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/deliveries/{message}/resend",
    operation: Operation::ResendDelivery,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(resend(app, call)),
};

/// Have one message sent again to a webhook endpoint, whatever became of it.
///
/// It has the same `webhook-id`, so that a receiver that keeps ids acts once.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/deliveries/{message}/resend",
    operation_id = "resend_delivery",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("message" = String, Path, pattern = "^msg_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the message"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 202, description = "The delivery as it was", body = DeliveryBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:send"]), ("api_key" = ["webhooks:send"])),
)]
pub(super) async fn resend(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let (endpoint, message) = (call.id("endpoint")?, call.id("message")?);
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let found = app.store.delivery(tenant, endpoint, message).await.map_err(Fault::from)?;
    let shown = DeliveryBody::of(&found.ok_or_else(Refusal::not_found)?, scopes_of(&call.principal));
    let organization = app.organization(tenant.organization()).await?;
    let keep = |_: &Loaded| kept(&app, &organization, &call, &answer(202, None, &shown));
    let act = Act { tenant, circumstances: &circumstances, keep: Some(&keep) };
    again::resend(&app, &act, endpoint, message).await?;
    Ok(json_answer(202, None, &shown))
}
