//! Bodies that are not what was asked for: refused with their place, and refused so that their sender can read it.

use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    app::{Key, TestApp, envelope_of, pdf},
    people::status,
};

/// Status, code, pointer and sentence of what is answered to a body.
async fn answered(test: &TestApp, key: &Key, body: &Value) -> (u16, String, Option<String>, String) {
    let (status, problem) = test.post_json(key, "/v1/envelopes", body).await;
    let text = |name: &str| problem[name].as_str().map(str::to_owned);
    (status.as_u16(), text("code").unwrap_or_default(), text("pointer"), text("detail").unwrap_or_default())
}

/// G-8: serde reads an array of its values as a struct; a caller's array in the place of an object is a mistake.
#[tokio::test]
async fn an_array_is_no_object_anywhere_in_a_body() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let right = envelope_of(&document);
    let recipient = json!(["Ada", "ada@example.com", "signer", 1, "link"]);
    let whole = json!(["x", null, [[document]], [recipient], [], 86_400]);
    let mut cases = vec![(None, whole)];
    for (pointer, array) in [
        ("/documents/0", json!([document])),
        ("/recipients/0", recipient),
        ("/fields/0/rect", json!([72, 600.5, 180, 40])),
    ] {
        let mut body = right.clone();
        *body.pointer_mut(pointer).unwrap() = array;
        cases.push((Some(pointer.to_owned()), body));
    }
    for (pointer, body) in cases {
        let (status, code, place, sentence) = answered(&test, &key, &body).await;
        assert_eq!((status, code.as_str(), place), (400, "malformed", pointer), "{sentence}");
        assert!(sentence.ends_with("send an object here, not an array"), "{sentence}");
    }
    let (status, envelope) = test.post_json(&key, "/v1/envelopes", &right).await;
    assert_eq!(status, StatusCode::CREATED, "{envelope}");
    // The signer's pages read the same way.
    let path = format!("/s/{}/open", envelope["id"].as_str().unwrap());
    for body in [json!(["x"]), json!([])] {
        let request = test.request(reqwest::Method::POST, &path).header("Sec-Fetch-Site", "same-origin");
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{}", response.text().await.unwrap());
    }
    test.finish_without_worker().await;
}

/// X-2: a sentence for people who know JSON, with the place; the names of our types mean nothing to them.
#[tokio::test]
async fn what_is_wrong_in_a_body_is_told_with_its_place_and_without_our_types() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let range = "send a whole number from 0 to 65535 here";
    let text = "send a string here, not a whole number";
    for (pointer, value, expected) in [
        ("/title", json!(5), (400, "/title", text)),
        ("/recipients/0/role", json!("boss"), (400, "/recipients/0/role", "send one of these here: signer")),
        ("/recipients/0/role", json!(null), (400, "/recipients/0/role", "send one of these here: signer")),
        ("/recipients/0/order", json!(99_999_999), (422, "/recipients/0/order", range)),
        ("/recipients/0/order", json!(-1), (422, "/recipients/0/order", range)),
        ("/recipients/0/order", json!(0), (422, "/recipients/0/order", "")),
        ("/fields/0/rect/x", json!("72"), (400, "/fields/0/rect/x", "send a number here, not a string")),
        ("/fields", json!({}), (400, "/fields", "send an array here, not an object")),
    ] {
        let mut body = envelope_of(&document);
        match body.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => body["recipients"][0]["order"] = value,
        }
        let (status, _, place, sentence) = answered(&test, &key, &body).await;
        assert_eq!((status, place.as_deref()), (expected.0, Some(expected.1)), "{sentence}");
        assert!(sentence.starts_with(expected.2), "{sentence}");
        for word in ["struct", "u16", "f64", "enum", "variant", "sequence"] {
            assert!(!sentence.contains(word), "{sentence}");
        }
    }
    let mut body = envelope_of(&document);
    body["fields"][0]["decimals"] = json!(2);
    let (status, _, place, sentence) = answered(&test, &key, &body).await;
    assert_eq!((status, place.as_deref()), (422, Some("/fields/0/decimals")), "{sentence}");
    assert!(sentence.contains("`decimals` for number"), "{sentence}");
    let mut body = envelope_of(&document);
    body["recipients"][0]["a/b~c"] = json!(1);
    let (_, _, place, sentence) = answered(&test, &key, &body).await;
    assert_eq!(place.as_deref(), Some("/recipients/0/a~1b~0c"), "{sentence}");
    body["recipients"][0] = json!({ "name": "Ada" });
    let (_, _, place, sentence) = answered(&test, &key, &body).await;
    assert_eq!(place.as_deref(), Some("/recipients/0"), "{sentence}");
    assert!(sentence.contains("is missing"), "{sentence}");
    let twice = r#"{"title":"one","title":"two"}"#;
    let request = test.post(&key, "/v1/envelopes").header("Content-Type", "application/json").body(twice);
    let problem: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("twice"), "{problem}");
    test.finish_without_worker().await;
}

