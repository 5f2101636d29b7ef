//! How often somebody may try: counted per account and kind of credential, in two lanes. A device that signed in before
//! has counters of its own, which strangers cannot use up; all strangers share one set (G-4). A try is counted before it is
//! verified, so that of many at once none is free.

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, limits, time::Time};

/// Tries after which the waiting begins.
const FREE: u32 = 3;
/// Longest wait between two tries, in seconds.
const LONGEST_WAIT_S: i64 = 3_600;
/// Tries within a time, in seconds.
const WINDOWS: [(usize, i64); 2] = [(10, 3_600), (30, 24 * 3_600)];
/// Tries that are remembered: as many as the longest window has.
const REMEMBERED: usize = 30;
/// Tries in a row after which nothing is taken any more, until the owner comes in another way.
const IN_A_ROW: u32 = 100;

/// What is guessed. A passkey cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The password.
    Password,
    /// A one-time code.
    Totp,
    /// A recovery code.
    RecoveryCode,
}

impl Kind {
    /// As events name it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
        }
    }
}

/// Tries of one kind by one party.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Lane {
    /// Since the last success.
    in_a_row: u32,
    /// When the last of them were, oldest first, in milliseconds since 1970.
    at: Vec<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Lanes {
    password: Lane,
    recovery_code: Lane,
    totp: Lane,
}

impl Lanes {
    fn of(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Password => &mut self.password,
            Kind::Totp => &mut self.totp,
            Kind::RecoveryCode => &mut self.recovery_code,
        }
    }
}

/// A device from which the owner signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    /// SHA-256 of what its cookie holds.
    id: Digest,
    /// Since when.
    since: Time,
    lanes: Lanes,
}

/// All counters of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failures {
    devices: Vec<Device>,
    strangers: Lanes,
}

/// Whether a try may be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and is counted. If it fails, this kind is locked for this party until then.
    Counted(Option<Time>),
    /// It may not, and is not counted: nobody can prolong a lock by knocking.
    Locked,
}

impl Lane {
    /// From when on the next try is taken.
    fn open_at(&self) -> Option<Time> {
        let Some(last) = self.at.last().copied().map(Time::from_unix_ms) else {
            return (self.in_a_row < IN_A_ROW).then(|| Time::from_unix_ms(0));
        };
        if self.in_a_row >= IN_A_ROW {
            return None;
        }
        let doublings = self.in_a_row.saturating_sub(FREE).min(20);
        let wait_s = if self.in_a_row < FREE { 0 } else { (1_i64 << doublings).min(LONGEST_WAIT_S) };
        let windows = WINDOWS.iter().filter_map(|(count, window_s)| {
            let first = self.at.len().checked_sub(*count)?;
            Some(Time::from_unix_ms(*self.at.get(first)?).plus_s(*window_s))
        });
        Some(windows.fold(last.plus_s(wait_s), Time::max))
    }

    fn count(&mut self, now: Time) -> Verdict {
        if self.open_at().is_none_or(|open_at| open_at > now) {
            return Verdict::Locked;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.at.push(now.unix_ms());
        if self.at.len() > REMEMBERED {
            self.at.remove(0);
        }
        // A wait of seconds is no lock: it is over before anybody is told.
        let never = Time::from_unix_ms(i64::MAX);
        let open_at = self.open_at().unwrap_or(never);
        let is_lock = self.at.len()
            >= WINDOWS.map(|(count, _)| count).into_iter().min().unwrap_or(REMEMBERED)
            && open_at.since_ms(now) > 60_000;
        Verdict::Counted(is_lock.then_some(open_at))
    }
}

impl Failures {
    /// Counts a try of `kind` by the device with this id, if it is known, or by a stranger.
    pub fn count(&mut self, device: Option<&Digest>, kind: Kind, now: Time) -> Verdict {
        self.lanes(device, now).of(kind).count(now)
    }

    fn lanes(&mut self, device: Option<&Digest>, now: Time) -> &mut Lanes {
        let known = self
            .devices
            .iter_mut()
            .find(|known| Some(&known.id) == device && known.since.plus_s(limits::KNOWN_DEVICE_S) > now);
        known.map_or(&mut self.strangers, |known| &mut known.lanes)
    }

    /// A try that was counted was right, and opened no account: it counts no more. Those that were wrong go on to.
    pub fn was_right(&mut self, device: Option<&Digest>, kind: Kind, now: Time) {
        let lane = self.lanes(device, now).of(kind);
        lane.in_a_row = lane.in_a_row.saturating_sub(1);
        lane.at.pop();
    }

    /// The owner came in: all counters begin anew, and the device is known by `next` from now on, no longer by `device`.
    pub fn came_in(&mut self, device: Option<&Digest>, next: Digest, now: Time) {
        self.strangers = Lanes::default();
        self.devices
            .retain(|known| Some(&known.id) != device && known.since.plus_s(limits::KNOWN_DEVICE_S) > now);
        while self.devices.len() >= limits::KNOWN_DEVICES {
            self.devices.remove(0);
        }
        self.devices.push(Device { id: next, since: now, lanes: Lanes::default() });
    }

    /// The owner changed how to come in: no device is known any more, and no try counts.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 24 * 3_600;

    fn own() -> Digest {
        Digest::of(b"the owner's device")
    }

    /// Knocks every second and counts what was let through to be verified.
    fn verified(failures: &mut Failures, device: Option<&Digest>, seconds: i64) -> usize {
        (0..seconds)
            .filter(|second| {
                let now = Time::from_unix_ms(1_000_000).plus_s(*second);
                failures.count(device, Kind::Password, now) != Verdict::Locked
            })
            .count()
    }

