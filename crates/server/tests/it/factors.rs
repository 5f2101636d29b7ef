//! What a sender may ask of recipients beyond the mailbox, and what is kept of it (S-3, E-8).

use std::{fs, path::Path};

use countersign_core::digest::Digest;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Key, Options, TestApp, logged, pdf};

const CODE: &str = "wheel-of-the-mill-77";

fn envelope(document: &str, recipient: &Value, more: &Value) -> Value {
    let mut one = json!({ "name": "Ada Lovelace", "email": "ada@example.com", "role": "signer" });
    one.as_object_mut().unwrap().extend(recipient.as_object().unwrap().clone());
    let mut body = json!({ "title": "Lease", "documents": [{ "id": document }], "recipients": [one] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn create(test: &TestApp, key: &Key, recipient: Value, more: Value) -> (StatusCode, Value) {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    test.post_json(key, "/v1/envelopes", &envelope(&document, &recipient, &more)).await
}

/// Every file under a folder, with what is in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// S-3, D-2: an access code is in no answer, no event, no log line and no file, and neither is a plain hash by which it
/// could be guessed.
#[tokio::test]
async fn an_access_code_is_never_given_back_and_cannot_be_guessed_from_what_is_stored() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let body = envelope(&document, &json!({ "factor": "access_code", "access_code": CODE }), &json!({}));
    let sent = serde_json::to_vec(&body).unwrap();
    let request = test.post(&key, "/v1/envelopes").header("Content-Type", "application/json");
    let response = request.body(sent.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let created: Value = response.json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["recipients"][0]["factor"], "access_code");
    let events = test.get_json(&key, &format!("/v1/envelopes/{id}/events")).await;
    let commitment =
        &events["events"][0]["chained"]["event"]["body"]["value"]["recipients"][0]["access_code"]["sha256"];
    let commitment = commitment.as_str().expect("the event commits to the code's hash");
    assert!(events["events"][0]["values"].get(commitment).is_none(), "the hash is nobody's to read");
    let read = test.get_json(&key, &format!("/v1/envelopes/{id}")).await;
    for answer in [&created, &events, &read] {
        assert!(!answer.to_string().contains(CODE), "{answer}");
    }
    assert!(!logged().iter().any(|line| line.contains(CODE)));

    let plain_hashes = [
        Digest::of(CODE.as_bytes()),
        Digest::of(&sent),
        Digest::of_parts(&[b"POST ", b"/v1/envelopes", b"\n", &sent]),
    ];
    for (name, bytes) in files(test.folder.path()) {
        assert!(!holds(&bytes, CODE.as_bytes()), "{name} holds the code");
        for hash in plain_hashes {
            let is_in = holds(&bytes, &hash.0) || holds(&bytes, hash.to_string().as_bytes());
            assert!(!is_in, "{name} holds a hash that whoever has the file can compute");
        }
    }
    test.finish().await;
}

/// S-3: what does not go together is refused at its place.
#[tokio::test]
async fn factors_that_cannot_be_are_refused_at_their_place() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let refused = [
        (json!({ "factor": "access_code" }), json!({}), "/recipients/0/access_code"),
        (json!({ "factor": "access_code", "access_code": "12345" }), json!({}), "/recipients/0/access_code"),
        (json!({ "factor": "link", "access_code": "123456" }), json!({}), "/recipients/0/access_code"),
        (json!({ "factor": "link" }), json!({ "assurance": "aal1" }), "/recipients/0/factor"),
        (json!({ "factor": "email_code" }), json!({ "assurance": "aal2" }), "/recipients/0/factor"),
        (
            json!({ "factor": "access_code", "access_code": CODE }),
            json!({ "assurance": "aal2-phr" }),
            "/recipients/0/factor",
        ),
    ];
    for (recipient, more, pointer) in refused {
        let (status, body) = create(&test, &key, recipient, more).await;
        assert_eq!((status, &body["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)), "{body}");
        assert!(!body.to_string().contains("12345"), "{body}");
    }
    let taken = [("email_code", "aal1"), ("passkey", "aal2"), ("passkey", "aal2-phr")];
    for (factor, assurance) in taken {
        let asked = json!({ "assurance": assurance });
        let (status, body) = create(&test, &key, json!({ "factor": factor }), asked).await;
        assert_eq!((status, &body["assurance"]), (StatusCode::CREATED, &json!(assurance)), "{body}");
    }
    test.finish().await;
}

/// S-3: passkeys belong to a host with a name; a server under an address says so when the envelope is made.
#[tokio::test]
async fn a_server_under_an_address_takes_no_passkeys() {
    let configure = |config: &mut countersign_server::config::Config| {
        config.server.public_url = "https://127.0.0.1:8443".to_owned();
    };
    let mut test = TestApp::start_with(Options { configure, ..Options::default() }).await;
    test.url = test.url.replace("sign.test", "127.0.0.1");
    let key = test.sandbox("Harbour Mills").await;
    let (status, body) = create(&test, &key, json!({ "factor": "passkey" }), json!({})).await;
    assert_eq!(
        (status, &body["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/recipients/0/factor"))
    );
    assert!(body["detail"].as_str().unwrap().contains("server.public_url"), "{body}");
    test.finish().await;
}
