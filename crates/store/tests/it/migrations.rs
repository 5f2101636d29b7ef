//! A database of the first schema opens with the program of today, and its rows are read as before.

use countersign_core::scope::{Scope, Scopes};
use countersign_store::{
    Batch, Postgres, Sqlite, Store,
    rows::{ApiKeyRow, IdempotencyState},
    testing,
};
use tokio_postgres::NoTls;

use crate::{people, rows};

const SQLITE: &str = include_str!("../../src/sqlite/migrations/0001_initial.sql");
const POSTGRES: &str = include_str!("../../src/postgres/migrations/0001_initial.sql");

/// Rows of the first schema, with the databases' own words for bytes.
fn first_rows(bytes: fn(&[u8]) -> String) -> String {
    let tenant = rows::tenant(0);
    let organization = bytes(tenant.organization().as_bytes());
    let key = rows::api_key_id(1);
    let claim = rows::claim(0, 1, 1, 1, rows::at(0));
    let event = rows::event(1, 1, 0);
    let (id, hash) = (bytes(key.as_bytes()), bytes(rows::token("key", 1).as_bytes()));
    let envelope = bytes(rows::envelope(1).as_bytes());
    let title = bytes(&rows::digest("title", 0).0);
    format!(
        "INSERT INTO api_keys (api_key, organization, environment, hash, scopes, person, label, created_at, expires_at)
            VALUES ({id}, {organization}, 'sandbox', {hash}, 'envelopes:read', {id}, 'old', 5, 90);
        INSERT INTO idempotency
            (organization, environment, api_key, key, fingerprint, claim, claimed_at, expires_at)
            VALUES ({organization}, 'sandbox', {}, 'key-1', {}, {}, {}, {});
        INSERT INTO envelopes VALUES ({envelope}, {organization}, 'sandbox', 'draft', 1, 2, NULL, {title}, 1);
        INSERT INTO events VALUES ({organization}, 'sandbox', {envelope}, 1, {}, {}, {});
        INSERT INTO unsequenced (organization, environment, envelope, seq)
            VALUES ({organization}, 'sandbox', {envelope}, 1);",
        bytes(&claim.caller),
        bytes(&claim.fingerprint.0),
        bytes(&claim.claim),
        claim.now.unix_ms(),
        claim.expires_at.unix_ms(),
        bytes(&event.bytes),
        bytes(&event.hash.0),
        bytes(&event.leaf_id),
    )
}

async fn check(store: &dyn Store) {
    let key = ApiKeyRow {
        tenant: rows::tenant(0),
        key: rows::api_key_id(1),
        hash: rows::token("key", 1),
        scopes: Scopes::of(&[Scope::EnvelopesRead]),
        person: countersign_core::id::PersonId::from_bytes(rows::bytes(1)),
        label: "old".to_owned(),
        created_at: countersign_core::time::Time::from_unix_ms(5),
        expires_at: countersign_core::time::Time::from_unix_ms(90),
        networks: vec![],
        replaces: None,
        used: None,
        warned_days: None,
        created_by: None,
        version: 1,
    };
    assert_eq!(store.api_key(&rows::token("key", 1)).await.unwrap(), Some(key));
    let again = rows::claim(0, 1, 1, 2, rows::at(1));
    assert_eq!(store.claim_idempotency(&again).await.unwrap(), IdempotencyState::InFlight);
    // The event still waits for the log, and the security streams of both environments fit beside it.
    for of in [0, 1] {
        let chains = Some(people::chain(of, 1, 1, 0));
        store.commit(Batch { chains, ..Batch::default() }).await.unwrap();
    }
    let leaves = store.next_leaves(9).await.unwrap();
    assert_eq!(leaves[0].hash, rows::event(1, 1, 0).hash);
    assert_eq!(leaves.len(), 3);
    store.publish_checkpoint(0, &leaves, &[], "note").await.unwrap();
    assert!(store.next_leaves(9).await.unwrap().is_empty());
    let stream = store.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
    assert_eq!(stream.events[0].log_index, Some(0));
}

#[tokio::test]
async fn a_first_database_of_sqlite_is_brought_up_to_date_with_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let first = rusqlite::Connection::open(&path).unwrap();
    first.execute_batch(SQLITE).unwrap();
    first.execute_batch(&first_rows(|bytes| format!("x'{}'", hex::encode(bytes)))).unwrap();
    first.pragma_update(None, "user_version", 1).unwrap();
    drop(first);
    check(&Sqlite::open(&path).unwrap()).await;
}

#[tokio::test]
async fn a_first_database_of_postgres_is_brought_up_to_date_with_its_rows() {
    let url = testing::cluster().unwrap().database().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(POSTGRES).await.unwrap();
    client.batch_execute(&first_rows(|bytes| format!("'\\x{}'", hex::encode(bytes)))).await.unwrap();
    let version =
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (1)";
    client.batch_execute(version).await.unwrap();
    check(&Postgres::open(&url, None).await.unwrap()).await;
}
