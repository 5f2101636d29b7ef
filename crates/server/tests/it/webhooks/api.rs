//! The routes of endpoints and deliveries, as a program uses them.

use countersign_core::{
    id::EnvelopeId,
    limits,
    scope::{Scope, Scopes},
};
use countersign_store::webhook_rows::DeliveryState;
use countersign_webhooks::{Accept, KeySet, MemoryStore};
use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{House, event, verify, worker::database};
use crate::app::{envelope_of, logged, pdf};

fn wish(url: &str) -> Value {
    json!({
        "url": url, "description": "The archive", "classes": ["envelope"], "scopes": ["envelopes:status"],
        "profile": "ed25519",
    })
}

/// W-6, W-12, X-3: an endpoint from its creation to its end: the secret is shown once, deliveries can be read with every attempt,
/// and one is sent again under its id.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_used_and_ended_through_the_api() {
    let house = House::start(false).await;
    let post = || {
        let request = house.app.request(reqwest::Method::POST, "/v1/webhook-endpoints");
        request.bearer_auth(&house.key.token).header("Idempotency-Key", "make")
    };
    let made: Value = post().json(&wish(&house.receiver.url)).send().await.unwrap().json().await.unwrap();
    let again: Value = post().json(&wish(&house.receiver.url)).send().await.unwrap().json().await.unwrap();
    let secret = made["keys"][0]["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{made}");
    assert_eq!((&again["id"], &again["keys"][0]["secret"]), (&made["id"], &Value::Null));
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhook-endpoints/{id}");
    let endpoint = id.parse().unwrap();
    let shown = house.app.get_json(&house.key, &path).await;
    assert_eq!((&shown["state"], &shown["keys"][0]["secret"]), (&json!("inactive"), &Value::Null));
    let list = house.app.get_json(&house.key, "/v1/webhook-endpoints").await;
    assert_eq!(list, json!({ "endpoints": [shown], "next_cursor": null }));

    let envelope = house.sent_envelope().await;
    assert_eq!(house.deliver().await, 0, "it is told of nothing yet");
    assert_eq!(house.done(endpoint, "/activate", &Value::Null).await["state"], "active");
    let (status, _) = house.act(endpoint, "/activate", &Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let second = house.sent_envelope().await;
    assert_eq!(house.deliver().await, 2);
    let (keys, now_s) = (KeySet::new(), house.now_s());
    let keys =
        keys.with_secret(made["keys"][0]["id"].as_str().unwrap().parse().unwrap(), secret.parse().unwrap());
    for one in house.receiver.came() {
        event(verify(&one, Accept::V1, &keys, &MemoryStore::new(10), now_s));
    }

    let of = async |query: &str| house.app.get_json(&house.key, &format!("{path}/deliveries?{query}")).await;
    let all = of("").await;
    assert_eq!(all["deliveries"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(of("state=delivered").await, all);
    assert_eq!(of("state=failed").await["deliveries"], json!([]));
    assert_eq!(of(&format!("envelope={second}")).await, all);
    assert_eq!(of(&format!("envelope={envelope}")).await["deliveries"], json!([]));
    let first = of("limit=1").await;
    let rest = of(&format!("limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(json!([first["deliveries"][0], rest["deliveries"][0]]), all["deliveries"]);
    let message = all["deliveries"][0]["id"].as_str().unwrap();
    let one = house.app.get_json(&house.key, &format!("{path}/deliveries/{message}")).await;
    let tried = &one["tried"][0];
    assert_eq!((&one["state"], &tried["status"]), (&json!("delivered"), &json!(200)));
    let names: Vec<&str> =
        tried["headers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"webhook-id") && !names.contains(&"webhook-signature"), "{names:?}");

    house.done(endpoint, &format!("/deliveries/{message}/resend"), &Value::Null).await;
    house.settle().await;
    let came = house.receiver.came();
    let ids: Vec<_> = came.iter().map(|one| one.headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(ids.iter().filter(|id| **id == message).count(), 2, "{ids:?}");

    assert_eq!(house.done(endpoint, "/end", &Value::Null).await["state"], "ended");
    house.sent_envelope().await;
    assert_eq!(house.deliver().await, 0);
    let (status, refused) = house.act(endpoint, "/activate", &Value::Null).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("webhook_state")));
    house.finish().await;
}

/// W-8, A-3: who only reads endpoints sees the host of an address, and the types of those events alone that he may read.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_sees_neither_addresses_nor_events_of_others() {
    let house = House::start(false).await;
    let (_, made) =
        house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
    let endpoint = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["url"], house.receiver.url);
    house.done(endpoint, "/activate", &Value::Null).await;
    house.sent_envelope().await;
    house.settle().await;
    let (path, organization) = (format!("/v1/webhook-endpoints/{endpoint}"), house.tenant.organization());
    let host = house.receiver.url.split_once("/hooks").unwrap().0;
    for (more, is_shown) in [(Scope::DocumentsRead, false), (Scope::EnvelopesStatus, true)] {
        let scopes = Scopes::of(&[Scope::WebhooksRead, more]);
        let reader = house.app.key(organization, house.tenant.environment(), scopes).await;
        for shown in [
            &house.app.get_json(&reader, &path).await,
            &house.app.get_json(&reader, "/v1/webhook-endpoints").await["endpoints"][0],
        ] {
            assert_eq!(shown["url"], format!("{host}/…"));
        }
        let listed = house.app.get_json(&reader, &format!("{path}/deliveries")).await;
        let message = listed["deliveries"][0]["id"].as_str().unwrap();
        let one = house.app.get_json(&reader, &format!("{path}/deliveries/{message}")).await;
        for delivery in [&listed["deliveries"][0], &one] {
            assert_eq!((delivery["type"].is_string(), &delivery["class"]), (is_shown, &json!("envelope")));
        }
    }
    house.finish().await;
}

/// W-6, A-3: nobody lets an endpoint be told what he may not read, and wrong settings are refused with the place and the way.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_refused_with_what_to_do() {
    let house = House::start(false).await;
    let url = house.receiver.url.clone();
    let with = |name: &str, value: Value| {
        let mut wish = wish(&url);
        wish[name] = value;
        wish
    };
    let longer = format!("https://localhost/{}", "x".repeat(1_000));
    for (wrong, pointer, word) in [
        (with("url", json!("http://localhost/")), "/url", "https"),
        (with("url", json!("https://127.0.0.1/")), "/url", "not of the public Internet"),
        (with("url", json!(longer)), "/url", "1000"),
        (with("classes", json!(["envelopes"])), "/classes/0", "recipient"),
        (with("classes", json!(["recipient"])), "/classes", "events:read"),
        (with("scopes", json!(["admin:keys"])), "/scopes", "events:read"),
        (with("scopes", json!(["nothing"])), "/scopes/0", "docs/scopes.md"),
        (with("payload", json!("fat")), "/payload", "thin"),
        (with("profile", json!("rsa-pss-sha256")), "/profile", "rsa-pss-sha512"),
    ] {
        let (status, problem) = house.app.post_json(&house.key, "/v1/webhook-endpoints", &wrong).await;
        assert_eq!((status.as_u16(), &problem["pointer"]), (422, &json!(pointer)), "{wrong} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    let scopes = Scopes::of(&[Scope::WebhooksWrite, Scope::EnvelopesStatus]);
    let narrow = house.app.key(house.tenant.organization(), house.tenant.environment(), scopes).await;
    let body = with("scopes", json!(["envelopes:status", "events:read"]));
    let (status, problem) = house.app.post_json(&narrow, "/v1/webhook-endpoints", &body).await;
    assert_eq!((status.as_u16(), &problem["pointer"]), (422, &json!("/scopes")), "{problem}");
    house.finish().await;
}

/// A-3, W-9: whoever changes an endpoint must have all of its scopes; in `live` another address is another receiver, and what
/// waits is parked until that is proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_address_takes_all_scopes_of_the_endpoint() {
    let house = House::start(false).await;
    let (status, made) =
        house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
    assert_eq!(status, StatusCode::CREATED);
    let path = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    let scopes = Scopes::of(&[Scope::WebhooksWrite]);
    let narrow = house.app.key(house.tenant.organization(), house.tenant.environment(), scopes).await;
    let edit = json!({ "url": "https://localhost/other" });
    let (status, problem) = house.app.post_json(&narrow, &path, &edit).await;
    assert_eq!((status.as_u16(), &problem["pointer"]), (422, &json!("/scopes")), "{problem}");
    let (status, changed) = house.app.post_json(&house.key, &path, &edit).await;
    assert_eq!((status, &changed["url"]), (StatusCode::OK, &json!("https://localhost/other")));
    assert_eq!(changed["description"], "The archive");
    house.finish().await;
}

/// W-5: what waits for an endpoint that is disabled by hand has failed, and comes when it is active again and recovered.
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_recovered_and_what_was_missed_is_replayed() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let early = house.sent_envelope().await;
        let began = house.app.app.now().plus_s(-60);
        let (_, made) =
            house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
        let endpoint = made["id"].as_str().unwrap().parse().unwrap();
        let since = json!({ "since": began });
        let (status, problem) = house.act(endpoint, "/recover", &since).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("webhook_state")), "{problem}");
        house.done(endpoint, "/activate", &Value::Null).await;
        house.sent_envelope().await;
        house.done(endpoint, "/disable", &Value::Null).await;
        house.settle().await;
        assert_eq!(house.states(endpoint).await, [DeliveryState::Failed; 2]);
        let missed = house.sent_envelope().await;
        house.done(endpoint, "/activate", &Value::Null).await;
        house.settle().await;
        assert_eq!(house.receiver.came().len(), 0);
        house.done(endpoint, "/recover", &since).await;
        house.settle().await;
        assert_eq!(house.states(endpoint).await, [DeliveryState::Delivered; 2]);
        house.done(endpoint, "/replay", &since).await;
        house.settle().await;
        let rows = house.deliveries(endpoint).await;
        assert_eq!(rows.len(), 6, "each event once");
        for envelope in [early, missed] {
            assert_eq!(rows.iter().filter(|row| row.message.stream.to_string() == envelope).count(), 2);
        }
        assert_eq!(house.receiver.came().len(), 6, "what was delivered is not sent again");
        // The recovery looks once more, a second later.
        house.app.clock.forward_s(2);
        house.settle().await;
        let shown = house.app.get_json(&house.key, &format!("/v1/webhook-endpoints/{endpoint}")).await;
        for (name, count) in [("recovery", 2), ("replay", 4)] {
            assert_eq!(shown[name]["count"], json!(count), "{name}: {shown}");
            assert!(shown[name]["asked_at"].as_str() < shown[name]["over_at"].as_str(), "{name}: {shown}");
        }
        house.done(endpoint, "/replay", &since).await;
        let shown = house.app.get_json(&house.key, &format!("/v1/webhook-endpoints/{endpoint}")).await;
        assert_eq!((&shown["replay"]["over_at"], &shown["replay"]["count"]), (&Value::Null, &Value::Null));
        house.settle().await;
        house.app.clock.forward_s(2);
        house.settle().await;
        let shown = house.app.get_json(&house.key, &format!("/v1/webhook-endpoints/{endpoint}")).await;
        assert_eq!(shown["replay"]["count"], 0, "it was told of all of it: {shown}");
        let old = json!({ "since": house.app.app.now().plus_s(-30 * 24 * 3_600) });
        let (status, problem) = house.act(endpoint, "/replay", &old).await;
        assert_eq!((status.as_u16(), &problem["pointer"]), (422, &json!("/since")), "{problem}");
        house.finish().await;
    }
}

