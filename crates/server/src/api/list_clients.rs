//! `GET /v1/clients`: the clients of an environment.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, id::ClientId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    client_shapes::ClientBody,
    json,
    paging::{cursor_of, cut, limit_of},
};
use crate::{
    app::App,
    clients::Registered,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/clients",
    operation: Operation::ListClients,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of clients.
#[derive(Serialize, ToSchema)]
pub(super) struct ClientsBody {
    /// Newest first.
    clients: Vec<ClientBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// List the clients that have not ended.
#[utoipa::path(
    get,
    path = "/v1/clients",
    operation_id = "list_clients",
    tag = "clients",
    params(
        ("cursor" = Option<String>, Query, pattern = "^cli_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = ClientsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["clients:read"]), ("api_key" = ["clients:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let before: Option<ClientId> = cursor_of(&call)?;
    let limit = limit_of(&call)?;
    let rows = app.store.clients(call.tenant(), before, limit + 1).await?;
    let (rows, next_cursor) = cut(rows, limit, |row| row.client);
    let mut clients = Vec::new();
    for row in rows.into_iter().filter(|row| row.ended_at.is_none()) {
        clients.push(ClientBody::of(&Registered::read(row)?, None));
    }
    Ok(json(&ClientsBody { clients, next_cursor }))
}
