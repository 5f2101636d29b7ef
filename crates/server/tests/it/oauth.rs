//! The authorization server, through HTTPS, with clients of our own: what is right and everything that is wrong. Clients of
//! others are in `oauth_judges`.

pub(crate) mod client;
pub(crate) mod flow;
mod judges;
pub(crate) mod keys;
mod races;
mod strangers;
mod tokens;
