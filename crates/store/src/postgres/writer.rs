//! Group commit: batches that wait together share a transaction, whose statements all go out before the first answer
//! comes back. A group that cannot commit as a whole is undone and halved, until the refused batch is alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{ClientWrapper, Pool};
use futures_util::future::join_all;
use tokio::{sync::Notify, task::JoinSet, time::MissedTickBehavior};
use tokio_postgres::Error;

use super::{
    batch::{Unmet, steps},
    connection::{call, connection, execute, fault, is_lost, query, repeat},
    listen::Name,
    sql,
    together::{Size, Together},
};
use crate::{
    batch::{Batch, CommitError, Committed},
    fault::Fault,
    work::{Calls, Work},
};

/// Of two transactions at the same time, the next is sent while one is synced.
const SIZE: Size = Size { queue: 4_096, group: 512, groups: 2 };
/// From one notice to the next: each wakes all other servers, which have enough to do where there is one after the other.
const PACE: Duration = Duration::from_millis(25);
/// A group is tried so often when PostgreSQL ends a deadlock at its cost, or a connection is lost before the commit
/// was sent.
const TRIES: usize = 5;

/// How much was written since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Batches that became durable.
    pub batches: u64,
    /// Transactions that made them durable: each is at most one sync of the disk.
    pub transactions: u64,
}

#[derive(Default)]
struct Counts {
    batches: AtomicU64,
    transactions: AtomicU64,
}

/// The way to the writers.
pub(super) struct Writer {
    groups: Together<Batch, Result<Committed, CommitError>>,
    counts: Arc<Counts>,
}

impl Writer {
    /// Starts the writers among `tasks`, on connections of `pool`.
    pub(super) fn start(pool: &Pool, work: &Arc<Work>, name: Arc<Name>, tasks: &mut JoinSet<()>) -> Self {
        let counts = Arc::<Counts>::default();
        let durable = Arc::<Notify>::default();
        tasks.spawn(announce(pool.clone(), name, Arc::clone(&durable)));
        let group = Arc::new(Group {
            pool: pool.clone(),
            counts: Arc::clone(&counts),
            work: Arc::clone(work),
            durable,
        });
        let groups = Together::start("the writer", &SIZE, tasks, move |batches| {
            let group = Arc::clone(&group);
            async move { group.commit_all(&batches).await }
        });
        Self { groups, counts }
    }

    /// The connections that the writers need.
    pub(super) fn connections() -> usize {
        SIZE.groups + 1
    }

    /// Commits a batch with others that wait.
    pub(super) async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.groups.ask(batch).await?
    }

    /// Commits nothing, on the way that all commits take.
    pub(super) async fn ping(&self) -> Result<(), Fault> {
        match self.commit(Batch::default()).await {
            Ok(_) => Ok(()),
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(refused) => Err(Fault::Contradiction(refused.to_string())),
        }
    }

    /// Counts so far.
    pub(super) fn stats(&self) -> GroupStats {
        GroupStats {
            batches: self.counts.batches.load(Ordering::Relaxed),
            transactions: self.counts.transactions.load(Ordering::Relaxed),
        }
    }
}

struct Group {
    pool: Pool,
    counts: Arc<Counts>,
    work: Arc<Work>,
    durable: Arc<Notify>,
}

/// Why a group did not commit.
enum Failure {
    /// Nothing of it is durable. A batch alone gets this answer, a group is halved.
    Refused(CommitError),
    /// Nothing of it is durable, and another try may go better.
    Again(Fault),
    /// Whether it is durable is unknown, or the database cannot be reached: all get this answer.
    Lost(Fault),
}

impl Group {
    // Answers in the order of the batches.
    async fn commit_all(&self, batches: &[Batch]) -> Vec<Result<Committed, CommitError>> {
        let mut answers = Vec::with_capacity(batches.len());
        let mut groups: Vec<&[Batch]> = vec![batches];
        // The next group is the last one here.
        while let Some(group) = groups.pop() {
            match self.commit_group(group).await {
                Ok(()) => answers.extend(group.iter().map(|batch| Ok(batch.committed()))),
                Err(Failure::Refused(refusal)) if group.len() == 1 => answers.push(Err(refusal)),
                Err(Failure::Refused(_)) => {
                    let (first, second) = group.split_at(group.len() / 2);
                    groups.extend([second, first]);
                }
                Err(Failure::Again(fault) | Failure::Lost(fault)) => {
                    let reason = fault.to_string();
                    answers.extend(group.iter().map(|_| Err(Fault::Unavailable(reason.clone()).into())));
                }
            }
        }
        answers
    }

