//! E-3: what a stranger downloads from a running server, and what programs that others wrote say of it.

use std::{fs, path::Path};

use countersign_tlog::{Checkpoint, Hash, sign_checkpoint};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, pdf},
    judges::{JudgeInput, aics_tlog, go_sumdb},
};

/// What a judge says of a log in a folder.
type Judge = fn(&JudgeInput<'_>) -> Result<String, String>;

const JUDGES: [Judge; 2] = [go_sumdb, aics_tlog];
const TILE_WIDTH: u64 = 256;

/// An envelope for fifty people, sent: 102 events with their mails.
async fn send_to_fifty(test: &TestApp, key: &Key) {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let recipient = |number: usize| json!({ "name": format!("Signer {number}"), "email": format!("signer{number}@example.com"), "role": "signer" });
    let recipients: Vec<Value> = (0..50).map(recipient).collect();
    let body = json!({ "title": "To fifty", "documents": [{ "id": document }], "recipients": recipients });
    let envelope = test.create(key, &body).await;
    test.send(key, &envelope).await;
    test.work().await;
}

async fn get(test: &TestApp, path: &str) -> Vec<u8> {
    let response = test.request(reqwest::Method::GET, &format!("/log/{path}")).send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.bytes().await.unwrap().to_vec()
}

fn size_of(note: &[u8]) -> u64 {
    std::str::from_utf8(note).unwrap().lines().nth(1).unwrap().parse().unwrap()
}

/// Keeps what the server gives without a credential: the checkpoint, and the tiles and entries up to its size.
async fn download(test: &TestApp, folder: &Path) -> u64 {
    let write = |path: &str, bytes: &[u8]| {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    };
    let note = get(test, "checkpoint").await;
    write("checkpoint", &note);
    let size = size_of(&note);
    let mut paths = Vec::new();
    for name in ["0", "1", "entries"] {
        let count = if name == "1" { size / TILE_WIDTH } else { size };
        paths.extend((0..count / TILE_WIDTH).map(|index| format!("tile/{name}/{index:03}")));
        if !count.is_multiple_of(TILE_WIDTH) {
            paths.push(format!("tile/{name}/{:03}.p/{}", count / TILE_WIDTH, count % TILE_WIDTH));
        }
    }
    for path in paths {
        write(&path, &get(test, &path).await);
    }
    size
}

fn accepted(folder: &Path, vkey: &str) {
    for judge in JUDGES {
        judge(&JudgeInput { directory: folder, vkey: vkey.to_owned() }).unwrap();
    }
}

fn refused(folder: &Path, vkey: &str) {
    for judge in JUDGES {
        let verdict = judge(&JudgeInput { directory: folder, vkey: vkey.to_owned() });
        assert!(verdict.is_err(), "accepted: {verdict:?}");
    }
}

#[tokio::test]
async fn strangers_programs_accept_the_servers_log_and_refuse_a_cut_or_forked_copy() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    send_to_fifty(&test, &key).await;
    let vkey = String::from_utf8(get(&test, "key").await).unwrap().trim().to_owned();
    let early = tempfile::tempdir().unwrap();
    // 102 of the envelope, and two of the key: it was made, and used.
    assert_eq!(download(&test, early.path()).await, 104);
    accepted(early.path(), &vkey);

    send_to_fifty(&test, &key).await;
    send_to_fifty(&test, &key).await;
    let late = tempfile::tempdir().unwrap();
    let size = download(&test, late.path()).await;
    assert_eq!(size, 308, "more than one tile");
    fs::create_dir(late.path().join("history")).unwrap();
    let old_note = fs::read(early.path().join("checkpoint")).unwrap();
    fs::write(late.path().join("history/104"), &old_note).unwrap();
    accepted(late.path(), &vkey);

    // Truncated: the newest checkpoint was seen, and the log is what it was before.
    let new_note = fs::read(late.path().join("checkpoint")).unwrap();
    fs::create_dir(early.path().join("history")).unwrap();
    fs::write(early.path().join(format!("history/{size}")), &new_note).unwrap();
    refused(early.path(), &vkey);

    // Forked: the operator signed another history of the same size.
    let signer = &test.app.keys.log;
    let fork = Checkpoint::new(signer.name(), 104, Hash([7; 32])).unwrap();
    let note = sign_checkpoint(&fork, signer).unwrap().to_string();
    fs::write(late.path().join("history/104"), note).unwrap();
    refused(late.path(), &vkey);
    fs::write(late.path().join("history/104"), &old_note).unwrap();
    accepted(late.path(), &vkey);

    // Changed: one bit of one leaf; and, with that mended, one bit of one entry.
    for path in ["tile/0/000", "tile/entries/000"] {
        let file = late.path().join(path);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[40] ^= 1;
        fs::write(&file, bad).unwrap();
        refused(late.path(), &vkey);
        fs::write(&file, good).unwrap();
    }
    // Signed by nobody we know.
    let stranger = TestApp::start_with(crate::app::Options { seed: 5, ..Default::default() }).await;
    refused(late.path(), &stranger.app.log.verifier_key());
    stranger.finish().await;
    test.finish().await;
}

/// The public log tells nothing: it is there without a credential, and no identifier of an envelope is in it.
#[tokio::test]
async fn the_public_log_tells_nothing_about_envelopes() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &crate::app::envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    test.work().await;
    let events = test.get_json(&key, &format!("/v1/envelopes/{envelope}/events")).await;
    let size = size_of(&get(&test, "checkpoint").await);
    let entries = get(&test, &format!("tile/entries/000.p/{size}")).await;
    assert_eq!(entries.len() as u64, size * 50);
    for event in events["events"].as_array().unwrap() {
        let hash = hex::decode(event["sha256"].as_str().unwrap()).unwrap();
        let index = usize::try_from(event["log_index"].as_u64().unwrap()).unwrap();
        let entry = entries.chunks(50).nth(index).unwrap();
        assert!(entry.ends_with(&hash), "an entry is a random id and the event's hash");
    }
    test.finish().await;
}
