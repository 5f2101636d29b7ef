//! One-time links of accounts: what they are for, how long they live, and whether one can still be used.

use crate::{
    limits,
    refusal::{Code, Refusal},
    time::Time,
};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To become the first owner of an organization.
    FirstOwner,
    /// To become a member.
    Invitation,
    /// To set another password.
    PasswordReset,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::FirstOwner, Self::Invitation, Self::PasswordReset];

    /// As it is stored.
    pub fn text(self) -> &'static str {
        match self {
            Self::FirstOwner => "first_owner",
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.text() == text)
    }

    /// How long such a link lives, in seconds.
    pub fn lifetime_s(self) -> i64 {
        match self {
            Self::FirstOwner => limits::FIRST_OWNER_S,
            Self::Invitation => limits::INVITATION_S,
            Self::PasswordReset => limits::RESET_S,
        }
    }
}

/// Refuses a link that was used or that has expired.
pub fn check(used_at: Option<Time>, expires_at: Time, now: Time) -> Result<(), Refusal> {
    if used_at.is_some() {
        return Err(Refusal::new(Code::LinkUsed, "this link was used before; it works once"));
    }
    if expires_at <= now {
        return Err(Refusal::new(Code::LinkExpired, "this link has expired; ask for a new one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a link ends with its time, and with its use.
    #[test]
    fn a_link_is_good_until_its_end_and_once() {
        let made = Time::from_unix_ms(1_000);
        for purpose in Purpose::ALL {
            let end = made.plus_s(purpose.lifetime_s());
            assert!(check(None, end, end.plus_ms(-1)).is_ok(), "{purpose:?}");
            assert_eq!(check(None, end, end).unwrap_err().code, Code::LinkExpired);
            assert_eq!(check(Some(made), end, made).unwrap_err().code, Code::LinkUsed);
            assert_eq!(Purpose::parse(purpose.text()), Some(purpose));
        }
    }
}
