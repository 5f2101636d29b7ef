//! Receivers that verify what comes with our own package, and receivers that each leave out one thing.

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countersign_server::app::{Clock as _, SystemClock};
use countersign_webhooks::{Accept, Incoming, KeySet, MemoryStore, MessageId, Place, Secret, Verifier};
use tokio::sync::Semaphore;

use super::listen;

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As our own package does it, by this proof.
    Careful(Accept),
    /// As our own package does it with the secret, once the test lets it go on.
    Waits,
    /// It takes whatever comes.
    TakesAll,
    /// It refuses whatever comes.
    TakesNothing,
    /// It does not look at the signature.
    AnySignature,
    /// It does not look at the time.
    AnyTime,
    /// It forgets what it took.
    NoMemory,
    /// It verifies the JSON that it read and wrote again.
    JsonAnew,
    /// It takes what names a key that it does not hold, because there is nothing to verify it with.
    UnknownKeyPasses,
    /// It has one key, and does not look which is named.
    AnyKeyId,
    /// After one wrong message it refuses the sender.
    BlocksSender,
    /// What it refuses is an exception in it.
    BreaksOnWrong,
    /// It has had too much of what is wrong.
    TooManyWrong,
    /// It is elsewhere.
    Redirects,
    /// It never answers.
    Hangs,
    /// It verifies the HTTP Message Signature, and not that the body is that of the digest.
    NoDigest,
}

/// What a receiver verifies with.
pub(crate) struct Held {
    /// The key's id.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: Secret,
    /// Its public part, as a JWK set.
    pub(crate) jwks: String,
}

#[derive(Default)]
struct Memory {
    manner: Option<Manner>,
    held: Option<Held>,
    came: Vec<(HeaderMap, Bytes)>,
    seen: HashSet<(String, String)>,
    is_blocked: bool,
}

/// A receiver over TLS.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    memory: Mutex<Memory>,
    store: MemoryStore,
    /// One comes with the first request.
    first: Semaphore,
    /// Those that wait go on with these.
    go: Semaphore,
}

impl Receiver {
    pub(crate) async fn start(manner: Manner) -> Self {
        let memory = Mutex::new(Memory { manner: Some(manner), ..Memory::default() });
        let (first, go) = (Semaphore::new(0), Semaphore::new(0));
        let shared = Arc::new(Shared { memory, store: MemoryStore::new(1_000), first, go });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let port = listen(router).await;
        Self { url: format!("https://localhost:{port}/hooks/countersign?team=7"), shared }
    }

    /// Gives it what it verifies with.
    pub(crate) fn hold(&self, held: Held) {
        self.shared.memory.lock().unwrap().held = Some(held);
    }

    /// Has it behave otherwise.
    pub(crate) fn change(&self, manner: Manner) {
        self.shared.memory.lock().unwrap().manner = Some(manner);
    }

    /// Waits for the first request.
    pub(crate) async fn first_came(&self) {
        self.shared.first.acquire().await.unwrap().forget();
    }

    /// Lets all requests go on that wait.
    pub(crate) fn go_on(&self) {
        self.shared.go.add_permits(1);
    }

