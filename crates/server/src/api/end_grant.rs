//! `POST /v1/grants/{grant}/end`: end a grant with its tokens.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{answer, json_answer, kept, list_grants::GrantBody};
use crate::{
    app::App,
    grants::{self, Given},
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/grants/{grant}/end",
    operation: Operation::EndGrant,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(run(app, call)),
};

/// End what was granted to a client. Its tokens are worth nothing from their next use on.
#[utoipa::path(
    post,
    path = "/v1/grants/{grant}/end",
    operation_id = "end_grant",
    tag = "grants",
    params(
        ("grant" = String, Path, pattern = "^grt_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the grant"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 200, description = "The grant as it was", body = GrantBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:grants"])),
)]
pub(super) async fn run(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let grant = call.id("grant")?;
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |one: &Given| kept(&app, &organization, &call, &answer(200, None, &GrantBody::of(one)));
    let circumstances = call.circumstances();
    let one = grants::end(&app, call.tenant(), &circumstances, (grant, None), Some(&keep)).await?;
    Ok(json_answer(200, None, &GrantBody::of(&one)))
}
