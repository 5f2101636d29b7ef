//! The one encoding of events: canonical JSON (RFC 8785) with the hash of the event before. Version 1 has a golden
//! file; a new version gets a new one and old versions stay readable.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::event::Event;
use crate::{canonical, digest::Digest};

/// The version that is written.
pub const VERSION: u32 = 1;

/// An event in its chain: its bytes, and the hash that the next one holds.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// Canonical JSON.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes.
    pub hash: Digest,
}

/// Why bytes are not the next event of a stream.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ChainBreak {
    /// Not an event of a known version, or not in canonical form.
    #[error("event {seq} cannot be read: {reason}")]
    Unreadable {
        /// Position that was expected.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// It does not hold the hash of the event before it.
    #[error("event {seq} does not follow from the event before it")]
    Previous {
        /// Position that was expected.
        seq: u64,
    },
    /// It has another position or belongs to another envelope.
    #[error("event {seq} is out of place")]
    OutOfPlace {
        /// Position that was expected.
        seq: u64,
    },
    /// It is dated before the event before it.
    #[error("event {seq} is dated before the event before it")]
    Backwards {
        /// Position that was expected.
        seq: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    v: u32,
    previous: Digest,
    event: Event,
}

/// The end of a stream's chain: where the next event goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    last: Option<Last>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    envelope: crate::id::EnvelopeId,
    seq: u64,
    at: crate::time::Time,
    hash: Digest,
}

impl Chain {
    /// The position that the next event gets.
    pub fn next_seq(&self) -> u64 {
        self.last.as_ref().map_or(1, |last| last.seq + 1)
    }

    /// The hash of the last event; zeros before the first.
    pub fn head(&self) -> Digest {
        self.last.as_ref().map_or(Digest([0; 32]), |last| last.hash)
    }

    fn advance(&mut self, event: &Event, hash: Digest) {
        self.last = Some(Last { envelope: event.envelope, seq: event.seq, at: event.at, hash });
    }

    /// Encodes the next event, which `decide` made for this very chain.
    pub fn record(&mut self, event: Event) -> Recorded {
        assert_eq!(event.seq, self.next_seq(), "decide numbers events from the chain that it was given");
        let frame = Frame { v: VERSION, previous: self.head(), event };
        let encoded = canonical::to_vec(&frame);
        assert!(encoded.is_ok(), "events hold strings, integers below 2^53, lists and maps of ids");
        let bytes = encoded.unwrap_or_default();
        let hash = Digest::of(&bytes);
        self.advance(&frame.event, hash);
        Recorded { event: frame.event, bytes, hash }
    }

    /// Reads the next event of anybody's stream, and checks that it is in canonical form and follows.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<Recorded, ChainBreak> {
        let frame = self.read(bytes)?;
        let seq = self.next_seq();
        match canonical::to_vec(&frame) {
            Ok(canonical) if canonical == bytes => self.place(frame, bytes),
            _ => {
                let reason = "it is not in canonical form (RFC 8785)".to_owned();
                Err(ChainBreak::Unreadable { seq, reason })
            }
        }
    }

    /// Reads the next event of a stream that [`Self::record`] wrote, and checks that it follows. To encode it again,
    /// as [`Self::follow`] does, takes several times as long and would find nothing: another spelling has another hash.
    pub fn follow_own(&mut self, bytes: &[u8]) -> Result<Recorded, ChainBreak> {
        let frame = self.read(bytes)?;
        self.place(frame, bytes)
    }

    fn read(&self, bytes: &[u8]) -> Result<Frame, ChainBreak> {
        let unreadable = |reason: String| ChainBreak::Unreadable { seq: self.next_seq(), reason };
        let frame: Frame = serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        if frame.v == VERSION {
            Ok(frame)
        } else {
            Err(unreadable(format!("version {} is not known", frame.v)))
        }
    }

    fn place(&mut self, frame: Frame, bytes: &[u8]) -> Result<Recorded, ChainBreak> {
        let seq = self.next_seq();
        if frame.previous != self.head() {
            return Err(ChainBreak::Previous { seq });
        }
        let event = frame.event;
        let same_envelope = self.last.as_ref().is_none_or(|last| last.envelope == event.envelope);
        if event.seq != seq || !same_envelope {
            return Err(ChainBreak::OutOfPlace { seq });
        }
        if self.last.as_ref().is_some_and(|last| event.at < last.at) {
            return Err(ChainBreak::Backwards { seq });
        }
        let hash = Digest::of(bytes);
        self.advance(&event, hash);
        Ok(Recorded { event, bytes: bytes.to_vec(), hash })
    }
}

/// Reads an event that [`Chain::record`] wrote, by itself: whether it follows is asked by whoever reads its stream.
pub fn event_of_own(bytes: &[u8]) -> Result<Event, ChainBreak> {
    Chain::default().read(bytes).map(|frame| frame.event)
}

/// The log's leaf of an event: a random id and the hash, so that the public log tells nothing.
pub fn leaf(leaf_id: &[u8; 16], hash: &Digest) -> [u8; 48] {
    let mut leaf = [0; 48];
    for (to, from) in leaf.iter_mut().zip(leaf_id.iter().chain(hash.0.iter())) {
        *to = *from;
    }
    leaf
}
