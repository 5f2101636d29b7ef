//! `GET /v1/events`: the events of an environment, for receivers that ask instead of being told.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, scopes_of},
    refusal::{Code, Refusal},
    webhook::class::Payload,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{json, paging::limit_of};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::pulling,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/events",
    operation: Operation::PullEvents,
    takes: Takes::Nothing,
    query: &["after", "payload", "limit"],
    run: |app, call| Box::pin(pull(app, call)),
};

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct FedBody {
    /// In the order of the log, which never changes. A page can be short, or empty, and still have more after it.
    events: Vec<PulledBody>,
    /// Where in the log events are, of whatever class, that were passed over because their record in the database was changed, so
    /// that it cannot be followed. The operator can restore them; then ask again, with the `after` of this page. Empty as long as all
    /// is well.
    unreadable: Vec<String>,
    /// For `after` of the next request, also when this page is empty; null where nothing was read yet.
    next: Option<String>,
    /// Whether there is more already.
    has_more: bool,
}

/// An event as a webhook tells of it.
#[derive(Serialize, ToSchema)]
pub(super) struct PulledBody {
    /// `webhook-id`: the same as in a webhook about this event.
    #[schema(pattern = "^msg_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// `webhook-event-class`.
    class: &'static str,
    /// The body of the webhook.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
}

fn position(text: &str) -> Option<u64> {
    let is_number = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn wrong_after() -> Refusal {
    Refusal::new(Code::Malformed, "`after` is the `next` of the page before")
}

fn wrong_payload() -> Refusal {
    Refusal::new(Code::Malformed, "`payload` is `thin` or `full`")
}

/// Read the events of the environment in the order of the log, as webhooks tell of them.
///
/// An event is here a moment after it happened, when the log has it, and whoever goes on from `next` misses none. It shows the classes that the
/// credential may read: `envelope` with `envelopes:status`, `recipient` with `events:read`, `evidence` with `evidence:read`, `security` with `security:read`.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "pull_events",
    tag = "webhooks",
    params(
        ("after" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "`next` of the page before; from the first event on if it is left out"),
        ("payload" = Option<String>, Query, pattern = "^(thin|full)$", description = "`thin`, the default, or `full`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = FedBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["events:read"]), ("api_key" = ["events:read"])),
)]
pub(super) async fn pull(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let after = call.query("after").map(|text| position(text).ok_or_else(wrong_after)).transpose()?;
    let payload = call.query("payload").map(|text| Payload::parse(text).ok_or_else(wrong_payload));
    let payload = payload.transpose()?.unwrap_or(Payload::Thin);
    let scopes = scopes_of(&call.principal);
    let page = pulling::page(&app, call.tenant(), scopes, payload, after, limit_of(&call)?).await?;
    let events = page.events.into_iter().map(|event| PulledBody {
        id: event.message.to_string(),
        class: event.class.text(),
        event: event.body,
    });
    let unreadable = page.unreadable.iter().map(u64::to_string).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(json(&FedBody { events: events.collect(), unreadable, next, has_more: page.has_more }))
}
