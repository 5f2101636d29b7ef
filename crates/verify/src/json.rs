//! Canonical JSON (RFC 8785) as the only accepted spelling.

use countersign_core::canonical;
use serde::{Serialize, de::DeserializeOwned};

/// Canonical JSON of a value of ours. They hold strings, integers below 2^53, lists and maps with ASCII names: none can
/// fail to encode, and what a stranger's file holds beyond that equals no file.
pub(crate) fn canonical(value: &impl Serialize) -> Vec<u8> {
    canonical::to_vec(value).unwrap_or_default()
}

/// Reads canonical JSON; says why where it is not, or where it does not hold a `T`.
pub(crate) fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let value: T = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if canonical(&value) != bytes {
        return Err("it is not in canonical form (RFC 8785)".to_owned());
    }
    Ok(value)
}
