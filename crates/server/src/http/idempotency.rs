//! Idempotency (G-6): the same request with the same key gets the same answer, another one is refused, and the answer
//! is committed together with what it is about.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{
    access::{Identity, Principal},
    digest::Digest,
    limits,
    refusal::{Code, Refusal},
};
use countersign_store::rows::{IdempotencyClaim, IdempotencyState, StoredAnswer};
use tokio::runtime::Handle;

use crate::{
    app::App,
    envelopes::{Answer, answer_binding},
    fault::{Failure, Fault},
};

/// The request header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Set on an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How much longer than any request may take a claim holds without an answer.
const SLACK_S: i64 = 5;

/// What to do with a request.
pub enum Claimed {
    /// The work, and answer this claim.
    Work(Held),
    /// Nothing: this is the answer of the first time.
    Replay(Answer),
}

/// A claim that a request works under. What ends without an answer (a refusal, a time-out, a caller that went away) has
/// committed nothing under it and cannot any more: the key is given free, to be tried again.
pub struct Held {
    app: Arc<App>,
    claim: Option<IdempotencyClaim>,
}

impl Held {
    /// The claim, for whoever answers it.
    pub fn claim(&self) -> Option<&IdempotencyClaim> {
        self.claim.as_ref()
    }

    /// The key stays taken: the answer was committed, or it is another request's.
    pub fn keep(&mut self) {
        self.claim = None;
    }

    /// Gives the key free now; if that fails, it is free when the claim is stale.
    pub async fn release(mut self) {
        if let Some(claim) = self.claim.take() {
            release(&self.app, &claim).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a runtime the server is ending, and the claim with its time.
        if let (Some(claim), Ok(runtime)) = (self.claim.take(), Handle::try_current()) {
            let app = Arc::clone(&self.app);
            runtime.spawn(async move { release(&app, &claim).await });
        }
    }
}

async fn release(app: &App, claim: &IdempotencyClaim) {
    if let Err(fault) = app.store.release_idempotency(claim).await {
        tracing::warn!(event_type = "idempotency", event_result = "failed", "a claim is kept: {fault}");
    }
}

fn key_of(headers: &HeaderMap) -> Result<String, Refusal> {
    let sentence = format!(
        "send one `Idempotency-Key` of 1 to {} visible ASCII characters, new for each thing that you want done",
        limits::IDEMPOTENCY_KEY_CHARS
    );
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::new(Code::IdempotencyMissing, sentence));
    };
    let key = value.to_str().unwrap_or_default();
    if key.len() > limits::IDEMPOTENCY_KEY_CHARS {
        let (most, length) = (limits::IDEMPOTENCY_KEY_CHARS, key.len());
        let sentence = format!("this `Idempotency-Key` has {length} characters: send one of at most {most}");
        return Err(Refusal::new(Code::IdempotencyMissing, sentence));
    }
    if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(key.to_owned());
    }
    Err(Refusal::new(Code::IdempotencyMissing, sentence))
}

/// Claims the key of a request whose target and body have this fingerprint.
pub async fn claim(
    app: &Arc<App>,
    principal: &Principal,
    headers: &HeaderMap,
    fingerprint: Digest,
) -> Result<Claimed, Failure> {
    let key = key_of(headers)?;
    let caller = match principal.identity() {
        Identity::ApiKey { key, .. } => *key.as_bytes(),
        Identity::Client(client) => *client.client.as_bytes(),
        Identity::Member(_) | Identity::Signer { .. } => return Err(Refusal::not_found().into()),
    };
    let organization = app.organization(principal.tenant().organization()).await?;
    let claim = IdempotencyClaim {
        tenant: *principal.tenant(),
        caller,
        key,
        // A body may hold an access code, which must not be guessable from what is stored.
        fingerprint: organization.code_key.mac(&[b"countersign/request/v1\0", &fingerprint.0]),
        claim: app.draw(),
        now: app.now(),
        expires_at: app.now().plus_s(limits::IDEMPOTENCY_S),
        stale_after_ms: (i64::from(app.config.server.request_s) + SLACK_S) * 1_000,
    };
    // Held from now on: the store may take the claim when nobody waits for it any more.
    let mut held = Held { app: Arc::clone(app), claim: Some(claim.clone()) };
    let state = app.store.claim_idempotency(&claim).await?;
    if !matches!(state, IdempotencyState::Claimed) {
        held.keep();
    }
    match state {
        IdempotencyState::Claimed => Ok(Claimed::Work(held)),
        IdempotencyState::Answered(stored) => Ok(Claimed::Replay(opened(app, &claim, stored).await?)),
        IdempotencyState::InFlight => Err(Refusal::new(
            Code::IdempotencyInFlight,
            "the first request with this Idempotency-Key is still in work; ask again for its answer",
        )
        .into()),
        IdempotencyState::Mismatch => Err(Refusal::new(
            Code::IdempotencyMismatch,
            "this Idempotency-Key was used for another request; use a new one",
        )
        .into()),
    }
}

async fn opened(app: &App, claim: &IdempotencyClaim, stored: StoredAnswer) -> Result<Answer, Fault> {
    let organization = app.organization(claim.tenant.organization()).await?;
    let body = organization.key.open(&answer_binding(claim), &stored.sealed_body)?.to_vec();
    Ok(Answer { status: stored.status, location: stored.location, body })
}

/// Writes an answer out.
pub fn respond(answer: Answer, is_replay: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(location) = answer.location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if is_replay {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
