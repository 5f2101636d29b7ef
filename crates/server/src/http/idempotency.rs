//! Idempotency (G-6): the same request with the same key gets the same answer, another one is refused, and the answer
//! is committed together with what it is about.

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
    Work(IdempotencyClaim),
    /// Nothing: this is the answer of the first time.
    Replay(Answer),
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
    app: &App,
    principal: &Principal,
    headers: &HeaderMap,
    fingerprint: Digest,
) -> Result<Claimed, Failure> {
    let key = key_of(headers)?;
    let Identity::ApiKey { key: api_key, .. } = principal.identity() else {
        return Err(Refusal::not_found().into());
    };
    let claim = IdempotencyClaim {
        tenant: *principal.tenant(),
        api_key: *api_key,
        key,
        fingerprint,
        claim: app.draw(),
        now: app.now(),
        expires_at: app.now().plus_s(limits::IDEMPOTENCY_S),
        stale_after_ms: (i64::from(app.config.server.request_s) + SLACK_S) * 1_000,
    };
    match app.store.claim_idempotency(&claim).await? {
        IdempotencyState::Claimed => Ok(Claimed::Work(claim)),
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
