//! When a one-time code may be used (RFC 6238): in its step of half a minute or the one beside it, and each once.

use crate::time::Time;

/// Seconds of a step (RFC 6238 §5.2).
pub const STEP_S: u64 = 30;
/// Steps before and after this one whose code is taken, for clocks that differ (RFC 6238 §5.2).
pub const SKEW_STEPS: u16 = 1;
/// Digits of a code.
pub const DIGITS: u8 = 6;
/// Bytes of a secret (RFC 4226 §4, R6).
pub const SECRET_BYTES: usize = 20;

/// Seconds since 1970, as the steps are counted from.
pub fn unix_s(now: Time) -> u64 {
    u64::try_from(now.unix_ms() / 1_000).unwrap_or_default()
}

/// Whether the code of step `matched` may be taken after that of `last`: a code that was used, or seen over somebody's
/// shoulder and is older than that, never is (RFC 6238 §5.2).
pub fn may_follow(last: u64, matched: u64) -> bool {
    matched > last
}

/// A code as it was typed, without what people put between its digits; `None` for what cannot be one.
pub fn read(typed: &str) -> Option<String> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let is_code = digits.len() == usize::from(DIGITS) && digits.bytes().all(|b| b.is_ascii_digit());
    is_code.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G-7: the step that was taken last is over, and so is every one before it.
    #[test]
    fn a_step_is_taken_once_and_never_backwards() {
        assert!(may_follow(10, 11));
        assert!(!may_follow(10, 10));
        assert!(!may_follow(10, 9));
        assert_eq!(unix_s(Time::from_unix_ms(59_999)) / STEP_S, 1);
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        assert_eq!(read(" 123 456 ").as_deref(), Some("123456"));
        assert_eq!(read("123-456").as_deref(), Some("123456"));
        for wrong in ["", "12345", "1234567", "12345a", "１２３４５６"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
