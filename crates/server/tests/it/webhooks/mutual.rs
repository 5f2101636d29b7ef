//! Mutual TLS to receivers: the certificate of an endpoint, and whose connections are whose.

use std::collections::BTreeSet;

use countersign_core::{digest::Digest, id::EndpointId, time::Time, webhook::pin::Pin};
use serde_json::{Value, json};

use super::House;
use crate::{
    oauth::certificates::{Authority, Shown, Wish},
    receivers::mutual::Door,
};

fn sha256(shown: &Shown) -> String {
    Digest::of(&shown.der()).to_string()
}

fn of(shown: &Shown) -> Value {
    let (chain, key) = shown.pem();
    json!({ "chain": chain, "key": key })
}

fn wish(url: &str, certificate: &Value) -> Value {
    json!({
        "url": url, "description": "The archive", "classes": ["envelope"], "scopes": ["envelopes:status"],
        "client_certificate": certificate,
    })
}

/// An endpoint that is told of events, as the API shows it.
pub(super) async fn made(house: &House, wish: &Value) -> (EndpointId, Value) {
    let (status, made) = house.app.post_json(&house.key, "/v1/webhook-endpoints", wish).await;
    assert_eq!(status.as_u16(), 201, "{made}");
    let endpoint = made["id"].as_str().unwrap().parse().unwrap();
    house.done(endpoint, "/activate", &Value::Null).await;
    (endpoint, made)
}

/// What a test of the endpoint came to.
pub(super) async fn tested(house: &House, endpoint: EndpointId) -> (bool, String) {
    let tested = house.done(endpoint, "/test", &Value::Null).await;
    (tested["accepted"] == true, tested["attempt"]["answer"].as_str().unwrap().to_owned())
}

/// W-7, L-3: a receiver that demands a certificate gets it; another one, and none, is refused, and the attempt says so. The key
/// is in no answer, no event, no attempt, and not in the clear in the store.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_demands_a_certificate_gets_the_one_of_its_endpoint() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let partners = Authority::new("CA of partners");
        let door = Door::open(&partners).await;
        let (right, wrong) =
            (partners.certify_with_chain(&Wish::of("us")), Authority::new("?").certify(&Wish::of("us")));
        let (endpoint, shown) = made(&house, &wish(&door.url, &of(&right))).await;
        let certificate = &shown["client_certificate"];
        assert_eq!(certificate["sha256"], sha256(&right));
        assert_eq!(certificate["expires_at"], "4096-01-01T00:00:00.000Z");
        house.sent_envelope().await;
        assert_eq!(house.deliver().await, 2);
        assert!(tested(&house, endpoint).await.0);
        assert!(door.guests().iter().all(|guest| guest.sha256 == sha256(&right)));
        assert_eq!(door.guests().len(), 3);
        for (given, word) in
            [(of(&wrong), "does not accept the client certificate"), (Value::Null, "asks for a client")]
        {
            let changed = house.done(endpoint, "", &json!({ "client_certificate": given })).await;
            assert_eq!(changed["client_certificate"].is_null(), given.is_null());
            let (is_accepted, answer) = tested(&house, endpoint).await;
            assert!(!is_accepted && answer.contains(word), "{answer}");
        }
        assert_eq!(door.guests().len(), 3, "nobody else came in");
        house.done(endpoint, "", &json!({ "client_certificate": of(&right) })).await;
        let renamed = house.done(endpoint, "", &json!({ "description": "The vault" })).await;
        assert_eq!(renamed["client_certificate"]["sha256"], sha256(&right), "what is left out stays");
        assert!(tested(&house, endpoint).await.0);
        // What may have told of the key.
        let (_, key) = right.pem();
        let secret = key.lines().nth(1).unwrap();
        house.app.work().await;
        let mut told = vec![shown.to_string(), renamed.to_string()];
        for row in house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap() {
            told.push(String::from_utf8_lossy(&row.bytes).into_owned());
        }
        for row in house.deliveries(endpoint).await {
            let path = format!("/v1/webhook-endpoints/{endpoint}/deliveries/{}", row.message.message);
            told.push(house.app.get_json(&house.key, &path).await.to_string());
        }
        let row = house.app.app.store.endpoint(&house.tenant, endpoint).await.unwrap().unwrap();
        told.push(String::from_utf8_lossy(&row.settings).into_owned());
        assert!(!told.iter().any(|text| text.contains(secret) || text.contains("PRIVATE KEY")));
        assert!(told.len() > 10);
        house.finish().await;
    }
}

