//! What was seen before: the attempts of the last minutes, so that nobody sends one again, and the messages of the
//! last days, so that each is acted on once.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;

use thiserror::Error;

use crate::ids::MessageId;

pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, create_tables, remember_within};

/// One attempt of a message, and how long it has to be remembered. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The message.
    pub id: MessageId,
    /// When the attempt was signed: with the id, its nonce.
    pub signed_at_s: i64,
    /// Until when the pair of id and time is kept.
    pub attempt_until_s: i64,
    /// Until when the id is kept.
    pub id_until_s: i64,
}

/// What a store knew of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Nothing: act on it.
    New,
    /// That the message was acted on, by another attempt: answer 200 and do nothing.
    Duplicate,
    /// The very attempt: refuse it.
    Replayed,
}

/// Why a store could not say. The message is then refused as [`Unavailable`](crate::Refused::Unavailable), and comes
/// again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the replay store: {0}")]
pub struct StoreFault(String);

impl StoreFault {
    /// A fault with its reason, for the receiver's log.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// Remembers attempts. All servers of one receiver share one store, or an attempt is taken once by each.
pub trait ReplayStore: Send + Sync {
    /// Remembers an attempt, and says what was known of it and its message, in one atomic step: of two callers with one
    /// attempt, one is told that it is new. What cannot be kept must be a fault, and never be new.
    fn remember(&self, attempt: &Attempt, now_s: i64) -> Result<Remembered, StoreFault>;

    /// Remembers that the message of an attempt was acted on: until then its next attempt, with a time of its own, is new.
    fn acted(&self, attempt: &Attempt, now_s: i64) -> Result<(), StoreFault>;
}
