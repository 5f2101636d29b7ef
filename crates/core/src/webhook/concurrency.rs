//! How many deliveries an endpoint takes at the same time: as many as it showed to take. One more after a round of as many
//! successes, half after a failure or a slow answer, and that once a round, because what was in work then fails together.

use crate::limits;

/// How many an endpoint takes, kept in the memory of each server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    limit: u8,
    /// Successes of this round.
    succeeded: u8,
    /// Deliveries that may still have been in work when it was halved: what they show is known already.
    settling: u8,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { limit: limits::WEBHOOK_CONCURRENCY_FIRST, succeeded: 0, settling: 0 }
    }
}

impl Concurrency {
    /// How many deliveries may be in work at the same time: 1 to 32.
    pub fn limit(&self) -> u8 {
        self.limit
    }

    /// After an attempt that was answered as it should be, or was not, and took so long.
    pub fn settled(&mut self, is_success: bool, took_ms: i64) {
        let was_settling = self.settling > 0;
        self.settling = self.settling.saturating_sub(1);
        if is_success && took_ms < limits::WEBHOOK_SLOW_MS {
            self.succeeded += 1;
            if self.succeeded >= self.limit {
                self.limit = (self.limit + 1).min(limits::WEBHOOK_CONCURRENCY);
                self.succeeded = 0;
            }
            return;
        }
        self.succeeded = 0;
        if !was_settling {
            self.settling = self.limit - 1;
            self.limit = (self.limit / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// W-4: one more after each round of successes, to the most and no further.
    #[test]
    fn a_good_endpoint_gets_more() {
        let mut concurrency = Concurrency::default();
        for limit in limits::WEBHOOK_CONCURRENCY_FIRST..limits::WEBHOOK_CONCURRENCY {
            for _ in 0..limit {
                assert_eq!(concurrency.limit(), limit);
                concurrency.settled(true, 4_999);
            }
        }
        for _ in 0..1_000 {
            concurrency.settled(true, 10);
            assert_eq!(concurrency.limit(), limits::WEBHOOK_CONCURRENCY);
        }
    }

    /// W-4: half after a failure, and what was in work with it does not halve again.
    #[test]
    fn failures_together_halve_once() {
        for (is_success, took_ms) in [(false, 10), (false, 15_000), (true, 5_000)] {
            let mut concurrency = Concurrency::default();
            for _ in 0..8 {
                concurrency.settled(is_success, took_ms);
                assert_eq!(concurrency.limit(), 4);
            }
            concurrency.settled(is_success, took_ms);
            assert_eq!(concurrency.limit(), 2, "of the next round");
            for _ in 0..1_000 {
                concurrency.settled(is_success, took_ms);
            }
            assert_eq!(concurrency.limit(), 1, "one always goes");
        }
    }

    /// W-4: an endpoint that was down is back at its limit after as many successes as that takes.
    #[test]
    fn an_endpoint_recovers() {
        let mut concurrency = Concurrency::default();
        for _ in 0..100 {
            concurrency.settled(false, 1);
        }
        for _ in 1..=7 + 6 + 5 + 4 + 3 + 2 + 1 {
            concurrency.settled(true, 1);
        }
        assert_eq!(concurrency.limit(), 8);
    }

    proptest! {
        /// W-4: whatever comes, 1 to 32; and never more than one up or half down at a time.
        #[test]
        fn the_limit_stays_within_its_bounds(settled in proptest::collection::vec((any::<bool>(), 0_i64..9_000), 0..500)) {
            let mut concurrency = Concurrency::default();
            for (is_success, took_ms) in settled {
                let before = concurrency.limit();
                concurrency.settled(is_success, took_ms);
                let after = concurrency.limit();
                prop_assert!((1..=limits::WEBHOOK_CONCURRENCY).contains(&after));
                prop_assert!(after <= before + 1 && after >= (before / 2).max(1));
            }
        }
    }
}
