//! Endpoints that chose another algorithm for HTTP Message Signatures: what the server sends, and who takes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::webhook::{
    class::{Class, Payload},
    endpoint::Profile,
    payload::TEST_TYPE,
};
use countersign_webhooks::{Accept, KeySet, MemoryStore, Refused};
use reqwest::header;
use serde_json::{Value, json};

use super::{Came, House, event, settings, verify};
use crate::receivers::processes::judged;

const PROFILES: [(Profile, &str, &str); 2] =
    [(Profile::EcdsaP256Sha256, "EC", "ES256"), (Profile::RsaPssSha512, "RSA", "PS512")];

/// The published keys of an endpoint.
async fn published(house: &House, endpoint: &Value) -> Value {
    let path = endpoint["jwks_uri"].as_str().unwrap().strip_prefix("https://sign.test").unwrap();
    house.app.request(reqwest::Method::GET, path).send().await.unwrap().json().await.unwrap()
}

fn key_set(set: &Value) -> KeySet {
    KeySet::from_jwks(set.to_string().as_bytes()).unwrap()
}

fn kinds(set: &Value) -> Vec<(&str, &str)> {
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| (key["kty"].as_str().unwrap(), key["alg"].as_str().unwrap())).collect()
}

/// A vector of what came, changed by the caller.
fn vector(name: &str, came: &Came, ids: &[String], now_s: i64) -> Value {
    let authority = came.headers[header::HOST.as_str()].to_str().unwrap();
    let headers: Vec<_> =
        came.headers.iter().map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()])).collect();
    json!({
        "name": name, "profiles": ["http-message-signature"], "now": now_s, "keys": ids, "seen": [],
        "request": {
            "method": "POST", "url": format!("https://{authority}{}", came.uri), "headers": headers,
            "body_base64": STANDARD.encode(&came.body),
        },
        "expect": "accepted",
    })
}

/// The same with this header otherwise.
fn with_header(vector: &Value, name: &str, change: impl Fn(&str) -> String) -> Value {
    let mut vector = vector.clone();
    for line in vector["request"]["headers"].as_array_mut().unwrap() {
        if line[0] == name {
            line[1] = json!(change(line[1].as_str().unwrap()));
        }
    }
    vector
}

fn refused(mut vector: Value, name: &str, code: &str) -> Value {
    (vector["name"], vector["expect"]) = (json!(name), json!(code));
    vector
}

