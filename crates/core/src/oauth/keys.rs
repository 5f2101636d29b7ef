//! When a signing key of the authorization server is published, signs, and goes: a function of times. A key is published
//! before it signs, so that caches have it, and after, so that what it signed is verified to its end.

use crate::{limits, oauth::jose::Algorithm, time::Time};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published; it does not sign yet.
    PrePublished,
    /// It signs.
    Active,
    /// Published; it signs no more.
    Grace,
    /// Gone.
    Retired,
}

impl State {
    /// As security events have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::PrePublished => "pre_published",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Retired => "retired",
        }
    }
}

/// The times of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// With which algorithm it signs.
    pub algorithm: Algorithm,
    /// Since when it is published.
    pub published_at: Time,
    /// From when it signs.
    pub active_from: Time,
    /// When it was ended before its time, because it may be known to others.
    pub ended_at: Option<Time>,
}

impl KeyTimes {
    /// When the next key takes over.
    pub fn active_until(&self) -> Time {
        self.active_from.plus_s(limits::SIGNING_KEY_ACTIVE_S)
    }

    /// When it is no longer published.
    pub fn published_until(&self) -> Time {
        let planned = self.active_until().plus_s(limits::SIGNING_KEY_GRACE_S);
        self.ended_at.map_or(planned, |ended_at| ended_at.min(planned))
    }

    /// Where it is in its life. A key that was ended is gone at once: what it signed is no longer believed.
    pub fn state(&self, now: Time) -> State {
        if now >= self.published_until() {
            State::Retired
        } else if now >= self.active_until() {
            State::Grace
        } else if now >= self.active_from {
            State::Active
        } else {
            State::PrePublished
        }
    }
}

/// The place of the key that signs now with this algorithm. Should two be active, because two nodes made one each, it is
/// the one that began last, and of those the last in the list.
pub fn signing(keys: &[KeyTimes], algorithm: Algorithm, now: Time) -> Option<usize> {
    let active =
        |(_, key): &(usize, &KeyTimes)| key.algorithm == algorithm && key.state(now) == State::Active;
    keys.iter().enumerate().filter(active).max_by_key(|(_, key)| key.active_from).map(|(index, _)| index)
}

/// The places of the keys that are published now.
pub fn published(keys: &[KeyTimes], now: Time) -> Vec<usize> {
    let is_out = |(_, key): &(usize, &KeyTimes)| key.state(now) != State::Retired;
    keys.iter().enumerate().filter(is_out).map(|(index, _)| index).collect()
}

/// The times of the key that is to be made now for this algorithm, if one is due: when the last one has so long left as a
/// key is published before it signs. Where none is left, it signs at once.
pub fn due(keys: &[KeyTimes], algorithm: Algorithm, now: Time) -> Option<KeyTimes> {
    let lives = |key: &&KeyTimes| key.algorithm == algorithm && key.ended_at.is_none_or(|at| at > now);
    let last_until = keys.iter().filter(lives).map(KeyTimes::active_until).max();
    let active_from = last_until.unwrap_or(now).max(now);
    let is_due = now.plus_s(limits::SIGNING_KEY_PUBLISHED_S) >= active_from;
    is_due.then_some(KeyTimes { algorithm, published_at: now, active_from, ended_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_S: i64 = 3_600;
    const TWO_YEARS_S: i64 = 2 * 365 * 24 * HOUR_S;

    fn start() -> Time {
        Time::from_unix_ms(1_795_000_000_000)
    }

    fn make_due(keys: &mut Vec<KeyTimes>, now: Time) {
        for algorithm in Algorithm::ALL {
            keys.extend(due(keys, algorithm, now));
        }
    }

    fn active(keys: &[KeyTimes], algorithm: Algorithm, now: Time) -> usize {
        keys.iter().filter(|key| key.algorithm == algorithm && key.state(now) == State::Active).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// over two years, with a check every few hours, one key signs with each algorithm at every moment, and
        /// whatever was signed can be verified for the whole grace.
        #[test]
        fn one_key_signs_and_its_signatures_outlive_it(step_s in 4 * HOUR_S..20 * HOUR_S, look_s in 1..HOUR_S) {
            let mut keys = Vec::new();
            let mut now = start();
            while now < start().plus_s(TWO_YEARS_S) {
                make_due(&mut keys, now);
                for at in [now, now.plus_s(look_s), now.plus_s(step_s).plus_ms(-1)] {
                    for algorithm in Algorithm::ALL {
                        prop_assert_eq!(active(&keys, algorithm, at), 1);
                        let signs = signing(&keys, algorithm, at).unwrap();
                        let last = at.plus_s(limits::SIGNING_KEY_GRACE_S).plus_ms(-1);
                        prop_assert!(published(&keys, last).contains(&signs));
                        let is_first = keys[signs].active_from == start();
                        let early = keys[signs].active_from.plus_s(step_s - limits::SIGNING_KEY_PUBLISHED_S);
                        prop_assert!(is_first || keys[signs].published_at <= early, "published long before it signs");
                    }
                }
                now = now.plus_s(step_s);
            }
            let per_algorithm = TWO_YEARS_S / limits::SIGNING_KEY_ACTIVE_S + 1;
            let most = usize::try_from(per_algorithm).unwrap() * Algorithm::ALL.len();
            prop_assert!((most..=most + Algorithm::ALL.len()).contains(&keys.len()), "{}", keys.len());
        }
    }

    #[test]
    fn a_key_goes_through_its_states() {
        let key = due(&[], Algorithm::Es256, start()).unwrap();
        assert_eq!(key.state(start()), State::Active);
        let lead = limits::SIGNING_KEY_ACTIVE_S - limits::SIGNING_KEY_PUBLISHED_S;
        assert_eq!(due(&[key], Algorithm::Es256, start().plus_s(lead).plus_ms(-1)), None);
        let at = start().plus_s(lead);
        let next = due(&[key], Algorithm::Es256, at).unwrap();
        assert_eq!((next.state(at), next.active_from), (State::PrePublished, key.active_until()));
        assert_eq!(due(&[key, next], Algorithm::Es256, at), None);
        assert_eq!(key.state(key.active_until()), State::Grace);
        assert_eq!(next.state(key.active_until()), State::Active);
        assert_eq!(key.state(key.published_until()), State::Retired);
        assert_eq!(signing(&[key, next], Algorithm::EdDsa, at), None);
    }

    /// A server that slept signs again at once.
    #[test]
    fn a_gap_ends_with_the_next_look() {
        let old = due(&[], Algorithm::Es256, start()).unwrap();
        let now = old.published_until().plus_s(HOUR_S);
        assert_eq!(signing(&[old], Algorithm::Es256, now), None);
        let next = due(&[old], Algorithm::Es256, now).unwrap();
        assert_eq!(signing(&[old, next], Algorithm::Es256, now), Some(1));
    }

    /// M-3: a key that may be known to others signs nothing and is believed no more, from that moment.
    #[test]
    fn an_ended_key_is_gone_at_once() {
        let mut key = due(&[], Algorithm::Es256, start()).unwrap();
        let now = start().plus_s(HOUR_S);
        key.ended_at = Some(now);
        assert_eq!((key.state(now.plus_ms(-1)), key.state(now)), (State::Active, State::Retired));
        assert!(published(&[key], now).is_empty());
        let next = due(&[key], Algorithm::Es256, now).unwrap();
        assert_eq!(signing(&[key, next], Algorithm::Es256, now), Some(1));
    }
}
