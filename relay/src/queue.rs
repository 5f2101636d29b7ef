//! Where messages are kept between the sender's 2xx and the system's: what was seen, what waits, and what was set aside. One
//! narrow trait, SQLite for one relay and PostgreSQL for several.

mod postgres;
mod sqlite;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::Bytes;

use crate::fault::Fault;
use crate::sender::Verified;

pub use postgres::{Access, Postgres};
pub use sqlite::{Sqlite, examine, is_served, lock_file};

/// A verified message on its way into the queue.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Whose it is.
    pub sender: Arc<str>,
    /// What is known of it.
    pub verified: Verified,
    /// Its `content-type`.
    pub content_type: Option<String>,
    /// Byte for byte.
    pub body: Bytes,
    /// How long its id is kept.
    pub remember: Duration,
    /// In ordered mode, how long it waits for one that it overtook.
    pub gap: Option<Duration>,
}

/// What the queue knew of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Nothing: it is kept now.
    New,
    /// In ordered mode, a later one of its stream was forwarded: it is kept, aside.
    Overtaken,
    /// The message, from another attempt.
    Duplicate,
    /// The very attempt.
    Replayed,
}

/// A message that was taken out for an attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its place in the queue.
    pub number: i64,
    /// Which claim of it this is, from 1: a later one makes it worthless.
    pub attempt: i64,
    /// Whose it is.
    pub sender: Arc<str>,
    /// What the sender calls it.
    pub id: String,
    /// In ordered mode, its stream and its sequence.
    pub place: Option<(String, i64)>,
    /// Its `content-type`.
    pub content_type: Option<String>,
    /// Headers that go along.
    pub headers: Vec<(String, String)>,
    /// Byte for byte.
    pub body: Bytes,
    /// When it came, in milliseconds since 1970.
    pub received_ms: i64,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The system has it.
    Done,
    /// Again after a while.
    Retry(Duration),
    /// Set aside, with the reason.
    Dead(&'static str),
}

/// How full the queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait.
    pub messages: u64,
    /// Messages that were set aside.
    pub dead: u64,
    /// Bytes of the bodies of both.
    pub bytes: u64,
    /// When the oldest that waits came, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// By which it is requeued.
    pub number: i64,
    /// Whose it is.
    pub sender: String,
    /// What the sender calls it.
    pub id: String,
    /// Attempts to forward it.
    pub attempts: i64,
    /// When it came and when it was set aside, in milliseconds since 1970.
    pub times_ms: (i64, i64),
    /// Why.
    pub reason: String,
}

/// Messages that were set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// One.
    Number(i64),
    /// All of a sender.
    Sender(String),
}

/// Keeps messages. Every method is one transaction.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Remembers nonce and id and keeps the message, in one transaction; it is durable when this returns.
    async fn accept(&self, arrival: Arrival) -> Result<Accepted, Fault>;

    /// Takes out up to so many messages of a sender that are due, each for `lease`: after that it is due again.
    async fn claim(&self, sender: &Arc<str>, most: u32, lease: Duration) -> Result<Vec<Claimed>, Fault>;

    /// Ends an attempt. False if the message was taken out again meanwhile: then nothing changes.
    async fn settle(&self, claimed: &Claimed, outcome: Outcome, gap: Option<Duration>)
    -> Result<bool, Fault>;

    /// How full it is.
    async fn depth(&self) -> Result<Depth, Fault>;

    /// Forgets what is no longer remembered, [`SWEPT_AT_ONCE`] of each kind at most; how much.
    async fn sweep(&self) -> Result<u64, Fault>;

    /// Messages that were set aside, after a number.
    async fn dead(&self, after: i64, most: u32) -> Result<Vec<DeadLetter>, Fault>;

    /// Puts messages back that were set aside, without their place in a stream; how many.
    async fn requeue(&self, which: Aside) -> Result<u64, Fault>;

    /// Removes messages that were set aside; how many.
    async fn remove(&self, which: Aside) -> Result<u64, Fault>;

    /// Makes the messages of these senders due that an earlier process had out, where there is only one.
    async fn release(&self, senders: &[Arc<str>]) -> Result<(), Fault>;
}

impl Aside {
    /// The number or the sender, as statements take them.
    fn columns(&self) -> (Option<i64>, Option<&str>) {
        match self {
            Self::Number(number) => (Some(*number), None),
            Self::Sender(sender) => (None, Some(sender)),
        }
    }
}

/// What one sweep removes of a table at most: it stands in the way of messages.
pub const SWEPT_AT_ONCE: u32 = 5_000;

/// Why a message was set aside that came too late for its order.
pub const OVERTAKEN: &str = "a later message of its stream was forwarded before it came";

fn write_headers(headers: &[(String, String)]) -> String {
    serde_json::to_string(headers).unwrap_or_else(|_| "[]".to_owned())
}

fn read_headers(text: &str) -> Result<Vec<(String, String)>, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::queue(format!("headers of a message: {error}")))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A count of rows.
fn count(counted: i64) -> u64 {
    u64::try_from(counted).unwrap_or_default()
}
