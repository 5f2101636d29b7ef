//! What the operator's own programs ask: health, metrics, and messages that are held for pull.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::clock;
use crate::config::{Outlet, Sender};
use crate::forward::idempotency_key;
use crate::limits::Crowd;
use crate::listen::{Answer, Answers, Peer};
use crate::queue::{Claimed, Outcome, Queue};
use crate::receive::Receiver;

/// Messages that are given out at once at most.
const LIMIT_MAX: u32 = 100;
/// What the bodies in one answer may hold together.
const ANSWER_BYTES: usize = 32 * 1_024 * 1_024;
const ACK_BYTES_MAX: usize = 64 * 1_024;

/// Answers the operator's programs.
pub struct Internal {
    /// What receives.
    pub receiver: Arc<Receiver>,
    /// Connections of senders.
    pub crowd: Arc<Crowd>,
}

/// What a program has dealt with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledged {
    receipts: Vec<String>,
}

impl Answers for Internal {
    async fn answer(self: Arc<Self>, _: Peer, request: Request<Incoming>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match (&method, path.as_str()) {
            (&Method::GET, "/healthz") => text(StatusCode::OK, "alive\n"),
            (&Method::GET, "/readyz") => self.ready(),
            (&Method::GET, "/metrics") => self.metrics(),
            (&Method::GET, path) if path.starts_with("/pull/") => {
                let limit = limit(request.uri().query());
                match (self.allowed(path.trim_start_matches("/pull/"), request.headers()), limit) {
                    (Some(sender), Some(limit)) => self.pull(sender, limit.min(self.fitting())).await,
                    (None, _) => unauthorized(),
                    (_, None) => text(StatusCode::BAD_REQUEST, "limit is 1 to 100\n"),
                }
            }
            (&Method::POST, path) if path.starts_with("/ack/") => {
                match self.allowed(path.trim_start_matches("/ack/"), request.headers()) {
                    Some(sender) => self.acknowledge(sender, request.into_body()).await,
                    None => unauthorized(),
                }
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /healthz, /readyz, /metrics, /pull/NAME and /ack/NAME\n",
            ),
        }
    }
}

impl Internal {
    fn queue(&self) -> &dyn Queue {
        &*self.receiver.queue
    }

