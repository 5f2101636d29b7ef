//! `POST /v1/keys`: make an API key.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, api_key::Wish, network::Networks};

use super::{
    answer, json_answer, kept,
    key_shapes::{KeyBody, NewKeyBody, scopes},
};
use crate::{
    api_keys::{self, Giver, Known},
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/keys",
    operation: Operation::CreateKey,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(create(app, call)),
};

/// Make an API key. Its token is in this answer alone: the same request coming again gets the key without it.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = NewKeyBody,
    responses(
        (status = 201, description = "Made", body = KeyBody, headers(("Location" = String, description = "The key"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:keys"])),
)]
pub(super) async fn create(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let asked: NewKeyBody = call.json()?;
    let wish = Wish {
        label: asked.label,
        scopes: scopes(&asked.scopes)?,
        networks: Networks::read(&asked.networks)?,
        lifetime_s: asked.lifetime_s,
    };
    let location = |known: &Known| Some(format!("/v1/keys/{}", known.row.key));
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |known: &Known| {
        kept(&app, &organization, &call, &answer(201, location(known), &KeyBody::made(known, None)))
    };
    let giver = Giver::of(&call.principal);
    let made =
        api_keys::create(&app, call.tenant(), &call.circumstances(), giver, &wish, Some(&keep)).await?;
    Ok(json_answer(201, location(&made.key), &KeyBody::made(&made.key, Some(&made.token))))
}
