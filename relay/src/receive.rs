//! What becomes of a request of a sender, in this order: how long it says it is, network and client certificate, the pace of its
//! address, the body within its bounds, time and signature, the pace of the sender, and the queue. Whatever fails, nothing
//! is kept and nothing forwarded; whatever cannot be kept now is asked for again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_webhooks::AttemptId;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use ipnet::IpNet;
use tokio::sync::Notify;

use crate::clock;
use crate::config::Sender;
use crate::limits::{AddressPace, Bodies, Room, SenderPace, Share, client_address};
use crate::listen::{Answer, Answers, Peer};
use crate::log;
use crate::metrics::Metrics;
use crate::queue::{Accepted, Arrival, Queue};
use crate::sender::Refusal;

/// What of a refused body is still read, so that its client hears why.
const LEFTOVER_BYTES: usize = 4 * 1_024 * 1_024;
/// What a sender is asked to wait while the queue has no room or no disk.
const QUEUE_WAIT_S: u64 = 5;

/// A sender, and what belongs to it while the relay runs.
pub struct Entrance {
    /// As it was configured.
    pub sender: Arc<Sender>,
    /// How fast it may send.
    pub pace: SenderPace,
    /// Told when there is something to forward.
    pub news: Arc<Notify>,
}

/// Receives requests of senders.
pub struct Receiver {
    /// By their names.
    pub entrances: BTreeMap<Arc<str>, Entrance>,
    /// Whose word on addresses is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How fast an address may ask.
    pub pace: AddressPace,
    /// The longest body.
    pub body_bytes: usize,
    /// What all of them hold.
    pub bodies: Bodies,
    /// Whether the queue has room.
    pub room: Room,
    /// How long ids are kept.
    pub remember: Duration,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Why a request is not taken, and what goes along with the answer.
struct Refused {
    refusal: Refusal,
    retry_after_s: Option<u64>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let retry_after_s = (refusal.status == 503).then_some(1);
        Self { refusal, retry_after_s }
    }
}

fn refused(status: u16, code: &'static str, sentence: &str) -> Refused {
    Refusal::new(status, code, sentence).into()
}

fn later(status: u16, code: &'static str, sentence: &str, wait_s: u64) -> Refused {
    Refused { retry_after_s: Some(wait_s), ..refused(status, code, sentence) }
}

impl Answers for Receiver {
    async fn answer(self: Arc<Self>, peer: Peer, request: Request<Incoming>) -> Answer {
        let (head, mut body) = request.into_parts();
        let address = client_address(peer.address, &head.headers, &self.trusted_proxies);
        let entrance = head.uri.path().strip_prefix("/in/").and_then(|name| self.entrances.get(name));
        let taken = self.take(entrance, &head, &mut body, address, &peer).await;
        let is_whole = body.is_end_stream();
        if !is_whole && !head.headers.contains_key(EXPECT) {
            tokio::spawn(throw_away(body, peer.until));
        }
        let name =
            entrance.map_or_else(|| Arc::from("unknown"), |entrance| Arc::clone(&entrance.sender.name));
        match taken {
            Ok(outcome) => {
                self.metrics.received(&name, outcome);
                tracing::debug!(sender = &*name, outcome, "received");
                answered(StatusCode::ACCEPTED)
            }
            Err(refused) => {
                self.metrics.received(&name, refused.refusal.code);
                tell(&name, &refused.refusal, address, &head);
                refused.answer(is_whole)
            }
        }
    }
}

