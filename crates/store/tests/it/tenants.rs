//! what belongs to another organization, or to its other environment, reads like what does not exist.

use std::sync::Arc;

use countersign_core::{
    access::Tenant,
    id::{CodeId, DocumentId, LinkId, PersonId},
};
use countersign_store::{
    Batch, CommitError, Memory, Postgres, Sqlite, Store,
    batch::Row,
    rows::{EnvelopeQuery, IdempotencyState},
    testing,
};

use crate::{people, rows};

async fn stores() -> (tempfile::TempDir, Vec<Arc<dyn Store>>) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db")).unwrap();
    let url = testing::cluster().unwrap().database().await.unwrap();
    let postgres = Postgres::open(&url, None).await.unwrap();
    (folder, vec![Arc::new(Memory::new()), Arc::new(sqlite), Arc::new(postgres)])
}

fn everything(of: u64) -> Batch {
    Batch {
        append: Some(rows::append(of, 1, 1, 2, 0)),
        chains: Some(people::chain(of, 1, 1, 0)),
        rows: vec![
            Row::Client(people::client(of, 1, 1)),
            Row::Grant(people::grant(of, 1, 1)),
            rows::person(of, 1, 1),
            rows::opening(of, 1, 1, 1),
            rows::document(of, 1),
            rows::link(of, 1, 1, 1, 1),
            rows::code(of, 1, rows::at(9)),
            rows::artifact(of, 1, Some(1)),
            rows::artifact(of, 1, None),
            rows::mail(of, 1),
        ],
        ..Batch::default()
    }
}

/// How many rows each tenant-scoped read gives to `tenant`.
async fn seen(store: &dyn Store, tenant: &Tenant) -> Vec<usize> {
    let bytes = rows::bytes(1);
    let stream = store.load(tenant, rows::envelope(1)).await.unwrap();
    let (client, user) = (Some(people::client_id(1)), Some(people::user_id(1)));
    let query = EnvelopeQuery { limit: 9, ..EnvelopeQuery::default() };
    vec![
        stream.as_ref().map_or(0, |stream| stream.events.len()),
        stream.map_or(0, |stream| stream.openings.len() + stream.persons.len()),
        store.find_envelopes(tenant, &query).await.unwrap().rows.len(),
        store.openings(tenant, &[(rows::envelope(1), rows::digest("commitment", 1))]).await.unwrap().len(),
        usize::from(store.document(tenant, DocumentId::from_bytes(bytes)).await.unwrap().is_some()),
        store.artifacts(tenant, rows::envelope(1)).await.unwrap().len(),
        store.persons_by_lookup(tenant, &[rows::digest("lookup", 1)]).await.unwrap().len(),
        store.persons(tenant, &[PersonId::from_bytes(bytes)]).await.unwrap().len(),
        usize::from(store.link_by_id(tenant, LinkId::from_bytes(bytes)).await.unwrap().is_some()),
        usize::from(store.code(tenant, CodeId::from_bytes(bytes)).await.unwrap().is_some()),
        store.mailbox(tenant, None, 9).await.unwrap().rows.len(),
        store.clients(tenant, None, 9).await.unwrap().len(),
        store.grants(tenant, None, None, None, 9).await.unwrap().len(),
        store.grants(tenant, client, None, None, 9).await.unwrap().len(),
        store.grants(tenant, None, user, None, 9).await.unwrap().len(),
        store.grants(tenant, client, user, None, 9).await.unwrap().len(),
        store.security_events(tenant, None, 9).await.unwrap().len(),
        usize::from(store.security_head(tenant).await.unwrap().is_some()),
    ]
}

#[tokio::test]
async fn a_12_no_read_gives_a_row_of_another_tenant() {
    let (_folder, stores) = stores().await;
    for store in stores {
        store.commit(everything(0)).await.unwrap();
        let own = seen(store.as_ref(), &rows::tenant(0)).await;
        assert!(own.iter().all(|count| *count > 0), "{own:?}");
        // The same organization's live environment, and another organization.
        for other in [1, 2] {
            let foreign = seen(store.as_ref(), &rows::tenant(other)).await;
            assert!(foreign.iter().all(|count| *count == 0), "tenant {other}: {foreign:?}");
        }
    }
}

#[tokio::test]
async fn a_12_nobody_appends_to_an_envelope_of_another_tenant() {
    let (_folder, stores) = stores().await;
    for store in stores {
        store.commit(everything(0)).await.unwrap();
        for other in [1, 2] {
            for seq in [1, 3] {
                let append = Some(rows::append(other, 1, seq, 1, 0));
                let refused = store.commit(Batch { append, ..Batch::default() }).await;
                assert!(matches!(refused, Err(CommitError::Conflict)), "{refused:?}");
            }
        }
        let stream = store.load(&rows::tenant(0), rows::envelope(1)).await.unwrap().unwrap();
        assert_eq!(stream.events.len(), 2);
    }
}

#[tokio::test]
async fn a_12_idempotency_keys_of_tenants_do_not_meet() {
    let (_folder, stores) = stores().await;
    for store in stores {
        for of in 0..4 {
            let mut claim = rows::claim(of, 1, of, of, rows::at(0));
            claim.caller = rows::claim(0, 0, 0, 0, rows::at(0)).caller;
            let state = store.claim_idempotency(&claim).await.unwrap();
            assert_eq!(state, IdempotencyState::Claimed, "tenant {of}");
        }
    }
}
