//! `GET /v1/invitations`: the open invitations of an organization.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    id::TicketId,
    refusal::{Code, Refusal},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, list_envelopes::limit_of, member_shapes::InvitationBody};
use crate::{
    accounts::invitations,
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/invitations",
    operation: Operation::ListInvitations,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of invitations.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitationsBody {
    /// By id.
    invitations: Vec<InvitationBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// List the invitations that nobody has taken up yet.
#[utoipa::path(
    get,
    path = "/v1/invitations",
    operation_id = "list_invitations",
    tag = "members",
    params(
        ("cursor" = Option<String>, Query, pattern = "^tkt_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = InvitationsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["members:read"]), ("api_key" = ["members:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let after = call.query("cursor").map(str::parse::<TicketId>).transpose();
    let after = after.map_err(|_| Refusal::new(Code::Malformed, "take `cursor` from `next_cursor`"))?;
    let limit = limit_of(&call)?;
    let all = invitations::open(&app, call.tenant().organization()).await?;
    let mut rest = all.iter().filter(|one| after.is_none_or(|after| one.id() > after)).peekable();
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let last = page.last().filter(|_| rest.peek().is_some());
    let next_cursor = last.map(|one| one.id().to_string());
    let invitations = page.into_iter().map(InvitationBody::of).collect();
    Ok(json(&InvitationsBody { invitations, next_cursor }))
}
