//! `POST /v1/webhook-blocks`: block the webhooks of the environment, or a class of them.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;
use countersign_store::webhook_rows::BlockRow;

use super::{
    block_shapes::{NewBlockBody, shown},
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
    path: "/v1/webhook-blocks",
    operation: Operation::BlockWebhooks,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(block(app, call)),
};

/// Block all webhooks of the environment, or a class of them: deliveries are parked, and none is lost.
#[utoipa::path(
    post,
    path = "/v1/webhook-blocks",
    operation_id = "block_webhooks",
    tag = "webhooks",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = NewBlockBody,
    responses(
        (status = 200, description = "All blocks as they are now", body = super::block_shapes::BlocksBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn block(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let asked: NewBlockBody = call.json()?;
    let (class, reason) = (asked.class()?, asked.reason()?);
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |rows: &[BlockRow]| kept(&app, &organization, &call, &shown(rows));
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let rows = containment::block(&app, tenant, &circumstances, class, reason, Some(&keep)).await?;
    Ok(respond(shown(&rows), false))
}
