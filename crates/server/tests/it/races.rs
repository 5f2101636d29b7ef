//! Many at once on one thing: conflicts are decided again, and nothing is doubled.

use std::sync::Arc;

use countersign_server::envelopes;
use countersign_store::rows::Work;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Options, TestApp, envelope_of, pdf};

async fn sent_by_ten_at_once(options: Options) {
    let test = Arc::new(TestApp::start_with(options).await);
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (test, key, envelope) = (Arc::clone(&test), key.clone(), envelope.clone());
            tokio::spawn(async move { test.send(&key, &envelope).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap()["status"], "sent");
    }
    let events = test.get_json(&key, &format!("/v1/envelopes/{envelope}/events")).await;
    let types: Vec<&Value> =
        events["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["envelope.created", "envelope.sent", "link.issued"]);

    // One job for the one link, whose secret opens as the link's row says; the other expires the envelope.
    let jobs = test.app.store.claim_jobs(test.app.now(), 60_000, 10).await.unwrap();
    let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
    let Work::MailLink { envelope, link, .. } = job.work else { panic!("{job:?}") };
    let row = test.app.store.link_by_id(&job.tenant, link).await.unwrap().unwrap();
    let opened = envelopes::read(&test.app, &job.tenant, envelope).await.unwrap();
    let secret = envelopes::link_secret(&opened, &row).unwrap();
    assert_eq!(secret.hash(), row.secret);
    assert_eq!(envelopes::job_of(job.tenant, &opened.events[2].event).unwrap().job, job.job);
    assert_eq!(job.correlation.to_string(), events["events"][1]["chained"]["event"]["correlation"]);
    Arc::into_inner(test).unwrap().finish_without_worker().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_ten_who_send_at_once_send_once() {
    sent_by_ten_at_once(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_ten_who_send_at_once_send_once() {
    sent_by_ten_at_once(Options { postgres: true, ..Options::default() }).await;
}

/// The same person in ten envelopes made at once is one person, with one key.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_new_to_ten_envelopes_at_once_is_one_person() {
    let test = Arc::new(TestApp::start().await);
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let tasks: Vec<_> = (0..10)
        .map(|number| {
            let (test, key, mut body) = (Arc::clone(&test), key.clone(), envelope_of(&document));
            // Addresses are compared in lower case.
            let email = if number % 2 == 0 { "ada@example.com" } else { "Ada@Example.com" };
            body["recipients"][0]["email"] = json!(email);
            tokio::spawn(async move { test.create(&key, &body).await })
        })
        .collect();
    let mut persons = std::collections::BTreeSet::new();
    for task in tasks {
        let path = format!("/v1/envelopes/{}/events", task.await.unwrap());
        let events = test.get_json(&key, &path).await;
        let created = &events["events"][0]["chained"]["event"]["body"]["content"];
        persons.insert(created["recipients"][0]["person"].to_string());
    }
    assert_eq!(persons.len(), 1, "{persons:?}");
    let missing = test.get(&key, "/v1/envelopes/env_surprise").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    Arc::into_inner(test).unwrap().finish_without_worker().await;
}
