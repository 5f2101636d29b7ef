//! Keys that rotate while messages are on their way, to receivers that do all they should and whose clocks are not ours: none refuses
//! one.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use countersign_core::{
    id::EndpointId,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use countersign_server::app::Clock as _;
use countersign_webhooks::{
    Accept, Incoming, KeyCache, KeySet, Lookup, MemoryStore, Place, Refused, Secret, Taken, Verifier,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{House, NewEndpoint, settings};
use crate::{app::TestClock, receivers::listen};

/// How far the receivers' clocks are from ours, in seconds: within the window of five minutes.
const SKEWS_S: [i64; 2] = [-240, 240];
/// Messages that are made for each step of the rotation.
const MESSAGES: usize = 25;
/// Between two steps. A receiver fetches keys because of one that it does not know once in a minute at most.
const STEP_S: i64 = 61;
/// How long the old key signs along.
const OVERLAP_S: i64 = 600;

/// A receiver that does all that it should, and fails to act on one message in three, once.
struct Receiver {
    accept: Accept,
    skew_s: i64,
    clock: Arc<TestClock>,
    client: reqwest::Client,
    /// Where the keys of its endpoint are published.
    jwks: OnceLock<String>,
    seen: MemoryStore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Secrets by their key ids, of receivers that hold those.
    secrets: Vec<(String, String)>,
    /// The published keys, of the others.
    cache: KeyCache,
    fetches: usize,
    refused: Vec<String>,
    failed: HashMap<String, String>,
    /// Messages that were acted on, and how often.
    acted: HashMap<String, usize>,
    /// Messages of which one attempt failed and a later one was signed by other keys.
    crossed: usize,
}

impl Receiver {
    fn now_s(&self) -> i64 {
        self.clock.now().unix_ms() / 1_000 + self.skew_s
    }

    /// The keys that it holds for this message, as its SDK tells it.
    async fn keys(&self, kept: &mut Kept, incoming: &Incoming<'_>) -> Result<Option<KeySet>, Refused> {
        if self.accept == Accept::V1 {
            let add = |set: KeySet, (id, secret): &(String, String)| {
                set.with_secret(id.parse().unwrap(), secret.parse::<Secret>().unwrap())
            };
            return Ok(Some(kept.secrets.iter().fold(KeySet::new(), add)));
        }
        if kept.cache.look_up(&incoming.key_ids()?, self.now_s()) == Lookup::Fetch {
            kept.fetches += 1;
            let fetched = self.client.get(self.jwks.get().unwrap()).send().await.unwrap();
            kept.cache.fetched(&fetched.bytes().await.unwrap(), self.now_s()).unwrap();
        }
        Ok(kept.cache.keys(self.now_s()).cloned())
    }

    async fn take(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<StatusCode, Refused> {
        let kept = &mut *self.kept.lock().await;
        let authority = uri.authority().map(ToString::to_string);
        let authority = authority.unwrap_or_else(|| headers["host"].to_str().unwrap().to_owned());
        let url = format!("https://{authority}{}", uri.path_and_query().unwrap());
        let lines = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let incoming = Incoming::new("POST", Place::of_url(&url).unwrap(), lines, body);
        let Some(keys) = self.keys(kept, &incoming).await? else {
            return Ok(StatusCode::SERVICE_UNAVAILABLE);
        };
        let verifier = Verifier::new(self.accept);
        let taken = verifier.verify(&incoming, &keys, &self.seen, self.now_s())?;
        let Taken::New(event) = taken else { return Ok(StatusCode::OK) };
        let (id, signers) = (event.id.to_string(), headers["webhook-key-id"].to_str().unwrap());
        if let Some(before) = kept.failed.get(&id) {
            kept.crossed += usize::from(before != signers);
        } else if event.kind != "webhook.test" && (kept.acted.len() + kept.failed.len()).is_multiple_of(3) {
            kept.failed.insert(id, signers.to_owned());
            return Ok(StatusCode::INTERNAL_SERVER_ERROR);
        }
        *kept.acted.entry(id).or_default() += 1;
        verifier.acted(&event, &self.seen, self.now_s()).unwrap();
        Ok(StatusCode::OK)
    }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    match receiver.take(&uri, &headers, &body).await {
        Ok(status) => status,
        Err(refused) => {
            let said = format!("{refused} {:?}", headers.get("webhook-key-id"));
            receiver.kept.lock().await.refused.push(said);
            StatusCode::from_u16(refused.status()).unwrap()
        }
    }
}

/// A receiver with its endpoint.
struct Pair {
    receiver: Arc<Receiver>,
    endpoint: EndpointId,
}

impl Pair {
    async fn new(house: &House, accept: Accept, skew_s: i64) -> Self {
        let receiver = Arc::new(Receiver {
            accept,
            skew_s,
            clock: Arc::clone(&house.app.clock),
            client: house.app.client.clone(),
            jwks: OnceLock::new(),
            seen: MemoryStore::new(100_000),
            kept: Mutex::default(),
        });
        let port = listen(Router::new().fallback(receive).with_state(Arc::clone(&receiver))).await;
        let url = format!("https://localhost:{port}/hooks?of={}", skew_s.abs());
        let made: NewEndpoint =
            house.endpoint(&settings(&url, &[Class::Envelope], Payload::Thin, Profile::Ed25519)).await;
        let jwks = format!("{}/webhooks/{}/jwks.json", house.app.url, made.endpoint);
        receiver.jwks.set(jwks).unwrap();
        let secret = (made.key.to_string(), made.secret.expose().to_string());
        receiver.kept.lock().await.secrets.push(secret);
        Self { receiver, endpoint: made.endpoint }
    }

    /// Stages a key; the receiver is told of it.
    async fn stage(&self, house: &House) {
        let staged = act(house, self.endpoint, "/keys", &Value::Null).await;
        let key = staged["keys"].as_array().unwrap().last().unwrap();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        self.receiver.kept.lock().await.secrets.push((text("id"), text("secret")));
    }

    /// The receiver throws away its oldest key.
    async fn forget_oldest(&self) -> String {
        self.receiver.kept.lock().await.secrets.remove(0).0
    }
}

/// Does something to an endpoint. Where the load changed it at the same moment, it is done again.
async fn act(house: &House, endpoint: EndpointId, name: &str, body: &Value) -> Value {
    loop {
        let (status, answer) = house.act(endpoint, name, body).await;
        assert!(status.is_success() || answer["code"] == "busy", "{name}: {status} {answer}");
        if status.is_success() {
            return answer;
        }
    }
}

/// A step of the rotation, of all endpoints at once.
async fn step(house: &House, pairs: &[Pair], name: &str, body: Value) {
    join_all(pairs.iter().map(|pair| act(house, pair.endpoint, name, &body))).await;
}

/// Messages, and what is left of earlier ones, go out while something else is done.
async fn meanwhile(house: &House, act: impl Future<Output = ()>) {
    house.app.clock.forward_s(STEP_S);
    house.queue(house.tenant, MESSAGES).await;
    tokio::join!(house.deliver(), act);
}

/// W-2: through a whole rotation, and the revocation of a key, under load, with retries that were signed by other keys than the first
/// attempt, no receiver that holds what it was told of refuses anything, whether its clock is four minutes behind or ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_correct_receiver_refuses_anything_while_keys_rotate() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let mut pairs = Vec::new();
        for accept in [Accept::V1, Accept::V1a, Accept::MessageSignature] {
            for skew_s in SKEWS_S {
                pairs.push(Pair::new(&house, accept, skew_s).await);
            }
        }
        let pairs = pairs.as_slice();
        let stage = async || {
            join_all(pairs.iter().map(|pair| pair.stage(&house))).await;
        };
        meanwhile(&house, async {}).await;
        meanwhile(&house, stage()).await;
        meanwhile(&house, step(&house, pairs, "/keys/join", Value::Null)).await;
        meanwhile(&house, step(&house, pairs, "/test", Value::Null)).await;
        meanwhile(&house, step(&house, pairs, "/keys/promote", json!({ "overlap_s": OVERLAP_S }))).await;
        meanwhile(&house, async {}).await;
        // What failed now is tried again by the new key alone.
        house.app.clock.forward_s(OVERLAP_S - 2 * STEP_S - 1);
        meanwhile(&house, async {}).await;
        for pair in pairs {
            pair.forget_oldest().await;
        }
        meanwhile(&house, stage()).await;
        meanwhile(&house, async {}).await;
        // The staged key takes the place of the revoked one at once.
        join_all(pairs.iter().map(async |pair| {
            let revoked = pair.forget_oldest().await;
            house.done(pair.endpoint, &format!("/keys/{revoked}/revoke"), &Value::Null).await;
        }))
        .await;
        meanwhile(&house, async {}).await;
        for _ in 0..5 {
            house.app.clock.forward_s(3_600);
            house.settle().await;
        }
        for Pair { receiver, .. } in pairs {
            let (what, kept) = ((receiver.accept, receiver.skew_s), receiver.kept.lock().await);
            assert!(
                kept.refused.is_empty(),
                "{what:?}: {} refused: {:?}",
                kept.refused.len(),
                kept.refused.first()
            );
            // And the test message.
            assert_eq!(kept.acted.len(), 10 * MESSAGES + 1, "{what:?}");
            assert!(kept.acted.values().all(|count| *count == 1), "{what:?}");
            // How many depends on how fast the retries are.
            assert!(kept.crossed > MESSAGES / 5, "{what:?}: {} retries by other keys", kept.crossed);
            assert_eq!(kept.fetches > 0, receiver.accept != Accept::V1, "{what:?}");
        }
        house.finish().await;
    }
}
