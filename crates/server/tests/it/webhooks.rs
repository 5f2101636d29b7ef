//! Webhooks on their way out, to a receiver over TLS that verifies them as an integrator would.

mod api;
mod containment;
mod dripping;
mod guide;
mod health;
mod hostile;
mod known;
mod moving;
mod mutual;
mod oauth;
mod pages;
mod pages_browser;
mod pages_channel;
mod pinned;
mod profiles;
mod pulling;
mod relayed;
mod rotating;
mod rotating_under_load;
mod unanswered;
mod worker;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    access::Tenant,
    id::EndpointId,
    scope::{Scope, Scopes},
    security::SecurityActor,
    webhook::{
        channel::Channel,
        class::{Class, Classes, Payload},
        endpoint::{Profile, Settings},
    },
};
use countersign_server::{
    security::Circumstances,
    webhooks::{
        act::Act,
        endpoints::{self, NewEndpoint},
        work,
    },
};
use countersign_store::webhook_rows::{DeliveryQuery, DeliveryRow, DeliveryState};
use countersign_webhooks::{Accept, Event, Incoming, KeySet, MemoryStore, Place, Refused, Taken, Verifier};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    app::{Key, Options, TestApp, envelope_of, pdf},
    oauth::client::Client,
    receivers::{listen, trusting},
};

/// A request as it came in.
#[derive(Clone)]
pub(crate) struct Came {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it was answered with a success.
    pub(crate) is_taken: bool,
}

