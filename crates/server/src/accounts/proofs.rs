//! What somebody shows to prove who it is, checked against the account as it is now.

use countersign_core::{
    accounts::{lockout::Kind, totp},
    level::Level,
    secret::Secret,
    time::Time,
};
use countersign_store::access_rows::{AuthenticatorRow, Spend};

use super::{
    passkeys::Verified,
    people::{Factors, TOTP, User},
    recovery,
};
use crate::{app::Records, fault::Fault};

/// What was shown, besides the password where there was one.
pub enum Proof {
    /// A code that was typed: of an authenticator app, or a recovery code.
    Typed(Secret<String>),
    /// A passkey whose answer was verified.
    Passkey(Box<Verified>),
    /// Nothing: good only where there is nothing to show.
    Nothing,
}

/// What it proves.
#[derive(Debug)]
pub struct Proven {
    /// How surely.
    pub level: Level,
    /// How, as sessions and events name it.
    pub methods: Vec<&'static str>,
    /// The factor after its use.
    pub used: Option<AuthenticatorRow>,
    /// What is good once and was used.
    pub spends: Vec<Spend>,
}

/// The kind of a code that was typed.
pub fn kind_of(typed: &Secret<String>) -> Kind {
    if totp::read(typed.expose()).is_some() { Kind::Totp } else { Kind::RecoveryCode }
}

impl Proof {
    /// What it proves of this user, beside a password that was right; `None` if it does not.
    pub fn beside_password(
        &self,
        app: &Records,
        user: &User,
        factors: &Factors,
        now: Time,
    ) -> Result<Option<Proven>, Fault> {
        match self {
            Self::Typed(typed) => {
                let proven = Self::typed(app, user, factors, typed, now)?;
                Ok(proven.map(|mut proven| {
                    proven.methods.insert(0, "password");
                    proven
                }))
            }
            Self::Passkey(verified) => Ok(Some(verified.proven())),
            // Where a second factor is enrolled the password alone opens nothing.
            Self::Nothing if factors.has_second() => Ok(None),
            Self::Nothing => Ok(Some(Proven {
                level: Level::Aal1,
                methods: vec!["password"],
                used: None,
                spends: Vec::new(),
            })),
        }
    }

    /// What it proves by itself: a passkey all; a code is one factor, which goes with a mailed link.
    pub fn alone(
        &self,
        app: &Records,
        user: &User,
        factors: &Factors,
        now: Time,
    ) -> Result<Option<Proven>, Fault> {
        match self {
            Self::Typed(typed) => Self::typed(app, user, factors, typed, now),
            Self::Passkey(verified) => Ok(Some(verified.proven())),
            // A link is no password: whoever has any other way in shows it.
            Self::Nothing if !factors.rows.is_empty() => Ok(None),
            Self::Nothing => self.beside_password(app, user, factors, now),
        }
    }

    fn typed(
        app: &Records,
        user: &User,
        factors: &Factors,
        typed: &Secret<String>,
        now: Time,
    ) -> Result<Option<Proven>, Fault> {
        let (method, used) = match kind_of(typed) {
            Kind::Totp => {
                let mut taken = None;
                for row in factors.kind(TOTP) {
                    taken = taken.or(super::totp::taken(user, row, typed.expose(), now)?);
                }
                (Kind::Totp.text(), taken)
            }
            kind => (kind.text(), recovery::taken(app, user.id(), factors, typed.expose(), now)),
        };
        let proven =
            |used| Proven { level: Level::Aal2, methods: vec![method], used: Some(used), spends: Vec::new() };
        Ok(used.map(proven))
    }
}