    /// What came so far.
    pub(crate) fn came(&self) -> Vec<(HeaderMap, Bytes)> {
        self.shared.memory.lock().unwrap().came.clone()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let manner = {
        let mut memory = shared.memory.lock().unwrap();
        memory.came.push((headers.clone(), body.clone()));
        memory.manner.unwrap()
    };
    let status = match manner {
        Manner::Hangs => std::future::pending().await,
        Manner::Redirects => {
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response();
        }
        Manner::Waits => {
            shared.first.add_permits(1);
            let _passes = shared.go.acquire().await.unwrap();
            carefully(&shared, Accept::V1, &uri, &headers, &body)
        }
        Manner::Careful(accept) => carefully(&shared, accept, &uri, &headers, &body),
        manner => shared.memory.lock().unwrap().carelessly(manner, &uri, &headers, &body),
    };
    StatusCode::from_u16(status).unwrap().into_response()
}

fn now_s() -> i64 {
    SystemClock.now().unix_ms() / 1_000
}

fn carefully(shared: &Shared, accept: Accept, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> u16 {
    let memory = shared.memory.lock().unwrap();
    let held = memory.held.as_ref().unwrap();
    let keys = match accept {
        Accept::V1 => KeySet::new().with_secret(held.id.parse().unwrap(), held.secret.clone()),
        _ => KeySet::from_jwks(held.jwks.as_bytes()).unwrap(),
    };
    let url = format!("https://{}{}", headers["host"].to_str().unwrap(), uri.path_and_query().unwrap());
    let incoming = Incoming::new("POST", Place::of_url(&url).unwrap(), headers, body);
    match Verifier::new(accept).verify(&incoming, &keys, &shared.store, now_s()) {
        Ok(_) => 200,
        Err(refused) => refused.status(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

impl Memory {
    fn carelessly(&mut self, manner: Manner, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> u16 {
        let status = self.judge(manner, uri, headers, body);
        match manner {
            Manner::BlocksSender if self.is_blocked => 403,
            Manner::BlocksSender => {
                self.is_blocked = status != 200;
                status
            }
            Manner::BreaksOnWrong if status != 200 => 500,
            Manner::TooManyWrong if status != 200 => 429,
            _ => status,
        }
    }

    fn judge(&mut self, manner: Manner, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> u16 {
        match manner {
            Manner::TakesAll => return 200,
            Manner::TakesNothing => return 401,
            _ => {}
        }
        let held = self.held.as_ref().unwrap();
        let (id, time) = (text(headers, "webhook-id"), text(headers, "webhook-timestamp"));
        let time_s: i64 = time.parse().unwrap();
        if manner != Manner::AnyTime && (now_s() - time_s).abs() > 300 {
            return 408;
        }
        let is_named = text(headers, "webhook-key-id").split(' ').any(|named| named == held.id);
        if !is_named && manner == Manner::UnknownKeyPasses {
            return 200;
        }
        if !is_named && manner != Manner::AnyKeyId {
            return 401;
        }
        let is_right = match manner {
            Manner::AnySignature => true,
            Manner::NoDigest => held.signed(uri, headers),
            _ => {
                // What `JSON.stringify(JSON.parse(body))` gives of it: no text in it has a space.
                let anew: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                let verified = if manner == Manner::JsonAnew { &anew } else { body };
                let right = held.secret.sign(&id.parse::<MessageId>().unwrap(), time_s, verified);
                text(headers, "webhook-signature").split(' ').any(|one| one == right)
            }
        };
        if !is_right {
            return 401;
        }
        let is_new = self.seen.insert((id.to_owned(), time.to_owned()));
        if is_new || manner == Manner::NoMemory { 200 } else { 409 }
    }
}

impl Held {
    /// Whether the HTTP Message Signature is right over what it lists (RFC 9421 §3.2).
    fn signed(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let params = text(headers, "signature-input").strip_prefix("countersign=").unwrap();
        let (list, _) = params.trim_start_matches('(').split_once(')').unwrap();
        let mut base = String::new();
        for component in list.split(' ') {
            let name = component.trim_matches('"');
            let query = format!("?{}", uri.query().unwrap_or_default());
            let value = match name {
                "@method" => "POST",
                "@authority" => text(headers, "host"),
                "@path" => uri.path(),
                "@query" => &query,
                _ => text(headers, name),
            };
            writeln!(base, "\"{name}\": {value}").unwrap();
        }
        write!(base, "\"@signature-params\": {params}").unwrap();
        let signature = text(headers, "signature").strip_prefix("countersign=:").unwrap();
        let signature = STANDARD.decode(signature.trim_end_matches(':')).unwrap();
        let set: serde_json::Value = serde_json::from_str(&self.jwks).unwrap();
        let public = URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public).verify(base.as_bytes(), &signature).is_ok()
    }
}
