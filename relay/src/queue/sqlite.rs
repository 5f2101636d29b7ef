//! The queue in a file of SQLite, for one relay: WAL, `synchronous = FULL`, one writer that groups commits, one reader.

mod sql;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Params, Row, named_params, params};

use super::writer::Writer;
use super::{
    Accepted, Arrival, Aside, Claimed, DeadLetter, Depth, OVERTAKEN, Outcome, Queue, SWEPT_AT_ONCE, count,
    millis, read_headers, write_headers,
};
use crate::clock;
use crate::fault::Fault;
use crate::sender::Nonce;

const SCHEMA: &str = include_str!("schema.sqlite.sql");
const VERSION: i64 = 1;
/// How long a connection waits for the lock of another process: a command of the operator.
const BUSY: Duration = Duration::from_secs(10);
/// How often the lock of a relay is tried at a start, and the time between: a `check` holds it for a moment.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// The queue in a file.
pub struct Sqlite {
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    /// Held while a relay serves from it.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the file, makes it if it is not there; `alone` if no other relay may serve from it meanwhile.
    pub async fn open(path: &Path, alone: bool) -> Result<Self, Fault> {
        let pause = async || tokio::time::sleep(LOCK_PAUSE).await;
        let lock = if alone { Some(lock(&lock_file(path), pause).await?) } else { None };
        drop(private_file(path)?);
        let connection = connect(path)?;
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(Fault::queue)?;
        if mode != "wal" {
            return Err(Fault::queue(format!("SQLite cannot use a write-ahead log here, but {mode}")));
        }
        migrate(&connection)?;
        let reader = connect(path)?;
        Ok(Self {
            writer: Writer::start(connection, connect(path)?)?,
            reader: Arc::new(Mutex::new(reader)),
            _lock: lock,
        })
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        let read = move || work(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(read).await.map_err(Fault::queue)?.map_err(Fault::queue)
    }
}

#[async_trait]
impl Queue for Sqlite {
    async fn accept(&self, arrival: Arrival) -> Result<Accepted, Fault> {
        self.writer.write(move |connection| accept(connection, &arrival).map_err(Fault::queue)).await
    }

    async fn claim(&self, sender: &Arc<str>, most: u32, lease: Duration) -> Result<Vec<Claimed>, Fault> {
        let sender = Arc::clone(sender);
        let work = move |connection: &Connection| {
            let now = clock::now_ms();
            let parameters = named_params! {
                ":sender": &*sender, ":now": now, ":until": now.saturating_add(millis(lease)), ":most": most,
            };
            let mut statement = connection.prepare_cached(sql::CLAIM).map_err(Fault::queue)?;
            let rows = statement
                .query_map(parameters, |row| claimed(row, &sender))
                .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
                .map_err(Fault::queue)?;
            let mut rows = rows
                .into_iter()
                .map(|(claimed, headers)| Ok(Claimed { headers: read_headers(&headers)?, ..claimed }))
                .collect::<Result<Vec<_>, Fault>>()?;
            rows.sort_by_key(|claimed| claimed.number);
            Ok(rows)
        };
        self.writer.write(work).await
    }

    async fn settle(
        &self,
        claimed: &Claimed,
        outcome: Outcome,
        gap: Option<Duration>,
    ) -> Result<bool, Fault> {
        let (number, attempt, sender, place) =
            (claimed.number, claimed.attempt, Arc::clone(&claimed.sender), claimed.place.clone());
        let work = move |connection: &Connection| {
            settle(connection, (number, attempt), &sender, place.as_ref(), outcome, gap).map_err(Fault::queue)
        };
        self.writer.write(work).await
    }

    async fn depth(&self) -> Result<Depth, Fault> {
        let of_row = |row: &Row<'_>| {
            Ok(Depth {
                messages: count(row.get(0)?),
                bytes: count(row.get(1)?),
                dead: count(row.get(2)?),
                oldest_ms: row.get(3)?,
            })
        };
        self.read(move |connection| connection.prepare_cached(sql::DEPTH)?.query_row([], of_row)).await
    }

