//! Many at once on one thing: conflicts are decided again, and nothing is doubled.

use std::sync::Arc;

use countersign_core::{
    envelope::{Command, command::ActorNow},
    id::{CorrelationId, EnvelopeId, RecipientId},
};
use countersign_server::{
    app::App,
    demo::{
        DemoFault,
        ceremony::{Person, ReadCode, prepare},
    },
    egress,
    envelopes::{self, Along, Asking},
    jobs,
};
use countersign_store::rows::Work;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Key, Options, TestApp, TestDice, envelope_of, pdf};

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

/// What a server has just read is not what it goes by when another server was faster.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_sees_at_once_what_another_did_to_an_envelope_that_it_just_read() {
    let test = TestApp::start_with(Options { postgres: true, ..Options::default() }).await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let path = format!("/v1/envelopes/{envelope}");
    assert_eq!(test.get_json(&key, &path).await["status"], "sent");

    let dice = Arc::new(TestDice::new(77));
    let other = App::open(test.app.config.clone(), Arc::clone(&test.clock) as _, dice).await.unwrap().app;
    let correlation = CorrelationId::new(test.app.now(), [7; 10]);
    let asking = Asking { tenant: key.tenant, actor: ActorNow::System, correlation };
    let void = Command::Void { reason: None };
    envelopes::act(&other, &asking, envelope.parse().unwrap(), void, Along::default()).await.unwrap();

    assert_eq!(test.get_json(&key, &path).await["status"], "voided");
    test.finish_without_worker().await;
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
        let created = &events["events"][0]["chained"]["event"]["body"]["value"];
        persons.insert(created["recipients"][0]["person"].to_string());
    }
    assert_eq!(persons.len(), 1, "{persons:?}");
    let missing = test.get(&key, "/v1/envelopes/env_surprise").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    Arc::into_inner(test).unwrap().finish_without_worker().await;
}

const PUBLIC_URL: &str = "https://sign.test";
const NO_CODE: ReadCode<'_> =
    &|| Box::pin(async { Err(DemoFault::Unexpected("a code was asked for".to_owned())) });

fn person(http: &reqwest::Client) -> Person<'_> {
    Person { http, public_url: PUBLIC_URL, values: &[], mark: ("typed", "Ada Lovelace".to_owned()) }
}

/// An envelope that two sign in parallel, sent; its id and both links.
async fn sent_to_two(test: &TestApp, key: &Key) -> (EnvelopeId, Vec<String>) {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let addresses = ["ada@example.com".to_owned(), "bob@example.com".to_owned()];
    let envelope = test.create(key, &crate::crash::load::envelope(&document, &addresses)).await;
    test.send(key, &envelope).await;
    let envelope = envelope.parse().unwrap();
    let opened = envelopes::read(&test.app, &key.tenant, envelope).await.unwrap();
    let underway = opened.folded.state.underway().unwrap();
    let recipients: Vec<RecipientId> = underway.contents.recipients.iter().map(|one| one.id).collect();
    let mut links = Vec::new();
    for recipient in recipients {
        let link = underway.progress_of(recipient).unwrap().link.as_ref().unwrap().link;
        let row = test.app.store.link_by_id(&key.tenant, link).await.unwrap().unwrap();
        let secret = envelopes::link_secret(&opened, &row).unwrap();
        links.push(format!("{}/s/{envelope}#{}", test.url, secret.expose()));
    }
    (envelope, links)
}

async fn count(test: &TestApp, key: &Key, envelope: EnvelopeId, event_type: &str) -> usize {
    let events = test.get_json(key, &format!("/v1/envelopes/{envelope}/events")).await;
    events["events"].as_array().unwrap().iter().filter(|event| event["type"] == event_type).count()
}

/// E-7: two tabs of one browser, and another browser, press the button at once: one signature.
async fn signed_in_three_tabs(options: Options) {
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let (envelope, links) = sent_to_two(&test, &key).await;
    let (one, other) = (egress::own_client(&test.app).unwrap(), egress::own_client(&test.app).unwrap());
    let (ada, ada_elsewhere) = (person(&one), person(&other));
    let tab = prepare(&ada, &links[0], NO_CODE).await.unwrap();
    let second_tab = prepare(&ada, &links[0], NO_CODE).await.unwrap();
    let elsewhere = prepare(&ada_elsewhere, &links[0], NO_CODE).await.unwrap();
    let (first, second, third) = tokio::join!(tab.act(), second_tab.act(), elsewhere.act());
    let answered = [&first, &second, &third].iter().filter(|answer| answer.is_ok()).count();
    assert!(answered >= 1, "{first:?} {second:?} {third:?}");
    assert_eq!(count(&test, &key, envelope, "recipient.signed").await, 1);
    assert_eq!(count(&test, &key, envelope, "signature.adopted").await, 1);
    // Whoever signed gets the same receipt again; the two tabs of one browser are one session.
    if let Ok(receipt) = &third {
        assert_eq!(elsewhere.act().await.unwrap(), *receipt);
    } else {
        assert_eq!(tab.act().await.unwrap(), second_tab.act().await.unwrap());
    }
    assert_eq!(count(&test, &key, envelope, "recipient.signed").await, 1);
    test.finish_without_worker().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_three_tabs_that_sign_at_once_sign_once() {
    signed_in_three_tabs(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_three_tabs_that_sign_at_once_sign_once() {
    signed_in_three_tabs(Options { postgres: true, ..Options::default() }).await;
}

/// Two who sign in parallel at the same moment have both signed, and one seal follows, whoever runs the jobs.
async fn signed_by_two_at_once(options: Options) {
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let (envelope, links) = sent_to_two(&test, &key).await;
    let (one, other) = (egress::own_client(&test.app).unwrap(), egress::own_client(&test.app).unwrap());
    let (ada, bob) = (person(&one), person(&other));
    let first = prepare(&ada, &links[0], NO_CODE).await.unwrap();
    let second = prepare(&bob, &links[1], NO_CODE).await.unwrap();
    let (first, second) = tokio::join!(first.act(), second.act());
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let ran = tokio::join!(jobs::run_due(&test.app), jobs::run_due(&test.app));
    ran.0.unwrap();
    ran.1.unwrap();
    jobs::run_due(&test.app).await.unwrap();
    for (event_type, expected) in [("recipient.signed", 2), ("envelope.sealing", 1), ("envelope.sealed", 1)] {
        assert_eq!(count(&test, &key, envelope, event_type).await, expected, "{event_type}");
    }
    test.finish_without_worker().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_two_who_sign_at_once_both_sign_and_one_seal_follows() {
    Box::pin(signed_by_two_at_once(Options::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_two_who_sign_at_once_both_sign_and_one_seal_follows() {
    Box::pin(signed_by_two_at_once(Options { postgres: true, ..Options::default() })).await;
}
