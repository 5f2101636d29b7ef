//! `POST /v1/invitations`: invite somebody by mail.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, secret::Personal};

use super::{
    answer, json_answer, kept,
    member_shapes::{InvitationBody, InviteBody},
};
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
    path: "/v1/invitations",
    operation: Operation::InviteMember,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(run(app, call)),
};

/// Invite somebody by mail.
///
/// An open invitation for the same address ends. Members are of both environments, so that programs of the sandbox invite
/// nobody.
#[utoipa::path(
    post,
    path = "/v1/invitations",
    operation_id = "invite_member",
    tag = "members",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = InviteBody,
    responses(
        (status = 201, description = "Invited", body = InvitationBody, headers(("Location" = String, description = "The list that it is in"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:members"])),
)]
pub(super) async fn run(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let InviteBody { email, role } = call.json()?;
    let organization = app.organization(call.tenant().organization()).await?;
    let location = || Some("/v1/invitations".to_owned());
    let keep = |made: &Invitation| {
        kept(&app, &organization, &call, &answer(201, location(), &InvitationBody::of(made)))
    };
    let (circumstances, email) = (call.circumstances(), Personal::new(email));
    let made = invitations::invite(&app, &call.principal, &circumstances, &email, role, Some(&keep)).await?;
    Ok(json_answer(201, location(), &InvitationBody::of(&made)))
}
