//! The queue in PostgreSQL, which several relays share: what one takes out, the others pass over, and what one left lying is due
//! again when its lease ends.

mod gather;
mod link;
mod sql;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Error, Row, Transaction};

use super::{
    Accepted, Arrival, Aside, Claimed, DeadLetter, Depth, Outcome, Queue, SWEPT_AT_ONCE, count, millis,
    read_headers,
};
use crate::fault::Fault;
use gather::{Ended, Gatherer};
use link::{Link, told};

pub use link::Access;

const SCHEMA: &str = include_str!("schema.postgres.sql");
const VERSION: i64 = 1;
/// The lock under which the schema is made: any number, if it is always the same.
const SCHEMA_LOCK: i64 = 0x636f_756e_7465_7273;

/// The queue in PostgreSQL.
pub struct Postgres {
    access: Access,
    /// What takes out, and looks.
    reads: Link,
    accepts: Gatherer<Arrival, Accepted>,
    ends: Gatherer<Ended, bool>,
    /// For what needs several statements in one transaction.
    serial: Mutex<Option<Client>>,
}

impl Postgres {
    /// Connects, and makes the schema if it is not there. The tables' names begin with `relay_`.
    pub async fn open(access: &Access) -> Result<Self, Fault> {
        let mut client = access.connect().await?;
        migrate(&mut client).await?;
        Ok(Self {
            reads: Link::new(access.clone()),
            accepts: gather::accepts(Link::new(access.clone())),
            ends: gather::ends(Link::new(access.clone())),
            serial: Mutex::new(Some(client)),
            access: access.clone(),
        })
    }

    async fn alone(&self, claimed: &Claimed, failed: Failed) -> Result<bool, Fault> {
        let mut kept = self.serial.lock().await;
        let mut client = match kept.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.access.connect().await?,
        };
        let transaction = client.transaction().await.map_err(|error| told(&error))?;
        let changed = fail(&transaction, claimed, failed).await.map_err(|error| told(&error))?;
        transaction.commit().await.map_err(|error| told(&error))?;
        // One that failed is not kept: it may be anywhere.
        *kept = Some(client);
        Ok(changed)
    }
}

/// How an attempt failed: again after a while, or aside, and then how long the next one waits for what it overtook.
#[derive(Clone, Copy)]
enum Failed {
    Retry(Duration),
    Dead(&'static str, Duration),
}

#[async_trait]
impl Queue for Postgres {
    async fn accept(&self, arrival: Arrival) -> Result<Accepted, Fault> {
        self.accepts.call(arrival).await
    }

    async fn claim(&self, sender: &Arc<str>, most: u32, lease: Duration) -> Result<Vec<Claimed>, Fault> {
        let rows = self.reads.query(sql::CLAIM, &[&&**sender, &i64::from(most), &millis(lease)]).await?;
        let mut claimed = rows.iter().map(|row| claimed(row, sender)).collect::<Result<Vec<_>, Fault>>()?;
        claimed.sort_by_key(|claimed| claimed.number);
        Ok(claimed)
    }

    async fn settle(
        &self,
        claimed: &Claimed,
        outcome: Outcome,
        gap: Option<Duration>,
    ) -> Result<bool, Fault> {
        let gap = gap.unwrap_or_default();
        match outcome {
            Outcome::Done => {
                let ended = Ended {
                    number: claimed.number,
                    attempt: claimed.attempt,
                    sender: Arc::clone(&claimed.sender),
                    place: claimed.place.clone(),
                    gap,
                };
                self.ends.call(ended).await
            }
            Outcome::Retry(after) => self.alone(claimed, Failed::Retry(after)).await,
            Outcome::Dead(reason) => self.alone(claimed, Failed::Dead(reason, gap)).await,
        }
    }

    async fn depth(&self) -> Result<Depth, Fault> {
        let rows = self.reads.query(sql::DEPTH, &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::queue("PostgreSQL counted nothing"))?;
        let read = || -> Result<Depth, Error> {
            Ok(Depth {
                messages: count(row.try_get(0)?),
                bytes: count(row.try_get(1)?),
                dead: count(row.try_get(2)?),
                oldest_ms: row.try_get(3)?,
            })
        };
        read().map_err(|error| told(&error))
    }

