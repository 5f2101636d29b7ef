//! HTTP: the accept loop, what every request passes on its way in, and what every answer gets on its way out.

pub mod accept;
pub mod auth;
pub mod client_certificate;
pub mod client_ip;
pub mod edge;
pub mod gate;
pub mod headers;
pub mod idempotency;
pub(crate) mod json;
mod leftover;
pub mod limits;
mod log_files;
pub mod media_type;
pub mod place;
mod presence;
pub mod problem;
pub mod router;
mod webhook_keys;
