//! Logs: the fields of L-1 on every line, one correlation id (L-2), nothing about people in them (L-3).

use countersign_server::logs::ALWAYS;
use serde_json::Value;

use crate::{
    app::{TestApp, envelope_of, logged, pdf},
    people::{Human, sign},
};

/// Looks at the lines of all tests that ran so far in this process: people have the same names in all of them.
#[tokio::test]
async fn every_line_has_its_fields_and_names_nobody() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "secret-name.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let mut wrong = envelope_of(&document);
    wrong["recipients"][0]["email"] = "ada@@example.com".into();
    test.post_json(&key, "/v1/envelopes", &wrong).await;
    let response = test.get(&key, &format!("/v1/envelopes/{envelope}")).await;
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    test.finish_without_worker().await;
    let lines = logged();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in &lines {
        let parsed: Value = serde_json::from_str(line).unwrap();
        let timestamp = parsed["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<countersign_core::time::Time>().is_ok());
        for field in ALWAYS {
            assert!(parsed.get(field).is_some(), "{field} is not in {line}");
        }
        for needle in ["Ada Lovelace", "ada@", "old mill", "secret-name", "127.0.0.1", key.token.as_str()] {
            assert!(!line.contains(needle), "{needle} is in {line}");
        }
    }
    let mut parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let read = parsed.find(|line| line["correlation_id"] == request_id.as_str()).unwrap();
    assert_eq!((&read["event_type"], &read["event_result"]), (&"read_envelope".into(), &"ok".into()));
    assert!(read["client_id"].as_str().unwrap().starts_with("key_"));
}

/// L-1: what a recipient does is logged under the recipient's id.
#[tokio::test]
async fn every_request_of_a_ceremony_names_its_recipient() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    sign(&test, &key, &envelope, &Human::typing("ada@example.com", "Ada Lovelace")).await.unwrap();
    let read = test.get_json(&key, &format!("/v1/envelopes/{envelope}/events")).await;
    let created = &read["events"][0]["chained"];
    let person = created.to_string();
    let lines: Vec<Value> = logged().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event_type in ["POST /s/{envelope}/session", "GET /s/{envelope}/sign", "POST /s/{envelope}/sign"] {
        let is_ours = |line: &&Value| {
            let user = line["user_id"].as_str().unwrap_or_default();
            line["event_type"] == event_type && user.starts_with("per_") && person.contains(user)
        };
        assert!(lines.iter().any(|line| is_ours(&line)), "{event_type}");
    }
    test.work().await;
}
