#![doc = include_str!("../README.md")]

mod cache;
mod event;
mod headers;
mod ids;
mod incoming;
mod json;
mod keys;
mod message_signature;
mod public;
mod refused;
pub mod replay;
#[cfg(feature = "rsa-pss")]
mod rsa;
mod secret;
mod signed;
mod verifier;

pub use cache::{FetchError, KeyCache, Lookup};
pub use event::{Class, Delivery, Event};
pub use ids::{AttemptId, CorrelationId, KeyId, MessageId, NotAnId};
pub use incoming::{Incoming, NotAPlace, Place};
pub use keys::{JWKS_BYTES_MAX, JwksError, KeySet};
pub use message_signature::{SignatureInput, message_signature_headers};
pub use public::{Algorithm, KeyError, PublicKey};
pub use refused::{Problem, Refused};
pub use replay::{MemoryStore, ReplayStore};
pub use secret::Secret;
pub use signed::{content_digest, signed_text, v1a};
pub use verifier::{Accept, BODY_BYTES_MAX, Taken, Verifier, Window};