/// How many requests came.
type Arrivals = watch::Sender<usize>;
/// How it answers next: a status, and `Retry-After`.
type Answers = Arc<Mutex<Vec<(u16, Option<&'static str>)>>>;

/// A receiver that keeps what comes, and answers as it is told.
pub(crate) struct Receiver {
    pub(crate) url: String,
    came: Arc<Mutex<Vec<Came>>>,
    answers: Answers,
    fails_one_in: Arc<AtomicUsize>,
    arrivals: Arrivals,
}

type Shared = (Arc<Mutex<Vec<Came>>>, Answers, Arc<AtomicUsize>, Arrivals);

async fn receive(
    State((came, answers, fails_one_in, arrivals)): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut came = came.lock().unwrap();
    let id = headers.get("webhook-id");
    // A message fails once at most: the third wait of the schedule is two minutes.
    let is_unlucky = came.len().checked_rem(fails_one_in.load(Ordering::SeqCst)) == Some(1)
        && came.iter().all(|one| one.headers.get("webhook-id") != id);
    let usual = (if is_unlucky { 500 } else { 200 }, None);
    let (status, retry_after) = answers.lock().unwrap().pop().unwrap_or(usual);
    let status = StatusCode::from_u16(status).unwrap();
    came.push(Came { uri, headers, body, is_taken: status.is_success() });
    arrivals.send_replace(came.len());
    match retry_after {
        Some(text) => (status, [(header::RETRY_AFTER, text)]).into_response(),
        None => status.into_response(),
    }
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let (came, answers, fails_one_in) = (Arc::default(), Arc::default(), Arc::default());
        let arrivals = watch::Sender::new(0);
        let shared: Shared =
            (Arc::clone(&came), Arc::clone(&answers), Arc::clone(&fails_one_in), arrivals.clone());
        let port = listen(Router::new().fallback(receive).with_state(shared)).await;
        let url = format!("https://localhost:{port}/hooks/countersign?team=7");
        Self { url, came, answers, fails_one_in, arrivals }
    }

    /// Has one request of so many fail.
    pub(crate) fn fail_one_in(&self, count: usize) {
        self.fails_one_in.store(count, Ordering::SeqCst);
    }

    /// How it answers next, the last first.
    pub(crate) fn answers(&self, answers: &[(u16, Option<&'static str>)]) {
        *self.answers.lock().unwrap() = answers.iter().rev().copied().collect();
    }

    /// Waits until so many requests came.
    pub(crate) async fn wait_for(&self, count: usize) {
        let mut arrivals = self.arrivals.subscribe();
        let all = arrivals.wait_for(|came| *came >= count);
        tokio::time::timeout(std::time::Duration::from_mins(1), all).await.unwrap().unwrap();
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}

pub(crate) fn verify(
    came: &Came,
    accept: Accept,
    keys: &KeySet,
    store: &MemoryStore,
    now_s: i64,
) -> Result<Taken, Refused> {
    let authority = came.headers.get(header::HOST).map(|host| host.to_str().unwrap().to_owned());
    let authority = authority.or_else(|| came.uri.authority().map(ToString::to_string)).unwrap();
    let url = format!("https://{authority}{}", came.uri.path_and_query().unwrap());
    let headers = came.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let incoming = Incoming::new("POST", Place::of_url(&url).unwrap(), headers, &came.body);
    Verifier::new(accept).verify(&incoming, keys, store, now_s)
}

pub(crate) fn event(taken: Result<Taken, Refused>) -> Event {
    match taken.unwrap() {
        Taken::New(event) | Taken::Duplicate(event) => event,
    }
}

pub(crate) fn settings(url: &str, classes: &[Class], payload: Payload, profile: Profile) -> Settings {
    Settings {
        url: url.to_owned(),
        description: "The tests".to_owned(),
        classes: Classes::of(classes),
        scopes: Scopes::of(&[
            Scope::EnvelopesStatus,
            Scope::EnvelopesRead,
            Scope::EventsRead,
            Scope::SecurityRead,
        ]),
        payload,
        profile,
        is_ordered: false,
        channel: Channel::default(),
    }
}

pub(crate) struct House {
    pub(crate) app: TestApp,
    pub(crate) key: Key,
    pub(crate) tenant: Tenant,
    pub(crate) receiver: Receiver,
}

impl House {
    async fn start(postgres: bool) -> Self {
        let options = Options { postgres, configure: trusting, ..Options::default() };
        Self::on(TestApp::start_with(options).await).await
    }

    /// The same on a server that is started otherwise.
    pub(crate) async fn on(app: TestApp) -> Self {
        let key = app.sandbox("Harbour Mills").await;
        let tenant = key.tenant;
        Self { app, key, tenant, receiver: Receiver::start().await }
    }

    fn circumstances(&self) -> Circumstances {
        let correlation = self.app.app.new_correlation();
        Circumstances { actor: SecurityActor::System, origin: None, correlation }
    }

    pub(crate) async fn endpoint(&self, settings: &Settings) -> NewEndpoint {
        let app = &self.app.app;
        let made =
            endpoints::create(app, &self.tenant, &self.circumstances(), Scopes::ALL, settings, None).await;
        let (made, circumstances) = (made.unwrap(), self.circumstances());
        let act = Act { tenant: &self.tenant, circumstances: &circumstances, keep: None };
        endpoints::activate(app, &act, made.endpoint).await.unwrap();
        made
    }

    /// The keys of an endpoint as its receiver holds them: the secret, or the public key.
    async fn keys(&self, made: &NewEndpoint, is_public: bool) -> KeySet {
        if !is_public {
            let secret = made.secret.expose().parse().unwrap();
            return KeySet::new().with_secret(made.key.to_string().parse().unwrap(), secret);
        }
        let rows = self.app.app.store.webhook_keys(made.endpoint).await.unwrap();
        KeySet::from_jwks(format!("{{\"keys\":{}}}", rows[0].public).as_bytes()).unwrap()
    }

    async fn sent_envelope(&self) -> String {
        let document = self.app.upload(&self.key, "Contract.pdf", pdf(1)).await;
        let envelope = self.app.create(&self.key, &envelope_of(&document)).await;
        self.app.send(&self.key, &envelope).await;
        self.app.work().await;
        envelope
    }

    pub(crate) async fn deliver(&self) -> usize {
        work::deliver_due(&self.app.app).await.unwrap()
    }

    pub(crate) async fn deliveries(&self, endpoint: EndpointId) -> Vec<DeliveryRow> {
        let query = DeliveryQuery { limit: 100, ..DeliveryQuery::default() };
        self.app.app.store.deliveries(&self.tenant, endpoint, &query).await.unwrap()
    }

    /// As many deliveries, and what follows from them, as there are at this moment.
    async fn settle(&self) {
        while self.app.work().await + self.deliver().await > 0 {}
    }

    /// Ends a test, with what became due in it.
    pub(crate) async fn finish(self) {
        self.settle().await;
        self.app.finish().await;
    }

    /// An act on an endpoint of the house.
    async fn act(&self, endpoint: EndpointId, name: &str, body: &Value) -> (StatusCode, Value) {
        let admin = self.admin().await;
        let path = format!("/v1/webhook-endpoints/{endpoint}{name}");
        let token = admin.own_token(&Scopes::ALL.to_string()).await;
        let number = self.app.app.draw::<8>().map(|byte| format!("{byte:02x}")).concat();
        let request = admin.api(reqwest::Method::POST, &path, &token).header("Idempotency-Key", number);
        let request = if body.is_null() { request } else { request.json(body) };
        let answered = request.send().await.unwrap();
        let status = StatusCode::from_u16(answered.status().as_u16()).unwrap();
        (status, answered.json().await.unwrap())
    }

    /// The same, where it must go well.
    async fn done(&self, endpoint: EndpointId, name: &str, body: &Value) -> Value {
        let (status, answer) = self.act(endpoint, name, body).await;
        assert!(status.is_success(), "{name}: {status} {answer}");
        answer
    }

    /// A program with every scope.
    async fn admin(&self) -> Client<'_> {
        Client::register(&self.app, self.tenant.organization(), "an admin").await
    }

    async fn states(&self, endpoint: EndpointId) -> Vec<DeliveryState> {
        self.deliveries(endpoint).await.iter().map(|row| row.state).collect()
    }

    fn now_s(&self) -> i64 {
        self.app.app.now().unix_ms() / 1_000
    }
}

/// W-1, W-2, W-4, W-6: what happens to an envelope comes to the receiver, verifiable by each scheme alone, in the classes that it
/// asked for and with the fields of its scope; on both databases.
#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_an_envelope_comes_to_a_receiver_that_verifies_it() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let settings = settings(&house.receiver.url, &[Class::Envelope], Payload::Full, Profile::Ed25519);
        let made = house.endpoint(&settings).await;
        let envelope = house.sent_envelope().await;
        assert_eq!(house.deliver().await, 2);
        let (store, now_s) = (MemoryStore::new(1_000), house.now_s());
        let (secret, public) = (house.keys(&made, false).await, house.keys(&made, true).await);
        let came = house.receiver.came();
        let mut told = Vec::new();
        for one in &came {
            let by_secret = event(verify(one, Accept::V1, &secret, &store, now_s));
            let by_public = event(verify(one, Accept::V1a, &public, &MemoryStore::new(1_000), now_s));
            let by_message =
                event(verify(one, Accept::MessageSignature, &public, &MemoryStore::new(1_000), now_s));
            assert_eq!(by_secret.data, by_public.data);
            assert_eq!(by_public.data, by_message.data);
            assert_eq!(verify(one, Accept::V1, &secret, &store, now_s), Err(Refused::Replayed));
            assert_eq!(by_secret.envelope(), Some(envelope.as_str()));
            assert_eq!(by_secret.full().unwrap()["type"], by_secret.kind.as_str());
            told.push((by_secret.sequence().unwrap(), by_secret.kind));
        }
        told.sort();
        let told: Vec<&str> = told.iter().map(|(_, kind)| kind.as_str()).collect();
        assert_eq!(told, ["envelope.created", "envelope.sent"]);
        let delivered = |row: &DeliveryRow| row.state == DeliveryState::Delivered && row.attempt_count == 1;
        assert!(house.deliveries(made.endpoint).await.iter().all(delivered));
        assert_eq!(house.deliver().await, 0, "once");
        house.finish().await;
    }
}

