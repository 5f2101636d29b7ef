//! Look-ups of single rows by their key, as each request makes them: all who wait are answered by one statement, which is
//! sent after the last of them asked.

use std::{collections::HashMap, sync::Arc};

use deadpool_postgres::Pool;
use tokio::task::JoinSet;

use super::{
    connection::{PostgresCells, call, query, repeat},
    together::{Size, Together},
};
use crate::fault::Fault;

/// Of one kind.
const SIZE: Size = Size { queue: 1_024, group: 128, groups: 2 };

/// What is looked up.
pub(super) struct Kind<T> {
    pub(super) table: &'static str,
    /// Takes an array of keys.
    pub(super) sql: &'static str,
    pub(super) read: fn(&PostgresCells<'_>) -> Result<T, Fault>,
    /// The key of a row.
    pub(super) key: fn(&T) -> Vec<u8>,
}

/// The way to those who ask.
pub(super) struct Lookup<T>(Together<Vec<u8>, Result<Option<T>, Fault>>);

impl<T: Clone + Send + 'static> Lookup<T> {
    /// Starts those who ask among `tasks`, on connections of `pool`.
    pub(super) fn start(pool: &Pool, kind: Kind<T>, tasks: &mut JoinSet<()>) -> Self {
        let (pool, kind) = (pool.clone(), Arc::new(kind));
        Self(Together::start("the look-ups", &SIZE, tasks, move |keys| {
            let (pool, kind) = (pool.clone(), Arc::clone(&kind));
            async move { answers(&pool, &kind, keys).await }
        }))
    }

    /// The row with this key, as it is after this was called.
    pub(super) async fn find(&self, key: Vec<u8>) -> Result<Option<T>, Fault> {
        self.0.ask(key).await?
    }
}

async fn answers<T: Clone>(pool: &Pool, kind: &Kind<T>, keys: Vec<Vec<u8>>) -> Vec<Result<Option<T>, Fault>> {
    let found = find(pool, kind, keys.iter().map(Vec::as_slice)).await;
    let mut answers = Vec::with_capacity(keys.len());
    for key in keys {
        answers.push(match &found {
            Ok(rows) => Ok(rows.get(&key).cloned()),
            Err(Fault::Unavailable(reason)) => Err(Fault::Unavailable(reason.clone())),
            // One row that cannot be read is the fault of nobody who asked for another.
            Err(_) => find(pool, kind, [key.as_slice()]).await.map(|mut alone| alone.remove(&key)),
        });
    }
    answers
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
