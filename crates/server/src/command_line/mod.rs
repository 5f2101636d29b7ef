//! Commands of the operator that are more than a line: each in a file of its own.

pub mod clients;
pub mod keys;
pub mod mails;
pub mod providers;
