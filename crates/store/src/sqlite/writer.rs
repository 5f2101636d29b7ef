//! Group commit: one thread owns the writing connection, drains a bounded queue and makes many writes durable with
//! one sync. Each write has its own savepoint, so one that is refused leaves the others as they are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::row::fault;
use crate::fault::Fault;

/// Writes that wait at most; callers beyond that wait for a place.
const QUEUE_WRITES: usize = 4_096;
/// Writes in one transaction at most.
const GROUP_WRITES: usize = 1_024;
/// After so many writes the checkpointer copies the log of SQLite into the database.
const CHECKPOINT_AFTER_WRITES: usize = 2_000;
/// How long the last checkpoint waits for those who read.
const LAST_CHECKPOINT_WAIT: Duration = Duration::from_millis(500);
/// A log of so many pages (4 KiB each) is begun anew, for which the writer must stop for a moment.
const RESTART_AFTER_PAGES: i64 = 16_384;

/// How much was written since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Writes that became durable: batches, claims, leases, checkpoints.
    pub writes: u64,
    /// Transactions that made them durable: each is one sync of the disk.
    pub transactions: u64,
}

#[derive(Default)]
struct Counts {
    writes: AtomicU64,
    transactions: AtomicU64,
}

/// Something to do within a transaction.
trait Write: Send {
    /// Does it; `false` undoes it.
    fn apply(&mut self, connection: &Connection) -> bool;
    /// Answers the caller, with a fault if the transaction did not become durable.
    fn answer(self: Box<Self>, lost: Option<&str>);
}

struct Pending<T, E, W> {
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T: Send, E: From<Fault> + Send, W: FnOnce(&Connection) -> Result<T, E> + Send> Write
    for Pending<T, E, W>
{
    fn apply(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let Self { outcome, reply, .. } = *self;
        let answer = match (outcome, lost) {
            // What was refused stays refused, whatever became of the others.
            (Some(Err(refusal)), _) => Err(refusal),
            (Some(Ok(value)), None) => Ok(value),
            (_, lost) => Err(Fault::Unavailable(lost.unwrap_or("the write was not tried").to_owned()).into()),
        };
        // A caller that went away needs no answer.
        let _: Result<(), _> = reply.send(answer);
    }
}

/// The writer's thread and the way to it.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Write>>>,
    threads: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
}

impl Writer {
    /// Starts the writer on `connection` and the checkpointer on `checkpoints`.
    pub(super) fn start(connection: Connection, checkpoints: Connection) -> Result<Self, Fault> {
        let (queue, waiting) = mpsc::channel(QUEUE_WRITES);
        let (bell, rings) = sync_channel(1);
        let counts = Arc::<Counts>::default();
        let restart = Arc::<AtomicBool>::default();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(|error| Fault::Unavailable(error.to_string()))
        };
        let wanted = Arc::clone(&restart);
        let checkpointer =
            spawn("sqlite-checkpoint", Box::new(move || copy_pages(&checkpoints, &rings, &wanted)))?;
        let group = Group { connection, counts: Arc::clone(&counts), bell, restart, since_checkpoint: 0 };
        let writer = spawn("sqlite-write", Box::new(move || group.run(waiting)))?;
        Ok(Self { queue: Some(queue), threads: vec![writer, checkpointer], counts })
    }

    /// Does `work` in a transaction, and answers once it is durable.
    pub(super) async fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
        W: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let stopped = || E::from(Fault::Unavailable("the writer has stopped".to_owned()));
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let pending = Pending { work: Some(work), outcome: None, reply };
        queue.send(Box::new(pending)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Counts so far.
    pub(super) fn stats(&self) -> Stats {
        Stats {
            writes: self.counts.writes.load(Ordering::Relaxed),
            transactions: self.counts.transactions.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _: Result<(), _> = thread.join();
        }
    }
}

/// The writer's side.
struct Group {
    connection: Connection,
    counts: Arc<Counts>,
    bell: SyncSender<()>,
    restart: Arc<AtomicBool>,
    since_checkpoint: usize,
}

impl Group {
    fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Write>>) {
        let mut group = Vec::with_capacity(GROUP_WRITES);
        while waiting.blocking_recv_many(&mut group, GROUP_WRITES) > 0 {
            let size = group.len();
            let lost = self.commit(&mut group).err().map(|error| {
                tracing::error!(%error, writes = size, "a transaction of SQLite was lost");
                if !self.connection.is_autocommit() {
                    // What cannot be rolled back is rolled back when the next transaction fails to begin.
                    let _: Result<(), _> = self.connection.execute_batch("ROLLBACK");
                }
                error.to_string()
            });
            for write in group.drain(..) {
                write.answer(lost.as_deref());
            }
            self.after(size);
        }
    }

    fn commit(&self, group: &mut [Box<dyn Write>]) -> Result<(), rusqlite::Error> {
        let execute = |sql| self.connection.prepare_cached(sql)?.execute([]).map(drop);
        let before = self.connection.total_changes();
        let mut kept = 0;
        execute("BEGIN IMMEDIATE")?;
        for write in group {
            execute("SAVEPOINT write")?;
            if write.apply(&self.connection) {
                kept += 1;
            } else {
                // Fails where SQLite rolled the whole transaction back (disk full): then all writes are lost.
                execute("ROLLBACK TO write")?;
            }
            execute("RELEASE write")?;
        }
        execute("COMMIT")?;
        if self.connection.total_changes() > before {
            self.counts.transactions.fetch_add(1, Ordering::Relaxed);
            self.counts.writes.fetch_add(kept, Ordering::Relaxed);
        }
        Ok(())
    }

    fn after(&mut self, writes: usize) {
        self.since_checkpoint += writes;
        if self.since_checkpoint >= CHECKPOINT_AFTER_WRITES {
            self.since_checkpoint = 0;
            // If the bell rings already, the checkpointer is on its way.
            let _: Result<(), _> = self.bell.try_send(());
        }
        if self.restart.swap(false, Ordering::Relaxed)
            && let Err(error) = checkpoint(&self.connection, "PRAGMA wal_checkpoint(RESTART)")
        {
            tracing::warn!(error = %fault(error), "the log of SQLite could not be begun anew");
        }
    }
}

// The checkpointer: copies pages while the writer goes on, until the writer has gone.
fn copy_pages(connection: &Connection, rings: &Receiver<()>, restart: &AtomicBool) {
    while rings.recv().is_ok() {
        match checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)") {
            Ok(pages) if pages > RESTART_AFTER_PAGES => restart.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %fault(error), "a checkpoint of SQLite failed"),
        }
    }
    // The writer has gone: a copy of the database's file alone is complete from now on.
    // Other processes are not held up for it: one that reads keeps the log.
    let truncated = connection.busy_timeout(LAST_CHECKPOINT_WAIT).and_then(|()| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
    });
    let kept = "the log of SQLite is still needed beside the database";
    match truncated {
        Ok(0) => {}
        Ok(_) => tracing::warn!("{kept}: another process reads it"),
        Err(error) => tracing::warn!(error = %fault(error), "{kept}"),
    }
}

// Gives the pages in the log of SQLite.
fn checkpoint(connection: &Connection, sql: &str) -> Result<i64, rusqlite::Error> {
    connection.query_row(sql, [], |row| row.get(1))
}
