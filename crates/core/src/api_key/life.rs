//! The life of an API key: when somebody is warned of its end, when it ends, and what a rotation makes of it.

use super::{DAY_S, check_lifetime};
use crate::{
    limits,
    refusal::{Code, Refusal},
    time::Time,
};

/// So many days before its end somebody is warned, the earliest first.
pub const WARNINGS_DAYS: [u32; 3] = [14, 7, 1];
/// What stands in the place of the days once its end was told.
pub const END_TOLD: u32 = 0;

/// What the life of a key hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it began.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// The smallest number of days before its end of which somebody was warned; [`END_TOLD`] once its end is recorded.
    pub told_days: Option<u32>,
}

/// What is to be told of a key now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this moment.
    Later(Time),
    /// Somebody is warned that it ends within so many days.
    Warning(u32),
    /// It has ended.
    End,
    /// Nothing any more.
    Nothing,
}

impl Life {
    /// Whether it has ended by `now`. What was told to have ended has, also for a server whose clock is behind.
    pub fn is_over(&self, now: Time) -> bool {
        self.expires_at <= now || self.told_days == Some(END_TOLD)
    }

    /// When a warning is due. A key that lives no longer than that has none: whoever made it knows.
    fn warning_at(&self, days: u32) -> Option<Time> {
        let at = self.expires_at.plus_s(-DAY_S * i64::from(days));
        (at > self.created_at).then_some(at)
    }

    /// What is to be told at `now`. Of several warnings that nobody was there to send, the last is enough.
    pub fn due(&self, now: Time) -> Due {
        if self.told_days == Some(END_TOLD) {
            return Due::Nothing;
        }
        if self.is_over(now) {
            return Due::End;
        }
        let untold = WARNINGS_DAYS.into_iter().filter(|days| self.told_days.is_none_or(|told| *days < told));
        let mut next = self.expires_at;
        let mut due = None;
        for days in untold {
            match self.warning_at(days) {
                Some(at) if at <= now => due = Some(days),
                Some(at) => next = next.min(at),
                None => {}
            }
        }
        due.map_or(Due::Later(next), Due::Warning)
    }
}

/// What a rotation makes of two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The life of the old key from now on.
    pub old: Life,
    /// When the new key ends.
    pub new_expires_at: Time,
}