    async fn commit_group(&self, group: &[Batch]) -> Result<(), Failure> {
        let mut tries = 1;
        loop {
            let client = connection(&self.pool).await.map_err(Failure::Lost)?;
            match self.try_group(&client, group).await {
                Err(Failure::Again(_)) if tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_group(&self, client: &ClientWrapper, group: &[Batch]) -> Result<(), Failure> {
        if group.len() > 1 && group.iter().any(Batch::stands_alone) {
            return Err(Failure::Refused(CommitError::Conflict));
        }
        let borrowed: Vec<&Batch> = group.iter().collect();
        let steps = steps(&borrowed).map_err(|fault| Failure::Refused(fault.into()))?;
        // Preparing is a round trip the first time, and must not happen between the statements.
        for step in &steps {
            client.prepare_cached(step.call.sql).await.map_err(Failure::from)?;
        }
        client.batch_execute("BEGIN").await.map_err(Failure::from)?;
        let sent = join_all(steps.iter().map(|step| execute(client, &step.call))).await;
        let mut unmet = None;
        for (step, answer) in steps.iter().zip(sent) {
            match (answer, step.must) {
                (Err(error), _) => {
                    roll_back(client).await;
                    return Err(Failure::from(error));
                }
                (Ok(changed), Some((rows, what))) if changed < rows => {
                    unmet = Some(what);
                    break;
                }
                (Ok(_), _) => {}
            }
        }
        if let Some(what) = unmet {
            let refusal = if group.len() == 1 { refusal(client, what).await } else { CommitError::Conflict };
            roll_back(client).await;
            return Err(Failure::Refused(refusal));
        }
        client.batch_execute("COMMIT").await.map_err(|error| Failure::Lost(fault(&error)))?;
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        self.counts.batches.fetch_add(u64::try_from(group.len()).unwrap_or(0), Ordering::Relaxed);
        let calls = group.iter().map(Batch::calls).fold(Calls::default(), Calls::and);
        self.work.arrived(calls);
        if calls != Calls::default() {
            self.durable.notify_one();
        }
        Ok(())
    }
}

impl From<Error> for Failure {
    /// An error before the commit was sent: nothing is durable.
    fn from(error: Error) -> Self {
        let rolled_back = error.code().is_some_and(|code| code.code().starts_with("40"));
        if rolled_back || is_lost(&error) {
            Self::Again(fault(&error))
        } else {
            Self::Refused(fault(&error).into())
        }
    }
}

// Tells the other servers that there is work, once for all groups that became durable meanwhile. It is no part of their
// transactions, because PostgreSQL commits transactions that notify one after the other.
async fn announce(pool: Pool, name: Arc<Name>, durable: Arc<Notify>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        durable.notified().await;
        pace.tick().await;
        if let Err(fault) = repeat(&pool, &call!(sql::NOTIFY, name.text()), query).await {
            tracing::warn!(%fault, "the other servers were not told of new work: they find it when they look");
        }
    }
}

// Why a lone batch was refused, asked within its transaction.
async fn refusal(client: &ClientWrapper, what: Unmet<'_>) -> CommitError {
    let mut lookup_exists = false;
    if let Some(same) = what.same_lookup() {
        match query(client, &same).await {
            Ok(rows) => lookup_exists = !rows.is_empty(),
            Err(error) => return fault(&error).into(),
        }
    }
    what.refusal(lookup_exists)
}

// A connection on which even this fails is lost, and its transaction with it.
async fn roll_back(client: &ClientWrapper) {
    if let Err(error) = client.batch_execute("ROLLBACK").await {
        tracing::warn!(error = %fault(&error), "a transaction of PostgreSQL could not be rolled back");
    }
}
