//! Events are added, and then nothing: the databases themselves refuse changes. Rows that cannot be read say where.

use countersign_store::{Batch, Fault, Postgres, Sqlite, Store as _, testing};
use tokio_postgres::NoTls;

use crate::rows;

fn two_events() -> Batch {
    Batch {
        append: Some(rows::append(0, 1, 1, 2, 0)),
        rows: vec![rows::person(0, 1, 1), rows::document(0, 1)],
        ..Batch::default()
    }
}

#[tokio::test]
async fn sqlite_refuses_to_change_or_remove_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Sqlite::open(&path).unwrap();
    store.commit(two_events()).await.unwrap();
    // As somebody with the file and a shell would.
    let connection = rusqlite::Connection::open(&path).unwrap();
    for statement in [
        "UPDATE events SET bytes = x'00'",
        "UPDATE events SET seq = seq + 10",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 2",
        "INSERT OR REPLACE INTO events SELECT organization, environment, envelope, seq, x'00', hash, leaf_id
         FROM events",
        "INSERT INTO events SELECT * FROM events WHERE true ON CONFLICT DO UPDATE SET bytes = x'00'",
    ] {
        let refused = connection.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    let stream = store.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
    assert_eq!(stream.events[1].bytes, rows::event(1, 2, 0).bytes);
}

#[tokio::test]
async fn postgres_refuses_to_change_or_remove_an_event() {
    let url = testing::cluster().unwrap().database().await.unwrap();
    let store = Postgres::open(&url, None).await.unwrap();
    store.commit(two_events()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    for statement in [
        "UPDATE events SET bytes = ''",
        "UPDATE events SET seq = seq + 10",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 2",
        "TRUNCATE events",
        "TRUNCATE events CASCADE",
        "INSERT INTO events SELECT * FROM events
         ON CONFLICT (organization, environment, envelope, seq) DO UPDATE SET bytes = ''",
    ] {
        let refused = client.batch_execute(statement).await.unwrap_err();
        let message = refused.as_db_error().unwrap().message().to_owned();
        assert!(message.contains("append-only"), "{statement}: {message}");
    }
    let stream = store.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
    assert_eq!(stream.events[1].bytes, rows::event(1, 2, 0).bytes);
}

fn assert_corrupt(answer: Result<impl std::fmt::Debug, Fault>, expected: (&str, &str)) {
    match answer {
        Err(fault @ Fault::CorruptRow { table, column, .. }) => {
            assert_eq!((table, column), expected);
            assert!(fault.to_string().contains(&hex::encode(rows::bytes(1))), "{fault}");
            assert!(!fault.to_string().contains("tell-tale"), "{fault}");
        }
        other => panic!("{other:?}"),
    }
}

/// L-3: the fault names the place, and never the value.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_without_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Sqlite::open(&path).unwrap();
    store.commit(two_events()).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE persons SET lookup = CAST('tell-tale' AS BLOB)", []).unwrap();
    let person = countersign_core::id::PersonId::from_bytes(rows::bytes(1));
    assert_corrupt(store.persons(&rows::tenant(0), &[person]).await, ("persons", "lookup"));

    let url = testing::cluster().unwrap().database().await.unwrap();
    let store = Postgres::open(&url, None).await.unwrap();
    store.commit(two_events()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("UPDATE persons SET lookup = 'tell-tale'").await.unwrap();
    assert_corrupt(store.persons(&rows::tenant(0), &[person]).await, ("persons", "lookup"));
}
