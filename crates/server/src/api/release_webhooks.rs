//! `POST /v1/webhook-blocks/release`: release the webhooks of the environment, or a class of them.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;
use countersign_store::webhook_rows::BlockRow;

use super::{
    block_shapes::{ReleaseBody, shown},
    kept,
};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        idempotency::respond,
        problem::Problem,
    },
    webhooks::containment,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-blocks/release",
    operation: Operation::ReleaseWebhooks,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(release(app, call)),
};

/// Take away a block that the organization set. What was parked goes out at a bounded rate, unless something else stops it.
#[utoipa::path(
    post,
    path = "/v1/webhook-blocks/release",
    operation_id = "release_webhooks",
    tag = "webhooks",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = ReleaseBody,
    responses(
        (status = 200, description = "All blocks as they are now", body = super::block_shapes::BlocksBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn release(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let asked: ReleaseBody = call.json()?;
    let class = asked.class()?;
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |rows: &[BlockRow]| kept(&app, &organization, &call, &shown(rows));
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let rows = containment::release(&app, tenant, &circumstances, class, Some(&keep)).await?;
    Ok(respond(shown(&rows), false))
}
