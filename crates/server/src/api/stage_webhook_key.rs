//! `POST /v1/webhook-endpoints/{endpoint}/keys`: make the next key of a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::{Operation, scopes_of};

use super::{answer, json_answer, kept, webhook_shapes::EndpointBody};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::{act::Act, loaded::Loaded, rotating},
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints/{endpoint}/keys",
    operation: Operation::StageWebhookKey,
    takes: Takes::Nothing,
    query: &[],
    run: |app, call| Box::pin(stage(app, call)),
};

/// Make the next key of a webhook endpoint. It is published, and does not sign yet. Its secret is in this answer alone.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{endpoint}/keys",
    operation_id = "stage_webhook_key",
    tag = "webhooks",
    params(
        ("endpoint" = String, Path, pattern = "^whe_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the endpoint"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    responses(
        (status = 201, description = "The endpoint with its new key", body = EndpointBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:webhooks"])),
)]
pub(super) async fn stage(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let endpoint = call.id("endpoint")?;
    let organization = app.organization(call.tenant().organization()).await?;
    let (public_url, reader) = (&app.config.server.public_url, scopes_of(&call.principal));
    let body = |loaded: &Loaded| EndpointBody::of(loaded, public_url, app.now(), reader);
    let keep = |loaded: &Loaded| kept(&app, &organization, &call, &answer(201, None, &body(loaded)?));
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let act = Act { tenant, circumstances: &circumstances, keep: Some(&keep) };
    let made = rotating::stage(&app, &act, endpoint).await?;
    let shown = body(&made.loaded)?.with_secret(&made.key.to_string(), &made.secret.expose());
    Ok(json_answer(201, None, &shown))
}
