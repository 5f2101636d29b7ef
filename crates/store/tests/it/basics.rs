//! The first things that a store must do, on each backend that needs no server.

use std::sync::Arc;

use countersign_store::{Batch, CommitError, Committed, Memory, Sqlite, Store, batch::Row};

use crate::rows;

type Named = Vec<(&'static str, Arc<dyn Store>)>;

fn stores() -> (tempfile::TempDir, Named) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db")).unwrap();
    (folder, vec![("memory", Arc::new(Memory::new())), ("sqlite", Arc::new(sqlite))])
}

#[tokio::test]
async fn what_was_committed_is_loaded() {
    let (_folder, stores) = stores();
    for (name, store) in stores {
        let batch = Batch {
            append: Some(rows::append(0, 1, 1, 3, 0)),
            rows: vec![rows::person(0, 5, 5), rows::opening(0, 1, 1, 5)],
            jobs: vec![rows::job(0, 1, rows::at(5))],
            ..Batch::default()
        };
        assert_eq!(store.commit(batch).await.unwrap(), Committed { last_seq: 3 }, "{name}");
        let stream = store.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
        assert_eq!((stream.events.len(), stream.openings.len(), stream.persons.len()), (3, 1, 1), "{name}");
        assert_eq!(stream.events[2].bytes, rows::event(1, 3, 0).bytes, "{name}");
        assert!(store.load(&rows::tenant(1), rows::envelope(1)).await.unwrap().is_none(), "{name}");
        let jobs = store.claim_jobs(rows::at(5), 10, 9).await.unwrap();
        assert_eq!((jobs.len(), jobs[0].fence, jobs[0].attempt_count), (1, 1, 1), "{name}");
    }
}

/// An envelope that is large enough to be read on another thread is read like any other.
#[tokio::test]
async fn an_envelope_is_loaded_whole_however_many_events_it_has() {
    let (_folder, stores) = stores();
    for (name, store) in stores {
        for (number, count) in [(1, 63), (2, 64), (3, 65), (4, 300)] {
            let batch = Batch { append: Some(rows::append(0, number, 1, count, 0)), ..Batch::default() };
            store.commit(batch).await.unwrap();
            let stream = store.load(&rows::tenant(0), rows::envelope(number)).await.unwrap().unwrap();
            let last = stream.events.last().unwrap();
            assert_eq!(last.bytes, rows::event(number, count, 0).bytes, "{name}");
            assert_eq!(u64::try_from(stream.events.len()).unwrap(), count, "{name}");
        }
    }
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_behind() {
    let (_folder, stores) = stores();
    for (name, store) in stores {
        let first = Batch { rows: vec![rows::person(0, 1, 1)], ..Batch::default() };
        store.commit(first).await.unwrap();
        let second = Batch {
            append: Some(rows::append(0, 7, 1, 1, 0)),
            rows: vec![rows::document(0, 3), rows::person(0, 2, 1)],
            jobs: vec![rows::job(0, 1, rows::at(5))],
            ..Batch::default()
        };
        assert!(matches!(store.commit(second).await, Err(CommitError::Conflict)), "{name}");
        assert!(store.load(&rows::tenant(0), rows::envelope(7)).await.unwrap().is_none(), "{name}");
        let Row::Document(document) = rows::document(0, 3) else { panic!() };
        assert!(store.document(&rows::tenant(0), document.document).await.unwrap().is_none(), "{name}");
        assert_eq!(store.next_due().await.unwrap(), None, "{name}");
        assert!(store.next_leaves(9).await.unwrap().is_empty(), "{name}");
    }
}

/// Whoever copies the file of a store that was closed has everything.
#[tokio::test]
async fn after_a_clean_end_the_database_file_alone_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Sqlite::open(&path).unwrap();
    let batch = Batch { append: Some(rows::append(0, 1, 1, 3, 0)), ..Batch::default() };
    store.commit(batch).await.unwrap();
    // A connection that has read holds the file to the end, and may not write what is missing there.
    assert!(store.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().is_some());
    drop(store);
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let copied = Sqlite::open(&copy).unwrap();
    let stream = copied.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
    assert_eq!(stream.events.len(), 3);
}