/// Whoever pulls goes past events that were torn, and is told where they are.
async fn torn_are_named(house: &House, database: &Connection) {
    const TORN: &str =
        "SELECT leaf_index FROM leaves l JOIN events e USING (envelope, seq) WHERE e.bytes = ?1";
    for payload in ["thin", "full"] {
        let page = house.app.get_json(&house.key, &format!("/v1/events?payload={payload}")).await;
        let places: Vec<i64> = page["unreadable"]
            .as_array()
            .unwrap()
            .iter()
            .map(|at| at.as_str().unwrap().parse().unwrap())
            .collect();
        let mut torn = database.prepare(TORN).unwrap();
        let torn = torn.query_map([b"torn".as_slice()], |row| row.get::<_, i64>(0)).unwrap();
        let mut torn: Vec<i64> = torn.map(Result::unwrap).collect();
        torn.sort_unstable();
        assert_eq!(torn.len(), 3);
        if payload == "thin" {
            assert_eq!(places, torn, "{page}");
        }
        // With the whole event, what follows one that is torn cannot be shown either.
        assert!(torn.iter().all(|at| places.contains(at)), "{payload}: {page}");
        let about = page["events"].as_array().unwrap().iter().filter(|one| one["class"] == "envelope");
        let about = about.count();
        assert_eq!(
            (about, &page["has_more"]),
            (if payload == "thin" { 3 } else { 2 }, &json!(false)),
            "W-5: {page}"
        );
    }
}

