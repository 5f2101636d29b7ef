//! One event as evidence carries it: the event in its canonical bytes, its place in the log, and the openings of the
//! personal values that are disclosed.

use countersign_core::{
    digest::Digest,
    envelope::{Opening, Recorded},
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

/// A line of `events.jsonl`, and an element of a trail's `events`. Names are declared in canonical order, here and in
/// [`OpeningLine`], so that serde writes canonical JSON as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// The event's frame. Canonical JSON inside canonical JSON keeps its bytes.
    event: Box<RawValue>,
    /// The leaf id in lowercase hex.
    leaf_id: String,
    /// Number of the leaf, from 0.
    pub(crate) log_index: u64,
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
    /// The line of an event. A recorded event's bytes are JSON because `Chain` wrote or read them; others would give
    /// `null`, which no reader takes for an event.
    pub(crate) fn of(logged: &LoggedEvent) -> Self {
        let frame = String::from_utf8(logged.recorded.bytes.clone()).ok();
        let openings = logged.recorded.event.veiled().into_iter().filter_map(|veiled| {
            let opening = veiled.opening.as_ref()?;
            let (salt, value) = (hex::encode(opening.salt), opening.value.disclose().clone());
            Some(OpeningLine { salt, sha256: veiled.sha256, value })
        });
        Self {
            event: frame.and_then(|frame| RawValue::from_string(frame).ok()).unwrap_or_default(),
            leaf_id: hex::encode(logged.leaf_id),
            log_index: logged.log_index,
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

    /// The leaf id; `None` if it is not 16 bytes in lowercase hex.
    pub(crate) fn leaf_id(&self) -> Option<[u8; 16]> {
        bytes_16(&self.leaf_id)
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
    for logged in events {
        file.extend_from_slice(&Line::of(logged).to_bytes());
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
