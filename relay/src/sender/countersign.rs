//! Countersign's wire format, by the verifier of `sdk/rust`.

use countersign_webhooks::{Event, Incoming, KeySet, Place as Url, Refused, Verifier};
use hyper::http::request::Parts;

use super::{KeySource, Nonce, Place, Refusal, Verified, passed_on};

/// Headers that go along: for routing and logs, since `v1` and `v1a` do not sign them.
const PASSED_ON: &[&str] = &["webhook-event-class", "webhook-sequence", "correlation-id", "traceparent"];

/// The largest number that every JSON reader takes for what it is (RFC 8259 §6).
const SEQUENCE_MAX: i64 = (1 << 53) - 1;

/// What Countersign's messages are verified with.
#[derive(Debug)]
pub struct Countersign {
    /// Which proof, which window, which size.
    pub verifier: Verifier,
    /// Keys that the operator wrote down.
    pub keys: KeySet,
    /// Where the others are.
    pub source: Option<KeySource>,
    /// The URL that the endpoint is registered with.
    pub url: String,
}

impl Countersign {
    /// Whether a message is Countersign's, fresh and unchanged.
    pub async fn check(&self, head: &Parts, body: &[u8], now_s: i64) -> Result<Verified, Refusal> {
        let place =
            Url::of_url(&self.url).map_err(|error| Refusal::new(500, "misconfigured", error.to_string()))?;
        let incoming = Incoming::new(head.method.as_str(), place, &head.headers, body);
        let fetched = match &self.source {
            // A request that is not in form is refused by the verifier, in its order.
            Some(source) => source.keys(&incoming.key_ids().unwrap_or_default(), now_s).await,
            None => Ok(None),
        };
        let keys = match &fetched {
            Ok(Some(fetched)) => &self.keys.clone().with_all_of(fetched),
            Ok(None) | Err(_) => &self.keys,
        };
        match (self.verifier.authenticate(&incoming, keys, now_s), fetched) {
            (Ok(event), _) => Ok(self.verified(&event, head, now_s)),
            // It may be right by a key that could not be fetched.
            (Err(Refused::UnknownKey | Refused::BadSignature), Err(reason)) => {
                Err(refusal(&Refused::Unavailable { reason }))
            }
            (Err(refused), _) => Err(refusal(&refused)),
        }
    }

    fn verified(&self, event: &Event, head: &Parts, now_s: i64) -> Verified {
        let attempt = self.verifier.attempt(event, now_s);
        let keep_s = attempt.attempt_until_s.saturating_sub(now_s);
        Verified {
            id: event.id.to_string(),
            nonce: Nonce::Attempt(format!("{}.{}", event.id, event.signed_at_s), keep_s),
            place: place_of(event),
            headers: passed_on(&head.headers, PASSED_ON),
        }
    }
}

/// Where an event stands: what the body says, which is signed in every profile.
fn place_of(event: &Event) -> Option<Place> {
    let sequence = i64::try_from(event.sequence()?).ok().filter(|sequence| *sequence <= SEQUENCE_MAX)?;
    let stream = match event.envelope() {
        Some(envelope) => envelope.to_owned(),
        None => format!("{}/{}", event.organization()?, event.environment()?),
    };
    super::is_name(&stream).then_some(Place { stream, sequence })
}

fn refusal(refused: &Refused) -> Refusal {
    Refusal::new(refused.status(), refused.code(), refused.to_string())
}
