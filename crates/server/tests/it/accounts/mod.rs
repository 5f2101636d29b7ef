//! Accounts of people through HTTPS: becoming a member, signing in, factors, recovery, sessions, lockout (A-10, A-11, G-4).

pub(crate) mod browser;
mod browser_passkeys;
mod factors;
mod lockout;
mod passkeys;
pub(crate) mod person;
mod provider;
mod races;
mod reset;
mod sessions;
mod sign_in;
mod soft_key;
mod timing;
mod undelivered;
mod welcome;
