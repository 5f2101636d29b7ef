//! G-6: the same request with the same key does its work once and is answered the same; another one is refused.

use countersign_core::id::DocumentId;
use countersign_store::rows::{IdempotencyClaim, IdempotencyState};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Key, Options, TestApp, envelope_of, logged, pdf};

async fn post(
    test: &TestApp,
    key: &Key,
    idempotency_key: &str,
    path: &str,
    body: &Value,
) -> (StatusCode, Option<String>, Value) {
    let request = test.request(Method::POST, path).bearer_auth(&key.token);
    let response = request.header("Idempotency-Key", idempotency_key).json(body).send().await.unwrap();
    let location = response.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
    (response.status(), location, response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_identical_creates_with_one_key_make_one_envelope() {
    let test = std::sync::Arc::new(TestApp::start().await);
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let body = envelope_of(&document);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (test, key, body) = (test.clone(), key.clone(), body.clone());
            tokio::spawn(async move { post(&test, &key, "the-one", "/v1/envelopes", &body).await })
        })
        .collect();
    let mut created = Vec::new();
    for task in tasks {
        let (status, location, answer) = task.await.unwrap();
        match status {
            StatusCode::CREATED => created.push((location, answer)),
            StatusCode::CONFLICT => assert_eq!(answer["code"], "idempotency_in_flight"),
            other => panic!("{other} {answer}"),
        }
    }
    assert!(!created.is_empty());
    assert!(created.windows(2).all(|two| two[0] == two[1]), "all answers are the same");
    let list = test.get_json(&key, "/v1/envelopes").await;
    assert_eq!(list["envelopes"].as_array().unwrap().len(), 1);
    std::sync::Arc::into_inner(test).unwrap().finish_without_worker().await;
}

#[tokio::test]
async fn an_answer_is_replayed_with_status_and_location_after_a_restart_too() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let body = envelope_of(&document);
    let first = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!(first.0, StatusCode::CREATED);
    let test = test.restart().await;
    assert_eq!(post(&test, &key, "k", "/v1/envelopes", &body).await, first);
    let list = test.get_json(&key, "/v1/envelopes").await;
    assert_eq!(list["envelopes"].as_array().unwrap().len(), 1);
    test.finish_without_worker().await;
}

#[tokio::test]
async fn a_key_that_was_used_for_another_body_or_path_is_refused() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let body = envelope_of(&document);
    let (_, _, created) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    let mut other = body.clone();
    other["title"] = json!("Another title");
    let (status, _, problem) = post(&test, &key, "k", "/v1/envelopes", &other).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch"))
    );
    let path = format!("/v1/envelopes/{}/void", created["id"].as_str().unwrap());
    let (status, _, _) = post(&test, &key, "k", &path, &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    test.finish_without_worker().await;
}

#[tokio::test]
async fn a_post_needs_one_key_and_a_refused_request_frees_it() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let body = envelope_of(&document);
    let request = test.request(Method::POST, "/v1/envelopes").bearer_auth(&key.token).json(&body);
    let without: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(without["code"], "idempotency_key_missing");
    let mut wrong = body.clone();
    wrong["title"] = json!("");
    let (status, _, problem) = post(&test, &key, "k", "/v1/envelopes", &wrong).await;
    assert_eq!((status, &problem["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/title")));
    let (status, _, _) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!(status, StatusCode::CREATED);
    test.finish_without_worker().await;
}

/// What was wrong with a request is said even where the database then refuses to free its key.
#[tokio::test]
async fn a_refusal_stays_a_refusal_when_its_key_cannot_be_freed() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let database = test.app.config.server.data_dir.join("countersign.sqlite");
    let beside = rusqlite::Connection::open(database).unwrap();
    beside
        .execute_batch(
            "CREATE TRIGGER no_release BEFORE DELETE ON idempotency BEGIN SELECT RAISE(ABORT, 'stuck'); END",
        )
        .unwrap();
    let body = envelope_of(&DocumentId::from_bytes([1; 16]).to_string());
    let (status, _, problem) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!((status, &problem["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/documents/0/id")));
    assert!(logged().iter().any(|line| line.contains("a claim is kept") && line.contains("stuck")));
    let (status, _, problem) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("idempotency_in_flight")));
    // Nobody answers the claim that was kept, so it ends by itself.
    beside.execute_batch("DROP TRIGGER no_release").unwrap();
    test.clock.forward_s(36);
    let (status, _, _) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    test.finish().await;
}

/// G-6: a request that came to nothing in time has done nothing, and its key is free for the next attempt.
#[tokio::test]
async fn a_request_that_took_too_long_frees_its_key() {
    let options = Options { configure: |config| config.server.request_s = 1, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let body = envelope_of(&document);
    let beside =
        rusqlite::Connection::open(test.app.config.server.data_dir.join("countersign.sqlite")).unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, _, problem) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::REQUEST_TIMEOUT, &json!("request_timeout")));
    beside.execute_batch("ROLLBACK").unwrap();
    // The clock stands still, so that no claim grows stale. The key is freed beside the answer, at most a moment later.
    let mut answers = Vec::new();
    while answers.len() < 50 && answers.last() != Some(&StatusCode::CREATED) {
        answers.push(post(&test, &key, "k", "/v1/envelopes", &body).await.0);
    }
    assert_eq!(answers.pop(), Some(StatusCode::CREATED), "{answers:?}");
    let list = test.get_json(&key, "/v1/envelopes").await;
    assert_eq!(list["envelopes"].as_array().unwrap().len(), 1);
    test.finish_without_worker().await;
}

#[tokio::test]
async fn while_the_first_request_is_in_work_the_second_is_told_so() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    // A claim as another server would hold it, for a request that we send now.
    let body = envelope_of(&DocumentId::from_bytes([1; 16]).to_string());
    let bytes = serde_json::to_vec(&body).unwrap();
    let row = test.app.store.api_key(&token_hash(&key)).await.unwrap().unwrap();
    let plain = countersign_core::digest::Digest::of_parts(&[b"POST ", b"/v1/envelopes", b"\n", &bytes]);
    let organization = test.app.organization(key.tenant.organization()).await.unwrap();
    let claim = IdempotencyClaim {
        tenant: key.tenant,
        caller: *row.key.as_bytes(),
        key: "k".to_owned(),
        fingerprint: organization.code_key.mac(&[b"countersign/request/v1\0", &plain.0]),
        claim: [7; 16],
        now: countersign_server::app::Clock::now(&*test.clock),
        expires_at: countersign_server::app::Clock::now(&*test.clock).plus_s(60),
        stale_after_ms: 35_000,
    };
    assert_eq!(test.app.store.claim_idempotency(&claim).await.unwrap(), IdempotencyState::Claimed);
    let (status, _, problem) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("idempotency_in_flight")));
    // Its server died: after a while the next request takes over.
    test.clock.forward_s(36);
    let (status, _, _) = post(&test, &key, "k", "/v1/envelopes", &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "it is worked on, and the document is unknown");
    test.finish_without_worker().await;
}

fn token_hash(key: &Key) -> countersign_core::secret::HashedToken {
    use countersign_core::secret::{PlainToken, TokenKind};
    PlainToken::parse(TokenKind::SandboxApiKey, &key.token).unwrap().hash()
}
