//! The relay's clock: the one place where time comes from.

#![expect(clippy::disallowed_methods, reason = "this is the relay's clock")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub fn now_s() -> i64 {
    now_ms().div_euclid(1_000)
}

/// A moment to measure from.
pub fn instant() -> Instant {
    Instant::now()
}
