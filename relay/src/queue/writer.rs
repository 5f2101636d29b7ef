//! Group commit for SQLite: one thread owns the connection, takes all the work that waits, and makes it durable with one sync.
//! Each piece has a savepoint of its own, so that one that fails leaves the others as they are.

use std::sync::mpsc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc as waiting, oneshot};

use crate::fault::Fault;

/// Pieces of work that wait at most; callers beyond that wait for a place.
const WAITING: usize = 4_096;
/// Pieces in one transaction at most.
const GROUP: usize = 512;
/// After so many pieces the log of SQLite is copied into the database, beside the writer.
const COPY_AFTER: usize = 2_000;
/// A log of so many pages (4 KiB each) is begun anew, for which the writer stops for a moment.
const RESTART_AFTER_PAGES: i64 = 16_384;

trait Work: Send {
    /// Does it; false undoes it.
    fn apply(&mut self, connection: &Connection) -> bool;
    /// Answers the caller; the reason if the transaction is lost.
    fn answer(self: Box<Self>, lost: Option<&str>);
}

struct Piece<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, Fault>>,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, Fault> + Send> Work for Piece<T, F> {
    fn apply(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let answer = match (self.outcome, lost) {
            (Some(Ok(value)), None) => Ok(value),
            (Some(Err(fault)), None) => Err(fault),
            (_, lost) => Err(Fault::queue(lost.unwrap_or("it was not tried"))),
        };
        // A caller that went away needs no answer.
        let _: Result<(), _> = self.reply.send(answer);
    }
}

/// The writer's thread, and the way to it. The thread ends with the last of these.
pub(super) struct Writer(waiting::Sender<Box<dyn Work>>);

impl Writer {
    /// Starts the writer, and what copies the log beside it.
    pub(super) fn start(connection: Connection, copier: Connection) -> Result<Self, Fault> {
        let (queue, work) = waiting::channel(WAITING);
        let (bell, rings) = mpsc::sync_channel(1);
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(body).map_err(Fault::queue)
        };
        spawn("queue-copy", Box::new(move || copy(&copier, &rings)))?;
        spawn("queue-write", Box::new(move || run(&connection, work, &bell)))?;
        Ok(Self(queue))
    }

    /// Does work in a transaction, and returns once it is durable.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let piece = Box::new(Piece { work: Some(work), outcome: None, reply });
        let gone = || Fault::queue("its writer has ended");
        self.0.send(piece).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn run(connection: &Connection, mut work: waiting::Receiver<Box<dyn Work>>, bell: &mpsc::SyncSender<()>) {
    // What an earlier process left in the log is copied at the start.
    let mut since_copy = COPY_AFTER;
    let mut group = Vec::with_capacity(GROUP);
    while work.blocking_recv_many(&mut group, GROUP) > 0 {
        since_copy += group.len();
        let lost = commit(connection, &mut group).err().map(|error| {
            // Some errors end the transaction by themselves, and then there is none to end.
            let _ = connection.execute_batch("ROLLBACK");
            error.to_string()
        });
        for piece in group.drain(..) {
            piece.answer(lost.as_deref());
        }
        if since_copy >= COPY_AFTER {
            since_copy = 0;
            // If it rings already, the copier is on its way.
            let _: Result<(), _> = bell.try_send(());
        }
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Work>]) -> rusqlite::Result<()> {
    let execute = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    execute("BEGIN IMMEDIATE")?;
    for piece in group {
        execute("SAVEPOINT piece")?;
        if !piece.apply(connection) {
            // Fails where SQLite undid everything (a full disk): then all of it is lost.
            execute("ROLLBACK TO piece")?;
        }
        execute("RELEASE piece")?;
    }
    execute("COMMIT")
}

fn copy(connection: &Connection, rings: &mpsc::Receiver<()>) {
    let checkpoint = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(1));
    while rings.recv().is_ok() {
        let copied = checkpoint("PRAGMA wal_checkpoint(PASSIVE)").and_then(|pages| {
            if pages > RESTART_AFTER_PAGES { checkpoint("PRAGMA wal_checkpoint(RESTART)") } else { Ok(pages) }
        });
        if let Err(error) = copied {
            tracing::warn!(%error, "the log of SQLite could not be copied; it is tried again");
        }
    }
}