    fn ready(&self) -> Answer {
        match self.receiver.room.depth() {
            Some(_) if self.receiver.room.is_left() => text(StatusCode::OK, "ready\n"),
            Some(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the queue is full\n"),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "the queue cannot be used\n"),
        }
    }

    fn metrics(&self) -> Answer {
        let depth = self.receiver.room.depth();
        let mut gauges = vec![
            ("up", "Whether the queue can be read.", u64::from(depth.is_some())),
            ("connections", "Connections of senders.", self.crowd.count()),
            ("body_bytes", "What bodies on their way hold.", self.receiver.bodies.bytes() as u64),
        ];
        if let Some(depth) = depth {
            let age_ms = depth.oldest_ms.map_or(0, |oldest| clock::now_ms().saturating_sub(oldest).max(0));
            gauges.extend([
                ("queue_messages", "Messages that wait.", depth.messages),
                (
                    "queue_bytes",
                    "Bytes of the bodies that are kept, of those that were set aside too.",
                    depth.bytes,
                ),
                (
                    "queue_oldest_seconds",
                    "Age of the oldest message that waits.",
                    u64::try_from(age_ms / 1_000).unwrap_or_default(),
                ),
                ("dead_messages", "Messages that were set aside.", depth.dead),
            ]);
        }
        let mut answer = text(StatusCode::OK, self.receiver.metrics.write(&gauges));
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
        answer
    }

    /// The sender whose messages a token may take.
    fn allowed(&self, name: &str, headers: &HeaderMap) -> Option<&Sender> {
        let sender = &self.receiver.entrances.get(name)?.sender;
        let Outlet::Pull { token, .. } = &sender.outlet else { return None };
        let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let is_right = Sha256::digest(given.as_bytes()).as_slice().ct_eq(token).into();
        (scheme.eq_ignore_ascii_case("bearer") && is_right).then_some(sender)
    }

    /// How many of the longest messages an answer may hold.
    fn fitting(&self) -> u32 {
        let fitting = ANSWER_BYTES / self.receiver.body_bytes.max(1);
        u32::try_from(fitting).unwrap_or(LIMIT_MAX).max(1)
    }

    async fn pull(&self, sender: &Sender, limit: u32) -> Answer {
        let Outlet::Pull { lease, .. } = &sender.outlet else { return unauthorized() };
        match self.queue().claim(&sender.name, limit, *lease).await {
            Ok(claimed) => {
                let messages: Vec<Value> = claimed.iter().map(written).collect();
                written_json(&json!({ "lease_s": lease.as_secs(), "messages": messages }))
            }
            Err(fault) => unavailable(&fault),
        }
    }

    async fn acknowledge(&self, sender: &Sender, body: Incoming) -> Answer {
        let wrong = || {
            text(
                StatusCode::BAD_REQUEST,
                "post {\"receipts\": [\"…\"]} with the receipts of messages, 100 at most\n",
            )
        };
        let Ok(body) = Limited::new(body, ACK_BYTES_MAX).collect().await else { return wrong() };
        let Ok(given) = serde_json::from_slice::<Acknowledged>(&body.to_bytes()) else { return wrong() };
        let claims: Option<Vec<(i64, i64)>> =
            given.receipts.iter().map(|receipt| read_receipt(receipt)).collect();
        let Some(claims) = claims.filter(|claims| claims.len() <= 100) else { return wrong() };
        let (mut done, mut too_late) = (0, Vec::new());
        for ((number, attempt), receipt) in claims.into_iter().zip(&given.receipts) {
            let claimed = taken_out(sender, number, attempt);
            match self.queue().settle(&claimed, Outcome::Done, None).await {
                Ok(true) => done += 1,
                Ok(false) => too_late.push(receipt),
                Err(fault) => return unavailable(&fault),
            }
        }
        written_json(&json!({ "done": done, "too_late": too_late }))
    }
}

/// What the queue has to know of a message to end its attempt.
fn taken_out(sender: &Sender, number: i64, attempt: i64) -> Claimed {
    Claimed {
        number,
        attempt,
        sender: Arc::clone(&sender.name),
        id: String::new(),
        place: None,
        content_type: None,
        headers: Vec::new(),
        body: Bytes::new(),
        received_ms: 0,
    }
}

fn written(claimed: &Claimed) -> Value {
    json!({
        "receipt": format!("{}.{}", claimed.number, claimed.attempt),
        "idempotency_key": idempotency_key(&claimed.sender, &claimed.id),
        "id": claimed.id,
        "attempt": claimed.attempt,
        "received_ms": claimed.received_ms,
        "content_type": claimed.content_type,
        "headers": claimed.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "body_base64": STANDARD.encode(&claimed.body),
    })
}

fn read_receipt(text: &str) -> Option<(i64, i64)> {
    let (number, attempt) = text.split_once('.')?;
    Some((number.parse().ok()?, attempt.parse().ok()?))
}

fn limit(query: Option<&str>) -> Option<u32> {
    let Some(query) = query else { return Some(10) };
    query.strip_prefix("limit=")?.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
}

fn unauthorized() -> Answer {
    let mut answer = text(StatusCode::UNAUTHORIZED, "a bearer token of this sender is needed\n");
    answer.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
    answer
}

fn unavailable(fault: &crate::fault::Fault) -> Answer {
    tracing::error!(%fault, "messages could not be given out");
    text(StatusCode::SERVICE_UNAVAILABLE, "the queue cannot be used\n")
}

fn written_json(value: &Value) -> Answer {
    let mut answer = text(StatusCode::OK, value.to_string());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer
}
