//! Numbers that all backends share, so that one conformance suite can hold them to the same behaviour.

use countersign_core::time::Time;

/// Sessions, codes, tokens and tickets stay this long after their end, so that a late visitor is told that they ended.
const KEPT_AFTER_END_MS: i64 = 24 * 60 * 60 * 1_000;

/// Grants stay this long after their end, so that a reused token is still known as one of theirs.
const GRANT_KEPT_AFTER_END_MS: i64 = 30 * KEPT_AFTER_END_MS;

/// Most rows of each kind that one sweep removes.
pub(crate) const SWEPT_ROWS: usize = 1_000;

/// Most deliveries of dead workers that one call of `beat` frees.
pub(crate) const FREED_DELIVERIES: usize = 1_000;

/// A worker that died before this moment, and has nothing any more, is forgotten.
pub(crate) fn workers_forgotten_before(now: Time) -> Time {
    now.plus_ms(-KEPT_AFTER_END_MS)
}

/// Sessions, codes, tokens and tickets that ended by this moment are swept.
pub(crate) fn swept_before(now: Time) -> Time {
    now.plus_ms(-KEPT_AFTER_END_MS)
}

/// Grants that ended by this moment are swept.
pub(crate) fn grants_swept_before(now: Time) -> Time {
    now.plus_ms(-GRANT_KEPT_AFTER_END_MS)
}
