//! Commands of the operator that are more than a line: each in a file of its own.

mod audit_key;
pub mod audit_webhook;
pub mod clients;
pub mod keys;
pub mod mails;
pub mod providers;
pub mod webhooks;
