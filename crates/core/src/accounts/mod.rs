//! The rules for accounts of people: passwords, one-time codes, recovery codes, lockout, one-time links, invitations, OpenID
//! providers of organizations, and where a page may lead after signing in (A-10, A-11, G-4).

pub mod email;
pub mod invitation;
pub mod lockout;
pub mod members;
pub mod password;
pub mod provider;
pub mod recovery;
pub mod return_to;
pub mod ticket;
pub mod totp;
