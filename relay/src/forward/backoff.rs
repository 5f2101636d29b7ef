//! When a message is tried again, when it is set aside, and how a system that is down is asked.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::request::Answered;
use crate::queue::{Claimed, Outcome};

const FIRST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 10 * 60 * 1_000;
/// What a system may ask to wait at most.
const ASKED_MAX_S: u64 = 60 * 60;
/// So many attempts in a row without an answer, and the system counts as down.
const DOWN_AFTER: u32 = 5;
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What follows from an answer.
pub(super) fn outcome(answer: &Answered, claimed: &Claimed, age_ms: i64, try_ms: i64) -> Outcome {
    match answer.status {
        Some(200..=299) => Outcome::Done,
        Some(410) => Outcome::Dead("the system answered 410: it does not want it"),
        _ if age_ms >= try_ms => Outcome::Dead("it was tried for as long as queue.try_h says"),
        Some(429 | 503) if answer.retry_after_s.is_some() => {
            let asked_s = answer.retry_after_s.unwrap_or_default().clamp(1, ASKED_MAX_S);
            Outcome::Retry(Duration::from_secs(asked_s).saturating_add(spread(claimed, 1_000)))
        }
        _ => Outcome::Retry(wait(claimed)),
    }
}

/// Twice as long after each attempt, up to ten minutes; between half of it and all of it.
fn wait(claimed: &Claimed) -> Duration {
    let doublings = u32::try_from(claimed.attempt.saturating_sub(1).clamp(0, 20)).unwrap_or(20);
    let whole_ms = FIRST_MS.saturating_mul(1 << doublings).min(LONGEST_MS);
    Duration::from_millis(whole_ms / 2).saturating_add(spread(claimed, whole_ms / 2))
}

/// Some part of so many milliseconds: of each message and attempt another one, so that they do not come back at once.
fn spread(claimed: &Claimed, most_ms: u64) -> Duration {
    let digest = Sha256::digest(format!("{}.{}.{}", claimed.sender, claimed.id, claimed.attempt));
    let drawn = digest.iter().take(8).fold(0, |drawn: u64, byte| (drawn << 8) | u64::from(*byte));
    Duration::from_millis(drawn % most_ms.saturating_add(1))
}

/// Whether a system answers at all.
#[derive(Debug, Default)]
pub(super) struct Health(AtomicU32);

impl Health {
    /// An attempt ended.
    pub(super) fn heard(&self, is_the_system: bool) {
        if is_the_system {
            self.0.store(0, Ordering::Relaxed);
        } else {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long to wait before the next message, alone, while the system is down.
    pub(super) fn pause(&self) -> Option<Duration> {
        let over = self.0.load(Ordering::Relaxed).checked_sub(DOWN_AFTER)?;
        let pause = Duration::from_millis(100).saturating_mul(1 << over.min(10));
        Some(pause.min(PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(attempt: i64) -> Claimed {
        Claimed {
            number: 1,
            attempt,
            sender: "s".into(),
            id: "i".into(),
            place: None,
            content_type: None,
            headers: Vec::new(),
            body: hyper::body::Bytes::new(),
            received_ms: 0,
        }
    }

    fn answer(status: Option<u16>, retry_after_s: Option<u64>) -> Answered {
        Answered { status, retry_after_s, reason: "" }
    }

    #[test]
    fn it_is_tried_again_with_longer_and_longer_waits_until_its_time_is_over() {
        for (attempt, whole_ms) in [(1, 1_000), (2, 2_000), (5, 16_000), (11, 600_000), (i64::MAX, 600_000)] {
            let waited = outcome(&answer(Some(500), None), &claimed(attempt), 0, 10);
            let Outcome::Retry(wait) = waited else { panic!("{waited:?}") };
            assert!(
                (whole_ms / 2..=whole_ms).contains(&u64::try_from(wait.as_millis()).unwrap()),
                "{wait:?}"
            );
        }
        assert!(matches!(outcome(&answer(None, None), &claimed(1), 10, 10), Outcome::Dead(_)));
        assert!(matches!(outcome(&answer(Some(410), None), &claimed(1), 0, 10), Outcome::Dead(_)));
        assert_eq!(outcome(&answer(Some(204), None), &claimed(1), 10, 10), Outcome::Done);
    }

    #[test]
    fn what_a_system_asks_for_is_kept_within_an_hour() {
        for (asked_s, least_s) in [(0, 1), (7, 7), (1_000_000_000, 3_600)] {
            let waited = outcome(&answer(Some(503), Some(asked_s)), &claimed(1), 0, 10);
            let Outcome::Retry(wait) = waited else { panic!("{waited:?}") };
            assert!((least_s..=least_s + 1).contains(&wait.as_secs()), "{wait:?}");
        }
        assert_ne!(wait(&claimed(3)), wait(&Claimed { id: "j".into(), ..claimed(3) }));
    }

    #[test]
    fn a_system_that_is_down_is_asked_with_one_message_at_a_time() {
        let health = Health::default();
        for _ in 0..DOWN_AFTER {
            assert_eq!(health.pause(), None);
            health.heard(false);
        }
        assert_eq!(health.pause(), Some(Duration::from_millis(100)));
        for _ in 0..40 {
            health.heard(false);
        }
        assert_eq!(health.pause(), Some(PAUSE_MAX));
        health.heard(true);
        assert_eq!(health.pause(), None);
    }
}
