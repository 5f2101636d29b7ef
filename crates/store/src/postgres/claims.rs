//! Claims of idempotency keys: all who wait take theirs with one statement.

use std::{collections::HashSet, slice};

use deadpool_postgres::{ClientWrapper, Pool};
use tokio::task::JoinSet;
use tokio_postgres::{Error, Row, error::SqlState};

use super::{
    batch::columns,
    connection::{Call, PostgresCells, query, repeat},
    sql,
    together::{Size, Together},
};
use crate::{
    cells::{self, Cells as _},
    fault::Fault,
    rows::IdempotencyClaim,
};

/// Of claims.
const SIZE: Size = Size { queue: 1_024, group: 128, groups: 2 };
/// How long those who go together wait for a key that another transaction has: its commit is nearly always over by then.
const TOGETHER_WAIT: &str = "100ms";
/// How long one alone does: longer than a transaction of a server that is gone is kept.
const ALONE_WAIT: &str = "30s";

/// The way to the keys.
pub(super) struct Claims {
    pool: Pool,
    groups: Together<IdempotencyClaim, Answer>,
}

/// What became of a claim among others.
enum Answer {
    Taken(bool),
    /// Something about one of them, which is no reason to refuse the others: each is to go alone.
    Alone,
    Unavailable(String),
}

impl Claims {
    /// Starts what takes keys among `tasks`, on connections of `pool`.
    pub(super) fn start(pool: &Pool, tasks: &mut JoinSet<()>) -> Self {
        let of_groups = pool.clone();
        let groups = Together::start("the claims", &SIZE, tasks, move |claims| {
            let pool = of_groups.clone();
            async move { answers(&pool, &claims).await }
        });
        Self { pool: pool.clone(), groups }
    }

    /// Whether the key was free and now belongs to this claim. The claim's own random bytes make it safe to repeat.
    pub(super) async fn take(&self, claim: &IdempotencyClaim) -> Result<bool, Fault> {
        match self.groups.ask(claim.clone()).await? {
            Answer::Taken(taken) => Ok(taken),
            Answer::Unavailable(reason) => Err(Fault::Unavailable(reason)),
            Answer::Alone => {
                let taken = take(&self.pool, slice::from_ref(claim), ALONE_WAIT).await?;
                let held = || Fault::Unavailable("another transaction has the idempotency key".to_owned());
                Ok(!taken.ok_or_else(held)?.is_empty())
            }
        }
    }
}

async fn answers(pool: &Pool, claims: &[IdempotencyClaim]) -> Vec<Answer> {
    let taken = take(pool, claims, TOGETHER_WAIT).await;
    let answer = |claim: &IdempotencyClaim| match &taken {
        Ok(Some(taken)) => Answer::Taken(taken.contains(claim.claim.as_slice())),
        Err(Fault::Unavailable(reason)) => Answer::Unavailable(reason.clone()),
        Ok(None) | Err(_) => Answer::Alone,
    };
    claims.iter().map(answer).collect()
}

// Which of them have their keys; `None` if another transaction had one of these for so long.
async fn take(
    pool: &Pool,
    claims: &[IdempotencyClaim],
    wait: &'static str,
) -> Result<Option<HashSet<Vec<u8>>>, Fault> {
    let key = |claim: &IdempotencyClaim| (claim.tenant, claim.caller, claim.key.clone());
    let mut rows: Vec<&IdempotencyClaim> = claims.iter().collect();
    // All servers take the locks in the same order, and of those who want the same key the first has it.
    rows.sort_by_cached_key(|claim| key(claim));
    rows.dedup_by_key(|claim| key(claim));
    let mut call = columns!(
        sql::CLAIM,
        rows,
        |row| row.tenant.organization().as_bytes().to_vec(),
        |row| row.tenant.environment().text(),
        |row| row.caller.to_vec(),
        |row| row.key.clone(),
        |row| row.fingerprint.0.to_vec(),
        |row| row.claim.to_vec(),
        |row| row.now.unix_ms(),
        |row| row.expires_at.unix_ms(),
        |row| cells::stale_before(row),
    );
    call.parameters.push(Box::new(wait));
    let Some(taken) = repeat(pool, &call, unless_held).await? else { return Ok(None) };
    taken
        .iter()
        .map(|row| PostgresCells::new("idempotency", row).bytes("claim"))
        .collect::<Result<_, _>>()
        .map(Some)
}

