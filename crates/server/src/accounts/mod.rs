//! Accounts of people: how somebody becomes a user and a member, proves who it is, and what follows from that.
//! The rules are in `core`; the pages are in `console`.

pub mod changes;
pub mod circumstances;
pub mod codes;
pub mod devices;
pub mod invitations;
pub mod letters;
pub mod mails;
pub mod members;
pub mod passkeys;
pub mod passwords;
pub mod people;
pub mod proofs;
pub mod provider;
pub mod qr;
pub mod recovery;
pub mod reset;
pub mod sealed;
pub mod session;
pub mod sign_in;
pub mod tickets;
pub mod totp;
pub mod tries;
pub mod undelivered;
pub mod welcome;

use countersign_core::{
    id::UserId,
    refusal::{Code, Refusal},
    secret::Personal,
};

use crate::{app::Records, fault::Fault};

/// What accounts need besides the records.
pub struct Accounts {
    /// Hashes passwords, a few at a time.
    pub hashing: passwords::Hashing,
    /// Registers and verifies passkeys, where the server has a name that they can be bound to.
    pub passkeys: Option<passkeys::Passkeys>,
    /// Stands in where an address is nobody's, so that its refusal is as much work. It is in no database.
    pub nobody: people::User,
    /// What is known of the OpenID providers of organizations.
    pub providers: provider::known::Providers,
    /// How fast it is told who was not let in through them.
    pub provider_failures: provider::failures::Failures,
}

impl Accounts {
    /// For these records, with this cost of a hash.
    pub fn new(records: &Records, cost: passwords::Cost) -> Result<Self, Fault> {
        let id = UserId::new(records.now(), records.draw());
        let (name, address) =
            (Personal::new("Nobody".to_owned()), Personal::new("nobody@invalid".to_owned()));
        let mut nobody = people::new(records, id, name, address)?;
        passwords::put(records, &mut nobody, &passwords::of_nobody(records, cost)?)?;
        let passkeys = passkeys::Passkeys::new(&records.config.server.public_url)?;
        Ok(Self {
            hashing: passwords::Hashing::new(cost),
            passkeys,
            nobody,
            providers: provider::known::Providers::default(),
            provider_failures: provider::failures::Failures::default(),
        })
    }
}

/// The one refusal of a sign-in, whatever was wrong.
pub fn refused() -> Refusal {
    Refusal::new(
        Code::SignInRefused,
        "that did not work: something is not right, or it was tried too often; wait a moment and try again",
    )
}

/// What the last of several who changed the same thing at once is told.
pub(crate) fn busy() -> Refusal {
    Refusal::new(Code::Busy, "too many others are changing this now; try again")
}
