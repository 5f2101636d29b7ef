//! The Countersign server: configuration, keys, use cases, HTTP.

pub mod api;
pub mod app;
pub mod config;
pub mod doctor;
pub mod documents;
pub mod envelopes;
pub mod fault;
pub mod http;
pub mod keys;
pub mod organizations;
pub mod persons;
pub mod tls;
pub mod vault;
