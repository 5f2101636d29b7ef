//! Rotation of the keys of an endpoint, with a receiver that takes keys when it is told to.

use countersign_core::webhook::{
    class::{Class, Payload},
    endpoint::{Profile, Settings},
};
use countersign_store::webhook_rows::DeliveryState;
use countersign_webhooks::{Accept, KeySet, MemoryStore};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{House, event, settings, verify};

async fn published(house: &House, jwks_uri: &Value) -> Vec<String> {
    let path = jwks_uri.as_str().unwrap().strip_prefix("https://sign.test").unwrap();
    let answered = house.app.request(reqwest::Method::GET, path).send().await.unwrap();
    assert_eq!(answered.headers()["cache-control"], "public, max-age=300");
    let set: Value = answered.json().await.unwrap();
    let set = KeySet::from_jwks(set.to_string().as_bytes()).map(|_| set).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// W-2, W-4: what waits for its turn while the key retires with which it would have been signed goes out with the key that signs then, in
/// its order, and none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_while_its_key_retires_is_signed_by_the_next_one() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let made = house.endpoint(&Settings { is_ordered: true, ..asked }).await;
        let (endpoint, old) = (made.endpoint, made.key.to_string());
        house.receiver.answers(&[(500, None)]);
        house.sent_envelope().await;
        house.settle().await;
        house.app.clock.forward_s(1);
        let staged = house.done(endpoint, "/keys", &Value::Null).await;
        let (id, secret) = (&staged["keys"][1]["id"], &staged["keys"][1]["secret"]);
        let new = id.as_str().unwrap();
        let keys = KeySet::new().with_secret(new.parse().unwrap(), secret.as_str().unwrap().parse().unwrap());
        house.done(endpoint, "/keys/join", &Value::Null).await;
        assert_eq!(house.done(endpoint, "/test", &Value::Null).await["accepted"], true);
        house.done(endpoint, "/keys/promote", &json!({ "overlap_s": 60 })).await;
        assert_eq!(
            house.states(endpoint).await.iter().filter(|state| **state == DeliveryState::Due).count(),
            2
        );
        house.app.clock.forward_s(61);
        house.settle().await;
        let came = house.receiver.came();
        let named: Vec<_> = came.iter().map(|one| one.headers["webhook-key-id"].to_str().unwrap()).collect();
        assert_eq!(named, [old.as_str(), new, new, new], "an attempt, the test, and what waited");
        for (number, one) in came[2..].iter().enumerate() {
            let taken = event(verify(one, Accept::V1, &keys, &MemoryStore::new(10), house.now_s()));
            assert_eq!(taken.sequence(), Some(number as u64 + 1));
        }
        assert!(!house.states(endpoint).await.contains(&DeliveryState::Due));
        house.finish().await;
    }
}

/// W-2: staged, dual, primary, retiring, gone: the old key retires only after a receiver accepted what the new one alone had signed,
/// and at no step is a right message refused by a receiver that holds the key that it was told of.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_behind_its_gate() {
    let house = House::start(false).await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    let endpoint = made.endpoint;
    let old = house.keys(&made, false).await;
    let refused = async |name: &str, body: &Value| {
        let (status, problem) = house.act(endpoint, name, body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("webhook_state")), "{problem}");
    };
    refused("/keys/join", &Value::Null).await;
    house.app.clock.forward_s(1);
    let staged = house.done(endpoint, "/keys", &Value::Null).await;
    refused("/keys", &Value::Null).await;
    let (first, second) = (&staged["keys"][0], &staged["keys"][1]);
    assert_eq!((&first["state"], &second["state"]), (&json!("primary"), &json!("staged")));
    assert_eq!(published(&house, &staged["jwks_uri"]).await.len(), 2);
    let id = second["id"].as_str().unwrap().to_owned();
    let new = || {
        let secret = second["secret"].as_str().unwrap().parse().unwrap();
        KeySet::new().with_secret(id.parse().unwrap(), secret)
    };
    let sent = async |keys: &[&KeySet]| {
        let before = house.receiver.came().len();
        house.sent_envelope().await;
        house.settle().await;
        let came = house.receiver.came();
        assert_eq!(came.len(), before + 2);
        for one in &came[before..] {
            for keys in keys {
                event(verify(one, Accept::V1, keys, &MemoryStore::new(10), house.now_s()));
            }
        }
    };
    sent(&[&old]).await;
    house.done(endpoint, "/keys/join", &Value::Null).await;
    sent(&[&old, &new()]).await;
    refused("/keys/promote", &json!({})).await;

    // The receiver does not have the key yet: the gate stays shut.
    house.receiver.answers(&[(401, None)]);
    let tested = house.done(endpoint, "/test", &Value::Null).await;
    assert_eq!((&tested["accepted"], &tested["attempt"]["status"]), (&json!(false), &json!(401)));
    assert_eq!(tested["attempt"]["outcome"], "given_up");
    refused("/keys/promote", &json!({})).await;
    let tested = house.done(endpoint, "/test", &Value::Null).await;
    assert_eq!((&tested["accepted"], &tested["key"]), (&json!(true), &json!(id)));
    let test = house.receiver.came().pop().unwrap();
    let taken = event(verify(&test, Accept::V1, &new(), &MemoryStore::new(10), house.now_s()));
    assert_eq!(taken.kind, "webhook.test");
    verify(&test, Accept::V1, &old, &MemoryStore::new(10), house.now_s()).unwrap_err();

    let promoted = house.done(endpoint, "/keys/promote", &json!({ "overlap_s": 60 })).await;
    let states: Vec<_> = promoted["keys"].as_array().unwrap().iter().map(|key| &key["state"]).collect();
    assert_eq!(states, [&json!("retiring"), &json!("primary")]);
    sent(&[&old, &new()]).await;
    house.app.clock.forward_s(61);
    sent(&[&new()]).await;
    assert_eq!(published(&house, &staged["jwks_uri"]).await, std::slice::from_ref(&id));
    let last = house.receiver.came().pop().unwrap();
    verify(&last, Accept::V1, &old, &MemoryStore::new(10), house.now_s()).unwrap_err();

    // A third begins the next rotation, and writes down that the first has retired.
    let third = house.done(endpoint, "/keys", &Value::Null).await;
    assert_eq!(third["keys"].as_array().unwrap().len(), 2);
    house.app.work().await;
    let events = house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap();
    for kind in ["staged", "joined", "proven", "promoted", "retired"] {
        let kind = format!("webhook_key.{kind}");
        assert!(events.iter().any(|row| String::from_utf8_lossy(&row.bytes).contains(&kind)), "{kind}");
    }
    house.finish().await;
}