/// W-7, W-9: another certificate is another receiver, of which nothing was proven; the same one is not.
#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_takes_another_proof() {
    let house = House::start(false).await;
    let partners = Authority::new("CA of partners");
    let door = Door::open(&partners).await;
    let (first, second) = (partners.certify(&Wish::of("us")), partners.certify(&Wish::of("us")));
    let (endpoint, _) = made(&house, &wish(&door.url, &of(&first))).await;
    let path = format!("/v1/webhook-endpoints/{endpoint}/proof");
    let is_kept = async || !house.app.get_json(&house.key, &path).await["proof"].is_null();
    let report = house.done(endpoint, "/prove", &Value::Null).await;
    assert!(report["probes"].as_array().unwrap().iter().all(|probe| probe["status"] == 200), "{report}");
    house.done(endpoint, "", &json!({ "client_certificate": of(&first) })).await;
    assert!(is_kept().await);
    house.done(endpoint, "", &json!({ "client_certificate": of(&second) })).await;
    assert!(!is_kept().await);
    house.finish().await;
}

/// W-7, L-4: what an endpoint shows, whom it believes and where its tokens are from is told by the events of its making and of each
/// change, also that it was taken away; and nothing secret of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_of_a_channel_is_told() {
    let house = House::start(false).await;
    let shown = Authority::new("CA of partners").certify(&Wish::of("us"));
    let mut asked = wish(&house.receiver.url, &of(&shown));
    let pin = Pin::of(b"key").to_string();
    asked["pins"] = json!([pin]);
    asked["oauth"] = json!({
        "token_url": "https://as.example.com/token?of=us", "client_id": "countersign", "client_secret": "between us",
    });
    let (endpoint, _) = made(&house, &asked).await;
    house.done(endpoint, "", &json!({ "pins": [] })).await;
    asked["oauth"]["client_secret"] = json!("a new one between us");
    house.done(endpoint, "", &json!({ "oauth": asked["oauth"] })).await;
    house.done(endpoint, "", &json!({ "client_certificate": null, "oauth": null })).await;
    house.done(endpoint, "", &json!({ "description": "Another word" })).await;
    house.settle().await;
    let rows = house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap();
    let mut events: Vec<Value> = rows.iter().map(|row| serde_json::from_slice(&row.bytes).unwrap()).collect();
    events.sort_by_key(|placed| placed["seq"].as_u64());
    let bodies = events.iter().map(|placed| &placed["event"]["body"]);
    let is_of_settings = |body: &&Value| body["value"]["host"].is_string();
    let told: Vec<Value> =
        bodies.filter(is_of_settings).map(|body| json!([body["type"], body["value"]["channel"]])).collect();
    let of_tokens = json!({ "token_host": "as.example.com", "token_client": "countersign" });
    let channel = |more: Value| {
        let mut all = of_tokens.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        all
    };
    let sha256 = sha256(&shown);
    assert_eq!(
        told,
        [
            json!(["webhook.created", channel(json!({ "certificate_sha256": sha256, "pins": [pin] }))]),
            json!(["webhook.changed", channel(json!({ "certificate_sha256": sha256 }))]),
            json!([
                "webhook.changed",
                channel(json!({ "certificate_sha256": sha256, "is_token_changed": true }))
            ]),
            json!(["webhook.changed", {}]),
            json!(["webhook.changed", null]),
        ]
    );
    for secret in ["of=us", "between us"] {
        assert!(!json!(events).to_string().contains(secret));
    }
    house.finish().await;
}

/// W-7: two endpoints at one host that show different certificates never have a connection in common; one that shows the same
/// goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_different_identities_share_no_connection() {
    let house = House::start(false).await;
    let partners = Authority::new("CA of partners");
    let door = Door::open(&partners).await;
    let (first, second) = (partners.certify(&Wish::of("one")), partners.certify(&Wish::of("two")));
    let mut endpoints = Vec::new();
    for shown in [&first, &second, &first] {
        endpoints.push(made(&house, &wish(&door.url, &of(shown))).await.0);
    }
    for _ in 0..3 {
        for endpoint in &endpoints {
            assert!(tested(&house, *endpoint).await.0);
        }
    }
    let guests = door.guests();
    let connections = |shown: &Shown| -> BTreeSet<usize> {
        guests.iter().filter(|guest| guest.sha256 == sha256(shown)).map(|guest| guest.connection).collect()
    };
    let (of_first, of_second) = (connections(&first), connections(&second));
    assert!(of_first.is_disjoint(&of_second));
    assert_eq!((of_first.len(), of_second.len(), guests.len()), (1, 1, 9), "each is kept");
    house.finish().await;
}

