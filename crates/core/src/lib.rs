//! The rules of Countersign: envelopes, events, access, tokens. Pure: no HTTP, SQL, files, clock or randomness
//! of its own; whoever calls brings time and dice.

pub mod access;
pub mod accounts;
pub mod address;
pub mod api_key;
pub mod canonical;
pub mod digest;
pub mod envelope;
pub mod id;
pub mod level;
pub mod limits;
pub mod network;
pub mod oauth;
pub mod refusal;
pub mod role;
pub mod scope;
pub mod secret;
pub mod security;
pub mod time;
pub mod webhook;