    /// G-4: three are free, then each wait is twice the one before.
    #[test]
    fn the_wait_doubles_after_three() {
        let mut failures = Failures::default();
        let mut at = Time::from_unix_ms(5_000);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let from = at;
            while failures.count(None, Kind::Password, at) == Verdict::Locked {
                at = at.plus_s(1);
            }
            waits.push(at.since_ms(from) / 1_000);
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32]);
    }

    /// G-4: all strangers together verify ten in an hour and thirty in a day, however many addresses they have.
    #[test]
    fn strangers_share_ten_an_hour_and_thirty_a_day() {
        assert_eq!(verified(&mut Failures::default(), None, 3_600), 10);
        assert_eq!(verified(&mut Failures::default(), None, DAY_S), 30);
        assert!(verified(&mut Failures::default(), None, 3 * DAY_S) <= 90);
    }

    /// G-4: after a hundred in a row strangers verify nothing any more, ever.
    #[test]
    fn a_hundred_in_a_row_are_the_last() {
        let mut failures = Failures::default();
        assert_eq!(verified(&mut failures, None, 10 * DAY_S), 100);
        let years_later = Time::from_unix_ms(1_000_000).plus_s(4_000 * DAY_S);
        assert_eq!(failures.count(None, Kind::Password, years_later), Verdict::Locked);
        // Another kind of credential has its own count.
        assert_ne!(failures.count(None, Kind::Totp, years_later), Verdict::Locked);
        failures.came_in(None, own(), years_later);
        assert_ne!(failures.count(None, Kind::Password, years_later), Verdict::Locked);
    }

    /// G-4: a stranger cannot lock out the owner's known device, nor be taken for it with another cookie.
    #[test]
    fn strangers_do_not_lock_a_known_device() {
        let mut failures = Failures::default();
        let start = Time::from_unix_ms(0);
        failures.came_in(None, own(), start);
        verified(&mut failures, None, DAY_S);
        let now = Time::from_unix_ms(1_000_000).plus_s(DAY_S - 1);
        assert_eq!(failures.count(None, Kind::Password, now), Verdict::Locked);
        let forged = Digest::of(b"made up");
        assert_eq!(failures.count(Some(&forged), Kind::Password, now), Verdict::Locked);
        assert_eq!(failures.count(Some(&own()), Kind::Password, now), Verdict::Counted(None));
        // Its own wrong tries lock it like everybody.
        assert!(verified(&mut failures, Some(&own()), DAY_S) <= 30);
    }

    /// A device is known by its newest cookie alone, for half a year, and as one of a few.
    #[test]
    fn a_device_is_known_by_its_newest_cookie() {
        let mut failures = Failures::default();
        let now = Time::from_unix_ms(0);
        failures.came_in(None, own(), now);
        let next = Digest::of(b"next");
        failures.came_in(Some(&own()), next, now);
        assert_eq!(failures.devices.len(), 1);
        assert_eq!(failures.devices[0].id, next);
        for number in 0..40_u8 {
            failures.came_in(None, Digest::of(&[number]), now);
        }
        assert_eq!(failures.devices.len(), limits::KNOWN_DEVICES);
        failures.came_in(None, own(), now.plus_s(limits::KNOWN_DEVICE_S));
        assert_eq!(failures.devices.len(), 1, "what is half a year old is forgotten");
        failures.begin_anew();
        assert_eq!(failures, Failures::default());
    }

    /// G-4: the try that brings a lock says until when, and knocking does not prolong it.
    #[test]
    fn a_lock_is_told_once_and_ends_by_itself() {
        let mut failures = Failures::default();
        let mut locks = Vec::new();
        for second in 0..7_200 {
            let now = Time::from_unix_ms(0).plus_s(second);
            if let Verdict::Counted(Some(until)) = failures.count(None, Kind::Totp, now) {
                locks.push((second, until.unix_ms() / 1_000));
            }
        }
        assert!(!locks.is_empty() && locks.len() <= 11, "{locks:?}");
        assert_eq!(locks[0].1, 3_600, "an hour after the first of ten");
    }

    /// G-4: a right code that opens no account is no try, and forgives no wrong one.
    #[test]
    fn a_right_code_is_no_try() {
        let mut failures = Failures::default();
        let at = |minute: i64| Time::from_unix_ms(0).plus_s(60 * minute);
        for minute in 0..40 {
            assert_eq!(failures.count(None, Kind::Totp, at(minute)), Verdict::Counted(None));
            failures.was_right(None, Kind::Totp, at(minute));
        }
        assert_eq!(failures, Failures::default());
        failures.count(None, Kind::Totp, at(40));
        let wrong = failures.clone();
        failures.count(None, Kind::Totp, at(41));
        failures.was_right(None, Kind::Totp, at(41));
        assert_eq!(failures, wrong);
    }

    /// The stored form.
    #[test]
    fn counters_survive_their_text() {
        let mut failures = Failures::default();
        failures.came_in(None, own(), Time::from_unix_ms(0));
        failures.count(None, Kind::RecoveryCode, Time::from_unix_ms(7));
        let text = crate::canonical::to_vec(&failures).unwrap();
        assert_eq!(serde_json::from_slice::<Failures>(&text).unwrap(), failures);
        assert_eq!(serde_json::from_str::<Failures>("{}").unwrap(), Failures::default());
    }
}
