//! What identifies a recipient, and how much each way is worth (S-3, E-8).

use serde::{Deserialize, Serialize};

use crate::level::Level;

/// What identifies a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Having the link, which was mailed to the address.
    Link,
    /// A code that was mailed to the address and typed into the same browser.
    EmailCode,
    /// A code that the sender told the recipient by another way than this product.
    AccessCode,
    /// A code of the authenticator app with which the recipient, a member of the sender's organization, signs in.
    Totp,
    /// A passkey with user verification, registered after the link and a mailed code.
    Passkey,
}

impl Factor {
    /// All factors, the weakest first.
    pub const ALL: [Self; 5] = [Self::Link, Self::EmailCode, Self::AccessCode, Self::Totp, Self::Passkey];

    /// As it is encoded.
    pub fn text(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::EmailCode => "email_code",
            Self::AccessCode => "access_code",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
        }
    }

    /// The level of NIST SP 800-63B-4 that it reaches at most; `None` is below all.
    ///
    /// A link is below: whoever has the mail has it, and so does whoever it is forwarded to. A mailed code is one factor
    /// of the same mailbox. An access code beside the link is two channels, but no more than a mailbox and a thing known.
    /// A code of a member's authenticator app is a thing held, enrolled before this envelope was; beside the link it is two
    /// factors as far as the mailbox is one. A passkey is a key that cannot be phished, opened by a finger, a face or a PIN. None of them says who the person
    /// is: that rests on the mailbox, and for an access code on how it was told.
    pub fn level(self) -> Option<Level> {
        match self {
            Self::Link => None,
            Self::EmailCode | Self::AccessCode => Some(Level::Aal1),
            Self::Totp => Some(Level::Aal2),
            Self::Passkey => Some(Level::Aal2Phr),
        }
    }
}