/// Rotates a key: the new one lives as long as asked, or as the old one was to live; the old one works beside it for
/// the overlap, but never longer than it would have. Who rotates is warned by that of the end of the old one: what is told
/// of it later are shorter times alone.
pub fn rotate(old: Life, overlap_s: i64, lifetime_s: Option<i64>, now: Time) -> Result<Rotation, Refusal> {
    if old.is_over(now) {
        let sentence = "the key has ended, and what has ended is not rotated: create another";
        return Err(Refusal::new(Code::KeyState, sentence));
    }
    if !(0..=limits::API_KEY_OVERLAP_S).contains(&overlap_s) {
        let most = limits::API_KEY_OVERLAP_S / DAY_S;
        let sentence = format!("the old key works beside the new one for {most} days at most");
        return Err(Refusal::at(Code::Invalid, "/overlap_s", sentence));
    }
    let planned_s = old.expires_at.since_ms(old.created_at) / 1_000;
    let lifetime_s = lifetime_s.unwrap_or_else(|| planned_s.clamp(1, limits::API_KEY_S));
    check_lifetime(lifetime_s)?;
    let expires_at = old.expires_at.min(now.plus_s(overlap_s));
    let left_s = expires_at.since_ms(now) / 1_000;
    let told = WARNINGS_DAYS.into_iter().rfind(|days| i64::from(*days) * DAY_S >= left_s);
    let told_days = told.into_iter().chain(old.told_days).min();
    Ok(Rotation { old: Life { expires_at, told_days, ..old }, new_expires_at: now.plus_s(lifetime_s) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begin() -> Time {
        Time::from_unix_ms(1_700_000_000_000)
    }

    fn life(days: i64) -> Life {
        Life { created_at: begin(), expires_at: begin().plus_s(days * DAY_S), told_days: None }
    }

    fn at(days: i64) -> Time {
        begin().plus_s(days * DAY_S)
    }

    /// What is told of a key by somebody who looks at these moments.
    fn told(mut life: Life, looks: impl IntoIterator<Item = Time>) -> Vec<(Time, Due)> {
        let mut told = Vec::new();
        for now in looks {
            let due = life.due(now);
            match due {
                Due::Warning(days) => life.told_days = Some(days),
                Due::End => life.told_days = Some(END_TOLD),
                Due::Later(_) | Due::Nothing => continue,
            }
            told.push((now, due));
        }
        told
    }

    /// warned 14, 7 and 1 days ahead, and told once that it ended.
    #[test]
    fn a_key_of_ninety_days_is_warned_of_three_times_and_ends() {
        let hours = (0..100 * 24).map(|hour| begin().plus_s(hour * 3_600));
        let expected = [
            (at(76), Due::Warning(14)),
            (at(83), Due::Warning(7)),
            (at(89), Due::Warning(1)),
            (at(90), Due::End),
        ];
        assert_eq!(told(life(90), hours), expected);
    }

    /// to the millisecond, and whoever waits until what it is told misses nothing.
    #[test]
    fn whoever_waits_as_told_comes_at_the_right_moments() {
        let mut key = life(90);
        let mut moments = Vec::new();
        let mut now = begin();
        loop {
            match key.due(now) {
                Due::Later(next) => {
                    assert!(next > now);
                    assert_eq!(key.due(next.plus_ms(-1)), Due::Later(next), "not a moment earlier");
                    now = next;
                    continue;
                }
                Due::Warning(days) => key.told_days = Some(days),
                Due::End => key.told_days = Some(END_TOLD),
                Due::Nothing => break,
            }
            moments.push(now);
        }
        assert_eq!(moments, [at(76), at(83), at(89), at(90)]);
        let untold = life(90);
        assert!(!untold.is_over(at(90).plus_ms(-1)) && untold.is_over(at(90)));
    }

    /// a key that was ended has ended for every server, whatever its clock says.
    #[test]
    fn a_clock_that_is_behind_gives_no_life() {
        let ended = Life { expires_at: at(10), told_days: Some(END_TOLD), ..life(90) };
        assert!(ended.is_over(at(9)));
        assert_eq!(ended.due(at(9)), Due::Nothing);
        assert_eq!(rotate(ended, 0, None, at(9)).unwrap_err().code, Code::KeyState);
    }

    /// after an outage one warning is enough, and a key that has ended is not warned of.
    #[test]
    fn what_was_missed_is_told_once() {
        assert_eq!(told(life(90), [at(85), at(85)]), [(at(85), Due::Warning(7))]);
        assert_eq!(told(life(90), [at(95)]), [(at(95), Due::End)]);
    }

    /// a key that lives a week is not warned of a week ahead, at its birth.
    #[test]
    fn a_short_life_has_the_warnings_that_fit_into_it() {
        assert_eq!(told(life(7), [at(0), at(6), at(7)]), [(at(6), Due::Warning(1)), (at(7), Due::End)]);
        assert_eq!(told(life(1), [at(0), at(1)]), [(at(1), Due::End)]);
    }

    /// during the overlap both work, for seven days at most; the new one lives as long as the old one was to live.
    #[test]
    fn a_rotation_ends_the_old_key_and_begins_a_new_one() {
        let rotated = rotate(life(30), 3 * DAY_S, None, at(10)).unwrap();
        assert_eq!((rotated.old.expires_at, rotated.new_expires_at), (at(13), at(40)));
        let rotated = rotate(life(90), limits::API_KEY_OVERLAP_S, Some(DAY_S), at(88)).unwrap();
        assert_eq!(
            (rotated.old.expires_at, rotated.new_expires_at),
            (at(90), at(89)),
            "never longer than it would have"
        );
        let rotated = rotate(life(90), 0, None, at(10)).unwrap();
        assert!(rotated.old.is_over(at(10)), "without an overlap it ends at once");
        for wrong in [-1, limits::API_KEY_OVERLAP_S + 1] {
            let refused = rotate(life(90), wrong, None, at(10)).unwrap_err();
            assert_eq!(refused.pointer.as_deref(), Some("/overlap_s"));
        }
        let refused = rotate(life(90), 0, Some(limits::API_KEY_S + 1), at(10)).unwrap_err();
        assert_eq!(refused.pointer.as_deref(), Some("/lifetime_s"));
        assert_eq!(rotate(life(90), 0, None, at(90)).unwrap_err().code, Code::KeyState);
    }

    /// who rotates knows when the old key ends; a day before, whoever forgot a program hears of it.
    #[test]
    fn after_a_rotation_the_old_key_is_warned_of_a_day_ahead() {
        let old = rotate(life(90), limits::API_KEY_OVERLAP_S, None, at(10)).unwrap().old;
        assert_eq!(told(old, (10..20).map(at)), [(at(16), Due::Warning(1)), (at(17), Due::End)]);
        let old = rotate(life(90), DAY_S, None, at(10)).unwrap().old;
        assert_eq!(told(old, (10..20).map(at)), [(at(11), Due::End)]);
    }

    proptest! {
        /// whatever is asked, no key outlives 90 days, and no overlap seven.
        #[test]
        fn no_rotation_lengthens_a_life(days in 1_i64..=90, now in 0_i64..120, overlap in -9_i64..20, lifetime in 0_i64..120) {
            let old = life(days);
            if let Ok(rotated) = rotate(old, overlap * DAY_S, Some(lifetime * DAY_S), at(now)) {
                prop_assert!(rotated.old.expires_at <= old.expires_at);
                prop_assert!(rotated.old.expires_at.since_ms(at(now)) <= limits::API_KEY_OVERLAP_S * 1_000);
                prop_assert!(rotated.new_expires_at.since_ms(at(now)) <= limits::API_KEY_S * 1_000);
            }
        }
    }
}
