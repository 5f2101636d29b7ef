//! How often one caller may do a thing: the generic cell rate algorithm, in this process and on its steady clock. Keys
//! are ids of what exists, never what a stranger made up, so that there are no more of them than rows.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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
        Self::of(Quota::per_minute(most), MonotonicClock)
    }

    /// So many at once, and one more after each of these.
    pub fn one_each(each: Duration, at_once: NonZeroU32) -> Self {
        // A time of nothing is no pace: the fall back holds more, not less.
        let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_hour(NonZeroU32::MIN));
        Self::of(quota.allow_burst(at_once), MonotonicClock)
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Pace<K, C> {
    fn of(quota: Quota, clock: C) -> Self {
        Self { limiter: RateLimiter::new(quota, DashMapStateStore::default(), clock) }
    }

    /// Counts one; where it is one too many, in how many whole seconds the next one may come.
    pub fn admit(&self, key: &K) -> Result<(), u64> {
        self.limiter.check_key(key).map_err(|early| {
            let wait = early.wait_time_from(self.limiter.clock().now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

/// A pace at which things are told: what is left out is counted, and the next that is told says how many.
pub struct Telling<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    pace: Pace<K, C>,
    left_out: Mutex<HashMap<K, u64>>,
}

impl<K: Hash + Eq + Clone> Telling<K> {
    /// So many at once, and one more after each of these.
    pub fn one_each(each: Duration, at_once: NonZeroU32) -> Self {
        Self { pace: Pace::one_each(each, at_once), left_out: Mutex::default() }
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Telling<K, C> {
    fn counts(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were left out before this one; `None` if this one is left out, too.
    pub fn admit(&self, key: &K) -> Option<u64> {
        if self.pace.admit(key).is_ok() {
            return Some(self.counts().remove(key).unwrap_or_default());
        }
        self.put_back(key, 1);
        None
    }

    /// Counts so many again, because telling failed.
    pub fn put_back(&self, key: &K, count: u64) {
        let mut counts = self.counts();
        let all = counts.entry(key.clone()).or_default();
        *all = all.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn each_key_has_its_own_pace_and_time_brings_the_next_turn() {
        let clock = FakeRelativeClock::default();
        let pace = Pace::of(Quota::per_minute(NonZeroU32::new(2).unwrap()), clock.clone());
        assert_eq!([pace.admit(&1), pace.admit(&1), pace.admit(&1)], [Ok(()), Ok(()), Err(30)]);
        assert_eq!(pace.admit(&2), Ok(()), "another key is not held up");
        clock.advance(Duration::from_millis(29_001));
        assert_eq!(pace.admit(&1), Err(1), "told in whole seconds, never too few");
        clock.advance(Duration::from_secs(1));
        assert_eq!([pace.admit(&1), pace.admit(&1)], [Ok(()), Err(30)]);
    }

    #[test]
    fn what_is_left_out_is_counted_once() {
        let clock = FakeRelativeClock::default();
        let quota =
            Quota::with_period(Duration::from_mins(1)).unwrap().allow_burst(NonZeroU32::new(2).unwrap());
        let telling = Telling { pace: Pace::of(quota, clock.clone()), left_out: Mutex::default() };
        assert_eq!([1; 5].map(|key| telling.admit(&key)), [Some(0), Some(0), None, None, None]);
        assert_eq!(telling.admit(&2), Some(0), "another key has its own count");
        clock.advance(Duration::from_mins(1));
        assert_eq!([1; 2].map(|key| telling.admit(&key)), [Some(3), None]);
        // Telling the three failed.
        telling.put_back(&1, 3);
        clock.advance(Duration::from_mins(1));
        assert_eq!([1; 2].map(|key| telling.admit(&key)), [Some(4), None]);
    }
}