/// W-5: events that cannot be read hold up no replay: the rest is sent, the log says what is not, and it is over, so that another one can
/// be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_holds_up_no_replay() {
    const GUARD: &str = "SELECT sql FROM sqlite_master WHERE name = 'events_are_not_updated'";
    const SET: &str = "UPDATE events SET bytes = ?1 WHERE envelope = ?2 AND seq = ?3";
    let house = House::start(false).await;
    let database = database(&house);
    let envelopes = [house.sent_envelope().await, house.sent_envelope().await, house.sent_envelope().await];
    let (_, made) =
        house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
    let endpoint = made["id"].as_str().unwrap().parse().unwrap();
    house.done(endpoint, "/activate", &Value::Null).await;
    house.settle().await;
    let guard: String = database.query_row(GUARD, [], |row| row.get(0)).unwrap();
    database.execute_batch("DROP TRIGGER events_are_not_updated").unwrap();
    let mut whole = Vec::new();
    for (of, seq) in [(0, 1), (1, 1), (1, 2)] {
        let envelope: EnvelopeId = envelopes[of].parse().unwrap();
        let asked = rusqlite::params![envelope.as_bytes(), seq];
        let sql = "SELECT bytes FROM events WHERE envelope = ?1 AND seq = ?2";
        let bytes: Vec<u8> = database.query_row(sql, asked, |row| row.get(0)).unwrap();
        database.execute(SET, rusqlite::params![b"torn".as_slice(), envelope.as_bytes(), seq]).unwrap();
        whole.push((bytes, envelope, seq));
    }
    let since = json!({ "since": house.app.app.now().plus_s(-60) });
    for _ in 0..2 {
        house.done(endpoint, "/replay", &since).await;
        house.settle().await;
        house.app.clock.forward_s(2);
        house.settle().await;
        let rows = house.deliveries(endpoint).await;
        let mut told: Vec<_> =
            rows.iter().map(|row| (row.message.stream.to_string(), row.message.seq)).collect();
        told.sort();
        let mut expected =
            vec![(envelopes[0].clone(), 2), (envelopes[2].clone(), 1), (envelopes[2].clone(), 2)];
        expected.sort();
        assert_eq!(told, expected);
        assert!(rows.iter().all(|row| row.state == DeliveryState::Delivered));
    }
    torn_are_named(&house, &database).await;
    let lines = logged();
    let is_told = |line: &&String| line.contains("webhook.replay") && line.contains(&endpoint.to_string());
    assert_eq!(lines.iter().filter(is_told).count(), 6, "each, each time");
    for (bytes, envelope, seq) in whole {
        database.execute(SET, rusqlite::params![bytes, envelope.as_bytes(), seq]).unwrap();
    }
    database.execute_batch(&guard).unwrap();
    house.finish().await;
}

