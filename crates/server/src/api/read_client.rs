//! `GET /v1/clients/{client}`: a client with its registration.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{client_shapes::ClientBody, json};
use crate::{
    app::App,
    clients,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/clients/{client}",
    operation: Operation::ReadClient,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(read(app, call)),
};

/// Read a client.
#[utoipa::path(
    get,
    path = "/v1/clients/{client}",
    operation_id = "read_client",
    tag = "clients",
    params(
        ("client" = String, Path, pattern = "^cli_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the client"),
    ),
    responses(
        (status = 200, description = "The client", body = ClientBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["clients:read"]), ("api_key" = ["clients:read"])),
)]
pub(super) async fn read(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let client = clients::read(&app, call.tenant(), call.id("client")?).await?;
    Ok(json(&ClientBody::of(&client, None)))
}