/// W-1: however the address is spelled, what is signed is what is sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_signed_as_it_is_sent() {
    let house = House::start(false).await;
    let odd = house.receiver.url.replace("localhost", "LOCALHOST");
    assert_ne!(odd, house.receiver.url);
    let made = house.endpoint(&settings(&odd, &[Class::Envelope], Payload::Thin, Profile::Ed25519)).await;
    house.sent_envelope().await;
    assert_eq!(house.deliver().await, 2);
    let (keys, now_s) = (house.keys(&made, true).await, house.now_s());
    for one in house.receiver.came() {
        event(verify(&one, Accept::MessageSignature, &keys, &MemoryStore::new(1_000), now_s));
    }
    house.finish().await;
}

/// W-5: a receiver that fails gets the same message again, signed anew at a later second, and when it asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_comes_again_with_the_same_id_and_another_timestamp() {
    let house = House::start(false).await;
    let settings = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&settings).await;
    house.receiver.answers(&[(500, None), (503, Some("120"))]);
    let document = house.app.upload(&house.key, "Contract.pdf", pdf(1)).await;
    house.app.create(&house.key, &envelope_of(&document)).await;
    assert_eq!(house.deliver().await, 1);
    assert_eq!(house.deliver().await, 0, "not before its time");
    house.app.clock.forward_s(6);
    assert_eq!(house.deliver().await, 1, "5 s, and a tenth");
    house.app.clock.forward_s(119);
    assert_eq!(house.deliver().await, 0, "not before what the receiver asked for");
    house.app.clock.forward_s(1);
    assert_eq!(house.deliver().await, 1);
    let came = house.receiver.came();
    let values = |name: &str| -> Vec<String> {
        came.iter().map(|one| one.headers[name].to_str().unwrap().to_owned()).collect()
    };
    let (ids, times, attempts) =
        (values("webhook-id"), values("webhook-timestamp"), values("webhook-attempt-id"));
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert!(attempts[0] != attempts[1] && attempts[1] != attempts[2]);
    assert!(came.iter().all(|one| one.body == came[0].body));
    let keys = house.keys(&made, false).await;
    let now_s = house.now_s();
    let (first, store) = (&came[0], MemoryStore::new(1_000));
    let Ok(Taken::New(taken)) = verify(first, Accept::V1, &keys, &store, now_s) else { panic!("it is new") };
    Verifier::new(Accept::V1).acted(&taken, &store, now_s).unwrap();
    assert!(matches!(verify(&came[2], Accept::V1, &keys, &store, now_s), Ok(Taken::Duplicate(_))));
    let rows = house.deliveries(made.endpoint).await;
    assert_eq!((rows[0].state, rows[0].attempt_count, rows[0].asked_count), (DeliveryState::Delivered, 3, 1));
    let message = rows[0].message.message;
    let tried = house.app.app.store.attempts(&house.tenant, made.endpoint, message).await.unwrap();
    let statuses: Vec<Option<u16>> = tried.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(503), Some(200)]);
    house.finish().await;
}