    async fn sweep(&self) -> Result<u64, Fault> {
        let work = |connection: &Connection| {
            let mut swept = 0;
            for statement in sql::SWEEP {
                swept += execute(connection, statement, params![clock::now_ms(), SWEPT_AT_ONCE])
                    .map_err(Fault::queue)?;
            }
            Ok(swept as u64)
        };
        self.writer.write(work).await
    }

    async fn dead(&self, after: i64, most: u32) -> Result<Vec<DeadLetter>, Fault> {
        let of_row = |row: &Row<'_>| {
            Ok(DeadLetter {
                number: row.get(0)?,
                sender: row.get(1)?,
                id: row.get(2)?,
                attempts: row.get(3)?,
                times_ms: (row.get(4)?, row.get(5)?),
                reason: row.get(6)?,
            })
        };
        self.read(move |connection| {
            connection.prepare_cached(sql::DEAD)?.query_map(params![after, most], of_row)?.collect()
        })
        .await
    }

    async fn remove(&self, which: Aside) -> Result<u64, Fault> {
        let work = move |connection: &Connection| {
            let (number, sender) = which.columns();
            execute(connection, sql::UNBURY, params![number, sender])
                .map(|count| count as u64)
                .map_err(Fault::queue)
        };
        self.writer.write(work).await
    }

    async fn requeue(&self, which: Aside) -> Result<u64, Fault> {
        let work = move |connection: &Connection| {
            let (number, sender) = which.columns();
            execute(connection, sql::REVIVE, params![number, sender, clock::now_ms()])
                .and_then(|_| execute(connection, sql::UNBURY, params![number, sender]))
                .map(|count| count as u64)
                .map_err(Fault::queue)
        };
        self.writer.write(work).await
    }

    async fn release(&self, senders: &[Arc<str>]) -> Result<(), Fault> {
        let senders = senders.to_vec();
        let work = move |connection: &Connection| {
            senders.iter().try_for_each(|sender| {
                execute(connection, sql::RELEASE, params![&**sender, clock::now_ms()])
                    .map(drop)
                    .map_err(Fault::queue)
            })
        };
        self.writer.write(work).await
    }
}

fn execute(connection: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(parameters)
}

fn accept(connection: &Connection, arrival: &Arrival) -> rusqlite::Result<Accepted> {
    let now = clock::now_ms();
    let (sender, verified) = (&*arrival.sender, &arrival.verified);
    let remember_until = now.saturating_add(millis(arrival.remember));
    let nonce = match &verified.nonce {
        Nonce::Message => None,
        Nonce::Attempt(nonce, keep_s) => {
            Some((nonce, now.saturating_add(keep_s.saturating_mul(1_000)), false))
        }
        Nonce::Bytes(nonce) => Some((nonce, remember_until, true)),
    };
    if let Some((nonce, until, may_come_again)) = nonce {
        let parameters = named_params! {":sender": sender, ":nonce": nonce, ":until": until, ":now": now};
        if execute(connection, sql::REMEMBER_NONCE, parameters)? == 0 {
            let parameters = named_params! {":sender": sender, ":id": verified.id, ":now": now};
            let is_known = may_come_again && connection.prepare_cached(sql::KNOWS_ID)?.exists(parameters)?;
            return Ok(if is_known { Accepted::Duplicate } else { Accepted::Replayed });
        }
    }
    let parameters =
        named_params! {":sender": sender, ":id": verified.id, ":until": remember_until, ":now": now};
    if execute(connection, sql::REMEMBER_ID, parameters)? == 0 {
        return Ok(Accepted::Duplicate);
    }
    let place = verified.place.as_ref().zip(arrival.gap);
    let (mut due, mut is_overtaken) = (now, false);
    if let Some((place, gap)) = place {
        let forwarded: Option<i64> = connection
            .prepare_cached(sql::FORWARDED)?
            .query_row(params![sender, place.stream], |row| row.get(0))
            .optional()?;
        let before = place.sequence.saturating_sub(1);
        is_overtaken = forwarded.is_some_and(|forwarded| forwarded >= place.sequence);
        let is_next = place.sequence == 1
            || forwarded == Some(before)
            || connection.prepare_cached(sql::WAITS)?.exists(params![sender, place.stream, before])?;
        if !is_next {
            due = now.saturating_add(millis(gap));
        }
    }
    let parameters = named_params! {
        ":sender": sender, ":id": verified.id, ":stream": place.map(|(place, _)| &place.stream),
        ":sequence": place.map(|(place, _)| place.sequence), ":content_type": arrival.content_type,
        ":headers": write_headers(&verified.headers), ":body": &*arrival.body, ":now": now, ":due": due,
    };
    execute(connection, sql::ENQUEUE, parameters)?;
    if is_overtaken {
        bury(connection, sender, (connection.last_insert_rowid(), 0), OVERTAKEN)?;
        return Ok(Accepted::Overtaken);
    }
    Ok(Accepted::New)
}

