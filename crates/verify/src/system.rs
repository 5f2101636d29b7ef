//! The description of the system that made the evidence, as it stands in the package and, under the seal, in each trail.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who made the evidence, with which software and keys, and what its words mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Name of the software.
    pub software: String,
    /// Its version.
    pub version: String,
    /// URL of the service.
    pub issuer: String,
    /// Origin of the log, which is also the name of its key.
    pub log_origin: String,
    /// The log's verifier key (C2SP signed-note §Verifier keys). It is for looking up: trust comes from a key that was
    /// learnt elsewhere.
    pub log_vkey: String,
    /// Subject of the certificate that seals.
    pub seal_key: String,
    /// What each factor that identifies recipients means, by its name in the events.
    pub factors: BTreeMap<String, String>,
}

impl System {
    /// `system.json`: canonical JSON and a line break.
    pub(crate) fn to_file(&self) -> Vec<u8> {
        let mut file = crate::json::canonical(self);
        file.push(b'\n');
        file
    }

    /// Reads what [`Self::to_file`] writes.
    pub(crate) fn from_file(file: &[u8]) -> Result<Self, String> {
        crate::json::read(file.strip_suffix(b"\n").ok_or("it does not end in a line break")?)
    }
}
