//! `POST /v1/clients/{client}/end`: end a client, and with it everything that it was granted.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{answer, client_shapes::ClientBody, json_answer, kept};
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
    path: "/v1/clients/{client}/end",
    operation: Operation::EndClient,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(end(app, call)),
};

/// End a client. Its tokens are worth nothing from their next use on, and it is not found any more.
#[utoipa::path(
    post,
    path = "/v1/clients/{client}/end",
    operation_id = "end_client",
    tag = "clients",
    params(
        ("client" = String, Path, pattern = "^cli_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the client"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The client as it was", body = ClientBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:clients"])),
)]
pub(super) async fn end(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let client = call.id("client")?;
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |client: &clients::Registered| {
        kept(&app, &organization, &call, &answer(200, None, &ClientBody::of(client, None)))
    };
    let ended = clients::end(&app, call.tenant(), &call.circumstances(), client, Some(&keep)).await?;
    Ok(json_answer(200, None, &ClientBody::of(&ended, None)))
}