/// G-6: a key that is there and too long is not missing.
#[tokio::test]
async fn an_idempotency_key_that_is_too_long_is_told_its_length() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let post = test.request(reqwest::Method::POST, "/v1/envelopes").bearer_auth(&key.token).json(&json!({}));
    let response = post.header("Idempotency-Key", "k".repeat(129)).send().await.unwrap();
    let problem: Value = response.json().await.unwrap();
    let told = problem["detail"].as_str().unwrap();
    assert!(told.contains("129 characters") && told.contains("at most 128"), "{told}");
    test.finish_without_worker().await;
}

/// G-9: a client that is refused while it still sends reads why, over both versions of HTTP (RFC 9113 §8.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_read_does_not_lose_its_answer() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let (large, medium) = (test.folder.path().join("large"), test.folder.path().join("medium"));
    std::fs::write(&large, vec![b'%'; 30 * 1024 * 1024]).unwrap();
    std::fs::write(&medium, vec![b'%'; 3 * 1024 * 1024]).unwrap();
    let port = test.url.rsplit_once(':').unwrap().1;
    let post = async |version: &str, body: &std::path::Path, more: [String; 4]| {
        let done = Command::new("curl")
            .args(["-sS", version, "--max-time", "60", "-X", "POST", "-H", "Expect:"])
            .args(["--resolve", &format!("sign.test:{port}:127.0.0.1"), "--cacert"])
            .arg(test.app.config.development_ca_file())
            .args(more)
            .args(["-H", "Idempotency-Key: one", "--data-binary"])
            .arg(format!("@{}", body.display()))
            .args(["-w", "\n%{http_code}", &format!("https://sign.test:{port}/v1/documents?name=a.pdf")])
            .stdin(Stdio::null())
            .output()
            .await
            .expect("these tests need the Debian package `curl`");
        (
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let with = |token: &str, kind: &str| {
        [
            "-H".to_owned(),
            format!("Authorization: Bearer {token}"),
            "-H".to_owned(),
            format!("Content-Type: {kind}"),
        ]
    };
    for version in ["--http2", "--http1.1"] {
        for (body, more, expected) in [
            (&large, with(&key.token, "application/pdf"), ("too_large", "413")),
            (&medium, with(&key.token, "text/plain"), ("unsupported_media_type", "415")),
            (&medium, with("nobody", "application/pdf"), ("unauthenticated", "401")),
        ] {
            let (told, said) = post(version, body, more).await;
            assert!(said.is_empty(), "{version} {expected:?}: {said}{told}");
            assert!(
                told.contains(expected.0) && told.ends_with(expected.1),
                "{version} {expected:?}: {told}"
            );
        }
    }
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    assert_eq!(status(&test, &key, &envelope).await, "draft", "the server goes on");
    test.finish_without_worker().await;
}
