//! What a message says: its body, whose bytes are signed, and the headers that tell where it belongs (W-1). Members stand in
//! the order that they were first sent in.

use serde::Serialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::class::Class;
use crate::{
    access::Environment,
    digest::Digest,
    id::{AttemptId, CorrelationId, EnvelopeId, OrganizationId},
    limits,
    time::Time,
};

/// The type of what a test sends.
pub const TEST_TYPE: &str = "webhook.test";

/// Where the event is that a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the stream of an envelope.
    Envelope {
        /// Which.
        envelope: EnvelopeId,
        /// The position, from 1.
        seq: u64,
        /// The hash of the event in the evidence.
        sha256: Digest,
    },
    /// In the security stream of the organization's environment.
    Security {
        /// The position, from 1.
        seq: u64,
        /// The hash of the event in the stream.
        sha256: Digest,
    },
    /// Nowhere: it is a test.
    Test,
}

/// What a message is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The type of the event, or [`TEST_TYPE`].
    pub event_type: &'a str,
    /// When it happened.
    pub at: Time,
    /// Whose it is.
    pub organization: OrganizationId,
    /// In which environment.
    pub environment: Environment,
    /// Where it is.
    pub place: Place,
}

/// A message that is larger than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message has at most {} bytes", limits::WEBHOOK_BODY_BYTES)]
pub struct TooLarge;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: Time,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    organization: OrganizationId,
    environment: Environment,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<EnvelopeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a RawValue>,
}

/// The body of a message: with the event's own members where they are given and fit, and thin otherwise, so that no event is
/// too large to be told of.
pub fn body(subject: &Subject<'_>, event: Option<&RawValue>) -> Result<Vec<u8>, TooLarge> {
    match event.map(|event| write(subject, Some(event))) {
        Some(Ok(full)) => Ok(full),
        None | Some(Err(TooLarge)) => write(subject, None),
    }
}

fn write(subject: &Subject<'_>, event: Option<&RawValue>) -> Result<Vec<u8>, TooLarge> {
    let (envelope, sequence, sha256) = match subject.place {
        Place::Envelope { envelope, seq, sha256 } => (Some(envelope), Some(seq), Some(sha256)),
        Place::Security { seq, sha256 } => (None, Some(seq), Some(sha256)),
        Place::Test => (None, None, None),
    };
    let (organization, environment) = (subject.organization, subject.environment);
    let data = Data { organization, environment, envelope, sequence, sha256, event };
    let body = Body { r#type: subject.event_type, timestamp: subject.at, data };
    // Text, numbers and what is JSON already can always be written.
    let bytes = serde_json::to_vec(&body).map_err(|_| TooLarge)?;
    if bytes.len() > limits::WEBHOOK_BODY_BYTES { Err(TooLarge) } else { Ok(bytes) }
}

/// The headers that tell what a message is and what it belongs to, in the order of the wire format. Those of the signature are
/// made where it is signed.
pub fn headers(
    class: Class,
    place: Place,
    correlation: CorrelationId,
    attempt: AttemptId,
) -> Vec<(&'static str, String)> {
    let sequence = match place {
        Place::Envelope { seq, .. } | Place::Security { seq, .. } => Some(seq),
        Place::Test => None,
    };
    let mut headers =
        vec![("webhook-attempt-id", attempt.to_string()), ("webhook-event-class", class.text().to_owned())];
    headers.extend(sequence.map(|seq| ("webhook-sequence", seq.to_string())));
    headers.push(("correlation-id", correlation.to_string()));
    headers.extend(traceparent(correlation, attempt).map(|text| ("traceparent", text)));
    headers
}

/// The trace is the correlation, and the span above the receiver's is the attempt (W3C Trace Context §3.2.2). `None` where
/// one of them would be all zeros, which no receiver takes.
fn traceparent(correlation: CorrelationId, attempt: AttemptId) -> Option<String> {
    let trace = correlation.as_bytes();
    let span: &[u8; 8] = attempt.as_bytes().last_chunk()?;
    let is_valid = *trace != [0; 16] && *span != [0; 8];
    is_valid.then(|| format!("00-{}-{}-01", hex::encode(trace), hex::encode(span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subject(place: Place) -> Subject<'static> {
        Subject {
            event_type: "envelope.sent",
            at: Time::from_unix_ms(1_795_000_000_120),
            organization: OrganizationId::from_bytes([1; 16]),
            environment: Environment::Sandbox,
            place,
        }
    }

    fn in_envelope() -> Place {
        Place::Envelope { envelope: EnvelopeId::from_bytes([2; 16]), seq: 2, sha256: Digest::of(b"x") }
    }

    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).unwrap()
    }

    /// W-1: the bytes of a message, as they were first sent.
    #[test]
    fn messages_are_these() {
        let security = Place::Security { seq: 7, sha256: Digest::of(b"x") };
        let event = RawValue::from_string(r#"{"type":"envelope.sent","value":{}}"#.to_owned()).unwrap();
        let test = Subject { event_type: TEST_TYPE, ..subject(Place::Test) };
        let bodies = [
            body(&subject(in_envelope()), None),
            body(&subject(in_envelope()), Some(&event)),
            body(&subject(security), None),
            body(&test, None),
        ];
        let lines: Vec<String> = bodies.into_iter().map(|body| text(&body.unwrap()).to_owned()).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// W-1, L-2: the headers of an attempt carry its correlation, also as a trace; a test has no position.
    #[test]
    fn headers_are_these() {
        let correlation = CorrelationId::from_bytes([0xab; 16]);
        let attempt = AttemptId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        insta::assert_debug_snapshot!([
            headers(Class::Envelope, in_envelope(), correlation, attempt),
            headers(Class::Test, Place::Test, correlation, attempt),
        ]);
        assert_eq!(traceparent(CorrelationId::from_bytes([0; 16]), attempt), None);
        assert_eq!(traceparent(correlation, AttemptId::from_bytes([0; 16])), None);
    }

    /// W-1: an event that is too large is told of without its members.
    #[test]
    fn no_event_is_too_large_to_be_told_of() {
        let thin = body(&subject(in_envelope()), None).unwrap();
        let around =
            body(&subject(in_envelope()), Some(&RawValue::from_string("0".to_owned()).unwrap())).unwrap();
        let left = limits::WEBHOOK_BODY_BYTES - (around.len() - 1);
        let of = |length: usize| RawValue::from_string(format!("\"{}\"", "x".repeat(length - 2))).unwrap();
        let full = body(&subject(in_envelope()), Some(&of(left))).unwrap();
        assert_eq!(full.len(), limits::WEBHOOK_BODY_BYTES);
        assert_eq!(body(&subject(in_envelope()), Some(&of(left + 1))), Ok(thin));
    }

    proptest! {
        /// W-1: a body is one JSON object whatever the event's type is called, with the members of the wire format.
        #[test]
        fn a_body_is_one_object(event_type in ".{0,40}", seq: u64) {
            let place = Place::Security { seq, sha256: Digest::default() };
            let subject = Subject { event_type: &event_type, ..subject(place) };
            let json: serde_json::Value = serde_json::from_slice(&body(&subject, None).unwrap()).unwrap();
            prop_assert_eq!(json["type"].as_str(), Some(event_type.as_str()));
            prop_assert_eq!(json["data"]["sequence"].as_u64(), Some(seq));
            prop_assert_eq!(json["data"].as_object().unwrap().len(), 4);
        }
    }
}