/// W-5: whoever asks for a message that waits for its next attempt has it now; what fails again is not asked for again by that, and
/// a test is never sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_again_goes_once() {
    let house = House::start(false).await;
    let (_, made) =
        house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
    let endpoint = made["id"].as_str().unwrap().parse().unwrap();
    house.receiver.answers(&[(500, None); 4]);
    let tested = house.done(endpoint, "/test", &Value::Null).await;
    house.done(endpoint, "/activate", &Value::Null).await;
    house.sent_envelope().await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 3);
    let test = tested["message"].as_str().unwrap();
    let (status, problem) = house.act(endpoint, &format!("/deliveries/{test}/resend"), &Value::Null).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("webhook_state")), "{problem}");
    let rows = house.deliveries(endpoint).await;
    let waits = rows.iter().find(|row| row.state == DeliveryState::Due).unwrap().message.message;
    house.done(endpoint, &format!("/deliveries/{waits}/resend"), &Value::Null).await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 4, "now, and not after its wait");
    let since = json!({ "since": house.app.app.now().plus_s(-60) });
    house.done(endpoint, "/recover", &since).await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 4, "nothing was given up, and tests are not recovered");
    house.finish().await;
}

/// W-5, W-6: whoever asks to wait sees whether that was understood.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_says_whether_retry_after_is_followed() {
    let house = House::start(false).await;
    let (_, made) =
        house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
    let endpoint = made["id"].as_str().unwrap().parse().unwrap();
    house.receiver.answers(&[(503, Some("5"))]);
    let tested = house.done(endpoint, "/test", &Value::Null).await;
    assert_eq!(
        tested["attempt"]["retry_after"],
        json!({ "value": "5", "followed": false }),
        "once: {tested}"
    );
    house.done(endpoint, "/activate", &Value::Null).await;
    let before = house.app.app.now();
    let document = house.app.upload(&house.key, "Contract.pdf", pdf(1)).await;
    house.app.create(&house.key, &envelope_of(&document)).await;
    for (answer, expected) in [
        ((503, Some("120")), json!({ "value": "120", "followed": true })),
        ((503, Some("<soon>")), json!({ "value": "<soon>", "followed": false })),
        ((500, Some("5")), json!({ "value": "5", "followed": false })),
        ((500, None), Value::Null),
    ] {
        house.receiver.answers(&[answer]);
        house.settle().await;
        let rows = house.deliveries(endpoint).await;
        let row = rows.iter().find(|row| row.message.kind == "envelope.created").unwrap();
        let path = format!("/v1/webhook-endpoints/{endpoint}/deliveries/{}", row.message.message);
        let shown = house.app.get_json(&house.key, &path).await;
        let last = shown["tried"].as_array().unwrap().last().unwrap();
        assert_eq!(last["retry_after"], expected, "{shown}");
        house.app.clock.forward_s(row.due_at.since_ms(house.app.app.now()) / 1_000 + 1);
    }
    assert!(house.app.app.now().since_ms(before) > 120_000, "the first wait was the one that was asked for");
    house.finish().await;
}

