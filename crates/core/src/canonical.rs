//! Canonical JSON (RFC 8785) of what Countersign writes: strings, booleans, integers below 2^53, lists, and objects
//! with ASCII names. Within these the RFC's spelling is that of `serde_json` with names sorted by bytes, which is
//! several times faster than sorting while writing; whatever lies outside is refused. Tests hold it against a library.

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

/// Integers that every reader of JSON keeps exactly (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
const MOST_EXACT: u64 = (1 << 53) - 1;

/// A value that has no canonical form here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotCanonical {
    /// A fraction, or an integer that is too large.
    #[error("{0} is not an integer below 2^53")]
    Number(String),
    /// A name with characters outside ASCII.
    #[error("the name {0:?} is not ASCII")]
    Name(String),
    /// It cannot be JSON at all.
    #[error("{0}")]
    Json(String),
}

/// The canonical bytes of a value.
pub fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    let json = |error: serde_json::Error| NotCanonical::Json(error.to_string());
    let mut value = serde_json::to_value(value).map_err(json)?;
    check(&value)?;
    // Without the feature `preserve_order` objects are sorted already, and this does nothing.
    value.sort_all_objects();
    serde_json::to_vec(&value).map_err(json)
}

fn check(value: &Value) -> Result<(), NotCanonical> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            let exact = size.is_some_and(|size| size <= MOST_EXACT);
            if exact { Ok(()) } else { Err(NotCanonical::Number(number.to_string())) }
        }
        Value::Array(values) => values.iter().try_for_each(check),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            if !name.is_ascii() {
                return Err(NotCanonical::Name(name.clone()));
            }
            check(value)
        }),
    }
}