    async fn sweep(&self) -> Result<u64, Fault> {
        let mut swept = 0;
        for statement in sql::SWEEP {
            swept += self.reads.execute(statement, &[&i64::from(SWEPT_AT_ONCE)]).await?;
        }
        Ok(swept)
    }

    async fn dead(&self, after: i64, most: u32) -> Result<Vec<DeadLetter>, Fault> {
        let rows = self.reads.query(sql::DEAD, &[&after, &i64::from(most)]).await?;
        let read = |row: &Row| -> Result<DeadLetter, Error> {
            Ok(DeadLetter {
                number: row.try_get(0)?,
                sender: row.try_get(1)?,
                id: row.try_get(2)?,
                attempts: row.try_get(3)?,
                times_ms: (row.try_get(4)?, row.try_get(5)?),
                reason: row.try_get(6)?,
            })
        };
        rows.iter().map(|row| read(row).map_err(|error| told(&error))).collect()
    }

    async fn requeue(&self, which: Aside) -> Result<u64, Fault> {
        let (number, sender) = which.columns();
        self.reads.execute(sql::REQUEUE, &[&number, &sender]).await
    }

    async fn remove(&self, which: Aside) -> Result<u64, Fault> {
        let (number, sender) = which.columns();
        self.reads.execute(sql::REMOVE, &[&number, &sender]).await
    }

    /// Another relay may have them out at this moment: their leases end by themselves.
    async fn release(&self, _: &[Arc<str>]) -> Result<(), Fault> {
        Ok(())
    }
}

fn claimed(row: &Row, sender: &Arc<str>) -> Result<Claimed, Fault> {
    let read = || -> Result<(Claimed, String), Error> {
        let (stream, sequence): (Option<String>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
        let claimed = Claimed {
            number: row.try_get(0)?,
            attempt: row.try_get(1)?,
            sender: Arc::clone(sender),
            id: row.try_get(2)?,
            place: stream.zip(sequence),
            content_type: row.try_get(5)?,
            headers: Vec::new(),
            body: row.try_get::<_, Vec<u8>>(7)?.into(),
            received_ms: row.try_get(8)?,
        };
        Ok((claimed, row.try_get(6)?))
    };
    let (claimed, headers) = read().map_err(|error| told(&error))?;
    Ok(Claimed { headers: read_headers(&headers)?, ..claimed })
}

async fn fail(transaction: &Transaction<'_>, claimed: &Claimed, failed: Failed) -> Result<bool, Error> {
    let (number, attempt, sender) = (claimed.number, claimed.attempt, &*claimed.sender);
    let changed = match failed {
        Failed::Retry(after) => {
            transaction.execute(sql::RETRY, &[&number, &attempt, &sender, &millis(after)]).await?
        }
        Failed::Dead(reason, _) => {
            transaction.execute(sql::BURY, &[&number, &attempt, &sender, &reason]).await?
        }
    };
    let Some((stream, sequence)) = claimed.place.as_ref().filter(|_| changed > 0) else {
        return Ok(changed > 0);
    };
    match failed {
        Failed::Retry(after) => {
            transaction.execute(sql::HOLD_STREAM, &[&sender, stream, sequence, &millis(after)]).await?
        }
        Failed::Dead(_, gap) => {
            transaction.execute(sql::NEXT_IN_STREAM, &[&sender, stream, sequence, &millis(gap)]).await?
        }
    };
    Ok(true)
}

async fn migrate(client: &mut Client) -> Result<(), Fault> {
    let found = make(client).await.map_err(|error| told(&error))?;
    if found > VERSION { Err(Fault::Schema { found, known: VERSION }) } else { Ok(()) }
}

async fn make(client: &mut Client) -> Result<i64, Error> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
    transaction.batch_execute("CREATE TABLE IF NOT EXISTS relay_schema (version bigint NOT NULL)").await?;
    let row = transaction.query_one("SELECT coalesce(max(version), 0) FROM relay_schema", &[]).await?;
    let found: i64 = row.try_get(0)?;
    if found == 0 {
        transaction.batch_execute(SCHEMA).await?;
        transaction.execute("INSERT INTO relay_schema VALUES ($1)", &[&VERSION]).await?;
    }
    transaction.commit().await?;
    Ok(found)
}
