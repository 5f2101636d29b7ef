//! `GET /v1/invitations`: the open invitations of an organization.

use std::{cmp::Ordering, sync::Arc};

use axum::response::Response;
use countersign_core::access::Operation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, member_shapes::InvitationBody, paging::page};
use crate::{
    accounts::invitations::{self, Invitation},
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
    let all = invitations::open(&app, call.tenant().organization()).await?;
    let (page, next_cursor) = page(&call, all, Ordering::Greater, Invitation::id)?;
    let invitations = page.iter().map(InvitationBody::of).collect();
    Ok(json(&InvitationsBody { invitations, next_cursor }))
}
