//! The authorization server, through HTTPS, with clients of our own: what is right and everything that is wrong. Clients of
//! others are in `oauth_judges`.

mod audiences;
pub(crate) mod certificates;
pub(crate) mod client;
mod containment;
mod fapi2;
pub(crate) mod flow;
mod guide;
pub(crate) mod judges;
mod jwks_uri;
pub(crate) mod keys;
mod mutual_tls;
mod origins;
pub(crate) mod races;
mod record;
mod rotation;
mod single_use;
mod strangers;
mod timing;
mod tokens;
