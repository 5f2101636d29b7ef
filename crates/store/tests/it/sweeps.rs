//! What ended goes away with the next look for jobs, and not before its time; what was put back comes again.

use std::sync::Arc;

use countersign_core::id::{ApiKeyId, CodeId, SessionId};
use countersign_store::{
    Batch, CommitError, Memory, Postgres, Sqlite, Store,
    access_rows::{Change, Ending},
    rows::{IdempotencyState, PutBack},
    testing,
};

use crate::rows;

async fn stores() -> (tempfile::TempDir, Vec<Arc<dyn Store>>) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db")).unwrap();
    let url = testing::cluster().unwrap().database().await.unwrap();
    let postgres = Postgres::open(&url, None).await.unwrap();
    (folder, vec![Arc::new(Memory::new()), Arc::new(sqlite), Arc::new(postgres)])
}

#[tokio::test]
async fn sessions_and_codes_stay_for_a_day_after_their_end() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let rows = vec![rows::session(0, 1, 1, rows::at(0)), rows::code(0, 1, rows::at(0))];
        store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
        for (after_ms, stays) in [(86_399_999, true), (86_400_000, false)] {
            store.sweep(rows::at(after_ms)).await.unwrap();
            let session = store.session(&rows::token("cookie", 1)).await.unwrap();
            let code = store.code(&rows::tenant(0), CodeId::from_bytes(rows::bytes(1))).await.unwrap();
            assert_eq!((session.is_some(), code.is_some()), (stays, stays), "{after_ms} ms later");
        }
    }
}

/// Whoever sweeps learns whether a table had more than what one sweep removes.
#[tokio::test]
async fn a_sweep_says_whether_it_was_too_small() {
    let (_folder, stores) = stores().await;
    // The model removes all at once.
    for store in stores.into_iter().skip(1) {
        let rows = (0..1_500).map(|number| rows::session(0, number, number, rows::at(0))).collect();
        store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
        let mut more = Vec::new();
        for _ in 0..2 {
            more.push(store.sweep(rows::at(86_400_000)).await.unwrap());
        }
        assert_eq!(more, [true, false]);
        assert!(store.session(&rows::token("cookie", 1_499)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_session_that_ended_is_not_brought_back() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let session = SessionId::from_bytes(rows::bytes(1));
        let rows = vec![rows::session(0, 1, 1, rows::at(100))];
        store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
        let end = async || store.session(&rows::token("cookie", 1)).await.unwrap().unwrap().expires_at;
        store.touch_session(session, rows::at(99), rows::at(200)).await.unwrap();
        assert_eq!(end().await, rows::at(200));
        store.touch_session(session, rows::at(200), rows::at(300)).await.unwrap();
        assert_eq!(end().await, rows::at(200));
    }
}

/// G-6: a key is free again once its answer is no longer kept, and a late answer to the old claim is refused.
#[tokio::test]
async fn an_expired_idempotency_key_is_free_again() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let first = rows::claim(0, 1, 1, 1, rows::at(0));
        store.claim_idempotency(&first).await.unwrap();
        let mut next = rows::claim(0, 1, 2, 2, first.expires_at.plus_ms(-1));
        assert_eq!(store.claim_idempotency(&next).await.unwrap(), IdempotencyState::Mismatch);
        next.now = first.expires_at;
        assert_eq!(store.claim_idempotency(&next).await.unwrap(), IdempotencyState::Claimed);
        let late = Batch { answers: Some(rows::answer(&first, 1)), ..Batch::default() };
        assert!(matches!(store.commit(late).await, Err(CommitError::ClaimLost)));
        store.sweep(next.expires_at).await.unwrap();
        let late = Batch { answers: Some(rows::answer(&next, 1)), ..Batch::default() };
        assert!(matches!(store.commit(late).await, Err(CommitError::ClaimLost)));
    }
}

/// a leaked key ends when its operator says, once, and no other key with it.
#[tokio::test]
async fn an_api_key_that_was_ended_has_ended() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let rows = vec![rows::api_key(0, 1, 1), rows::api_key(1, 2, 2), rows::api_key(2, 3, 3)];
        store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
        let key = ApiKeyId::from_bytes(rows::bytes(1));
        let mut ends = Vec::new();
        for (key, now) in [(key, 50), (key, 60), (ApiKeyId::from_bytes(rows::bytes(9)), 50)] {
            let end = Change::End { what: Ending::ApiKey(key), at: rows::at(now), once: true };
            ends.push(store.commit(Batch { changes: vec![end], ..Batch::default() }).await.is_ok());
        }
        assert_eq!(ends, [true, false, false]);
        let listed = store.api_keys(rows::tenant(0).organization()).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|row| (row.key, row.expires_at)).collect();
        assert_eq!(listed, [(key, rows::at(50)), (ApiKeyId::from_bytes(rows::bytes(2)), rows::at(90))]);
        let found = store.api_key(&rows::token("key", 1)).await.unwrap().unwrap();
        assert_eq!(found.expires_at, rows::at(50));
    }
}

/// A job that waits for its turn again and again is not believed to fail: its first failure is tried again soon.
#[tokio::test]
async fn a_lease_that_only_waited_is_no_attempt() {
    let (_folder, stores) = stores().await;
    for store in stores {
        let batch = Batch { jobs: vec![rows::job(0, 1, rows::at(0))], ..Batch::default() };
        store.commit(batch).await.unwrap();
        let mut attempts = Vec::new();
        for was_attempt in [false, false, true, true] {
            let job = store.claim_jobs(rows::at(0), 10, 1).await.unwrap().remove(0);
            let back = PutBack { due_at: rows::at(0), reason: "full".to_owned(), was_attempt };
            assert!(store.put_back_job(&job, &back).await.unwrap());
            attempts.push(job.attempt_count);
        }
        assert_eq!(attempts, [1, 1, 1, 2]);
    }
}
