//! How often one caller may do a thing: the generic cell rate algorithm, in this process and on its steady clock. Keys
//! are ids of what exists, never what a stranger made up, so that there are no more of them than rows.

use std::{hash::Hash, num::NonZeroU32};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    state::keyed::DashMapStateStore,
};

/// A pace for each key.
pub struct Pace<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    limiter: RateLimiter<K, DashMapStateStore<K>, C, governor::middleware::NoOpMiddleware<C::Instant>>,
}

impl<K: Hash + Eq + Clone> Pace<K> {
    /// So many in a minute; after a quiet minute all of them at once.
    pub fn per_minute(most: NonZeroU32) -> Self {
        Self::with_clock(most, MonotonicClock)
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Pace<K, C> {
    fn with_clock(most: NonZeroU32, clock: C) -> Self {
        Self { limiter: RateLimiter::new(Quota::per_minute(most), DashMapStateStore::default(), clock) }
    }

    /// Counts one; where it is one too many, in how many whole seconds the next one may come.
    pub fn admit(&self, key: &K) -> Result<(), u64> {
        self.limiter.check_key(key).map_err(|early| {
            let wait = early.wait_time_from(self.limiter.clock().now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn each_key_has_its_own_pace_and_time_brings_the_next_turn() {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(NonZeroU32::new(2).unwrap(), clock.clone());
        assert_eq!([pace.admit(&1), pace.admit(&1), pace.admit(&1)], [Ok(()), Ok(()), Err(30)]);
        assert_eq!(pace.admit(&2), Ok(()), "another key is not held up");
        clock.advance(Duration::from_millis(29_001));
        assert_eq!(pace.admit(&1), Err(1), "told in whole seconds, never too few");
        clock.advance(Duration::from_secs(1));
        assert_eq!([pace.admit(&1), pace.admit(&1)], [Ok(()), Err(30)]);
    }
}