/// W-5: an endpoint has one recovery and one replay at a time, and so many of both in a day, so that nobody keeps a receiver at work for
/// ever. What is resent by its name is not counted, and an end is the end of it.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_recovery_and_one_replay_at_a_time_and_so_many_in_a_day() {
    const DAY_S: i64 = 24 * 3_600;
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        // All of it is on one day.
        house.app.clock.forward_s(DAY_S - house.now_s() % DAY_S);
        let (_, made) =
            house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish(&house.receiver.url)).await;
        let endpoint = made["id"].as_str().unwrap().parse().unwrap();
        house.done(endpoint, "/activate", &Value::Null).await;
        house.sent_envelope().await;
        house.done(endpoint, "/disable", &Value::Null).await;
        house.settle().await;
        house.done(endpoint, "/activate", &Value::Null).await;
        house.settle().await;
        let since = json!({ "since": house.app.app.now().plus_s(-60) });
        let refused = async |name: &str, status: u16, code: &str, word: &str| {
            let (came, problem) = house.act(endpoint, name, &since).await;
            assert_eq!((came.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
        };
        // A recovery looks once more, a second later, whether there is more to move.
        let over = async || {
            house.settle().await;
            house.app.clock.forward_s(2);
            house.settle().await;
        };
        for name in ["/recover", "/replay"] {
            house.done(endpoint, name, &since).await;
            refused(name, 409, "webhook_state", "is not over").await;
        }
        over().await;
        assert_eq!(house.states(endpoint).await, [DeliveryState::Delivered; 2]);
        for number in 2..limits::WEBHOOK_AGAIN_A_DAY {
            house.done(endpoint, ["/recover", "/replay"][number % 2], &since).await;
            over().await;
        }
        for name in ["/recover", "/replay"] {
            refused(name, 429, "too_many", "tomorrow (UTC)").await;
        }
        let message = house.deliveries(endpoint).await[0].message.message;
        house.done(endpoint, &format!("/deliveries/{message}/resend"), &Value::Null).await;
        over().await;
        assert_eq!(house.receiver.came().len(), 3);
        house.app.clock.forward_s(DAY_S);
        house.done(endpoint, "/recover", &since).await;
        house.done(endpoint, "/replay", &since).await;
        house.done(endpoint, "/end", &Value::Null).await;
        house.settle().await;
        house.app.clock.forward_s(60);
        house.finish().await;
    }
}

/// G-8: each event looks at every endpoint, so there are not more of them than that bears.
#[tokio::test(flavor = "multi_thread")]
async fn an_environment_has_so_many_endpoints_at_most() {
    let house = House::start(false).await;
    let make = async || {
        let body = wish(&house.receiver.url);
        house.app.post_json(&house.key, "/v1/webhook-endpoints", &body).await
    };
    for _ in 0..limits::WEBHOOK_ENDPOINTS {
        assert_eq!(make().await.0, StatusCode::CREATED);
    }
    let (status, problem) = make().await;
    assert!(
        status.as_u16() == 422 && problem["detail"].as_str().unwrap().contains("at most 100"),
        "{problem}"
    );
    let list = house.app.get_json(&house.key, "/v1/webhook-endpoints?limit=1").await;
    let one = list["endpoints"][0]["id"].as_str().unwrap().parse().unwrap();
    house.done(one, "/end", &Value::Null).await;
    assert_eq!(make().await.0, StatusCode::CREATED, "one that has ended counts no more");
    house.finish().await;
}
