//! One event as evidence carries it: the event in its canonical bytes, its place in the log, and the openings of the
//! personal values that are disclosed.

use countersign_core::{
    digest::Digest,
    envelope::{Body, Event, Opening, Recorded},
    secret::Personal,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event with its place in the log. Personal values whose opening is attached are disclosed.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// The event.
    pub recorded: Recorded,
    /// The random id that its leaf begins with.
    pub leaf_id: [u8; 16],
    /// Number of its leaf, from 0.
    pub log_index: u64,
}

/// An event as it was read, with its place in the log where its line states one.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) recorded: Recorded,
    pub(crate) leaf: Option<Leaf>,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The random id that the leaf begins with.
    pub(crate) id: [u8; 16],
    /// Number of the leaf, from 0.
    pub(crate) index: u64,
}

/// Which events of a stream state their place in the log: those up to the start of the sealing, which are under the
/// seals, and the last, which is proven. Nothing vouches for the places of others, so that they are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    sealing: Option<usize>,
    last: Option<usize>,
}

impl Placed {
    /// The rule for this stream. One that never came to the seal is a trail, all of it under the seal.
    pub(crate) fn of<'a>(events: impl Iterator<Item = &'a Event>) -> Self {
        let (mut sealing, mut last) = (None, None);
        for (index, event) in events.enumerate() {
            last = Some(index);
            if sealing.is_none() && matches!(event.body, Body::SealingStarted { .. }) {
                sealing = last;
            }
        }
        Self { sealing, last }
    }

    /// Whether the event at this position, from 0, states its place.
    pub(crate) fn states(self, position: usize) -> bool {
        self.sealing.is_none_or(|sealing| position <= sealing) || self.last == Some(position)
    }
}

/// A line of `events.jsonl`, and an element of a trail's `events`. Names are declared in canonical order, here and in
/// [`OpeningLine`], so that serde writes canonical JSON as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// The event's frame. Canonical JSON inside canonical JSON keeps its bytes.
    event: Box<RawValue>,
    /// The leaf id in lowercase hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf_id: Option<String>,
    /// Number of the leaf, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
    /// In the order of the event's values.
    pub(crate) openings: Vec<OpeningLine>,
}

/// What opens a commitment: `SHA-256("countersign/veil/v1" || 0x00 || salt || UTF-8)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpeningLine {
    /// 16 bytes in lowercase hex.
    salt: String,
    /// The commitment.
    pub(crate) sha256: Digest,
    /// The value.
    value: String,
}

impl Line {
    /// The lines of a stream.
    pub(crate) fn all(events: &[LoggedEvent]) -> Vec<Self> {
        let placed = Placed::of(events.iter().map(|logged| &logged.recorded.event));
        let line = |(position, logged)| Self::of(logged, placed.states(position));
        events.iter().enumerate().map(line).collect()
    }

    /// The line of an event. A recorded event's bytes are JSON because `Chain` wrote or read them; others would give
    /// `null`, which no reader takes for an event.
    fn of(logged: &LoggedEvent, states_place: bool) -> Self {
        let frame = String::from_utf8(logged.recorded.bytes.clone()).ok();
        let openings = logged.recorded.event.veiled().into_iter().filter_map(|veiled| {
            let opening = veiled.opening.as_ref()?;
            let (salt, value) = (hex::encode(opening.salt), opening.value.disclose().clone());
            Some(OpeningLine { salt, sha256: veiled.sha256, value })
        });
        Self {
            event: frame.and_then(|frame| RawValue::from_string(frame).ok()).unwrap_or_default(),
            leaf_id: states_place.then(|| hex::encode(logged.leaf_id)),
            log_index: states_place.then_some(logged.log_index),
            openings: openings.collect(),
        }
    }

    /// The event's bytes.
    pub(crate) fn event_bytes(&self) -> &[u8] {
        self.event.get().as_bytes()
    }

    /// The line in canonical JSON.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The place in the log, if it is stated; says what is wrong with it.
    pub(crate) fn leaf(&self) -> Result<Option<Leaf>, &'static str> {
        match (&self.leaf_id, self.log_index) {
            (None, None) => Ok(None),
            (Some(id), Some(index)) => {
                let id = bytes_16(id).ok_or("its leaf id is not 16 bytes in lowercase hex")?;
                Ok(Some(Leaf { id, index }))
            }
            _ => Err("it has only one of leaf id and log index"),
        }
    }
}

impl OpeningLine {
    /// The opening; `None` if the salt is not 16 bytes in lowercase hex.
    pub(crate) fn opening(&self) -> Option<Opening> {
        Some(Opening { salt: bytes_16(&self.salt)?, value: Personal::new(self.value.clone()) })
    }
}

fn bytes_16(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}

/// `events.jsonl`: a line for each event.
pub(crate) fn write_lines(events: &[LoggedEvent]) -> Vec<u8> {
    let mut file = Vec::new();
    for line in Line::all(events) {
        file.extend_from_slice(&line.to_bytes());
        file.push(b'\n');
    }
    file
}

/// Reads `events.jsonl`; says which line cannot be read, and why.
pub(crate) fn read_lines(file: &[u8]) -> Result<Vec<Line>, String> {
    let Some(lines) = file.strip_suffix(b"\n") else {
        return Err("events.jsonl does not end in a line break".to_owned());
    };
    let read = |(number, line): (usize, &[u8])| {
        crate::json::read(line)
            .map_err(|reason| format!("line {number} of events.jsonl cannot be read: {reason}"))
    };
    (1..).zip(lines.split(|byte| *byte == b'\n')).map(read).collect()
}
