//! `GET /v1/envelopes`: envelopes with their states, newest first.

use std::{collections::HashMap, sync::Arc};

use axum::response::Response;
use countersign_core::{
    access::{Operation, Tenant},
    digest::Digest,
    id::PersonId,
    refusal::{Code, Refusal},
};
use countersign_store::rows::{EnvelopeQuery, EnvelopeRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{cursor_of, limit_of},
};
use crate::{
    app::App,
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    persons::{self, PersonKeys},
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/envelopes",
    operation: Operation::ListEnvelopes,
    takes: Takes::Nothing,
    query: &["status", "cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

const STATUSES: [&str; 7] = ["draft", "sent", "sealing", "completed", "declined", "voided", "expired"];

/// A page of envelopes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnvelopesBody {
    /// Newest first.
    envelopes: Vec<EnvelopeSummaryBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// An envelope in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnvelopeSummaryBody {
    /// Its id.
    id: String,
    /// Its status.
    status: String,
    /// Its title; null once erased, which no command does yet.
    title: Option<String>,
    /// When it was created (RFC 3339, UTC).
    created_at: String,
    /// When its last event was.
    changed_at: String,
    /// When it expires.
    expires_at: Option<String>,
}

/// List envelopes with their states, without people or fields.
#[utoipa::path(
    get,
    path = "/v1/envelopes",
    operation_id = "list_envelopes",
    tag = "envelopes",
    params(
        ("status" = Option<String>, Query, pattern = "^(draft|sent|sealing|completed|declined|voided|expired)$", description = "Only with this status"),
        ("cursor" = Option<String>, Query, pattern = "^env_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = EnvelopesBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["envelopes:status"]), ("api_key" = ["envelopes:status"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let status = call.query("status").map(str::to_owned);
    if status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        let sentence = format!("`status` is one of: {}", STATUSES.join(", "));
        return Err(Refusal::new(Code::Malformed, sentence).into());
    }
    let query = EnvelopeQuery { status, before: cursor_of(&call)?, limit: limit_of(&call)? };
    let page = app.store.find_envelopes(call.tenant(), &query).await?;
    let titles = titles(&app, call.tenant(), &page.rows).await?;
    let next_cursor = page.rows.last().filter(|_| page.more).map(|row| row.envelope.to_string());
    let envelopes = page
        .rows
        .into_iter()
        .map(|row| EnvelopeSummaryBody {
            id: row.envelope.to_string(),
            title: titles.get(&row.title).cloned(),
            status: row.status,
            created_at: row.created_at.to_string(),
            changed_at: row.changed_at.to_string(),
            expires_at: row.expires_at.map(|at| at.to_string()),
        })
        .collect();
    Ok(json(&EnvelopesBody { envelopes, next_cursor }))
}

/// The titles by their commitments, where they are not erased.
async fn titles(app: &App, tenant: &Tenant, rows: &[EnvelopeRow]) -> Result<HashMap<Digest, String>, Fault> {
    let commitments: Vec<_> = rows.iter().map(|row| (row.envelope, row.title)).collect();
    let openings = app.store.openings(tenant, &commitments).await?;
    let mut senders: Vec<PersonId> = openings.iter().map(|opening| opening.person).collect();
    senders.sort_unstable();
    senders.dedup();
    let organization = app.organization(tenant.organization()).await?;
    let mut keys = PersonKeys::default();
    keys.add(&organization, &app.store.persons(tenant, &senders).await?)?;
    let title = |row| Ok((persons::open(&keys, row)?, row.commitment));
    openings
        .iter()
        .map(|row| title(row).map(|(opening, commitment)| (commitment, opening.value.disclose().clone())))
        .collect()
}
