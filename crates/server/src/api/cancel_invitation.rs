//! `POST /v1/invitations/{invitation}/cancel`: take an invitation back.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{answer, json_answer, kept, member_shapes::InvitationBody};
use crate::{
    accounts::invitations::{self, Invitation},
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/invitations/{invitation}/cancel",
    operation: Operation::CancelInvitation,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(run(app, call)),
};

/// Take an open invitation back: its link opens nothing any more.
#[utoipa::path(
    post,
    path = "/v1/invitations/{invitation}/cancel",
    operation_id = "cancel_invitation",
    tag = "members",
    params(
        ("invitation" = String, Path, pattern = "^tkt_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the invitation"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The invitation as it was", body = InvitationBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:members"])),
)]
pub(super) async fn run(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let invitation = call.id("invitation")?;
    let organization = app.organization(call.tenant().organization()).await?;
    let keep =
        |one: &Invitation| kept(&app, &organization, &call, &answer(200, None, &InvitationBody::of(one)));
    let circumstances = call.circumstances();
    let one = invitations::cancel(&app, &call.principal, &circumstances, invitation, Some(&keep)).await?;
    Ok(json_answer(200, None, &InvitationBody::of(&one)))
}