/// Right ones and wrong ones of what came, with what each has to come to.
fn vectors(came: &[Came], set: &Value, secret: &str, now_s: i64) -> Value {
    let mut ids: Vec<String> = Vec::new();
    for key in set["keys"].as_array().unwrap() {
        ids.push(key["kid"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    let mut vectors = Vec::new();
    for (place, one) in came.iter().enumerate() {
        let mut right = vector(&format!("as it came {place}"), one, &ids, now_s);
        vectors.push(right.clone());
        let mut elsewhere = right.clone();
        elsewhere["request"]["url"] = json!("https://other.example/hooks");
        vectors.push(refused(elsewhere, &format!("elsewhere {place}"), "bad_signature"));
        let mut late = right.clone();
        late["now"] = json!(now_s + 400);
        vectors.push(refused(late, &format!("late {place}"), "stale"));
        let id = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw";
        let other = with_header(&right, "webhook-id", |_| id.to_owned());
        vectors.push(refused(other, &format!("another id {place}"), "bad_signature"));
        right["request"]["body_base64"] = json!(STANDARD.encode(b"{}"));
        vectors.push(refused(right, &format!("another body {place}"), "bad_signature"));
    }
    let keys = json!({ &ids[0]: { "secret": secret } });
    let receiver = json!({ "window_s": 300, "body_max_bytes": 262_144 });
    json!({ "version": 1, "receiver": receiver, "keys": keys, "jwks": set, "vectors": vectors })
}

/// W-1, W-2, W-11: with P-256 and with RSA, what the running server sends is taken by our packages of three languages and by
/// `http-message-signatures` of npm and PyPI, before and while a key is rotated, and nothing is once it was changed.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_each_algorithm_are_taken_by_everybody() {
    for (postgres, (profile, kty, alg)) in [false, true].into_iter().zip(PROFILES) {
        let house = House::start(postgres).await;
        let wish = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, profile);
        let made = house.endpoint(&wish).await;
        house.sent_envelope().await;
        assert_eq!(house.deliver().await, 2);
        house.app.clock.forward_s(1);
        let staged = house.done(made.endpoint, "/keys", &Value::Null).await;
        let tested = house.done(made.endpoint, "/test", &Value::Null).await;
        assert_eq!(tested["accepted"], true, "{tested}");
        house.done(made.endpoint, "/keys/join", &Value::Null).await;
        house.sent_envelope().await;
        house.settle().await;
        let set = published(&house, &staged).await;
        assert_eq!(kinds(&set), [("OKP", "EdDSA"), (kty, alg), ("OKP", "EdDSA"), (kty, alg)]);
        assert!(!set.to_string().contains("\"d\""), "a private part");
        let (keys, came, now_s) = (key_set(&set), house.receiver.came(), house.now_s());
        let counts: Vec<usize> = came
            .iter()
            .map(|one| one.headers["signature"].to_str().unwrap().matches("countersign").count())
            .collect();
        assert_eq!(counts, [1, 1, 1, 2, 2], "one signature, and two while both keys sign");
        for one in &came {
            let input = one.headers["signature-input"].to_str().unwrap();
            assert!(input.contains(&format!("alg=\"{}\"", profile.text())), "{input}");
            event(verify(one, Accept::MessageSignature, &keys, &MemoryStore::new(10), now_s));
            event(verify(one, Accept::V1a, &keys, &MemoryStore::new(10), now_s));
        }
        // Each key by itself verifies what both signed.
        let second = staged["keys"][1]["id"].as_str().unwrap();
        let mut alone = set.clone();
        alone["keys"].as_array_mut().unwrap().retain(|key| key["kid"] == second);
        let taken =
            |one| verify(one, Accept::MessageSignature, &key_set(&alone), &MemoryStore::new(10), now_s);
        assert_eq!(taken(&came[0]), Err(Refused::UnknownKey));
        assert_eq!(event(taken(&came[2])).kind, TEST_TYPE);
        event(taken(&came[3]));
        let file = vectors(&came, &set, &made.secret.expose(), now_s);
        let said = judged(&file).await;
        let (right, wrong) = (came.len(), 4 * came.len());
        let ran = |said: &Value| said["http-message-signature"] == right + wrong;
        assert!(ran(&said[0]) && ran(&said[2]), "{said:#?}");
        let judge = json!({ "http-message-signatures": { "took": right, "refused": wrong } });
        assert_eq!((&said[1], &said[3]), (&judge, &judge));
        house.done(made.endpoint, "/keys/promote", &json!({ "overlap_s": 0 })).await;
        let set = published(&house, &staged).await;
        assert_eq!(kinds(&set), [("OKP", "EdDSA"), (kty, alg)], "the old key is gone with both its parts");
        house.finish().await;
    }
}

/// W-1, W-2: another profile makes the key of HTTP Message Signatures anew, and keeps id and secret. What was proven of the old
/// key says nothing of the new one, and none is left that no message is signed with.
#[tokio::test(flavor = "multi_thread")]
async fn another_profile_has_another_key_under_the_same_id() {
    let house = House::start(false).await;
    let wish = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&wish).await;
    let secret = house.keys(&made, false).await;
    house.app.clock.forward_s(1);
    house.done(made.endpoint, "/keys", &Value::Null).await;
    house.done(made.endpoint, "/test", &Value::Null).await;
    house.done(made.endpoint, "/keys/join", &Value::Null).await;
    let mut seen = Vec::new();
    for (profile, expected) in [
        ("ecdsa-p256-sha256", &["OKP", "EC", "OKP", "EC"][..]),
        ("rsa-pss-sha512", &["OKP", "RSA", "OKP", "RSA"]),
        ("ed25519", &["OKP", "OKP"]),
        ("ecdsa-p256-sha256", &["OKP", "EC", "OKP", "EC"]),
    ] {
        let changed = house.done(made.endpoint, "", &json!({ "profile": profile })).await;
        assert_eq!(changed["profile"], profile);
        let set = published(&house, &changed).await;
        let ktys: Vec<&str> = kinds(&set).iter().map(|(kty, _)| *kty).collect();
        assert_eq!(ktys, expected);
        let shown: Vec<Value> = changed["keys"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|key| key["public_keys"].as_array().unwrap().clone())
            .collect();
        assert_eq!(json!(shown), set["keys"]);
        assert!(
            changed["keys"].as_array().unwrap().iter().all(|key| key["proven_at"].is_null()),
            "{changed}"
        );
        seen.extend(
            set["keys"].as_array().unwrap().iter().filter(|key| key["kty"] == "EC").map(Value::to_string),
        );
        let before = house.receiver.came().len();
        house.sent_envelope().await;
        house.settle().await;
        let came = house.receiver.came();
        assert_eq!(came.len(), before + 2);
        for one in &came[before..] {
            let keys = key_set(&set);
            event(verify(one, Accept::MessageSignature, &keys, &MemoryStore::new(10), house.now_s()));
            event(verify(one, Accept::V1, &secret, &MemoryStore::new(10), house.now_s()));
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "a key that was dropped does not come back");
    let (status, problem) = house.act(made.endpoint, "/keys/promote", &json!({ "overlap_s": 0 })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("webhook_state")), "{problem}");
    house.finish().await;
}
