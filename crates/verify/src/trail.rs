//! The trail that each sealed PDF carries as an attachment, format 1: the events up to the seal, the proof that the
//! last of them is in the log, which document this is, and the system that made it.

use std::borrow::Cow;

use countersign_core::{digest::Digest, id::DocumentId, limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    line::{Line, LoggedEvent},
    system::System,
};

/// Name of the attachment.
pub const FILE_NAME: &str = "countersign-trail.json";
/// The format's name and version.
const FORMAT: &str = "countersign-trail/1";
/// What the sealed PDF is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// A document of the envelope. The sealed PDF begins with its original (D-5).
    Document {
        /// Which.
        document: DocumentId,
        /// SHA-256 of the original.
        original_sha256: Digest,
        /// Its size in bytes.
        original_size_bytes: u64,
    },
    /// The certificate of completion.
    Certificate,
}

/// A trail as it is written.
#[derive(Clone, Debug)]
pub struct Trail<'a> {
    /// What the PDF is.
    pub subject: Subject,
    /// The events up to and including `envelope.sealing`, each in the log.
    pub events: Cow<'a, [LoggedEvent]>,
    /// The proof file of the last event's leaf (C2SP tlog-proof), which holds the checkpoint.
    pub proof: String,
    /// The system that seals.
    pub system: Cow<'a, System>,
}

impl Trail<'_> {
    /// The attachment: canonical JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let raw =
            |json: Vec<u8>| String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
        let written = Written {
            events: Line::all(&self.events),
            format: FORMAT,
            proof: &self.proof,
            subject: raw(crate::json::canonical(&self.subject)),
            system: raw(crate::json::canonical(&self.system)),
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }
}

/// A trail with its names in canonical order and the events' bytes as they are, so that serde writes canonical JSON
/// without encoding every event again. Readers check that it is.
#[derive(Serialize)]
struct Written<'a> {
    events: Vec<Line>,
    format: &'a str,
    proof: &'a str,
    subject: Option<Box<RawValue>>,
    system: Option<Box<RawValue>>,
}

/// The system description that a trail carries; the package of the same envelope repeats it. `Err` says why the bytes
/// are no trail.
pub fn system_of(attachment: &[u8]) -> Result<System, String> {
    Encoded::read(attachment).map(|trail| trail.system)
}

/// A trail as it is read: nothing in it is checked yet but its form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoded {
    format: String,
    pub(crate) subject: Subject,
    pub(crate) events: Vec<Line>,
    pub(crate) proof: String,
    pub(crate) system: System,
}

impl Encoded {
    /// Reads an attachment; says why it cannot be read.
    pub(crate) fn read(attachment: &[u8]) -> Result<Self, String> {
        if attachment.len() > limits::TRAIL_BYTES {
            return Err(format!("it is larger than {} bytes", limits::TRAIL_BYTES));
        }
        let trail: Self = crate::json::read(attachment)?;
        if trail.format != FORMAT {
            return Err(format!("its format is {}, not {FORMAT}", trail.format));
        }
        Ok(trail)
    }
}
