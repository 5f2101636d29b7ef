//! What of an API key's use is kept: when and from where it was used last, to the minute, and a security event for each
//! address and agent that uses it, once a day. A key that is used a thousand times a second costs one write a minute.

use std::collections::BTreeMap;

use crate::{digest::Digest, limits, time::Time};

/// What one server remembers of the use of one key. It may forget: then it writes once more than it must.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    noted_at: Option<Time>,
    told: BTreeMap<Digest, Time>,
    told_at: Option<Time>,
}

/// What to keep of one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Note it as the last use.
    pub note: bool,
    /// Write an event.
    pub tell: bool,
}

fn is_over(since: Option<Time>, duration_s: i64, now: Time) -> bool {
    since.is_none_or(|since| now.since_ms(since) >= duration_s * 1_000)
}

impl Usage {
    /// What to keep of a use from an origin, an address and an agent, of which this is a hash.
    pub fn of(&mut self, origin: Digest, now: Time) -> Kept {
        let tell = self.tell(origin, now);
        let note = tell || is_over(self.noted_at, limits::API_KEY_NOTED_S, now);
        if note {
            self.noted_at = Some(now);
        }
        Kept { note, tell }
    }

    /// Whether an event is written of what this is a hash of: not again within a day and, where ever new things happen,
    /// not more often than uses are noted.
    pub fn tell(&mut self, what: Digest, now: Time) -> bool {
        if !is_over(self.told.get(&what).copied(), limits::API_KEY_TOLD_S, now) {
            return false;
        }
        self.told.retain(|_, at| !is_over(Some(*at), limits::API_KEY_TOLD_S, now));
        if self.told.len() >= limits::API_KEY_ORIGINS {
            if !is_over(self.told_at, limits::API_KEY_NOTED_S, now) {
                return false;
            }
            if let Some(oldest) = self.told.iter().min_by_key(|(_, at)| **at).map(|(what, _)| *what) {
                self.told.remove(&oldest);
            }
        }
        self.told.insert(what, now);
        self.told_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    const NOTHING: Kept = Kept { note: false, tell: false };
    const NOTED: Kept = Kept { note: true, tell: false };
    const TOLD: Kept = Kept { note: true, tell: true };

    /// the last use is known to the minute, and costs one write a minute.
    #[test]
    fn one_use_a_minute_is_noted() {
        let (mut usage, begin) = (Usage::default(), Time::from_unix_ms(1_700_000_000_000));
        assert_eq!(usage.of(origin(1), begin), TOLD);
        for second in 1..60 {
            assert_eq!(usage.of(origin(1), begin.plus_s(second)), NOTHING);
        }
        assert_eq!(usage.of(origin(1), begin.plus_s(60)), NOTED);
        assert_eq!(usage.of(origin(1), begin.plus_s(61)), NOTHING);
    }

    /// another address is an event at once, and the same one again after a day.
    #[test]
    fn each_origin_is_told_once_a_day() {
        let (mut usage, begin) = (Usage::default(), Time::from_unix_ms(1_700_000_000_000));
        usage.of(origin(1), begin);
        assert_eq!(usage.of(origin(2), begin.plus_s(1)), TOLD);
        assert_eq!(usage.of(origin(1), begin.plus_s(2)), NOTHING, "two that take turns are no news");
        assert_eq!(usage.of(origin(1), begin.plus_s(limits::API_KEY_TOLD_S)), TOLD);
        assert_eq!(usage.of(origin(2), begin.plus_s(limits::API_KEY_TOLD_S)), NOTHING);
    }

    /// whoever makes up agents writes an event a minute, not one for each.
    #[test]
    fn made_up_origins_do_not_flood_the_stream() {
        let (mut usage, begin) = (Usage::default(), Time::from_unix_ms(1_700_000_000_000));
        let told = |usage: &mut Usage, from: u32, at: Time| {
            (from..from + 1_000).filter(|number| usage.of(origin(*number), at).tell).count()
        };
        assert_eq!(told(&mut usage, 0, begin), limits::API_KEY_ORIGINS);
        assert_eq!(told(&mut usage, 5_000, begin.plus_s(59)), 0);
        assert_eq!(told(&mut usage, 9_000, begin.plus_s(60)), 1);
        assert!(usage.told.len() <= limits::API_KEY_ORIGINS);
    }
}