fn claimed(row: &Row<'_>, sender: &Arc<str>) -> rusqlite::Result<(Claimed, String)> {
    let (stream, sequence): (Option<String>, Option<i64>) = (row.get(3)?, row.get(4)?);
    let claimed = Claimed {
        number: row.get(0)?,
        attempt: row.get(1)?,
        sender: Arc::clone(sender),
        id: row.get(2)?,
        place: stream.zip(sequence),
        content_type: row.get(5)?,
        headers: Vec::new(),
        body: row.get::<_, Vec<u8>>(7)?.into(),
        received_ms: row.get(8)?,
    };
    Ok((claimed, row.get(6)?))
}

fn settle(
    connection: &Connection,
    (number, attempt): (i64, i64),
    sender: &str,
    place: Option<&(String, i64)>,
    outcome: Outcome,
    gap: Option<Duration>,
) -> rusqlite::Result<bool> {
    let now = clock::now_ms();
    let changed = match outcome {
        Outcome::Done => execute(connection, sql::DONE, params![number, attempt, sender])?,
        Outcome::Retry(after) => {
            let due = now.saturating_add(millis(after));
            let changed = execute(connection, sql::RETRY, params![number, attempt, due])?;
            if let Some((stream, sequence)) = place
                && changed > 0
            {
                execute(connection, sql::HOLD_STREAM, params![sender, stream, sequence, due])?;
            }
            changed
        }
        Outcome::Dead(reason) => bury(connection, sender, (number, attempt), reason)?,
    };
    let (Some((stream, sequence)), true, false) = (place, changed > 0, matches!(outcome, Outcome::Retry(_)))
    else {
        return Ok(changed > 0);
    };
    if outcome == Outcome::Done {
        // Kept for as long as one of an envelope may still come.
        let until = now.saturating_add(366 * 24 * 3_600_000);
        execute(connection, sql::FORWARDED_UP_TO, params![sender, stream, sequence, until])?;
        let overtaken: Vec<(i64, i64)> = connection
            .prepare_cached(sql::OVERTAKEN)?
            .query_map(params![sender, stream, sequence], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for one in overtaken {
            bury(connection, sender, one, OVERTAKEN)?;
        }
    }
    let parameters = named_params! {
        ":sender": sender, ":stream": stream, ":after": sequence, ":now": now,
        ":gap": millis(gap.unwrap_or_default()),
    };
    execute(connection, sql::NEXT_IN_STREAM, parameters)?;
    Ok(true)
}

fn bury(
    connection: &Connection,
    sender: &str,
    (number, attempt): (i64, i64),
    reason: &str,
) -> rusqlite::Result<usize> {
    execute(connection, sql::BURY, params![number, attempt, sender, clock::now_ms(), reason])?;
    execute(connection, sql::DONE, params![number, attempt, sender])
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(Fault::queue)?;
    connection.busy_timeout(BUSY).map_err(Fault::queue)?;
    connection.set_prepared_statement_cache_capacity(64);
    // FULL: a message that was answered with 202 survives a power cut. The copier copies pages, not the writer.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;",
        )
        .map_err(Fault::queue)?;
    Ok(connection)
}

/// Whether a file that is there is a queue of this relay, or an empty one. Nothing in it is changed; SQLite may leave its
/// own files beside it (`-wal`, `-shm`).
pub fn examine(path: &Path) -> Result<(), Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(Fault::queue)?;
    connection.busy_timeout(BUSY).map_err(Fault::queue)?;
    schema(&connection).map(|_| ())
}

/// The file whose lock is held by the relay that serves from a queue.
pub fn lock_file(path: &Path) -> PathBuf {
    path.with_added_extension("lock")
}

