//! The doctor and the log: leaves, tiles and checkpoint must tell the same.

use countersign_core::envelope::encode::leaf;
use countersign_server::doctor;
use countersign_store::rows::TileRow;
use countersign_tlog::{Checkpoint, Edge, Hash, leaf_hash, sign_checkpoint};

use crate::app::{TestApp, envelope_of, pdf};

/// Puts all events into the log; `bend` may change the root that is signed.
async fn sequence(test: &TestApp, bend: fn(Hash) -> Hash) {
    let leaves = test.app.store.next_leaves(100).await.unwrap();
    assert_eq!(leaves.len(), 3);
    let hashes: Vec<Hash> = leaves.iter().map(|row| leaf_hash(&leaf(&row.leaf_id, &row.hash))).collect();
    let growth = Edge::empty().append(&hashes).unwrap();
    let tiles: Vec<TileRow> = growth
        .tiles
        .into_iter()
        .map(|(id, bytes)| TileRow { level: id.level(), index: id.index(), bytes })
        .collect();
    let signer = &test.app.keys.log;
    let checkpoint = Checkpoint::new(signer.name(), growth.size, bend(growth.root)).unwrap();
    let note = sign_checkpoint(&checkpoint, signer).unwrap().to_string();
    assert!(test.app.store.lead_log().await.unwrap());
    test.app.store.publish_checkpoint(0, &leaves, &tiles, &note).await.unwrap();
}

async fn with_three_events() -> TestApp {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    test
}

/// E-3: the log's key is named for the public host, and every event is under the checkpoint that it signed.
#[tokio::test]
async fn the_doctor_finds_every_event_under_the_signed_checkpoint() {
    let test = with_three_events().await;
    sequence(&test, |root| root).await;
    let report = doctor::examine(&test.app).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.examined.iter().any(|line| line.contains("all 3 leaves are under the signed checkpoint")));
    assert_eq!(test.app.keys.log.name(), "sign.test/log");
    test.finish_without_worker().await;
}

#[tokio::test]
async fn the_doctor_names_a_checkpoint_that_signs_another_root() {
    let test = with_three_events().await;
    sequence(&test, |_| Hash([7; 32])).await;
    let report = doctor::examine(&test.app).await.unwrap();
    assert_eq!(report.findings.len(), 2, "{report}");
    assert!(report.findings[0].contains("do not give the signed root"), "{report}");
}
