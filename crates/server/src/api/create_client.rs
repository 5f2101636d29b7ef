//! `POST /v1/clients`: register an OAuth client.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::{Operation, most_given},
    oauth::client::Registration,
    secret::PlainToken,
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
    path: "/v1/clients",
    operation: Operation::CreateClient,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(create(app, call)),
};

/// Register a client, with no scopes beyond those of whoever registers it. A secret is in this answer alone: the same request coming again gets the client without it.
#[utoipa::path(
    post,
    path = "/v1/clients",
    operation_id = "create_client",
    tag = "clients",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = RegistrationBody,
    responses(
        (status = 201, description = "Registered", body = ClientBody, headers(("Location" = String, description = "The client"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:clients"])),
)]
pub(super) async fn create(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let registration = Registration::parse(&call.body)?;
    let location = |client: &clients::Registered| Some(format!("/v1/clients/{}", client.row.client));
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |client: &clients::Registered| {
        kept(&app, &organization, &call, &answer(201, location(client), &ClientBody::of(client, None)))
    };
    let made = clients::register(
        &app,
        call.tenant(),
        &call.circumstances(),
        most_given(&call.principal),
        registration,
        Some(&keep),
    )
    .await?;
    let secret = made.secret.as_ref().map(PlainToken::expose);
    Ok(json_answer(201, location(&made.client), &ClientBody::of(&made.client, secret)))
}
