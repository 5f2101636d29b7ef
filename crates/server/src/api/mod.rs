//! The API under `/v1`: one endpoint per file, all in one table that the router, the docs and the tests read.

mod activate_webhook_endpoint;
mod block_shapes;
mod block_webhook_endpoint;
mod block_webhooks;
mod cancel_invitation;
mod change_client;
mod change_key;
mod change_member;
mod change_webhook_endpoint;
mod client_shapes;
mod create_client;
mod create_envelope;
mod create_key;
mod create_webhook_endpoint;
mod disable_webhook_endpoint;
mod end_client;
mod end_grant;
mod end_key;
mod end_webhook_endpoint;
pub mod errors_page;
pub mod health;
mod invite_member;
mod join_webhook_key;
mod key_shapes;
mod list_clients;
mod list_deliveries;
mod list_envelopes;
mod list_events;
mod list_grants;
mod list_invitations;
mod list_keys;
pub mod list_mailbox;
mod list_members;
mod list_security_events;
mod list_webhook_blocks;
mod list_webhook_endpoints;
mod member_shapes;
pub mod openapi;
mod paging;
mod promote_webhook_key;
mod prove_webhook_endpoint;
mod pull_events;
mod read_certificate;
mod read_client;
mod read_delivery;
mod read_document;
mod read_envelope;
mod read_evidence;
mod read_key;
mod read_original;
mod read_sealed;
mod read_webhook_endpoint;
mod read_webhook_proof;
mod recover_webhook_endpoint;
mod release_webhook_endpoint;
mod release_webhooks;
mod remove_member;
mod replay_webhook_endpoint;
mod resend_delivery;
mod resend_envelope;
mod resend_invitation;
mod revoke_webhook_key;
mod rotate_key;
pub mod scopes_page;
mod send_envelope;
mod shapes;
mod stage_webhook_key;
mod test_webhook_endpoint;
mod upload_document;
mod void_envelope;
mod webhook_channel_shapes;
mod webhook_shapes;

pub(crate) use list_events::event_json;
pub(crate) use list_security_events::security_event_json;

use std::borrow::Borrow;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::access::scopes_of;
use countersign_store::rows::FinishedIdempotency;
use serde::Serialize;

use crate::{
    app::{App, Organization},
    envelopes::{Answer, Opened, finished},
    fault::{Failure, Fault},
    http::{
        gate::{Call, Endpoint},
        idempotency::respond,
        problem::Problem,
    },
    webhooks::{act::Act, loaded::Loaded},
};

/// Every endpoint that needs a credential.
pub const ENDPOINTS: &[Endpoint] = &[
    upload_document::ENDPOINT,
    read_document::ENDPOINT,
    create_envelope::ENDPOINT,
    list_envelopes::ENDPOINT,
    read_envelope::ENDPOINT,
    send_envelope::ENDPOINT,
    resend_envelope::ENDPOINT,
    void_envelope::ENDPOINT,
    list_events::ENDPOINT,
    read_original::ENDPOINT,
    read_sealed::ENDPOINT,
    read_certificate::ENDPOINT,
    read_evidence::ENDPOINT,
    list_mailbox::ENDPOINT,
    list_clients::ENDPOINT,
    create_client::ENDPOINT,
    read_client::ENDPOINT,
    change_client::ENDPOINT,
    end_client::ENDPOINT,
    list_members::ENDPOINT,
    change_member::ENDPOINT,
    remove_member::ENDPOINT,
    list_invitations::ENDPOINT,
    invite_member::ENDPOINT,
    resend_invitation::ENDPOINT,
    cancel_invitation::ENDPOINT,
    list_grants::ENDPOINT,
    end_grant::ENDPOINT,
    list_security_events::ENDPOINT,
    list_keys::ENDPOINT,
    create_key::ENDPOINT,
    read_key::ENDPOINT,
    change_key::ENDPOINT,
    rotate_key::ENDPOINT,
    end_key::ENDPOINT,
    create_webhook_endpoint::ENDPOINT,
    list_webhook_endpoints::ENDPOINT,
    read_webhook_endpoint::ENDPOINT,
    change_webhook_endpoint::ENDPOINT,
    activate_webhook_endpoint::ENDPOINT,
    disable_webhook_endpoint::ENDPOINT,
    end_webhook_endpoint::ENDPOINT,
    block_webhook_endpoint::ENDPOINT,
    release_webhook_endpoint::ENDPOINT,
    list_webhook_blocks::ENDPOINT,
    block_webhooks::ENDPOINT,
    release_webhooks::ENDPOINT,
    prove_webhook_endpoint::ENDPOINT,
    read_webhook_proof::ENDPOINT,
    test_webhook_endpoint::ENDPOINT,
    recover_webhook_endpoint::ENDPOINT,
    replay_webhook_endpoint::ENDPOINT,
    stage_webhook_key::ENDPOINT,
    join_webhook_key::ENDPOINT,
    promote_webhook_key::ENDPOINT,
    revoke_webhook_key::ENDPOINT,
    list_deliveries::ENDPOINT,
    read_delivery::ENDPOINT,
    resend_delivery::ENDPOINT,
    pull_events::ENDPOINT,
];