async fn unless_held(client: &ClientWrapper, call: &Call) -> Result<Option<Vec<Row>>, Error> {
    match query(client, call).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(None),
        rows => rows.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use countersign_core::{
        access::{Environment, Tenant},
        digest::Digest,
        id::OrganizationId,
        time::Time,
    };
    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::*;
    use crate::{Postgres, Store as _, postgres::connection::connection, rows::IdempotencyState, testing};

    fn claim(number: u8, key: &str) -> IdempotencyClaim {
        let now = Time::from_unix_ms(1_800_000_000_000);
        let organization = OrganizationId::from_bytes([number % 3; 16]);
        IdempotencyClaim {
            tenant: Tenant::of_stored_row(organization, Environment::Live),
            caller: [1; 16],
            key: key.to_owned(),
            fingerprint: Digest([number.saturating_sub(50); 32]),
            claim: [number; 16],
            now,
            expires_at: now.plus_ms(10_000),
            stale_after_ms: 1_000,
        }
    }

    /// Of those who come together each has its own key; of those who want the same one, exactly one has it; and a key that
    /// PostgreSQL cannot write is no fault of the others.
    #[tokio::test(flavor = "multi_thread")]
    async fn each_of_many_takes_its_own_key() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let key = |number: u8| match number {
            0..100 => format!("key-{}", number / 6),
            _ => format!("own-{number}"),
        };
        let claims: Vec<_> = (0..=200).map(|number| claim(number, &key(number))).collect();
        let broken = claim(201, "\0");
        let (states, refused) = tokio::join!(
            join_all(claims.iter().map(|claim| store.claim_idempotency(claim))),
            store.claim_idempotency(&broken)
        );
        assert!(matches!(refused, Err(Fault::Database(_))), "{refused:?}");
        let states: Vec<_> = states.into_iter().map(Result::unwrap).collect();
        for (one, state) in claims.iter().zip(&states) {
            let mut same = claims.iter().zip(&states).filter(|(other, state)| {
                (other.tenant, &other.key) == (one.tenant, &one.key) && **state == IdempotencyState::Claimed
            });
            let (holder, _) = same.next().unwrap();
            assert!(same.next().is_none(), "two have {}", one.key);
            let expected = match holder.fingerprint == one.fingerprint {
                _ if holder.claim == one.claim => IdempotencyState::Claimed,
                true => IdempotencyState::InFlight,
                false => IdempotencyState::Mismatch,
            };
            assert_eq!(*state, expected, "{}", one.key);
        }
        assert!(states.contains(&IdempotencyState::InFlight) && states.contains(&IdempotencyState::Mismatch));
    }

    /// A key that another transaction has for long, as of a server that is gone, keeps nobody waiting who wants another one.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_that_is_held_delays_no_other() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let held = claim(0, "held");
        assert_eq!(store.claim_idempotency(&held).await.unwrap(), IdempotencyState::Claimed);
        let other = connection(&store.keyed).await.unwrap();
        other.batch_execute("BEGIN; SELECT FROM idempotency FOR UPDATE").await.unwrap();
        let waits = [claim(3, "held"), claim(6, "held"), claim(9, "held")];
        let mut waiting = pin!(join_all(waits.iter().map(|claim| store.claim_idempotency(claim))));
        let others = async {
            for number in 100..120 {
                let free = claim(number, &format!("free-{number}"));
                assert_eq!(store.claim_idempotency(&free).await.unwrap(), IdempotencyState::Claimed);
            }
        };
        tokio::select! {
            biased;
            over = &mut waiting => panic!("{over:?}"),
            ended = timeout(Duration::from_secs(10), others) => ended.unwrap(),
        }
        other.batch_execute("COMMIT").await.unwrap();
        for state in waiting.await {
            assert_eq!(state.unwrap(), IdempotencyState::InFlight);
        }
    }

    /// A stale claim is taken over by the same request, also by one that comes with others, and each by its own time.
    #[tokio::test]
    async fn of_a_group_each_takes_over_what_is_stale_for_it() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let first = [claim(0, "one"), claim(3, "two"), claim(6, "three")];
        for claim in &first {
            assert_eq!(store.claim_idempotency(claim).await.unwrap(), IdempotencyState::Claimed);
        }
        let mut later = first.clone();
        for (claim, after_ms) in later.iter_mut().zip([999, 1_000, 10_000]) {
            claim.claim = [claim.claim[0] + 100; 16];
            claim.now = claim.now.plus_ms(after_ms);
            claim.expires_at = claim.now.plus_ms(10_000);
        }
        later[2].fingerprint = Digest([9; 32]);
        let states = join_all(later.iter().map(|claim| store.claim_idempotency(claim))).await;
        let states: Vec<_> = states.into_iter().map(Result::unwrap).collect();
        let in_time = IdempotencyState::InFlight;
        assert_eq!(states, [in_time, IdempotencyState::Claimed, IdempotencyState::Claimed]);
    }
}
