//! When a message goes out, and what an answer means (W-5): delivered, gone, once more at a later time, or given up. Nothing of
//! an answer counts besides its status and `Retry-After`.

use crate::{limits, time::Time};

/// How long a delivery waits after each attempt that failed, in seconds, before the jitter. After the last it is given up.
pub const DELAYS_S: [i64; 13] =
    [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 57_600, 86_400, 86_400];
/// The jitter, to either side, in thousandths.
const JITTER_PERMILLE: i64 = 100;

/// What was tried of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts that were made, with the one that is judged.
    pub attempts: u32,
    /// Those of them after which it waited as the receiver had asked. They take no step of the schedule: else a receiver that
    /// asks for a second each time would use up four days in a minute.
    pub asked: u32,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A status (RFC 9110 §15), and `Retry-After` as it was sent.
    Status {
        /// Its number.
        status: u16,
        /// The header's value, where there is one that is text.
        retry_after: Option<&'a str>,
    },
    /// No answer in time, or a connection that failed or broke.
    None,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// The endpoint is gone for good: nothing goes to it any more.
    Gone,
    /// It is tried again.
    Again {
        /// When.
        at: Time,
        /// Whether it waits as the receiver asked: to be counted in [`Tries::asked`].
        is_asked: bool,
    },
    /// It was tried to the end.
    GivenUp,
}

/// Judges the answer to the attempt that `tries` counts last and that was over at `now`.
pub fn judge(answer: Answer<'_>, tries: Tries, now: Time, random: [u8; 2]) -> Outcome {
    match answer {
        Answer::Status { status: 200..=299, .. } => Outcome::Delivered,
        Answer::Status { status: 410, .. } => Outcome::Gone,
        Answer::Status { status: 429 | 503, retry_after: Some(text) }
            if tries.asked < limits::WEBHOOK_RETRIES_AFTER =>
        {
            let asked_ms = retry_after_ms(text, now);
            asked_ms.map_or_else(
                || scheduled(tries, now, random),
                |wait_ms| Outcome::Again { at: now.plus_ms(wait_ms), is_asked: true },
            )
        }
        Answer::Status { .. } | Answer::None => scheduled(tries, now, random),
    }
}

fn scheduled(tries: Tries, now: Time, random: [u8; 2]) -> Outcome {
    let step = tries.attempts.saturating_sub(tries.asked).saturating_sub(1);
    let delay_s = usize::try_from(step).ok().and_then(|step| DELAYS_S.get(step));
    let Some(delay_s) = delay_s else { return Outcome::GivenUp };
    let least_ms = delay_s * (1_000 - JITTER_PERMILLE);
    let dice = i64::from(u16::from_be_bytes(random));
    let jitter_ms = 2 * delay_s * JITTER_PERMILLE * dice / i64::from(u16::MAX);
    Outcome::Again { at: now.plus_ms(least_ms + jitter_ms), is_asked: false }
}

/// How long a receiver asks to wait (RFC 9110 §10.2.3), in milliseconds: a second at least, an hour at most. `None` for what is
/// neither a number of seconds nor a date in the one form that is sent (IMF-fixdate).
fn retry_after_ms(text: &str, now: Time) -> Option<i64> {
    let text = text.trim_matches([' ', '\t']);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait_ms = if is_number {
        // More digits than fit are more than an hour.
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1_000)
    } else {
        Time::of_http_date(text).ok()?.since_ms(now)
    };
    Some(wait_ms.clamp(1_000, limits::WEBHOOK_RETRY_AFTER_S * 1_000))
}

