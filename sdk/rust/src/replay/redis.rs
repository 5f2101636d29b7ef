//! A replay store in Redis or Valkey: for a receiver of several machines.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::{Client, Connection};

use super::{Attempt, Remembered, ReplayStore, StoreFault};
use crate::ids::MessageId;

/// One script is one atomic step. Both keys have the id as their hash tag, so that a cluster keeps them together.
const REMEMBER: &str = "
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 'replayed' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'duplicate' end
return 'new'";
/// How long Redis may take to connect, to read and to write.
const PATIENCE: Duration = Duration::from_secs(2);

/// Remembers in Redis, over one connection that is made anew after a fault. Entries end by Redis's own clock. Turn on
/// its persistence, and `maxmemory-policy noeviction`: what Redis loses can be sent again.
pub struct RedisStore {
    client: Client,
    connection: Mutex<Option<Connection>>,
}

impl RedisStore {
    /// Takes a client, as `redis::Client::open("redis://127.0.0.1/")` gives it. Nothing is connected yet.
    pub fn new(client: Client) -> Self {
        Self { client, connection: Mutex::new(None) }
    }

    fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, StoreFault> {
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // It is put back only after an answer: one that failed half-way would give the next caller this one's answer.
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self.connect().map_err(StoreFault::new)?,
        };
        let answer = command.query(&mut connection).map_err(StoreFault::new)?;
        *kept = Some(connection);
        Ok(answer)
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }
}

fn lifetime_s(until_s: i64, now_s: i64) -> i64 {
    until_s.saturating_sub(now_s).max(1)
}

fn attempt_key(attempt: &Attempt) -> String {
    format!("countersign:webhook:{{{}}}:{}", attempt.id, attempt.signed_at_s)
}

fn message_key(id: &MessageId) -> String {
    format!("countersign:webhook:{{{id}}}")
}

impl ReplayStore for RedisStore {
    fn remember(&self, attempt: &Attempt, now_s: i64) -> Result<Remembered, StoreFault> {
        let mut command = redis::cmd("EVAL");
        command.arg(REMEMBER).arg(2).arg(attempt_key(attempt)).arg(message_key(&attempt.id));
        command.arg(lifetime_s(attempt.attempt_until_s, now_s));
        match self.ask::<String>(&command)?.as_str() {
            "new" => Ok(Remembered::New),
            "duplicate" => Ok(Remembered::Duplicate),
            "replayed" => Ok(Remembered::Replayed),
            other => Err(StoreFault::new(format!("Redis answered {other:?}"))),
        }
    }

    fn acted(&self, attempt: &Attempt, now_s: i64) -> Result<(), StoreFault> {
        let mut command = redis::cmd("SET");
        command.arg(message_key(&attempt.id)).arg("1").arg("EX").arg(lifetime_s(attempt.id_until_s, now_s));
        self.ask(&command)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisStore")
    }
}