impl Receiver {
    async fn take(
        &self,
        entrance: Option<&Entrance>,
        head: &Parts,
        body: &mut Incoming,
        address: IpAddr,
        peer: &Peer,
    ) -> Result<&'static str, Refused> {
        if body.size_hint().lower() > self.body_bytes as u64 {
            return Err(too_large(self.body_bytes));
        }
        if let Some(entrance) = entrance {
            check_origin(&entrance.sender, address, peer.has_certificate)?;
        }
        self.pace.count(address).map_err(|wait_s| {
            later(
                429,
                "too_many_of_address",
                "the address sends more than listen.requests_per_address_per_s",
                wait_s,
            )
        })?;
        let entrance = entrance.ok_or_else(|| {
            refused(404, "unknown_sender", "nobody of the configuration sends there: the path is /in/NAME")
        })?;
        check_head(head)?;
        if !self.room.is_left() {
            let sentence = "the queue is full: see why messages are not forwarded, or raise queue.messages and queue.bytes";
            return Err(later(503, "queue_full", sentence, QUEUE_WAIT_S));
        }
        // Its bytes are counted until the message is durable.
        let mut share = self.bodies.share();
        let bytes = self.read(body, peer.until, &mut share).await?;
        let verified = entrance.sender.proof.check(head, &bytes, clock::now_s()).await?;
        entrance.pace.count().map_err(|wait_s| {
            later(429, "too_many_of_sender", "the sender sends more than its messages_per_s", wait_s)
        })?;
        self.keep(entrance, head, bytes, verified).await
    }

    async fn keep(
        &self,
        entrance: &Entrance,
        head: &Parts,
        body: Bytes,
        verified: crate::sender::Verified,
    ) -> Result<&'static str, Refused> {
        let size_bytes = body.len();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let arrival = Arrival {
            sender: Arc::clone(&entrance.sender.name),
            verified,
            content_type: content_type.filter(|text| text.len() <= 256).map(str::to_owned),
            body,
            remember: self.remember,
            gap: entrance.sender.gap(),
        };
        match self.queue.accept(arrival).await {
            Ok(Accepted::New) => {
                self.room.add(size_bytes);
                entrance.news.notify_one();
                Ok("accepted")
            }
            Ok(Accepted::Overtaken) => Ok("overtaken"),
            Ok(Accepted::Duplicate) => Ok("duplicate"),
            Ok(Accepted::Replayed) => Err(refused(
                409,
                "replayed",
                "this very attempt was seen before: somebody sends it again; nothing is to be done",
            )),
            Err(fault) => {
                tracing::error!(%fault, "a message could not be kept; its sender is asked to send it again");
                Err(later(503, "unavailable", "the queue could not keep it", QUEUE_WAIT_S))
            }
        }
    }

    async fn read(
        &self,
        body: &mut Incoming,
        until: Instant,
        share: &mut Share<'_>,
    ) -> Result<Bytes, Refused> {
        let mut bytes = Vec::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                let frame =
                    frame.map_err(|_| refused(400, "broken_off", "the body broke off, or is not in form"))?;
                let Some(chunk) = frame.data_ref() else { continue };
                if bytes.len() + chunk.len() > self.body_bytes {
                    return Err(too_large(self.body_bytes));
                }
                if !share.grow(chunk.len()) {
                    return Err(later(503, "busy", "all bodies together hold listen.bodies_bytes", 1));
                }
                bytes.extend_from_slice(chunk);
            }
            Ok(())
        };
        match tokio::time::timeout_at(until.into(), read).await {
            Ok(read) => read?,
            Err(_) => return Err(refused(408, "slow", "the request took longer than listen.request_s")),
        }
        Ok(bytes.into())
    }
}

impl Refused {
    /// Whoever has not sent all of a request cannot send another one on its connection.
    fn answer(&self, is_whole: bool) -> Answer {
        let mut answer =
            answered(StatusCode::from_u16(self.refusal.status).unwrap_or(StatusCode::BAD_REQUEST));
        let headers = answer.headers_mut();
        if let Some(wait_s) = self.retry_after_s {
            headers.insert(RETRY_AFTER, wait_s.into());
        }
        if !is_whole {
            headers.insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
        }
        if self.refusal.status == 405 {
            headers.insert(ALLOW, hyper::header::HeaderValue::from_static("POST"));
        }
        answer
    }
}

/// Its reader may be an attacker: the status says all there is.
fn answered(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn too_large(body_bytes: usize) -> Refused {
    refused(413, "too_large", &format!("the body is longer than {body_bytes} bytes (listen.body_bytes)"))
}

fn check_origin(sender: &Sender, address: IpAddr, has_certificate: bool) -> Result<(), Refused> {
    let networks = &sender.networks;
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(&address)) {
        return Err(refused(403, "forbidden_network", "the address is in none of the sender's networks"));
    }
    if sender.client_certificate && !has_certificate {
        let sentence = "no client certificate of listen.client_ca_file was shown";
        return Err(refused(403, "no_client_certificate", sentence));
    }
    Ok(())
}

fn check_head(head: &Parts) -> Result<(), Refused> {
    if head.method != Method::POST {
        return Err(refused(405, "not_a_post", "webhooks are posted"));
    }
    let mut encodings = head.headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let sentence = "the body is compressed: let nothing in between compress requests";
        return Err(refused(415, "unsupported_encoding", sentence));
    }
    Ok(())
}

/// Reads the rest of a body that is not wanted, within bounds: a client that still sends would not see the answer.
async fn throw_away(mut body: Incoming, until: Instant) {
    let rest = async {
        let mut left = LEFTOVER_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let size_bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(size_bytes) else { return };
            left = rest;
        }
    };
    // Past its time nobody waits for it.
    let _: Result<(), _> = tokio::time::timeout_at(until.into(), rest).await;
}

fn tell(sender: &str, refusal: &Refusal, address: IpAddr, head: &Parts) {
    if !log::may_tell_refusal() {
        return;
    }
    let attempt = head.headers.get("webhook-attempt-id").and_then(|value| value.to_str().ok());
    let attempt = attempt.and_then(|text| text.parse::<AttemptId>().ok()).map(|id| id.to_string());
    tracing::info!(
        sender,
        code = refusal.code,
        status = refusal.status,
        %address,
        attempt,
        "refused: {}",
        refusal.sentence
    );
}
