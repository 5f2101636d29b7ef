//! A replay store in SQLite: for a receiver on one machine, and for one that keeps its messages there too.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::{Attempt, Remembered, ReplayStore, StoreFault};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS countersign_webhook_attempt (
    id TEXT NOT NULL,
    signed_at_s INTEGER NOT NULL,
    until_s INTEGER NOT NULL,
    PRIMARY KEY (id, signed_at_s)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS countersign_webhook_attempt_until ON countersign_webhook_attempt (until_s);
CREATE TABLE IF NOT EXISTS countersign_webhook_message (
    id TEXT NOT NULL PRIMARY KEY,
    until_s INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS countersign_webhook_message_until ON countersign_webhook_message (until_s);
";

// A row that ended counts as if it were not there: it is written over. What is not met again is deleted in small
// steps, two for each row that is added, so that no call has to delete a day's rows at once.
const ADD_ATTEMPT: &str = "
INSERT INTO countersign_webhook_attempt (id, signed_at_s, until_s) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET until_s = excluded.until_s WHERE until_s <= ?4";
const ACTED: &str = "
INSERT INTO countersign_webhook_message (id, until_s) VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET until_s = excluded.until_s";
const WAS_ACTED: &str = "SELECT 1 FROM countersign_webhook_message WHERE id = ?1 AND until_s > ?2";
const SWEEP_ATTEMPTS: &str = "
DELETE FROM countersign_webhook_attempt WHERE (id, signed_at_s) IN (
    SELECT id, signed_at_s FROM countersign_webhook_attempt WHERE until_s <= ?1 ORDER BY until_s LIMIT 2)";
const SWEEP_MESSAGES: &str = "
DELETE FROM countersign_webhook_message WHERE id IN (
    SELECT id FROM countersign_webhook_message WHERE until_s <= ?1 ORDER BY until_s LIMIT 2)";

/// Remembers in SQLite, in two tables of its own, each attempt in a transaction.
pub struct SqliteStore(Mutex<Connection>);

impl SqliteStore {
    /// Takes a connection, and creates the tables where they are missing. Use write-ahead logging
    /// (`PRAGMA journal_mode = wal`) unless the database has another.
    pub fn new(connection: Connection) -> Result<Self, StoreFault> {
        create_tables(&connection)?;
        Ok(Self(Mutex::new(connection)))
    }
}

/// Creates the tables of [`remember_within`] where they are missing.
pub fn create_tables(connection: &Connection) -> Result<(), StoreFault> {
    connection.execute_batch(TABLES).map_err(StoreFault::new)
}

/// Remembers an attempt and its message within your own transaction, in which you act: the message that you store in it and
/// the memory of it are kept or lost together. Begin the transaction as `IMMEDIATE`, commit if it is new, and only then answer.
pub fn remember_within(
    connection: &Connection,
    attempt: &Attempt,
    now_s: i64,
) -> Result<Remembered, StoreFault> {
    let remembered = remember_attempt(connection, attempt, now_s).map_err(StoreFault::new)?;
    if remembered == Remembered::New {
        add_message(connection, attempt).map_err(StoreFault::new)?;
    }
    Ok(remembered)
}

/// Remembers the attempt, and of the message nothing.
fn remember_attempt(connection: &Connection, attempt: &Attempt, now_s: i64) -> rusqlite::Result<Remembered> {
    let id = attempt.id.as_str();
    connection.prepare_cached(SWEEP_ATTEMPTS)?.execute((now_s,))?;
    connection.prepare_cached(SWEEP_MESSAGES)?.execute((now_s,))?;
    let attempts = connection.prepare_cached(ADD_ATTEMPT)?.execute((
        id,
        attempt.signed_at_s,
        attempt.attempt_until_s,
        now_s,
    ))?;
    if attempts == 0 {
        return Ok(Remembered::Replayed);
    }
    let was_acted = connection.prepare_cached(WAS_ACTED)?.exists((id, now_s))?;
    Ok(if was_acted { Remembered::Duplicate } else { Remembered::New })
}

fn add_message(connection: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    let row = (attempt.id.as_str(), attempt.id_until_s);
    connection.prepare_cached(ACTED)?.execute(row).map(|_| ())
}

impl ReplayStore for SqliteStore {
    fn remember(&self, attempt: &Attempt, now_s: i64) -> Result<Remembered, StoreFault> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreFault::new)?;
        let remembered = remember_attempt(&transaction, attempt, now_s).map_err(StoreFault::new)?;
        transaction.commit().map_err(StoreFault::new)?;
        Ok(remembered)
    }

    fn acted(&self, attempt: &Attempt, _now_s: i64) -> Result<(), StoreFault> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add_message(&connection, attempt).map_err(StoreFault::new)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteStore")
    }
}
