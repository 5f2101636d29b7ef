//! What a webhook says, once it is verified.

use std::fmt;

use serde_json::{Map, Value};

use crate::headers::Headers;
use crate::ids::{AttemptId, CorrelationId, KeyId, MessageId};
use crate::json;
use crate::refused::Refused;

/// The longest type, class or time that is read.
const NAME_BYTES_MAX: usize = 64;

/// A verified event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What the message is called: the same in every attempt. Act once for each.
    pub id: MessageId,
    /// When this attempt was signed, in seconds since 1970.
    pub signed_at_s: i64,
    /// The key whose signature was found to be right.
    pub key_id: KeyId,
    /// The type, as `envelope.sent`. New ones come: pass over those that you do not know.
    pub kind: String,
    /// When it happened, as it was signed: RFC 3339, UTC, milliseconds.
    pub occurred_at: String,
    /// What the event holds. New members come.
    pub data: Map<String, Value>,
    /// What the headers say of this attempt.
    pub delivery: Delivery,
}

/// What the headers of an attempt say besides id and time. Route and log by it. Unless
/// [`is_signed`](Self::is_signed), whoever stands between may have changed it, so decide by [`Event`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// What the attempt is called.
    pub attempt_id: AttemptId,
    /// The class of the event.
    pub class: Option<Class>,
    /// The position of the event in its stream, from 1.
    pub sequence: Option<u64>,
    /// What caused the event, as the server's logs call it.
    pub correlation_id: Option<CorrelationId>,
    /// Whether the signature covers this: an HTTP Message Signature does, `v1` and `v1a` do not.
    pub is_signed: bool,
}

/// What an endpoint subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The life of an envelope.
    Envelope,
    /// What recipients do.
    Recipient,
    /// Seals, checkpoints, packages.
    Evidence,
    /// The security stream of the organization.
    Security,
    /// A message that was sent to try the endpoint. Nothing happened.
    Test,
    /// A class that this version of the library does not know.
    Other(String),
}

impl Class {
    pub(crate) fn read(text: &str) -> Option<Self> {
        Some(match text {
            "envelope" => Self::Envelope,
            "recipient" => Self::Recipient,
            "evidence" => Self::Evidence,
            "security" => Self::Security,
            "test" => Self::Test,
            other if is_name(other) => Self::Other(other.to_owned()),
            _ => return None,
        })
    }

    /// The class as it stands in the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Envelope => "envelope",
            Self::Recipient => "recipient",
            Self::Evidence => "evidence",
            Self::Security => "security",
            Self::Test => "test",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Reads the body of a message whose signature was found to be right.
    pub(crate) fn read(
        headers: Headers,
        key_id: KeyId,
        is_signed: bool,
        body: &[u8],
    ) -> Result<Self, Refused> {
        let Some(Value::Object(mut members)) = json::read(body) else {
            return Err(not_an_event("the body is not one JSON object without repeated members"));
        };
        let Some(Value::String(kind)) = members.remove("type") else {
            return Err(not_an_event("`type` is not a text"));
        };
        if kind.is_empty() || kind.len() > NAME_BYTES_MAX {
            return Err(not_an_event("`type` is empty or too long"));
        }
        let Some(Value::String(occurred_at)) = members.remove("timestamp") else {
            return Err(not_an_event("`timestamp` is not a text"));
        };
        if occurred_at.is_empty() || occurred_at.len() > NAME_BYTES_MAX {
            return Err(not_an_event("`timestamp` is empty or too long"));
        }
        let Some(Value::Object(data)) = members.remove("data") else {
            return Err(not_an_event("`data` is not an object"));
        };
        let Headers { id, timestamp_s, attempt_id, class, sequence, correlation_id, .. } = headers;
        let delivery = Delivery { attempt_id, class, sequence, correlation_id, is_signed };
        Ok(Self { id, signed_at_s: timestamp_s, key_id, kind, occurred_at, data, delivery })
    }

    /// The organization whose event it is (`data.organization`).
    pub fn organization(&self) -> Option<&str> {
        self.text("organization")
    }

    /// `sandbox` or `live` (`data.environment`).
    pub fn environment(&self) -> Option<&str> {
        self.text("environment")
    }

    /// The envelope, where the event is one of an envelope (`data.envelope`).
    pub fn envelope(&self) -> Option<&str> {
        self.text("envelope")
    }

    /// The position of the event in its stream, from 1, as it was signed (`data.sequence`).
    pub fn sequence(&self) -> Option<u64> {
        self.data.get("sequence")?.as_u64()
    }

    /// The hash of the event in the evidence, in hexadecimal digits (`data.sha256`). Keep it to show later that the
    /// evidence was not written anew.
    pub fn sha256(&self) -> Option<&str> {
        self.text("sha256")
    }

    /// The event's own members, in a full message (`data.event`).
    pub fn full(&self) -> Option<&Map<String, Value>> {
        self.data.get("event")?.as_object()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name)?.as_str()
    }
}

fn not_an_event(reason: &'static str) -> Refused {
    Refused::NotAnEvent { reason }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_is_new_is_not_refused() {
        assert_eq!(Class::read("envelope"), Some(Class::Envelope));
        assert_eq!(Class::read("billing"), Some(Class::Other("billing".to_owned())));
        assert_eq!(Class::read("billing").unwrap().to_string(), "billing");
        for bad in ["", "Envelope", "a b", &"a".repeat(65)] {
            assert_eq!(Class::read(bad), None, "{bad}");
        }
    }
}
