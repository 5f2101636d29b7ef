//! Pushed authorization requests (RFC 9126): the client proves who it is before any browser moves, and the browser carries
//! nothing but a handle.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    canonical, limits,
    oauth::{
        authorize::{self, AuthorizationRequest, REQUEST_URI_PREFIX, Source},
        metadata::path,
    },
    secret::{PlainToken, TokenKind},
};
use countersign_store::{
    Batch,
    access_rows::{ClientRow, PushedRequestRow},
    batch::Row,
};
use serde_json::json;

use super::{
    answer::{Denied, json},
    asked::Asked,
    client_auth::authenticate,
    issue::{self, Written},
    with_nonce,
};
use crate::{app::App, fault::Fault};

/// Answers a pushed request.
pub async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let response = match respond(&app, request).await {
        Ok(response) => response,
        Err(denied) => denied.into_response(),
    };
    with_nonce(&app, response)
}

async fn respond(app: &App, request: Request) -> Result<Response, Denied> {
    let asked = Asked::read(request, path::PAR).await?;
    let proof = asked.proof(app)?;
    let client = authenticate(app, &asked).await?;
    let ceiling = client.row.scopes.and(client.row.tenant.environment().ceiling());
    let read =
        authorize::read(&asked.parameters, client.row.client, &client.registration, ceiling, Source::Pushed);
    let mut request = read.map_err(|refused| refused.error().clone())?;
    request.bind(proof.map(|proof| proof.thumbprint))?;
    issue::audience(app, &client.row.tenant, request.resource.as_deref()).await??;
    let handle = PlainToken::new(TokenKind::PushedRequest, &app.draw());
    let row = row(app, &client.row, &handle, &request)?;
    let batch = Batch {
        rows: vec![Row::PushedRequest(row)],
        spends: issue::spends(&client, proof.as_ref()),
        ..Batch::default()
    };
    match issue::commit(app, &client, &asked, batch).await? {
        Written::Yes => {
            let body = json!({
                "request_uri": format!("{REQUEST_URI_PREFIX}{}", handle.expose()),
                "expires_in": limits::PUSHED_REQUEST_S,
            });
            Ok(json(StatusCode::CREATED, &body))
        }
        Written::Outdated => Err(Fault::Task("a new request met another of its handle".to_owned()).into()),
    }
}

/// An authorization request as it waits for its person.
pub fn row(
    app: &App,
    client: &ClientRow,
    handle: &PlainToken,
    request: &AuthorizationRequest,
) -> Result<PushedRequestRow, Fault> {
    let text = canonical::to_vec(request).map_err(|error| Fault::Task(error.to_string()))?;
    Ok(PushedRequestRow {
        hash: handle.hash(),
        tenant: client.tenant,
        client: client.client,
        request: String::from_utf8(text).map_err(|error| Fault::Task(error.to_string()))?,
        browser: None,
        expires_at: app.now().plus_s(limits::PUSHED_REQUEST_S),
        used_at: None,
        version: 1,
    })
}
