//! Every type of event that a webhook can tell of, with an example. A test makes the file from the types themselves and from one
//! event of each, so that none can be missing.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

use super::class::Class;
use crate::digest::Digest;

/// A type of event.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Its name: `type` of a message.
    pub r#type: String,
    /// Its class.
    pub class: Class,
    /// What it says, as the code has it.
    pub meaning: String,
    /// An event of it, as it is chained.
    pub chained: Value,
    /// The hash of that.
    pub sha256: Digest,
    /// The personal values of it, by their commitments.
    pub values: BTreeMap<String, String>,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    // A test reads every line.
    include_str!("catalogue.jsonl").lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
});

/// All of them: those of envelopes in the order of their life, and those of security.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}
