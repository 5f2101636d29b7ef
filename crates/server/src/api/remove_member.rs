//! `POST /v1/members/{member}/remove`: end a membership.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{answer, json_answer, kept, member_shapes::MemberBody};
use crate::{
    accounts::members::{self, Member},
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/members/{member}/remove",
    operation: Operation::RemoveMember,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(run(app, call)),
};

/// End a membership, and with it everything that the member granted here.
///
/// Its sessions show nothing of this organization any
/// more, and end if it is a member nowhere else.
#[utoipa::path(
    post,
    path = "/v1/members/{member}/remove",
    operation_id = "remove_member",
    tag = "members",
    params(
        ("member" = String, Path, pattern = "^usr_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the user"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The member as it was", body = MemberBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:members"])),
)]
pub(super) async fn run(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let member = call.id("member")?;
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |one: &Member| kept(&app, &organization, &call, &answer(200, None, &MemberBody::of(one)));
    let circumstances = call.circumstances();
    let one = members::remove(&app, &call.principal, &circumstances, member, Some(&keep)).await?;
    Ok(json_answer(200, None, &MemberBody::of(&one)))
}