/// Whether a relay serves from the file now. To know it, the lock is held for a moment: a start tries again.
pub fn is_served(path: &Path) -> bool {
    let lock = File::open(lock_file(path));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The schema of the file: 0 if it is empty.
fn schema(connection: &Connection) -> Result<i64, Fault> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).map_err(Fault::queue);
    let found: i64 = number("PRAGMA user_version")?;
    if found > VERSION {
        return Err(Fault::Schema { found, known: VERSION });
    }
    let (all, ours) = (
        number("SELECT count(*) FROM sqlite_schema")?,
        number("SELECT count(*) FROM sqlite_schema WHERE name = 'seen_messages'")?,
    );
    if all > 0 && (found == 0 || ours == 0) {
        return Err(Fault::queue("the file is a database of something else: name another (queue.file)"));
    }
    Ok(found)
}

fn migrate(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch("BEGIN IMMEDIATE").map_err(Fault::queue)?;
    if schema(connection)? == 0 {
        connection.execute_batch(SCHEMA).map_err(Fault::queue)?;
        connection.pragma_update(None, "user_version", VERSION).map_err(Fault::queue)?;
    }
    connection.execute_batch("COMMIT").map_err(Fault::queue)
}

fn private_file(path: &Path) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| Fault::Machine(format!("queue.file: {}: {error}", path.display())))
}

/// Takes the lock of a queue, with pauses while somebody else holds it.
async fn lock(path: &Path, mut pause: impl AsyncFnMut()) -> Result<File, Fault> {
    let file = private_file(path)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => pause().await,
            Err(TryLockError::Error(error)) => {
                return Err(Fault::Machine(format!("{}: {error}", path.display())));
            }
        }
    }
    Err(Fault::Machine(
        "another relay serves from this queue: stop it, or give several relays a PostgreSQL (queue.postgres_url_env)"
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queue may be long: what is done for each message goes by an index, and in its order.
    #[test]
    fn no_statement_of_a_message_reads_a_table_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        drop(private_file(&path).unwrap());
        let connection = connect(&path).unwrap();
        migrate(&connection).unwrap();
        let statements = [
            sql::REMEMBER_NONCE,
            sql::REMEMBER_ID,
            sql::KNOWS_ID,
            sql::ENQUEUE,
            sql::FORWARDED,
            sql::WAITS,
            sql::CLAIM,
            sql::DONE,
            sql::RETRY,
            sql::HOLD_STREAM,
            sql::BURY,
            sql::OVERTAKEN,
            sql::FORWARDED_UP_TO,
            sql::NEXT_IN_STREAM,
            sql::REVIVE,
            sql::UNBURY,
            sql::RELEASE,
        ];
        for statement in statements.into_iter().chain(sql::SWEEP) {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let parameters = vec![rusqlite::types::Null; explained.parameter_count()];
            let steps: Vec<String> = explained
                .query_map(rusqlite::params_from_iter(parameters), |row| row.get("detail"))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{statement}\n{steps:#?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{statement}\n{steps:#?}");
        }
    }

    /// W-10: a `check` beside it keeps no relay from starting, and another relay does.
    #[tokio::test]
    async fn a_lock_that_is_held_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let looked_at = private_file(&lock_file(&path)).unwrap();
        looked_at.try_lock_shared().unwrap();
        let mut pauses = 0;
        let taken = lock(&lock_file(&path), async || {
            pauses += 1;
            if pauses == 3 {
                looked_at.unlock().unwrap();
            }
        })
        .await;
        assert!(taken.is_ok() && is_served(&path));
        let mut waited = 0;
        let refused = lock(&lock_file(&path), async || waited += 1).await.unwrap_err().to_string();
        assert_eq!((pauses, waited), (3, LOCK_TRIES));
        assert!(refused.contains("another relay serves from this queue"), "{refused}");
    }

    #[test]
    fn a_schema_of_a_newer_relay_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        drop(private_file(&path).unwrap());
        let connection = connect(&path).unwrap();
        migrate(&connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let refused = migrate(&connect(&path).unwrap()).unwrap_err().to_string();
        assert!(refused.contains("schema 99"), "{refused}");
    }
}
