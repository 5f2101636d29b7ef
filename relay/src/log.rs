//! Logs: one JSON object a line, to standard error. They hold no body, no secret and no signature.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tracing_subscriber::filter::LevelFilter;

use crate::fault::Fault;

/// Lines in a second at most about requests that were refused, and as many about attempts that failed: others decide how many
/// there are, and the disk is finite. The metrics count them all.
const LINES_PER_S: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

type Pace = LazyLock<DefaultDirectRateLimiter>;

static REFUSALS: Pace = LazyLock::new(|| RateLimiter::direct(Quota::per_second(LINES_PER_S)));
static FAILURES: Pace = LazyLock::new(|| RateLimiter::direct(Quota::per_second(LINES_PER_S)));

/// What is logged at a level of this name.
pub fn level(name: &str) -> Option<LevelFilter> {
    let known = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, level)| level)
}

/// Writes lines to standard error from now on.
pub fn start(level: LevelFilter) -> Result<(), Fault> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(level)
        .with_writer(std::io::stderr)
        // A line that cannot be written is lost. To say so on standard error would end what the line was about.
        .log_internal_errors(false)
        .try_init()
        .map_err(|error| Fault::Machine(error.to_string()))
}

/// Whether a line about a refused request may be written now.
pub fn may_tell_refusal() -> bool {
    REFUSALS.check().is_ok()
}

/// Whether a line about an attempt that failed may be written now.
pub fn may_tell_failure() -> bool {
    FAILURES.check().is_ok()
}