/// Paths that need no credential: the exceptions to authentication.
pub const OPEN_PATHS: &[&str] = &[
    "/v1/openapi.json",
    "/docs/errors",
    "/health",
    "/ready",
    "/log/checkpoint",
    "/log/key",
    "/log/tile/{*path}",
    "/webhooks/{endpoint}/jwks.json",
];

/// An answer with a body, for keeping.
fn answer<T: Serialize>(status: u16, location: Option<String>, body: &T) -> Answer {
    // These bodies are structs of strings and numbers: they cannot fail to encode.
    Answer { status, location, body: serde_json::to_vec(body).unwrap_or_default() }
}

/// What is kept of an answer for the same request coming again.
fn kept(
    app: &App,
    organization: &Organization,
    call: &Call,
    answer: &Answer,
) -> Result<FinishedIdempotency, Fault> {
    finished(app, organization, call.claim()?, answer)
}

/// An answer that is given now.
fn json_answer<T: Serialize>(status: u16, location: Option<String>, body: &T) -> Response {
    respond(answer(status, location, body), false)
}

/// The answer of an act on an envelope: the envelope as it is afterwards.
fn envelope_answer(opened: &Opened) -> Answer {
    answer(200, None, &shapes::EnvelopeBody::of(opened))
}

/// Runs an act on a webhook endpoint. The answer is the endpoint as it is afterwards, and is kept in the act's own commit.
async fn endpoint_act<T: Borrow<Loaded>>(
    app: &App,
    call: &Call,
    run: impl AsyncFnOnce(&Act<'_>) -> Result<T, Failure>,
) -> Result<Response, Problem> {
    let organization = app.organization(call.tenant().organization()).await?;
    let body = |loaded: &Loaded| -> Result<Answer, Fault> {
        let (public_url, reader) = (&app.config.server.public_url, scopes_of(&call.principal));
        let body = webhook_shapes::EndpointBody::of(loaded, public_url, app.now(), reader)?;
        Ok(answer(200, None, &body))
    };
    let keep = |loaded: &Loaded| kept(app, &organization, call, &body(loaded)?);
    let (tenant, circumstances) = (call.tenant(), call.circumstances());
    let act = Act { tenant, circumstances: &circumstances, keep: Some(&keep) };
    let now = run(&act).await?;
    Ok(respond(body(now.borrow())?, false))
}

/// A plain JSON answer.
fn json<T: Serialize>(body: &T) -> Response {
    Json(body).into_response()
}

/// A PDF to keep: never shown by the browser itself.
fn pdf_download(name: &str, bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