/// `webhook-timestamp` of an attempt: now in whole seconds, and later than that of the attempt before. The pair of id and
/// timestamp is then never made twice, also where a clock went back or somebody sends again within the second (W-3).
pub fn timestamp_s(now: Time, before_s: Option<i64>) -> i64 {
    let now_s = now.unix_ms() / 1_000;
    before_s.map_or(now_s, |before_s| now_s.max(before_s.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIDDLE: [u8; 2] = [0x7f, 0xff];

    fn now() -> Time {
        Time::from_unix_ms(1_795_000_000_120)
    }

    fn status(status: u16) -> Answer<'static> {
        Answer::Status { status, retry_after: None }
    }

    fn after(status: u16, retry_after: &str) -> Answer<'_> {
        Answer::Status { status, retry_after: Some(retry_after) }
    }

    fn first() -> Tries {
        Tries { attempts: 1, asked: 0 }
    }

    fn wait_ms(outcome: Outcome) -> i64 {
        let Outcome::Again { at, .. } = outcome else { panic!("{outcome:?}") };
        at.since_ms(now())
    }

    /// What happens to a delivery that is answered like this each time: when, and how it ends.
    fn all(answer: Answer<'_>, random: [u8; 2]) -> (Vec<Time>, Outcome) {
        let (mut tries, mut at, mut moments) = (Tries::default(), now(), Vec::new());
        loop {
            tries.attempts += 1;
            moments.push(at);
            match judge(answer, tries, at, random) {
                Outcome::Again { at: next, is_asked } => {
                    assert!(next > at);
                    tries.asked += u32::from(is_asked);
                    at = next;
                }
                end => return (moments, end),
            }
        }
    }

    /// W-5: fourteen attempts over nearly four days, as the wire format says.
    #[test]
    fn a_delivery_is_tried_over_four_days() {
        let (moments, end) = all(Answer::None, MIDDLE);
        assert_eq!((moments.len(), end), (14, Outcome::GivenUp));
        let total_s = moments.last().unwrap().since_ms(now()) / 1_000;
        assert_eq!(DELAYS_S.iter().sum::<i64>(), 330_155);
        assert!((total_s - 330_155).abs() < 60, "{total_s}");
        let page = include_str!("../../../../docs/webhooks/wire-format.md");
        assert!(page.contains(
            "after 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 4 h, 8 h, 12 h, 16 h, 24 h and 24 h (each ± 10 %)"
        ));
        assert_eq!(
            DELAYS_S.map(|delay_s| delay_s / 60),
            [0, 0, 2, 10, 30, 60, 120, 240, 480, 720, 960, 1440, 1440]
        );
    }

    /// W-5: what each answer means.
    #[test]
    fn an_answer_means_one_thing() {
        for taken in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status(taken), first(), now(), MIDDLE), Outcome::Delivered);
        }
        assert_eq!(judge(after(410, "5"), first(), now(), MIDDLE), Outcome::Gone);
        for other in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503, 599, 0] {
            let outcome = judge(status(other), first(), now(), MIDDLE);
            assert_eq!((wait_ms(outcome) + 500) / 1_000, 5, "{other}");
        }
        assert_eq!(judge(status(500), Tries { attempts: 14, asked: 0 }, now(), MIDDLE), Outcome::GivenUp);
        assert_eq!(judge(status(204), Tries { attempts: 14, asked: 0 }, now(), MIDDLE), Outcome::Delivered);
    }

    /// W-5: `Retry-After` is honoured of 429 and 503, within an hour; what is no such value changes nothing.
    #[test]
    fn retry_after_is_honoured_within_an_hour() {
        for (text, wait) in [
            ("120", 120_000),
            (" 120\t", 120_000),
            ("0", 1_000),
            ("3601", 3_600_000),
            ("1000000000", 3_600_000),
            ("99999999999999999999999999", 3_600_000),
            ("Wed, 18 Nov 2026 11:07:40 GMT", 59_880),
            ("Wed, 18 Nov 2026 11:00:00 GMT", 1_000),
            ("Wed, 01 Jan 2200 00:00:00 GMT", 3_600_000),
        ] {
            for code in [429, 503] {
                let outcome = judge(after(code, text), first(), now(), MIDDLE);
                assert_eq!(outcome, Outcome::Again { at: now().plus_ms(wait), is_asked: true }, "{text}");
            }
            let elsewhere = judge(after(500, text), first(), now(), MIDDLE);
            assert_eq!(elsewhere, judge(status(500), first(), now(), MIDDLE), "{text}");
        }
        for rubbish in [
            "",
            "1e9",
            "-1",
            "+5",
            "5.5",
            "0x10",
            "soon",
            "５",
            "5, 6",
            "Wednesday, 18-Nov-26 11:07:40 GMT",
            "Wed Nov 18 11:07:40 2026",
            "Thu, 18 Nov 2026 11:07:40 GMT",
            "Wed, 18 Nov 2026 11:07:40 CET",
            "wed, 18 Nov 2026 11:07:40 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Wed, 31 Feb 2026 11:07:40 GMT",
        ] {
            let outcome = judge(after(503, rubbish), first(), now(), MIDDLE);
            assert_eq!(outcome, judge(status(503), first(), now(), MIDDLE), "{rubbish}");
        }
    }

    /// W-5: a receiver that asks to be asked at once neither uses up the days that it has, nor is asked without end.
    #[test]
    fn a_receiver_that_asks_for_a_second_still_has_four_days() {
        for text in ["0", "1", "3600", "1000000000"] {
            let (moments, end) = all(after(503, text), MIDDLE);
            let asked = usize::try_from(limits::WEBHOOK_RETRIES_AFTER).unwrap();
            assert_eq!((moments.len(), end), (14 + asked, Outcome::GivenUp));
            assert!(moments.last().unwrap().since_ms(now()) > 330_000 * 1_000);
        }
    }

    proptest! {
        /// W-5: every wait is within a tenth of the schedule's, wherever the dice fall, and both ends are reached.
        #[test]
        fn jitter_is_a_tenth_to_either_side(random: [u8; 2], attempts in 1_u32..=13) {
            let delay_ms = DELAYS_S[attempts as usize - 1] * 1_000;
            let tries = Tries { attempts, asked: 0 };
            let wait_of = |random| wait_ms(judge(Answer::None, tries, now(), random));
            prop_assert!((delay_ms * 9 / 10..=delay_ms * 11 / 10).contains(&wait_of(random)));
            prop_assert_eq!(wait_of([0, 0]), delay_ms * 9 / 10);
            prop_assert_eq!(wait_of([255, 255]), delay_ms * 11 / 10);
        }

        /// W-5: whatever a receiver sends, the next attempt is later than now, and a day and its jitter away at most.
        #[test]
        fn no_answer_leads_anywhere_else(
            code: u16, text in "([0-9]{0,25}|\\PC{0,20}|[A-Za-z]{3}, [0-9 A-Za-z:]{0,30})", attempts: u32, asked: u32,
        ) {
            let outcome = judge(after(code, &text), Tries { attempts, asked }, now(), MIDDLE);
            if let Outcome::Again { at, .. } = outcome {
                prop_assert!((1_000..=95_040_000).contains(&at.since_ms(now())));
            }
        }

        /// W-3: no two attempts of a message have one timestamp, whatever the clock does.
        #[test]
        fn each_attempt_has_a_later_timestamp(clock in proptest::collection::vec(0_i64..100_000, 1..20)) {
            let mut before = None;
            for at in clock {
                let next = timestamp_s(Time::from_unix_ms(at), before);
                prop_assert!(before.is_none_or(|before| next > before) && next >= at / 1_000);
                before = Some(next);
            }
        }
    }
}
