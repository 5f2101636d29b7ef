//! Time as the product keeps it: milliseconds since 1970 in UTC, written as RFC 3339.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, within the years 0 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Text that is not a moment in the one form we write.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a time is written in UTC with milliseconds, like 2026-11-21T14:03:26.123Z (RFC 3339)")]
pub struct NotATime;

/// Text that is not a date of HTTP.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a date of HTTP is written like Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110 §5.6.7)")]
pub struct NotAnHttpDate;

/// The calendar parts of a moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Year.
    pub year: i16,
    /// Month from 1.
    pub month: i8,
    /// Day from 1.
    pub day: i8,
    /// Hour from 0.
    pub hour: i8,
    /// Minute.
    pub minute: i8,
    /// Second.
    pub second: i8,
}

impl Time {
    /// The moment so many milliseconds after 1970; clamped to the years 1970 to 9999.
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        Self(unix_ms.clamp(0, 253_402_300_799_999))
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// This moment and so many milliseconds.
    #[must_use]
    pub fn plus_ms(self, duration_ms: i64) -> Self {
        Self::from_unix_ms(self.0.saturating_add(duration_ms))
    }

    /// This moment and so many seconds.
    #[must_use]
    pub fn plus_s(self, duration_s: i64) -> Self {
        self.plus_ms(duration_s.saturating_mul(1_000))
    }

    /// Milliseconds from `earlier` to this moment; negative where `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Calendar parts in UTC.
    pub fn calendar(self) -> Calendar {
        let at = self.timestamp().to_zoned(TimeZone::UTC);
        Calendar {
            year: at.year(),
            month: at.month(),
            day: at.day(),
            hour: at.hour(),
            minute: at.minute(),
            second: at.second(),
        }
    }

    /// For people, in UTC: `2026-11-21 14:03:26 UTC`.
    pub fn in_utc(self) -> String {
        self.timestamp().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// For people, in the named IANA zone: `2026-11-21 15:03:26 +01:00 (Europe/Zurich)`; `None` for an unknown zone.
    pub fn in_zone(self, zone: &str) -> Option<String> {
        let at = self.timestamp().in_tz(zone).ok()?;
        Some(format!("{} ({zone})", at.strftime("%Y-%m-%d %H:%M:%S %:z")))
    }

    /// The date alone, in the named IANA zone, or in UTC for an unknown zone: `2026-11-21`.
    pub fn date_in_zone(self, zone: Option<&str>) -> String {
        let at = self.timestamp();
        let zoned = zone.and_then(|zone| at.in_tz(zone).ok()).unwrap_or_else(|| at.to_zoned(TimeZone::UTC));
        zoned.strftime("%Y-%m-%d").to_string()
    }
}

impl Time {
    /// Reads any moment of RFC 3339, in any offset: what people and programs type. What is stored is read by [`FromStr`].
    pub fn of_rfc3339(text: &str) -> Result<Self, NotATime> {
        let at: Timestamp = text.parse().map_err(|_| NotATime)?;
        Ok(Self::from_unix_ms(at.as_millisecond()))
    }

    /// Reads a date as HTTP writes it: IMF-fixdate (RFC 9110 §5.6.7), and neither of the forms that are obsolete.
    pub fn of_http_date(text: &str) -> Result<Self, NotAnHttpDate> {
        const FORM: &str = "%a, %d %b %Y %H:%M:%S GMT";
        let parts = strtime::parse(FORM, text).map_err(|_| NotAnHttpDate)?;
        let at = parts.to_datetime().and_then(|at| at.to_zoned(TimeZone::UTC)).map_err(|_| NotAnHttpDate)?;
        // Read leniently, and compared: the day of the week, the case of letters and each zero are as they must be.
        let is_as_written = at.strftime(FORM).to_string() == text;
        is_as_written.then(|| Self::from_unix_ms(at.timestamp().as_millisecond())).ok_or(NotAnHttpDate)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let at: Timestamp = text.parse().map_err(|_| NotATime)?;
        let time = Self::from_unix_ms(at.as_millisecond());
        if time.to_string() == text { Ok(time) } else { Err(NotATime) }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_text() {
        let at = Time::from_unix_ms(1_795_000_000_120);
        assert_eq!(at.to_string(), "2026-11-18T11:06:40.120Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-18T07:06:40.12Z".parse::<Time>(), Err(NotATime));
        assert_eq!("2026-11-18T08:06:40.120+01:00".parse::<Time>(), Err(NotATime));
    }

    #[test]
    fn a_date_of_http_has_one_text() {
        let of = |text: &str| Time::of_http_date(text).map(Time::unix_ms);
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Ok(784_111_777_000));
        assert_eq!(of("Thu, 29 Feb 2024 00:00:00 GMT"), Ok(1_709_164_800_000));
        for wrong in [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Thu, 29 Feb 2023 00:00:00 GMT",
            "",
        ] {
            assert_eq!(of(wrong), Err(NotAnHttpDate), "{wrong}");
        }
    }

    #[test]
    fn people_read_utc_and_their_own_zone() {
        let at = Time::from_unix_ms(1_795_000_000_120);
        assert_eq!(at.in_utc(), "2026-11-18 11:06:40 UTC");
        assert_eq!(
            at.in_zone("Europe/Zurich").as_deref(),
            Some("2026-11-18 12:06:40 +01:00 (Europe/Zurich)")
        );
        assert_eq!(at.in_zone("Mars/Olympus"), None);
        assert_eq!(at.date_in_zone(Some("Pacific/Kiritimati")), "2026-11-19");
    }
}
