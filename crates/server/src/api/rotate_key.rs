//! `POST /v1/keys/{key}/rotate`: make a key that takes over from this one.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::access::Operation;

use super::{
    answer, json_answer, kept,
    key_shapes::{KeyBody, RotationBody},
};
use crate::{
    api_keys::{self, Giver, Known, Rotating},
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/keys/{key}/rotate",
    operation: Operation::RotateKey,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(rotate(app, call)),
};

/// Make a key that takes over from this one, with its name, scopes and networks. Its token is in this answer alone.
///
/// Both work until the overlap is over.
#[utoipa::path(
    post,
    path = "/v1/keys/{key}/rotate",
    operation_id = "rotate_key",
    tag = "keys",
    params(
        ("key" = String, Path, pattern = "^key_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the key"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = RotationBody,
    responses(
        (status = 201, description = "The new key", body = KeyBody, headers(("Location" = String, description = "The new key"))),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:keys"])),
)]
pub(super) async fn rotate(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let key = call.id("key")?;
    let RotationBody { overlap_s, lifetime_s } = call.json()?;
    let location = |known: &Known| Some(format!("/v1/keys/{}", known.row.key));
    let organization = app.organization(call.tenant().organization()).await?;
    let keep = |known: &Known| {
        kept(&app, &organization, &call, &answer(201, location(known), &KeyBody::made(known, None)))
    };
    let (giver, how) = (Giver::of(&call.principal), Rotating { overlap_s, lifetime_s });
    let made =
        api_keys::rotate(&app, call.tenant(), &call.circumstances(), giver, key, how, Some(&keep)).await?;
    Ok(json_answer(201, location(&made.key), &KeyBody::made(&made.key, Some(&made.token))))
}