/// W-2: a key that may be known to others ends at once. The other one signs alone; without one nothing is sent, and it is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_signs_and_is_published_no_more() {
    let house = House::start(false).await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    house.app.clock.forward_s(1);
    let staged = house.done(made.endpoint, "/keys", &Value::Null).await;
    let ids = [&staged["keys"][0]["id"], &staged["keys"][1]["id"]].map(|id| id.as_str().unwrap().to_owned());
    let after = house.done(made.endpoint, &format!("/keys/{}/revoke", ids[0]), &Value::Null).await;
    assert_eq!((&after["keys"][0]["id"], &after["keys"][0]["state"]), (&json!(ids[1]), &json!("primary")));
    assert_eq!(published(&house, &staged["jwks_uri"]).await, [ids[1].clone()]);
    house.sent_envelope().await;
    house.settle().await;
    let came = house.receiver.came();
    assert_eq!(came.len(), 2);
    assert!(came.iter().all(|one| one.headers["webhook-key-id"] == ids[1].as_str()));
    let (status, _) = house.act(made.endpoint, &format!("/keys/{}/revoke", ids[0]), &Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT);
    house.done(made.endpoint, &format!("/keys/{}/revoke", ids[1]), &Value::Null).await;
    house.sent_envelope().await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 2, "nothing goes out unsigned");
    let parked =
        |states: &[DeliveryState]| states.iter().filter(|state| **state == DeliveryState::Parked).count();
    assert_eq!(parked(&house.states(made.endpoint).await), 2, "and nothing is given up for that");
    // As one who follows the guide when a secret is in the hands of others, and forgets the new key at first.
    house.done(made.endpoint, "/block", &json!({ "reason": "compromised" })).await;
    house.sent_envelope().await;
    house.settle().await;
    house.done(made.endpoint, "/release", &Value::Null).await;
    house.settle().await;
    assert_eq!(parked(&house.states(made.endpoint).await), 4, "a release is no key");
    let rows = house.deliveries(made.endpoint).await;
    let last = rows.iter().find(|row| row.state == DeliveryState::Delivered).unwrap().message.message;
    house.done(made.endpoint, &format!("/deliveries/{last}/resend"), &Value::Null).await;
    house.settle().await;
    assert_eq!((house.receiver.came().len(), parked(&house.states(made.endpoint).await)), (2, 5));
    house.done(made.endpoint, "/keys", &Value::Null).await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 7, "what waited for a key goes out with it");
    house.finish().await;
}

/// W-2: a new key that is revoked while the old one is retiring leaves the old one for good, and not until its overlap is over.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_takes_a_revoked_ones_place_does_not_retire() {
    let house = House::start(false).await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    house.app.clock.forward_s(1);
    let staged = house.done(made.endpoint, "/keys", &Value::Null).await;
    let new = staged["keys"][1]["id"].as_str().unwrap().to_owned();
    house.done(made.endpoint, "/keys/join", &Value::Null).await;
    house.done(made.endpoint, "/test", &Value::Null).await;
    house.done(made.endpoint, "/keys/promote", &json!({ "overlap_s": 60 })).await;
    house.done(made.endpoint, &format!("/keys/{new}/revoke"), &Value::Null).await;
    house.app.clock.forward_s(3_600);
    let old = house.keys(&made, false).await;
    let before = house.receiver.came().len();
    house.sent_envelope().await;
    house.settle().await;
    let came = house.receiver.came();
    assert_eq!(came.len(), before + 2);
    event(verify(came.last().unwrap(), Accept::V1, &old, &MemoryStore::new(10), house.now_s()));
    house.finish().await;
}
