//! The rules of the authorization server: what is taken, what is refused, and what follows from it. Whoever calls brings
//! time, dice, signatures and rows.

pub mod assertion;
pub mod authorize;
pub mod challenge;
mod claims;
pub mod client;
pub mod credential;
pub mod details;
pub mod dpop;
pub mod error;
pub mod form;
pub mod id_token;
pub mod introspection;
pub mod jose;
pub mod json;
pub mod jwt_access;
pub mod keys;
pub mod metadata;
pub mod nonce;
pub mod pkce;
pub mod presented;
pub mod redirect;
pub mod refresh;
pub mod stepup;
pub mod subject;
pub mod terms;
pub mod token;
pub mod uri;
