//! `GET /v1/security-events`: what happened to credentials, people and powers.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, Tenant},
    refusal::{Code, Refusal},
    time::Time,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{limit_of, position_of},
};
use crate::{
    app::{App, Records},
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    security::reading::{self, Read, Wanted},
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/security-events",
    operation: Operation::ListSecurityEvents,
    takes: Takes::Nothing,
    query: &["kind", "actor", "from", "until", "cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of security events.
#[derive(Serialize, ToSchema)]
pub(super) struct SecurityEventsBody {
    /// Newest first.
    events: Vec<SecurityEventBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// A security event.
#[derive(Serialize, ToSchema)]
pub(super) struct SecurityEventBody {
    /// Position in the stream, from 1.
    seq: u64,
    /// Its id.
    #[schema(pattern = "^sev_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// Its kind.
    r#type: String,
    /// When (RFC 3339, UTC).
    at: String,
    /// The request or job that caused it: `request_id` of its answer.
    correlation: String,
    /// SHA-256 of its canonical JSON, lower-case hex.
    sha256: String,
    /// Index in the log; null until it is there.
    log_index: Option<u64>,
    /// From which address; null where it came from inside, or was erased.
    ip: Option<String>,
    /// By which agent, as it named itself.
    user_agent: Option<String>,
    /// The event as it is chained (RFC 8785), with its actor: personal values are commitments in it.
    #[schema(value_type = Object)]
    chained: serde_json::Value,
}

fn shown(read: Read) -> Result<SecurityEventBody, Fault> {
    let event = &read.placed.event;
    Ok(SecurityEventBody {
        seq: read.stored.seq,
        id: event.id.to_string(),
        r#type: event.body.kind(),
        at: event.at.to_string(),
        correlation: event.correlation.to_string(),
        sha256: read.stored.hash.to_string(),
        log_index: read.stored.log_index,
        ip: read.ip,
        user_agent: read.user_agent,
        chained: serde_json::from_slice(&read.stored.bytes)
            .map_err(|error| Fault::Task(error.to_string()))?,
    })
}

/// One event as the API shows it; `None` if there is none at this position.
pub(crate) async fn security_event_json(
    app: &Records,
    tenant: &Tenant,
    seq: u64,
) -> Result<Option<String>, Fault> {
    let page = reading::page(app, tenant, &Wanted::default(), Some(seq.saturating_add(1)), 1).await?;
    let found = page.events.into_iter().find(|read| read.stored.seq == seq);
    let body = found.map(shown).transpose()?;
    body.map(|body| serde_json::to_string(&body)).transpose().map_err(|error| Fault::Task(error.to_string()))
}

fn time(call: &Call, name: &str) -> Result<Option<Time>, Refusal> {
    let time = call.query(name).map(Time::of_rfc3339).transpose();
    time.map_err(|_| Refusal::new(Code::Malformed, format!("`{name}` is a moment like 2026-01-31T08:00:00Z")))
}

/// Read the security events of the organization in this environment.
///
/// Those of people are in `live`. An event is here a moment
/// after it happened, when the log has it. A page can be short and still have a next one.
#[utoipa::path(
    get,
    path = "/v1/security-events",
    operation_id = "list_security_events",
    tag = "security",
    params(
        ("kind" = Option<String>, Query, pattern = "^[a-z_.]{1,64}$", description = "Only of this kind, or with this beginning: `user.signed_in`, or `user`"),
        ("actor" = Option<String>, Query, pattern = "^[a-z0-9_]{1,64}$", description = "Only by this user, client or API key, or by `system`, `operator` or `unknown`"),
        ("from" = Option<String>, Query, format = DateTime, description = "Not before (RFC 3339)"),
        ("until" = Option<String>, Query, format = DateTime, description = "Only before"),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = SecurityEventsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["security:read"]), ("api_key" = ["security:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let wanted = Wanted {
        kind: call.query("kind").map(str::to_owned),
        actor: call.query("actor").map(str::to_owned),
        from: time(&call, "from")?,
        until: time(&call, "until")?,
    };
    wanted.check()?;
    let (before, limit) = (position_of(&call)?, limit_of(&call)?);
    let page = reading::page(&app, call.tenant(), &wanted, before, limit).await?;
    let events = page.events.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(json(&SecurityEventsBody { events, next_cursor: page.next.map(|seq| seq.to_string()) }))
}
