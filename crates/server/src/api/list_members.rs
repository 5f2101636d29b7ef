//! `GET /v1/members`: the members of an organization.

use std::{cmp::Ordering, sync::Arc};

use axum::response::Response;
use countersign_core::access::Operation;
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, member_shapes::MemberBody, paging::page};
use crate::{
    accounts::members,
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/members",
    operation: Operation::ListMembers,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of members.
#[derive(Serialize, ToSchema)]
pub(super) struct MembersBody {
    /// By id.
    members: Vec<MemberBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// List the members of the organization, who are members in both environments.
#[utoipa::path(
    get,
    path = "/v1/members",
    operation_id = "list_members",
    tag = "members",
    params(
        ("cursor" = Option<String>, Query, pattern = "^usr_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = MembersBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["members:read"]), ("api_key" = ["members:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let all = members::all(&app, call.tenant().organization()).await?;
    let (page, next_cursor) = page(&call, all, Ordering::Greater, |one| one.row.user)?;
    let members = page.iter().map(MemberBody::of).collect();
    Ok(json(&MembersBody { members, next_cursor }))
}
