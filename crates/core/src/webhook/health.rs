//! When an endpoint to which nothing is delivered is warned of and disabled (W-5): after five days of failures without one
//! success, with mails four days and one day before. What failed once and was not tried again does not count as days.

use serde::{Deserialize, Serialize};

use crate::{limits, time::Time};

const DAY_S: i64 = 24 * 3_600;
/// So many days before it is disabled its owners are told, the earliest first.
pub const NOTICES_DAYS: [u32; 2] = [4, 1];

/// That somebody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// So many days before the end.
    pub days: u32,
    /// When.
    pub at: Time,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// When the first attempt failed after the last success.
    pub since: Time,
    /// When the last one failed.
    pub last_at: Time,
    /// The last notice, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Notice>,
}

/// How deliveries to an endpoint go. Kept in its row; a success of an endpoint that is well changes nothing, and costs no write.
/// Its JSON is a stored form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Since when they fail; `None` where the last one did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
}

/// What is to be done about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Nothing before this moment, unless something is delivered.
    Later(Time),
    /// Its owners are told that it is disabled in so many days.
    Notice(u32),
    /// It is disabled, and its owners are told.
    Disable,
}

impl Health {
    /// After a delivery.
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self { failing: None }
    }

    /// After an attempt that failed at `now`. A long time without an attempt begins anew: nobody knows how it was then.
    #[must_use]
    pub fn failed(self, now: Time) -> Self {
        let anew = Failing { since: now, last_at: now, told: None };
        let failing = self.failing.filter(|failing| !failing.is_stale(now));
        let failing =
            failing.map_or(anew, |failing| Failing { last_at: failing.last_at.max(now), ..failing });
        Self { failing: Some(failing) }
    }

    /// After its owners were told at `now`.
    #[must_use]
    pub fn told(self, days: u32, now: Time) -> Self {
        let told = Some(Notice { days, at: now });
        Self { failing: self.failing.map(|failing| Failing { told, ..failing }) }
    }

    /// What is to be done at `now`.
    pub fn due(&self, now: Time) -> Due {
        self.failing.filter(|failing| !failing.is_stale(now)).map_or(Due::Nothing, |failing| failing.due(now))
    }
}

impl Failing {
    fn is_stale(&self, now: Time) -> bool {
        now.since_ms(self.last_at) > limits::WEBHOOK_FAILING_GAP_S * 1_000
    }

