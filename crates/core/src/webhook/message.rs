//! The id of a message: it follows from the event, so that a retry, a resend, a replay and the pull by cursor name one event
//! alike, and a receiver that keeps ids acts once.

use crate::{
    access::Environment,
    digest::Digest,
    id::{EnvelopeId, MessageId, OrganizationId},
    time::Time,
};

/// What comes first in the hash: nothing else of ours begins so.
const DOMAIN: &[u8] = b"countersign webhook message 1\0";

/// A stream of events that webhooks are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Of an envelope.
    Envelope(EnvelopeId),
    /// The security stream of an organization's environment.
    Security(OrganizationId, Environment),
}

/// The id of the message about the event at this place, from 1, that happened then: the time, so that ids sort, and ten bytes
/// of a hash of the place. What comes before the position has one length for each kind of stream.
pub fn message_id(stream: Stream, seq: u64, at: Time) -> MessageId {
    let seq = seq.to_be_bytes();
    let hash = match stream {
        Stream::Envelope(envelope) => Digest::of_parts(&[DOMAIN, b"e", envelope.as_bytes(), &seq]),
        Stream::Security(organization, Environment::Sandbox) => {
            Digest::of_parts(&[DOMAIN, b"s", organization.as_bytes(), &seq])
        }
        Stream::Security(organization, Environment::Live) => {
            Digest::of_parts(&[DOMAIN, b"l", organization.as_bytes(), &seq])
        }
    };
    MessageId::new(at, hash.0.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn at() -> Time {
        Time::from_unix_ms(1_795_000_000_120)
    }

    /// W-3: receivers keep these ids for days, also over an upgrade of the sender: they never change.
    #[test]
    fn an_event_has_one_id_for_ever() {
        let envelope = Stream::Envelope(EnvelopeId::from_bytes([7; 16]));
        let organization = OrganizationId::from_bytes([7; 16]);
        let ids = [
            message_id(envelope, 1, at()),
            message_id(envelope, 2, at()),
            message_id(Stream::Security(organization, Environment::Sandbox), 1, at()),
            message_id(Stream::Security(organization, Environment::Live), 1, at()),
        ];
        insta::assert_debug_snapshot!(ids);
        assert_eq!(BTreeSet::from(ids).len(), ids.len());
    }

    proptest! {
        /// W-5: whoever sends the same event again names it alike; another event is named otherwise.
        #[test]
        fn ids_tell_events_apart_and_sort_by_time(
            bytes: [u8; 16], one: u64, other: u64, early in 0_i64..9_000_000_000_000, later_ms in 1_i64..1_000_000,
        ) {
            let stream = Stream::Envelope(EnvelopeId::from_bytes(bytes));
            let early = Time::from_unix_ms(early);
            let late = early.plus_ms(later_ms);
            prop_assert_eq!(message_id(stream, one, early), message_id(stream, one, early));
            prop_assert_eq!(message_id(stream, one, early) == message_id(stream, other, early), one == other);
            let (first, second) = (message_id(stream, one, early), message_id(stream, other, late));
            prop_assert!(first < second && first.to_string() < second.to_string());
            prop_assert_eq!(first.unix_ms(), early.unix_ms());
        }
    }
}
