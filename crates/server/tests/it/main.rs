//! Tests of the whole server through HTTPS, in one binary.

mod app;
mod browser;
mod configuration;
mod documents_of_the_api;
mod encryption;
mod gate;
mod idempotency;
mod keys;
mod lifecycle;
mod limits;
mod logs;