/// W-5, L-4: 410 disables the endpoint, which is an event; nothing is made for it any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled() {
    let house = House::start(false).await;
    let settings = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&settings).await;
    house.receiver.answers(&[(410, None)]);
    let document = house.app.upload(&house.key, "Contract.pdf", pdf(1)).await;
    house.app.create(&house.key, &envelope_of(&document)).await;
    assert_eq!(house.deliver().await, 1);
    house.sent_envelope().await;
    assert_eq!(house.deliver().await, 0);
    let rows = house.deliveries(made.endpoint).await;
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [DeliveryState::Failed]);
    let events = house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap();
    let texts: Vec<String> =
        events.iter().map(|row| String::from_utf8_lossy(&row.bytes).into_owned()).collect();
    for kind in ["webhook.created", "webhook.activated", "webhook.disabled", "webhook_key.staged"] {
        assert!(texts.iter().any(|text| text.contains(kind)), "{kind}: {texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.contains("team=7")), "an address may hold a secret");
    house.finish().await;
}

/// W-6, L-4: an endpoint that asks for security events gets them, once they have their place in the stream.
#[tokio::test(flavor = "multi_thread")]
async fn security_events_come_to_an_endpoint_that_may_read_them() {
    let house = House::start(false).await;
    let settings = settings(&house.receiver.url, &[Class::Security], Payload::Full, Profile::Standard);
    let made = house.endpoint(&settings).await;
    house.app.work().await;
    house.deliver().await;
    let keys = house.keys(&made, false).await;
    let (store, now_s) = (MemoryStore::new(1_000), house.now_s());
    let told: Vec<Event> = house
        .receiver
        .came()
        .iter()
        .map(|one| event(verify(one, Accept::V1, &keys, &store, now_s)))
        .collect();
    let activated = told.iter().find(|event| event.kind == "webhook.activated").unwrap();
    assert_eq!(activated.full().unwrap()["seq"], activated.sequence().unwrap());
    house.finish().await;
}

/// W-8: an address that is not public is refused before anything is sent, at the creation and at each delivery.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_address_that_is_not_public() {
    let app = TestApp::start().await;
    let tenant = app.sandbox("Harbour Mills").await.tenant;
    let circumstances =
        Circumstances { actor: SecurityActor::System, origin: None, correlation: app.app.new_correlation() };
    for url in ["https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/x", "https://10.0.0.1/x"] {
        let settings = settings(url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let refused = endpoints::create(&app.app, &tenant, &circumstances, Scopes::ALL, &settings, None)
            .await
            .err()
            .unwrap();
        assert!(refused.to_string().contains("not of the public Internet"), "{url}: {refused}");
    }
    app.finish().await;
}
