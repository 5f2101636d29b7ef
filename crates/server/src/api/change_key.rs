//! `POST /v1/keys/{key}`: change an API key.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, api_key::Edit, network::Networks};

use super::{
    answer, json_answer, kept,
    key_shapes::{KeyBody, KeyEditBody, KeyUseBody, scopes},
};
use crate::{
    api_keys::{self, Known},
    app::App,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/v1/keys/{key}",
    operation: Operation::ChangeKey,
    takes: Takes::Json,
    query: &[],
    run: |app, call| Box::pin(change(app, call)),
};

/// Give an API key another name, fewer scopes or other networks, from its next use on.
#[utoipa::path(
    post,
    path = "/v1/keys/{key}",
    operation_id = "change_key",
    tag = "keys",
    params(
        ("key" = String, Path, pattern = "^key_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$", description = "Id of the key"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 128, pattern = "^[\\x21-\\x7e]+$", description = "New for each thing that you want done"),
    ),
    request_body = KeyEditBody,
    responses(
        (status = 200, description = "The key as it is now", body = KeyBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["admin:keys"])),
)]
pub(super) async fn change(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    let key = call.id("key")?;
    let asked: KeyEditBody = call.json()?;
    let edit = Edit {
        label: asked.label,
        scopes: asked.scopes.as_deref().map(scopes).transpose()?,
        networks: asked.networks.as_deref().map(Networks::read).transpose()?,
    };
    let organization = app.organization(call.tenant().organization()).await?;
    let known = api_keys::read(&app, call.tenant(), key).await?;
    let (state, used) = (known.state(app.now()), KeyUseBody::of(&app, &known).await?);
    let body = |known: &Known| KeyBody::of(known, state, used.clone());
    let keep = |known: &Known| kept(&app, &organization, &call, &answer(200, None, &body(known)));
    let changed =
        api_keys::change(&app, call.tenant(), &call.circumstances(), key, &edit, Some(&keep)).await?;
    Ok(json_answer(200, None, &body(&changed)))
}
