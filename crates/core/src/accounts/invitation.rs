//! How many invitations are mailed: so many in a day for an organization, and few to one address, so that whoever may invite
//! cannot make the server mail somebody again and again. Days are those of UTC.

use crate::{
    limits,
    refusal::{Code, Refusal},
    time::Time,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The day of a moment, counted from 1970.
pub fn day(at: Time) -> i64 {
    at.unix_ms().div_euclid(DAY_MS)
}

/// Refuses another invitation, when so many were mailed today in the organization, and of these to this address. What was
/// taken back or replaced was mailed, too.
pub fn check_pace(of_organization: usize, of_address: usize) -> Result<(), Refusal> {
    if of_address >= limits::INVITATIONS_OF_ADDRESS_A_DAY {
        let sentence = format!(
            "this address was mailed {of_address} invitations today: ask whoever has it to look for the newest, also among \
             unwanted mail, or invite again tomorrow (UTC)"
        );
        return Err(Refusal::at(Code::TooMany, "/email", sentence));
    }
    if of_organization >= limits::INVITATIONS_A_DAY {
        let sentence = format!(
            "your organization mailed {of_organization} invitations today, which is the most: go on tomorrow (UTC)"
        );
        return Err(Refusal::new(Code::TooMany, sentence));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        let midnight = Time::from_unix_ms(20_000 * DAY_MS);
        assert_eq!((day(midnight), day(midnight.plus_ms(-1))), (20_000, 19_999));
    }

    /// one more is refused, with what to do, and one less is not.
    #[test]
    fn so_many_are_mailed_and_no_more() {
        let (most, of_address) = (limits::INVITATIONS_A_DAY, limits::INVITATIONS_OF_ADDRESS_A_DAY);
        check_pace(most - 1, of_address - 1).unwrap();
        let refused = check_pace(most - 1, of_address).unwrap_err();
        assert_eq!((refused.code, refused.pointer.as_deref()), (Code::TooMany, Some("/email")));
        assert!(refused.sentence.contains("tomorrow"), "{}", refused.sentence);
        let refused = check_pace(most, 0).unwrap_err();
        assert_eq!((refused.code, refused.pointer), (Code::TooMany, None));
    }
}
