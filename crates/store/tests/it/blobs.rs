//! Blobs on disk: durable, private, written once, and never outside of their folder.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use countersign_store::{
    Fault,
    blob::{Blobs as _, DiskBlobs},
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_blob_is_written_once_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("blobs");
    let blobs = DiskBlobs::open(&root).unwrap();
    assert_eq!(blobs.get("originals/doc_1").await.unwrap(), None);
    blobs.put("originals/doc_1", vec![1, 2]).await.unwrap();
    blobs.put("originals/doc_1", vec![1, 2]).await.unwrap();
    let other = blobs.put("originals/doc_1", vec![1, 3]).await;
    assert!(matches!(other, Err(Fault::Contradiction(_))), "{other:?}");
    assert_eq!(blobs.get("originals/doc_1").await.unwrap(), Some(vec![1, 2]));
    assert_eq!((mode(&root), mode(&root.join("originals"))), (0o700, 0o700));
    assert_eq!(mode(&root.join("originals/doc_1")), 0o600);
}

#[tokio::test]
async fn names_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = DiskBlobs::open(folder.path()).unwrap();
    for name in ["sealed/b.pdf", "originals/z", "sealed/a/1", "alone", "originals/a"] {
        blobs.put(name, vec![0]).await.unwrap();
    }
    let all = ["alone", "originals/a", "originals/z", "sealed/a/1", "sealed/b.pdf"];
    assert_eq!(blobs.names().await.unwrap(), all);
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = DiskBlobs::open(&folder.path().join("blobs")).unwrap();
    fs::write(folder.path().join("outside"), b"secret").unwrap();
    let long = "a".repeat(201);
    let wrong = [
        "",
        "/",
        "../outside",
        "a/../../outside",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        ".unfinished/0",
        "a\\b",
        "a\0b",
        "a b",
        "\u{e9}",
        "a/b/c/d/e",
        "a..b",
        "a.",
        &long,
    ];
    for name in wrong {
        assert!(matches!(blobs.get(name).await, Err(Fault::Contradiction(_))), "get {name:?}");
        assert!(matches!(blobs.put(name, vec![]).await, Err(Fault::Contradiction(_))), "put {name:?}");
    }
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_removed_and_never_listed() {
    let folder = tempfile::tempdir().unwrap();
    drop(DiskBlobs::open(folder.path()).unwrap());
    let left = folder.path().join(".unfinished/0");
    fs::write(&left, b"half").unwrap();
    let blobs = DiskBlobs::open(folder.path()).unwrap();
    assert!(!left.exists());
    assert!(blobs.names().await.unwrap().is_empty());
    blobs.put("a", vec![1]).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join(".unfinished")).unwrap().count(), 1, "only the lock stays");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_does_not_answer_a_ping() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = DiskBlobs::open(&folder.path().join("blobs")).unwrap();
    blobs.ping().await.unwrap();
    assert_eq!(
        fs::read_dir(folder.path().join("blobs/.unfinished")).unwrap().count(),
        1,
        "only the lock stays"
    );
    fs::remove_dir_all(folder.path().join("blobs")).unwrap();
    assert!(matches!(blobs.ping().await, Err(Fault::File(_))));
}

#[tokio::test]
async fn a_second_process_shares_the_folder_and_clears_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = DiskBlobs::open(folder.path()).unwrap();
    let in_work = folder.path().join(".unfinished/1-1");
    fs::write(&in_work, b"half").unwrap();
    let second = DiskBlobs::open(folder.path()).unwrap();
    assert!(in_work.exists());
    first.put("a", vec![1]).await.unwrap();
    assert_eq!(second.get("a").await.unwrap(), Some(vec![1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_writers_of_one_name_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(DiskBlobs::open(folder.path()).unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..20_u8 {
        let blobs = Arc::clone(&blobs);
        writers.spawn(async move { (number, blobs.put("one/name", vec![number; 1_000]).await.is_ok()) });
    }
    let won: Vec<u8> =
        writers.join_all().await.into_iter().filter(|(_, won)| *won).map(|(number, _)| number).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(blobs.get("one/name").await.unwrap(), Some(vec![won[0]; 1_000]));
}