/// W-7: those who answer for an endpoint are told 30, 7 and 1 days before its certificate ends, once each, also where it was given twice;
/// one that was replaced, and one of an endpoint that has ended, is nobody's concern.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_certificate_is_told_three_times() {
    const DAY_S: i64 = 24 * 3_600;
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        house.developer().await;
        let partners = Authority::new("CA of partners");
        let ends_s = house.now_s() + 40 * DAY_S;
        let ending = Wish { ends_s: Some(ends_s.try_into().unwrap()), ..Wish::of("us") };
        let (first, other) = (partners.certify(&ending), partners.certify(&Wish::of("us")));
        let asked = wish(&house.receiver.url, &of(&first));
        let (told, _) = made(&house, &asked).await;
        for given in [Value::Null, of(&first)] {
            house.done(told, "", &json!({ "client_certificate": given })).await;
        }
        let (renewed, _) = made(&house, &asked).await;
        house.done(renewed, "", &json!({ "client_certificate": of(&other) })).await;
        let (ended, _) = made(&house, &asked).await;
        house.done(ended, "/end", &Value::Null).await;
        let mut counts = Vec::new();
        let mut subjects = Vec::new();
        for day in [31, 30, 29, 8, 7, 2, 1, 0] {
            house.app.clock.forward_s(ends_s - day * DAY_S + 60 - house.now_s());
            house.settle().await;
            subjects = house.subjects().await;
            // The key of the tests ends in these days, too.
            subjects.retain(|subject| subject.contains("certificate"));
            counts.push(subjects.len());
        }
        assert_eq!(counts, [0, 1, 1, 1, 2, 2, 3, 3]);
        let host = house.receiver.url.split('/').nth(2).unwrap();
        let day = Time::from_unix_ms(ends_s * 1_000).date_in_zone(None);
        let subject = format!("The client certificate for webhooks to {host} ends on {day}");
        assert!(subjects.iter().all(|one| *one == subject), "{subjects:?}");
        house.finish().await;
    }
}

/// W-7: a certificate that ended is not shown any more, and the attempt says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ended_is_said_to_have_ended() {
    let house = House::start(false).await;
    let partners = Authority::new("CA of partners");
    let door = Door::open(&partners).await;
    let shown = partners.certify(&Wish { ends_with: Some(2040), ..Wish::of("us") });
    let (endpoint, _) = made(&house, &wish(&door.url, &of(&shown))).await;
    assert!(tested(&house, endpoint).await.0);
    let years_s = 15 * 366 * 24 * 3_600;
    house.app.clock.forward_s(years_s);
    let (is_accepted, answer) = tested(&house, endpoint).await;
    assert!(!is_accepted && answer.contains("ended on 2040-01-01") && answer.contains("renewed"), "{answer}");
    assert_eq!(door.guests().len(), 1);
    // The key that seals has ended by then, too.
    house.app.clock.forward_s(-years_s);
    house.finish().await;
}

/// W-7: each wrong certificate or key is refused with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_refused_with_what_to_do() {
    let house = House::start(false).await;
    let partners = Authority::new("CA of partners");
    let (right, other) = (partners.certify(&Wish::of("us")), partners.certify(&Wish::of("us")));
    let ended = partners.certify(&Wish { has_expired: true, ..Wish::of("us") });
    let ((chain, key), (_, foreign), (ended, ended_key)) = (right.pem(), other.pem(), ended.pem());
    let labelled = |label: &str| key.replace("PRIVATE KEY", label);
    let body = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    for (chain, key, pointer, word) in [
        (chain.clone(), foreign, "key", "not the key of the first certificate"),
        (ended, ended_key, "chain", "ended on 2021-01-01"),
        (String::new(), key.clone(), "chain", "BEGIN CERTIFICATE"),
        (body("CERTIFICATE"), key.clone(), "chain", "BEGIN CERTIFICATE"),
        (format!("{chain}{key}"), key.clone(), "chain", "leave it out"),
        (chain.repeat(9), key.clone(), "chain", "at most 8"),
        (chain.clone(), String::new(), "key", "BEGIN PRIVATE KEY"),
        (chain.clone(), chain.clone(), "key", "BEGIN PRIVATE KEY"),
        (chain.clone(), labelled("EC PRIVATE KEY"), "key", "openssl pkey"),
        (chain.clone(), labelled("RSA PRIVATE KEY"), "key", "openssl pkey"),
        (chain.clone(), labelled("ENCRYPTED PRIVATE KEY"), "key", "encrypted"),
        (chain.clone(), body("PRIVATE KEY"), "key", "P-256"),
    ] {
        let wish = wish(&house.receiver.url, &json!({ "chain": chain, "key": key }));
        let (status, problem) = house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish).await;
        let pointer = format!("/client_certificate/{pointer}");
        assert_eq!((status.as_u16(), &problem["pointer"]), (422, &json!(pointer)), "{word} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    house.finish().await;
}
