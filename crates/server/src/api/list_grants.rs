//! `GET /v1/grants`: what clients were granted.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{
    access::Operation,
    id::{ClientId, GrantId, UserId},
    refusal::{Code, Refusal},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{cursor_of, cut, limit_of},
};
use crate::{
    app::App,
    grants::{self, Given},
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/grants",
    operation: Operation::ListGrants,
    takes: Takes::Nothing,
    query: &["client", "user", "cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// A page of grants.
#[derive(Serialize, ToSchema)]
pub(super) struct GrantsBody {
    /// Newest first.
    grants: Vec<GrantBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// What a client was granted.
#[derive(Serialize, ToSchema)]
pub(super) struct GrantBody {
    /// Its id.
    #[schema(pattern = "^grt_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    id: String,
    /// To which client.
    client_id: String,
    /// What that client is called.
    client_name: String,
    /// By which user; null for what a client has for itself.
    user: Option<String>,
    /// Its scopes, names with one space between them.
    scope: String,
    /// When it was made (RFC 3339, UTC).
    created_at: String,
    /// When its refresh token was used last; null where there is none.
    refreshed_at: Option<String>,
    /// When it ends if nothing happens.
    expires_at: String,
}

impl GrantBody {
    /// A grant as it is shown.
    pub(super) fn of(given: &Given) -> Self {
        let row = &given.row;
        Self {
            id: row.grant.to_string(),
            client_id: row.client.to_string(),
            client_name: given.client.registration.client_name.clone(),
            user: row.user.map(|user| user.to_string()),
            scope: row.scopes.to_string(),
            created_at: row.created_at.to_string(),
            refreshed_at: (row.generation > 0).then(|| row.rotated_at.to_string()),
            expires_at: row.expires_at.to_string(),
        }
    }
}

fn id<T: std::str::FromStr>(call: &Call, name: &str, sentence: &str) -> Result<Option<T>, Refusal> {
    let id = call.query(name).map(str::parse::<T>).transpose();
    id.map_err(|_| Refusal::new(Code::Malformed, sentence))
}

/// List the grants that hold: what clients may do, and for whom. A page can be short and still have a next one.
#[utoipa::path(
    get,
    path = "/v1/grants",
    operation_id = "list_grants",
    tag = "grants",
    params(
        ("client" = Option<String>, Query, pattern = "^cli_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Only of this client"),
        ("user" = Option<String>, Query, pattern = "^usr_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Only by this user"),
        ("cursor" = Option<String>, Query, pattern = "^grt_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = GrantsBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["grants:read"]), ("api_key" = ["grants:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let before: Option<GrantId> = cursor_of(&call)?;
    let client: Option<ClientId> = id(&call, "client", "`client` is the id of a client")?;
    let user: Option<UserId> = id(&call, "user", "`user` is the id of a user")?;
    let limit = limit_of(&call)?;
    let rows = app.store.grants(call.tenant(), client, user, before, limit + 1).await?;
    let (rows, next_cursor) = cut(rows, limit, |row| row.grant);
    let given = grants::that_hold(&app, rows).await?;
    Ok(json(&GrantsBody { grants: given.iter().map(GrantBody::of).collect(), next_cursor }))
}
