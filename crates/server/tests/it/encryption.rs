//! Encryption at rest (D-2): the official vectors of chunked-encryption, and what a thief of the disk would find.

use std::io::Read as _;

use countersign_server::vault::{
    chunked::{SALT_BYTES, decrypt, encrypt},
    folder::FOLDER_ID,
};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::app::{TestApp, envelope_of, pdf};

/// The vectors of Project Wycheproof for Cobblestone-256: each valid message opens and encrypts to the same bytes with
/// the same salt, each invalid one is refused.
#[test]
fn the_official_vectors_of_chunked_encryption_hold() {
    let file: Value = serde_json::from_str(include_str!("vectors/cobblestone_256.json")).unwrap();
    let mut run = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            run += 1;
            let comment = &case["comment"];
            let bytes = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
            let mut sealed = Vec::new();
            flate2::read::ZlibDecoder::new(bytes("ct").as_slice()).read_to_end(&mut sealed).unwrap();
            let Ok(key) = <[u8; 32]>::try_from(bytes("key")) else {
                assert_eq!(case["result"], "invalid", "only keys of 256 bits can be given");
                continue;
            };
            let opened = decrypt(&key, &bytes("ctx"), &sealed);
            if case["result"] == "invalid" {
                assert!(opened.is_err(), "{comment}");
                continue;
            }
            let message = opened.unwrap_or_else(|error| panic!("{comment}: {error}"));
            assert_eq!(message.len() as u64, case["msgLength"].as_u64().unwrap(), "{comment}");
            assert_eq!(hex::encode(sha2::Sha512::digest(&message)), case["msgSha512"], "{comment}");
            let salt = sealed.first_chunk::<SALT_BYTES>().unwrap();
            assert!(encrypt(&key, salt, &bytes("ctx"), &message).unwrap() == sealed, "{comment}");
        }
    }
    assert_eq!(run, file["numberOfTests"].as_u64().unwrap());
}

/// D-2: the data folder holds no name, address, title or text of a document in the clear.
#[tokio::test]
async fn the_data_folder_tells_nothing_about_people_or_documents() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    // As long as what it replaces, so that the file stays well formed.
    let file = String::from_utf8(pdf(1)).unwrap().replace("/Resources << >>", "/A (secret text)");
    let file = file.into_bytes();
    assert!(file.windows(11).any(|window| window == b"secret text"));
    let document = test.upload(&key, "secret-name.pdf", file).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let path = format!("/v1/envelopes/{envelope}/void");
    test.post_json(&key, &path, &json!({ "reason": "secret reason" })).await;
    let (_folder_stays, folder) =
        (std::sync::Arc::clone(&test.folder), test.app.config.server.data_dir.clone());
    test.finish_without_worker().await;
    let mut seen = 0;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            seen += bytes.len();
            for needle in [
                "Ada Lovelace",
                "ada@example.com",
                "old mill",
                "secret-name",
                "secret text",
                "secret reason",
                "127.0.0.1",
                key.token.as_str(),
            ] {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "{needle} is in {}", path.display());
            }
        }
    }
    assert!(seen > 10_000, "the folder was really read");
}

/// D-1: bytes that were changed on disk are not served, and the doctor names them.
#[tokio::test]
async fn changed_blobs_are_refused_and_found() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    let mut files = vec![test.app.config.server.data_dir.join("blobs")];
    let blob = loop {
        let path = files.pop().unwrap();
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if std::fs::metadata(&path).unwrap().len() > 0 && !path.ends_with(FOLDER_ID) {
            break path;
        }
    };
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let path = format!("/v1/envelopes/{envelope}/documents/{document}/original");
    let response = test.get(&key, &path).await;
    assert_eq!(response.status(), reqwest::StatusCode::INTERNAL_SERVER_ERROR);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "internal_error");
    let report = countersign_server::doctor::examine(&test.app).await.unwrap();
    assert!(report.findings.iter().any(|line| line.contains(&document)), "{report}");
}
