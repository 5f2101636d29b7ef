//! `GET /v1/envelopes/{envelope}/events`: what happened, as it is chained and logged.

use std::{collections::BTreeMap, sync::Arc};

use axum::response::Response;
use countersign_core::{
    access::Operation,
    digest::Digest,
    envelope::{Body, encode::Recorded},
};
use countersign_store::rows::StoredEvent;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{limit_of, position_of},
    shapes::shown,
};
use crate::{
    app::App,
    envelopes::{self, Placed},
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/envelopes/{envelope}/events",
    operation: Operation::ListEvents,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsBody {
    /// In order.
    events: Vec<EventBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventBody {
    /// Position in the envelope, from 1.
    seq: u64,
    /// Its type.
    r#type: &'static str,
    /// When (RFC 3339, UTC).
    at: String,
    /// SHA-256 of its canonical JSON, lower-case hex.
    sha256: String,
    /// Index in the log; null until it is there, a moment later.
    log_index: Option<u64>,
    /// The event as it is chained (RFC 8785): personal values are commitments in it.
    #[schema(value_type = Object)]
    chained: serde_json::Value,
    /// The personal values by their commitments, where they are not erased.
    values: BTreeMap<String, String>,
}

impl EventBody {
    fn of(recorded: &Recorded, stored: &StoredEvent) -> Result<Self, Fault> {
        let hidden = hidden(&recorded.event.body);
        let veiled = recorded.event.veiled().into_iter().filter(|veiled| !hidden.contains(&veiled.sha256));
        let values = veiled.filter_map(|veiled| Some((veiled.sha256.to_string(), shown(veiled)?)));
        Ok(Self {
            seq: stored.seq,
            r#type: recorded.event.body.type_text(),
            at: recorded.event.at.to_string(),
            sha256: stored.hash.to_string(),
            log_index: stored.log_index,
            chained: serde_json::from_slice(&recorded.bytes)
                .map_err(|error| Fault::Task(error.to_string()))?,
            values: values.collect(),
        })
    }
}

/// One event as the API shows it; `None` if there is none at this position.
pub(crate) fn event_json(placed: &Placed, seq: u64) -> Result<Option<String>, Fault> {
    let found = placed.events().find(|(_, stored)| stored.seq == seq);
    let body = found.map(|(recorded, stored)| EventBody::of(recorded, stored)).transpose()?;
    body.map(|body| serde_json::to_string(&body)).transpose().map_err(|error| Fault::Task(error.to_string()))
}

/// Read the events of an envelope.
#[utoipa::path(
    get,
    path = "/v1/envelopes/{envelope}/events",
    operation_id = "list_events",
    tag = "envelopes",
    params(
        ("envelope" = String, Path, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the envelope"),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = EventsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["events:read"]), ("api_key" = ["events:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let after = position_of(&call)?.unwrap_or(0);
    let limit = limit_of(&call)?;
    let placed = envelopes::read_placed(&app, call.tenant(), call.id("envelope")?).await?;
    let mut events = Vec::new();
    let mut more = false;
    for (recorded, stored) in placed.events().filter(|(_, stored)| stored.seq > after) {
        if events.len() == limit {
            more = true;
            break;
        }
        events.push(EventBody::of(recorded, stored)?);
    }
    let next_cursor = events.last().filter(|_| more).map(|last: &EventBody| last.seq.to_string());
    Ok(json(&EventsBody { events, next_cursor }))
}

/// The commitments whose values are nobody's to read: the hashes of access codes.
fn hidden(body: &Body) -> Vec<Digest> {
    let Body::Created { recipients, .. } = body else { return Vec::new() };
    let codes = recipients.iter().filter_map(|recipient| recipient.access_code.as_ref());
    codes.map(|code| code.sha256).collect()
}
