//! `POST /v1/webhook-endpoints`: make a webhook endpoint.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::{Operation, most_given, scopes_of};

use super::{
    answer, json_answer, kept,
    webhook_shapes::{EndpointBody, NewEndpointBody},
};
use crate::{
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    webhooks::{endpoints, loaded::Loaded},
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/webhook-endpoints",
    operation: Operation::CreateWebhookEndpoint,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(create(app, call)),
};

/// Make a webhook endpoint with its first key. Its secret is in this answer alone: the same request coming again gets the endpoint without it.
///
/// It is told of nothing before it is activated.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints",
    operation_id = "create_webhook_endpoint",
    tag = "webhooks",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = NewEndpointBody,
    responses(
        (status = 201, description = "Made", body = EndpointBody, headers(("Location" = String, description = "The endpoint"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["webhooks:write"]), ("api_key" = ["webhooks:write"])),
)]
pub(super) async fn create(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let settings = call.json::<NewEndpointBody>()?.settings()?;
    let organization = app.organization(call.tenant().organization()).await?;
    let location = |loaded: &Loaded| Some(format!("/v1/webhook-endpoints/{}", loaded.row.endpoint));
    let (public_url, reader) = (&app.config.server.public_url, scopes_of(&call.principal));
    let body = |loaded: &Loaded| EndpointBody::of(loaded, public_url, app.now(), reader);
    let keep =
        |loaded: &Loaded| kept(&app, &organization, &call, &answer(201, location(loaded), &body(loaded)?));
    let giver = most_given(&call.principal);
    let circumstances = call.circumstances();
    let made = endpoints::create(&app, call.tenant(), &circumstances, giver, &settings, Some(&keep)).await?;
    let shown = body(&made.loaded)?.with_secret(&made.key.to_string(), &made.secret.expose());
    Ok(json_answer(201, location(&made.loaded), &shown))
}
