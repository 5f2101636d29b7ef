//! What is sent again to an endpoint because somebody asked: one recovery and one replay at a time, and so many in a day, so that
//! nobody keeps a receiver, or the server, at work for ever. Days are those of UTC.

use serde::{Deserialize, Serialize};

use crate::{
    accounts::invitation::day,
    limits,
    refusal::{Code, Refusal},
    time::Time,
};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What failed is sent again.
    Recover,
    /// What was never told is sent after all.
    Replay,
}

impl Wish {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Recover, Self::Replay];

    /// What it is called.
    pub fn text(self) -> &'static str {
        match self {
            Self::Recover => "recovery",
            Self::Replay => "replay",
        }
    }
}

/// One that is over. Its JSON is a stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Over {
    /// When it was asked for.
    pub asked_at: Time,
    /// When all of it was on its way.
    pub at: Time,
    /// How many deliveries that were.
    pub count: u64,
}

/// What was asked for. Its JSON is a stored form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// When the recovery that is not over was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovering: Option<Time>,
    /// When the replay that is not over was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaying: Option<Time>,
    /// The last recovery that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovered: Option<Over>,
    /// The last replay that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replayed: Option<Over>,
    /// The day of the last one, counted from 1970.
    day: i64,
    /// How many were asked for on that day.
    count: usize,
}

impl Again {
    /// When the one that is not over was asked for.
    pub fn running(&self, wish: Wish) -> Option<Time> {
        match wish {
            Wish::Recover => self.recovering,
            Wish::Replay => self.replaying,
        }
    }

    /// The last one that is over.
    pub fn last(&self, wish: Wish) -> Option<Over> {
        match wish {
            Wish::Recover => self.recovered,
            Wish::Replay => self.replayed,
        }
    }

    /// After somebody asked for it; refused while another one is not over, and when there were as many today as there may be.
    pub fn asked(self, wish: Wish, now: Time) -> Result<Self, Refusal> {
        if let Some(since) = self.running(wish) {
            let sentence = format!(
                "the {} that was asked for at {since} is not over: the deliveries show how far it is; ask for another when it is",
                wish.text()
            );
            return Err(Refusal::new(Code::WebhookState, sentence));
        }
        let today = day(now);
        let count = if self.day == today { self.count } else { 0 };
        if count >= limits::WEBHOOK_AGAIN_A_DAY {
            let sentence = format!(
                "there were {count} recoveries and replays of this endpoint today, which is the most: ask tomorrow (UTC), once, from \
                 the earliest moment on; a single delivery can be resent at any time"
            );
            return Err(Refusal::new(Code::TooMany, sentence));
        }
        Ok(Self { day: today, count: count + 1, ..self.with(wish, Some(now)) })
    }

    /// After all of it, `count` deliveries, is on its way.
    #[must_use]
    pub fn over(self, wish: Wish, at: Time, count: u64) -> Self {
        let Some(asked_at) = self.running(wish) else { return self };
        let over = Some(Over { asked_at, at, count });
        match wish {
            Wish::Recover => Self { recovered: over, ..self.with(wish, None) },
            Wish::Replay => Self { replayed: over, ..self.with(wish, None) },
        }
    }

    fn with(self, wish: Wish, running: Option<Time>) -> Self {
        match wish {
            Wish::Recover => Self { recovering: running, ..self },
            Wish::Replay => Self { replaying: running, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_ms(20_000 * 86_400_000).plus_s(seconds)
    }

    /// W-5: one of a kind at a time.
    #[test]
    fn a_second_one_waits_for_the_end_of_the_first() {
        for (wish, other) in [(Wish::Recover, Wish::Replay), (Wish::Replay, Wish::Recover)] {
            let first = Again::default().asked(wish, at(0)).unwrap();
            let refused = first.asked(wish, at(5)).unwrap_err();
            assert_eq!(refused.code, Code::WebhookState);
            for word in [at(0).to_string().as_str(), wish.text()] {
                assert!(refused.sentence.contains(word), "{word}: {}", refused.sentence);
            }
            assert!(first.asked(wish, at(90_000)).is_err(), "however long it takes");
            let both = first.asked(other, at(5)).unwrap();
            assert!(both.over(other, at(6), 0).asked(wish, at(6)).is_err());
            let over = both.over(wish, at(6), 7);
            assert!(over.asked(wish, at(6)).is_ok());
            assert_eq!(over.last(wish), Some(Over { asked_at: at(0), at: at(6), count: 7 }));
            assert_eq!((over.running(wish), over.last(other)), (None, None));
            assert_eq!(over.over(wish, at(9), 1), over, "once");
        }
    }

    /// W-5: so many in a day, of both kinds together, and as many on the next.
    #[test]
    fn there_are_so_many_in_a_day() {
        let mut again = Again::default();
        for number in 0..limits::WEBHOOK_AGAIN_A_DAY {
            let [one, other] = Wish::ALL;
            let wish = if number % 2 == 0 { one } else { other };
            again = again.asked(wish, at(0)).unwrap().over(wish, at(1), 1);
        }
        for wish in Wish::ALL {
            let refused = again.asked(wish, at(86_399)).unwrap_err();
            assert_eq!(refused.code, Code::TooMany);
            assert!(refused.sentence.contains("tomorrow"), "{}", refused.sentence);
        }
        let next = again.asked(Wish::Recover, at(86_400)).unwrap().over(Wish::Recover, at(86_401), 1);
        assert!(next.asked(Wish::Recover, at(86_400)).is_ok());
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let asked = Again::default().asked(Wish::Replay, at(7)).unwrap();
        for kept in [Again::default(), asked, asked.over(Wish::Replay, at(9), 3)] {
            let text = serde_json::to_string(&kept).unwrap();
            assert_eq!(serde_json::from_str::<Again>(&text).unwrap(), kept, "{text}");
        }
    }
}
