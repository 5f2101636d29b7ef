//! The Countersign server.

pub mod signer;
