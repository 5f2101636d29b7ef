//! Look-ups of single rows by their key, as each request makes them: all who wait are answered by one statement, which is
//! sent after the last of them asked.

use std::{collections::HashMap, sync::Arc};

use deadpool_postgres::Pool;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

use super::{
    connection::{PostgresCells, call, query, repeat},
    gather::gather,
};
use crate::fault::Fault;

/// Callers that wait at most; those beyond that wait for a place.
const QUEUE: usize = 1_024;
/// Keys in one statement at most.
const GROUP: usize = 128;
/// Statements of one kind on their way at the same time.
const ASKERS: usize = 2;

/// What is looked up.
pub(super) struct Kind<T> {
    pub(super) table: &'static str,
    /// Takes an array of keys.
    pub(super) sql: &'static str,
    pub(super) read: fn(&PostgresCells<'_>) -> Result<T, Fault>,
    /// The key of a row.
    pub(super) key: fn(&T) -> Vec<u8>,
}

struct Waiting<T> {
    key: Vec<u8>,
    reply: oneshot::Sender<Result<Option<T>, Fault>>,
}

/// The way to those who ask.
pub(super) struct Lookup<T> {
    queue: mpsc::Sender<Waiting<T>>,
}

impl<T: Clone + Send + 'static> Lookup<T> {
    /// Starts those who ask among `tasks`, on connections of `pool`.
    pub(super) fn start(pool: &Pool, kind: Kind<T>, tasks: &mut JoinSet<()>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (kind, waiting) = (Arc::new(kind), Arc::new(Mutex::new(waiting)));
        for _ in 0..ASKERS {
            tasks.spawn(run(pool.clone(), Arc::clone(&kind), Arc::clone(&waiting)));
        }
        Self { queue }
    }

    /// The row with this key, as it is after this was called.
    pub(super) async fn find(&self, key: Vec<u8>) -> Result<Option<T>, Fault> {
        let stopped = || Fault::Unavailable("the look-ups have stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        self.queue.send(Waiting { key, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

async fn run<T: Clone>(pool: Pool, kind: Arc<Kind<T>>, waiting: Arc<Mutex<mpsc::Receiver<Waiting<T>>>>) {
    let mut group = Vec::with_capacity(GROUP);
    while gather(&mut group, &mut *waiting.lock().await, GROUP).await {
        let found = find(&pool, &kind, group.iter().map(|one: &Waiting<T>| one.key.as_slice())).await;
        for Waiting { key, reply } in group.drain(..) {
            let answer = match &found {
                Ok(rows) => Ok(rows.get(&key).cloned()),
                Err(Fault::Unavailable(reason)) => Err(Fault::Unavailable(reason.clone())),
                // One row that cannot be read is the fault of nobody who asked for another.
                Err(_) => find(&pool, &kind, [key.as_slice()]).await.map(|mut alone| alone.remove(&key)),
            };
            // A caller that went away needs no answer.
            let _: Result<(), _> = reply.send(answer);
        }
    }
}

async fn find<T>(
    pool: &Pool,
    kind: &Kind<T>,
    keys: impl IntoIterator<Item = &[u8]>,
) -> Result<HashMap<Vec<u8>, T>, Fault> {
    let mut keys: Vec<Vec<u8>> = keys.into_iter().map(<[u8]>::to_vec).collect();
    keys.sort_unstable();
    keys.dedup();
    let rows = repeat(pool, &call!(kind.sql, keys), query).await?;
    let read = |row| (kind.read)(&PostgresCells::new(kind.table, row));
    rows.iter().map(|row| read(row).map(|found| ((kind.key)(&found), found))).collect()
}

#[cfg(test)]
mod tests {
    use countersign_core::id::ClientId;
    use futures_util::future::join_all;

    use super::*;
    use crate::{AccessStore as _, Postgres, postgres::connection::connection, testing};

    /// Those who ask together each get their own row, as it was after they asked; that one cannot be read, or is not there,
    /// is told to those alone who asked for it.
    #[tokio::test(flavor = "multi_thread")]
    async fn each_of_many_gets_its_own_row() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection(&store.readers).await.unwrap();
        let fill = "INSERT INTO clients (client, organization, environment, is_fapi, scopes, person, registration,
                created_at, version)
            SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), decode(repeat('00', 16), 'hex'), 'live', true, '',
                decode(repeat('00', 16), 'hex'), CASE i WHEN 7 THEN '' ELSE i::text END, 1, CASE i WHEN 7 THEN -1 ELSE 1 END
            FROM generate_series(0, 99) i";
        client.batch_execute(fill).await.unwrap();
        let id = |number: u128| ClientId::from_bytes(number.to_be_bytes());
        let answers = join_all((0..300).map(|number| store.client(id(number % 150)))).await;
        for (number, answer) in (0..).zip(answers) {
            match number % 150 {
                7 => assert!(matches!(answer, Err(Fault::CorruptRow { table: "clients", .. })), "{answer:?}"),
                there @ 0..100 => {
                    let row = answer.unwrap().unwrap();
                    assert_eq!((row.client, row.registration), (id(there), there.to_string()));
                }
                _ => assert_eq!(answer.unwrap(), None),
            }
        }
        client.batch_execute("UPDATE clients SET registration = 'changed'").await.unwrap();
        assert_eq!(store.client(id(1)).await.unwrap().unwrap().registration, "changed");
    }
}
