//! `POST /v1/clients/{client}`: replace a client's registration.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, most_given},
    oauth::client::Registration,
};

use super::{
    answer,
    client_shapes::{ClientBody, RegistrationBody},
    json_answer, kept,
};
use crate::{
    app::App,
    clients,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/clients/{client}",
    operation: Operation::ChangeClient,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(change(app, call)),
};

/// Replace the whole registration of a client, which has and gets no scopes beyond those of whoever does it. What its tokens may do shrinks with it from their next use on.
#[utoipa::path(
    post,
    path = "/v1/clients/{client}",
    operation_id = "change_client",
    tag = "clients",
    params(
        ("client" = String, Path, pattern = "^cli_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the client"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = RegistrationBody,
    responses(
        (status = 200, description = "The client afterwards", body = ClientBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:clients"])),
)]
pub(super) async fn change(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let client = call.id("client")?;
    let registration = Registration::parse(&call.body)?;
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |client: &clients::Registered| {
        kept(&app, &organization, &call, &answer(200, None, &ClientBody::of(client, None)))
    };
    let circumstances = call.circumstances();
    let changed = clients::change(
        &app,
        call.tenant(),
        &circumstances,
        most_given(&call.principal),
        client,
        registration,
        Some(&keep),
    )
    .await?;
    Ok(json_answer(200, None, &ClientBody::of(&changed, None)))
}
