//! Numbers that all backends share, so that one conformance suite can hold them to the same behaviour.

use countersign_core::time::Time;

/// Sessions and codes stay this long after their end, so that a late visitor is told that they ended.
const KEPT_AFTER_END_MS: i64 = 24 * 60 * 60 * 1_000;

/// Most rows of each kind that one call of `claim_jobs` sweeps.
pub(crate) const SWEPT_ROWS: usize = 1_000;

/// Sessions and codes that ended before this moment are swept.
pub(crate) fn swept_before(now: Time) -> Time {
    now.plus_ms(-KEPT_AFTER_END_MS)
}
