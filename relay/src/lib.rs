//! The receiver that integrators run in front of their systems: it verifies webhooks, keeps each one durably, and
//! forwards it once the system behind can take it, or holds it until that asks.
//!
//! What a request passes, in order: `listen` (connections, TLS, deadline) → `receive` (networks, limits, body) → `sender`
//! (whose it is, fresh, unchanged) → `queue` (known or new, in one transaction) → 202. Behind it `forward` or `pull`.

pub mod clock;
pub mod command_line;
pub mod config;
pub mod fault;
pub mod forward;
pub mod internal;
pub mod limits;
pub mod listen;
pub mod log;
pub mod mac;
pub mod metrics;
pub mod queue;
pub mod receive;
pub mod sender;
pub mod serve;
