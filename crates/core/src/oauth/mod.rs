//! The rules of the authorization server: what is taken, what is refused, and what follows from it. Whoever calls brings
//! time, dice, signatures and rows.

pub mod assertion;
pub mod challenge;
pub mod client;
pub mod dpop;
pub mod error;
pub mod form;
pub mod jose;
pub mod json;
pub mod nonce;
pub mod pkce;
pub mod presented;
pub mod redirect;
pub mod uri;
