//! The vectors of the wire format, which Python's `cryptography` made (`docs/webhooks/vectors.md`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countersign_webhooks::replay::{Attempt, ReplayStore as _};
use countersign_webhooks::{
    Accept, Algorithm, Incoming, KeySet, MemoryStore, Place, PublicKey, Refused, SignatureInput, Taken,
    Verifier, message_signature_headers, signed_text, v1a,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct File {
    receiver: Receiver,
    keys: BTreeMap<String, Key>,
    jwks: Jwks,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Receiver {
    window_s: u32,
    body_max_bytes: usize,
}

#[derive(Deserialize)]
struct Key {
    secret: String,
    public: String,
    private_for_tests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    profiles: Vec<String>,
    request: Request,
    now: i64,
    keys: Vec<String>,
    seen: Vec<(String, i64)>,
    expect: String,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body_base64: String,
}

impl Request {
    fn body(&self) -> Vec<u8> {
        STANDARD.decode(&self.body_base64).unwrap()
    }

    fn incoming<'r>(&'r self, body: &'r [u8]) -> Incoming<'r> {
        let headers = self.headers.iter().map(|(name, value)| (name, value));
        Incoming::new(&self.method, Place::of_url(&self.url).unwrap(), headers, body)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).unwrap()
    }
}

fn vectors() -> File {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks/vectors.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The keys of a vector as a receiver of the profile is given them.
fn keys(all: &File, vector: &Vector, accept: Accept) -> KeySet {
    if accept == Accept::MessageSignature {
        let is_held = |key: &&Value| vector.keys.iter().any(|id| key["kid"] == id.as_str());
        let held: Vec<&Value> = all.jwks.keys.iter().filter(is_held).collect();
        return KeySet::from_jwks(json!({ "keys": held }).to_string().as_bytes()).unwrap();
    }
    let mut set = KeySet::new();
    for id in &vector.keys {
        let (key, id) = (&all.keys[id], id.parse().unwrap());
        if accept != Accept::V1a {
            set = set.with_secret(id, key.secret.parse().unwrap());
        }
        if accept != Accept::V1 {
            set = set.with_public_key(id, key.public.parse().unwrap());
        }
    }
    set
}

/// What comes of a vector.
fn verify(all: &File, vector: &Vector, accept: Accept) -> Result<Taken, Refused> {
    let verifier = Verifier::new(accept).with_body_bytes_max(all.receiver.body_max_bytes);
    let store = MemoryStore::new(100);
    for (id, signed_at_s) in &vector.seen {
        let attempt = Attempt {
            id: id.parse().unwrap(),
            signed_at_s: *signed_at_s,
            attempt_until_s: signed_at_s + 2 * i64::from(all.receiver.window_s),
            id_until_s: signed_at_s + 35 * 24 * 60 * 60,
        };
        store.remember(&attempt, *signed_at_s).unwrap();
        store.acted(&attempt, *signed_at_s).unwrap();
    }
    let body = vector.request.body();
    verifier.verify(&vector.request.incoming(&body), &keys(all, vector, accept), &store, vector.now)
}

fn code(result: &Result<Taken, Refused>) -> &'static str {
    match result {
        Ok(Taken::New(_)) => "accepted",
        Ok(Taken::Duplicate(_)) => "duplicate",
        Err(refused) => refused.code(),
    }
}

/// W-1, W-2, W-3: every vector, for every kind of receiver that it is for.
#[test]
fn every_vector_comes_out_as_the_wire_format_says() {
    let all = vectors();
    assert_eq!(all.receiver.window_s, countersign_webhooks::Window::FiveMinutes.seconds());
    let mut wrong = Vec::new();
    let mut run = BTreeMap::<String, usize>::new();
    for vector in &all.vectors {
        let is_for = |profile: &str| vector.profiles.iter().any(|given| given == profile);
        let receivers = [
            (is_for("v1"), Accept::V1),
            (is_for("v1a"), Accept::V1a),
            (is_for("v1") && is_for("v1a"), Accept::V1OrV1a),
            (is_for("http-message-signature"), Accept::MessageSignature),
        ];
        for (_, accept) in receivers.into_iter().filter(|(is_for, _)| *is_for) {
            *run.entry(format!("{accept:?}")).or_default() += 1;
            let result = verify(&all, vector, accept);
            if code(&result) != vector.expect {
                wrong.push(format!(
                    "{} ({accept:?}): {} and not {}: {result:?}",
                    vector.name,
                    code(&result),
                    vector.expect
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run.len() == 4 && run.values().all(|count| *count >= 90), "{run:?}");
}

/// W-1: what is accepted says what was sent.
#[test]
fn an_accepted_message_gives_its_event() {
    let all = vectors();
    let mut accepted = 0;
    for vector in all.vectors.iter().filter(|vector| vector.expect == "accepted") {
        let (accept, is_signed) = match vector.profiles.first().map(String::as_str) {
            Some("v1") => (Accept::V1, false),
            Some("v1a") => (Accept::V1a, false),
            _ => (Accept::MessageSignature, true),
        };
        let Ok(Taken::New(event)) = verify(&all, vector, accept) else { panic!("{}", vector.name) };
        let body: Value = serde_json::from_slice(&vector.request.body()).unwrap();
        assert_eq!(Value::Object(event.data.clone()), body["data"], "{}", vector.name);
        assert_eq!(
            (body["type"].as_str(), body["timestamp"].as_str()),
            (Some(event.kind.as_str()), Some(event.occurred_at.as_str()))
        );
        assert_eq!(event.organization(), body["data"]["organization"].as_str());
        assert_eq!(event.sequence(), body["data"]["sequence"].as_u64());
        assert!(vector.keys.contains(&event.key_id.to_string()), "{}", vector.name);
        assert_eq!(event.delivery.attempt_id.as_str(), vector.request.header("webhook-attempt-id"));
        assert_eq!(event.delivery.is_signed, is_signed);
        accepted += 1;
    }
    assert!(accepted >= 40, "{accepted}");
}

/// W-1: what we sign is, byte for byte, what somebody else's cryptography signed.
#[test]
fn what_is_signed_here_is_what_the_vectors_hold() {
    let all = vectors();
    let of = |name: &str| all.vectors.iter().find(|vector| vector.name == name).unwrap();
    let parts = |request: &Request| {
        let id = request.header("webhook-id").parse().unwrap();
        let timestamp_s: i64 = request.header("webhook-timestamp").parse().unwrap();
        let key = &all.keys[request.header("webhook-key-id")];
        let seed = STANDARD.decode(&key.private_for_tests["ed25519_seed"]).unwrap();
        (id, timestamp_s, key, SigningKey::from_bytes(&seed.try_into().unwrap()))
    };
    for name in ["one key", "a body in UTF-8", "a body with white space, signed as it is"] {
        let request = &of(name).request;
        let (id, timestamp_s, key, signing_key) = parts(request);
        let secret: countersign_webhooks::Secret = key.secret.parse().unwrap();
        let by_key = signing_key.sign(&signed_text(&id, timestamp_s, &request.body())).to_bytes();
        let signatures = format!("{} {}", secret.sign(&id, timestamp_s, &request.body()), v1a(&by_key));
        assert_eq!(signatures, request.header("webhook-signature"), "{name}");
    }
    for (name, has_sequence) in [
        ("http: Ed25519", true),
        ("http: no query", true),
        ("http: no path", true),
        ("http: a test without a sequence", false),
    ] {
        let request = &of(name).request;
        let (_, timestamp_s, _, signing_key) = parts(request);
        let key_id = request.header("webhook-key-id").parse().unwrap();
        let attempt_id = request.header("webhook-attempt-id").parse().unwrap();
        let input = SignatureInput::new(timestamp_s, &key_id, Algorithm::Ed25519, &attempt_id, has_sequence);
        let base = input.base(&request.incoming(&request.body())).unwrap();
        let signature = signing_key.sign(base.as_bytes()).to_bytes();
        let (inputs, signatures) = message_signature_headers((&input, &signature), None);
        assert_eq!(inputs, request.header("signature-input"), "{name}");
        assert_eq!(signatures, request.header("signature"), "{name}");
        assert_eq!(countersign_webhooks::content_digest(&request.body()), request.header("content-digest"));
    }
}

/// W-2: while a key is rotated, both sign, and it is the same as in the vectors.
#[test]
fn both_keys_of_a_rotation_sign_as_the_vectors_do() {
    let all = vectors();
    let request = &all
        .vectors
        .iter()
        .find(|vector| vector.name == "http: two signatures, both keys held")
        .unwrap()
        .request;
    let signed = request.header("webhook-key-id").split(' ').map(|key_id| {
        let seed = STANDARD.decode(&all.keys[key_id].private_for_tests["ed25519_seed"]).unwrap();
        let attempt_id = request.header("webhook-attempt-id").parse().unwrap();
        let timestamp_s = request.header("webhook-timestamp").parse().unwrap();
        let input =
            SignatureInput::new(timestamp_s, &key_id.parse().unwrap(), Algorithm::Ed25519, &attempt_id, true);
        let base = input.base(&request.incoming(&request.body())).unwrap();
        let signature = SigningKey::from_bytes(&seed.try_into().unwrap()).sign(base.as_bytes()).to_bytes();
        (input, signature)
    });
    let signed: Vec<_> = signed.collect();
    let [(input, signature), (next_input, next_signature)] = signed.as_slice() else { panic!("two keys") };
    let (inputs, signatures) =
        message_signature_headers((input, signature), Some((next_input, next_signature)));
    assert_eq!(inputs, request.header("signature-input"));
    assert_eq!(signatures, request.header("signature"));
}

/// W-1: a JWK that is made here is the one that somebody else made.
#[test]
fn the_jwk_set_of_the_vectors_is_read_and_made_anew() {
    for jwk in vectors().jwks.keys {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let part = |name: &str| <[u8; 32]>::try_from(bytes(name)).unwrap();
        let key = match jwk["kty"].as_str() {
            Some("OKP") => PublicKey::ed25519(&part("x")),
            Some("EC") => PublicKey::p256(&part("x"), &part("y")),
            _ => PublicKey::rsa(&bytes("n"), &bytes("e")),
        };
        assert_eq!(key.unwrap().jwk(&jwk["kid"].as_str().unwrap().parse().unwrap()), jwk);
    }
}

/// The statuses and codes of the page, as the page has them.
#[test]
fn a_refusal_has_the_status_of_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks/wire-format.md");
    let page = fs::read_to_string(page).unwrap();
    let all = vectors();
    let mut codes: BTreeMap<&str, u16> = BTreeMap::new();
    for vector in &all.vectors {
        let accept = match vector.profiles.first().map(String::as_str) {
            Some("v1") => Accept::V1,
            Some("v1a") => Accept::V1a,
            _ => Accept::MessageSignature,
        };
        if let Err(refused) = verify(&all, vector, accept) {
            codes.insert(refused.code(), refused.status());
        }
    }
    let row = |code: &str| {
        let is_row = |line: &&str| line.starts_with("| ") && line.contains(&format!("`{code}`"));
        page.lines().find(is_row).unwrap_or_else(|| panic!("{code} is not on the page"))
    };
    assert_eq!(codes.len(), 8, "{codes:?}");
    for (code, status) in codes {
        assert!(row(code).contains(&status.to_string()), "{code} {status}: {}", row(code));
    }
}