    fn due(&self, now: Time) -> Due {
        let end = self.since.plus_s(limits::WEBHOOK_FAILING_S);
        let told_days = self.told.map(|notice| notice.days);
        let last = NOTICES_DAYS.into_iter().min();
        if told_days == last {
            // Where the last notice was late, the end is: who was told of a day has it.
            let end =
                self.told.map_or(end, |notice| end.max(notice.at.plus_s(i64::from(notice.days) * DAY_S)));
            return if end <= now { Due::Disable } else { Due::Later(end) };
        }
        let untold = NOTICES_DAYS.into_iter().filter(|days| told_days.is_none_or(|told| *days < told));
        let (mut next, mut due) = (end, None);
        for days in untold {
            let at = end.plus_s(-i64::from(days) * DAY_S);
            if at <= now {
                due = Some(days);
            } else {
                next = next.min(at);
            }
        }
        due.map_or(Due::Later(next), Due::Notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_S: i64 = 3_600;

    fn begin() -> Time {
        Time::from_unix_ms(1_795_000_000_000)
    }

    fn at(hours: i64) -> Time {
        begin().plus_s(hours * HOUR_S)
    }

    /// What is done about an endpoint that fails at these hours, with a look each hour for so many of them.
    fn done(fails: impl Fn(i64) -> bool, succeeds: impl Fn(i64) -> bool, hours: i64) -> Vec<(i64, Due)> {
        let (mut health, mut done) = (Health::default(), Vec::new());
        for hour in 0..hours {
            if fails(hour) {
                health = health.failed(at(hour));
            }
            if succeeds(hour) {
                health = health.succeeded();
            }
            let due = health.due(at(hour));
            match due {
                Due::Nothing | Due::Later(_) => continue,
                Due::Notice(days) => health = health.told(days, at(hour)),
                Due::Disable => {}
            }
            done.push((hour, due));
            if due == Due::Disable {
                break;
            }
        }
        done
    }

    fn never(_: i64) -> bool {
        false
    }

    /// W-5: five days of failures, with notices four days and one day before the end.
    #[test]
    fn an_endpoint_that_fails_for_five_days_is_warned_of_and_disabled() {
        let expected = [(24, Due::Notice(4)), (96, Due::Notice(1)), (120, Due::Disable)];
        assert_eq!(done(|_| true, never, 1_000), expected);
        assert_eq!(done(|hour| hour % 24 == 0, never, 1_000), expected, "as seldom as the schedule tries");
    }

    /// W-5: one success and the days are counted anew; whoever was warned in vain is warned again.
    #[test]
    fn a_success_takes_it_all_back() {
        let expected = [
            (24, Due::Notice(4)),
            (96, Due::Notice(1)),
            (144, Due::Notice(4)),
            (216, Due::Notice(1)),
            (240, Due::Disable),
        ];
        assert_eq!(done(|_| true, |hour| hour == 119, 1_000), expected);
        assert_eq!(
            done(|_| true, |hour| hour % 24 == 23, 1_000),
            [],
            "it fails each day, and is delivered to each day"
        );
    }

    /// W-5: failures throughout, and not one long ago: what is not tried is not failing.
    #[test]
    fn silence_is_no_failure() {
        assert_eq!(done(|hour| hour == 0, never, 1_000), [(24, Due::Notice(4))]);
        let expected =
            [(24, Due::Notice(4)), (624, Due::Notice(4)), (696, Due::Notice(1)), (720, Due::Disable)];
        assert_eq!(done(|hour| hour == 0 || hour >= 600, never, 1_000), expected);
        let weekly = done(|hour| hour % 168 == 0, never, 2_000);
        assert!(weekly.iter().all(|(_, due)| *due == Due::Notice(4)), "{weekly:?}");
    }

    /// W-5: whoever was told of a day has it, also where the notice was late.
    #[test]
    fn a_late_notice_delays_the_end() {
        let mut health = Health::default();
        for hour in (0..=130).step_by(10) {
            health = health.failed(at(hour));
        }
        assert_eq!(health.due(at(130)), Due::Notice(1), "of several that were missed the last is enough");
        let health = health.told(1, at(130));
        assert_eq!(health.due(at(131)), Due::Later(at(154)));
        assert_eq!(health.failed(at(140)).due(at(154).plus_ms(-1)), Due::Later(at(154)));
        assert_eq!(health.failed(at(140)).due(at(154)), Due::Disable);
    }

    /// W-5: to the millisecond; whoever waits until what it is told misses nothing.
    #[test]
    fn whoever_waits_as_told_comes_at_the_right_moments() {
        let (mut health, mut now, mut moments) = (Health::default().failed(begin()), begin(), Vec::new());
        loop {
            health = health.failed(now);
            match health.due(now) {
                Due::Later(next) => {
                    assert!(next > now);
                    while now.plus_s(DAY_S) < next {
                        now = now.plus_s(DAY_S);
                        health = health.failed(now);
                    }
                    let just_before = health.failed(next.plus_ms(-1));
                    assert_eq!(just_before.due(next.plus_ms(-1)), Due::Later(next), "not a moment earlier");
                    health = just_before;
                    now = next;
                    continue;
                }
                Due::Notice(days) => health = health.told(days, now),
                Due::Disable => break,
                Due::Nothing => panic!("it fails"),
            }
            moments.push(now);
        }
        assert_eq!((moments, now), (vec![at(24), at(96)], at(120)));
    }

    #[test]
    fn the_stored_form_is_this() {
        let health = Health::default().failed(begin()).told(4, at(24));
        let json = r#"{"failing":{"since":"2026-11-18T11:06:40.000Z","last_at":"2026-11-18T11:06:40.000Z","told":{"days":4,"at":"2026-11-19T11:06:40.000Z"}}}"#;
        for (health, json) in [(health, json), (Health::default(), "{}")] {
            assert_eq!(serde_json::to_string(&health).unwrap(), json);
            assert_eq!(serde_json::from_str::<Health>(json).unwrap(), health);
        }
    }

    proptest! {
        /// W-5: whatever comes, nobody is disabled who was delivered to within five days, or was not told a day before.
        #[test]
        fn nobody_is_disabled_unwarned(acts in proptest::collection::vec((0_u8..12, 1_i64..40), 1..200)) {
            let (mut health, mut now) = (Health::default(), begin());
            let (mut success_at, mut notice_at, mut failures) = (begin(), None, 0);
            for (act, hours) in acts {
                now = now.plus_s(hours * HOUR_S);
                if act == 0 {
                    health = health.succeeded();
                    (success_at, notice_at, failures) = (now, None, 0);
                } else {
                    health = health.failed(now);
                    failures += 1;
                }
                match health.due(now) {
                    Due::Notice(days) => {
                        health = health.told(days, now);
                        notice_at = Some(now);
                    }
                    Due::Disable => {
                        prop_assert!(now.since_ms(success_at) >= limits::WEBHOOK_FAILING_S * 1_000);
                        prop_assert!(notice_at.is_some_and(|told| now.since_ms(told) >= DAY_S * 1_000));
                        prop_assert!(failures >= 4, "throughout: never more than a day and a half apart");
                        break;
                    }
                    Due::Later(next) => prop_assert!(next > now),
                    Due::Nothing => {}
                }
            }
        }
    }
}
