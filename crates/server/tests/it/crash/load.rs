//! Load on a server that comes and goes: workers who send, void and sign, ask again with the same key where they got no
//! answer, and remember what was acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use countersign_server::{
    app::draw,
    demo::{
        DemoFault,
        api::{Api, id_of},
        ceremony::{Person, ReadCode, prepare},
    },
};
use countersign_webhooks::KeySet;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::service::{Database, Service};
use crate::{
    app::{TestDice, pdf},
    webhooks::Receiver,
};

/// How long a worker asks for one thing before the test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// A number below `sides`.
pub(crate) fn below(dice: &TestDice, sides: u64) -> u64 {
    u64::from_be_bytes(draw(dice)) % sides
}

/// What a worker did with one envelope; all of it was acknowledged.
pub(crate) struct Story {
    pub(crate) envelope: String,
    pub(crate) addresses: [String; 2],
    pub(crate) is_voided: bool,
}

/// One organization's worker.
pub(crate) struct Worker {
    pub(crate) api: Api,
    pub(crate) stories: Vec<Story>,
    organization: String,
    url: String,
    /// Each person has a browser of their own.
    clients: Box<dyn Fn() -> Client + Send + Sync>,
    dice: TestDice,
    database: Database,
    shared: Arc<Shared>,
    pub(crate) hook: Option<Hook>,
}

/// Where a worker's events are delivered.
pub(crate) struct Hook {
    /// The path at the receiver.
    pub(crate) path: String,
    /// What verifies them.
    pub(crate) keys: KeySet,
    /// Where the deliveries are listed.
    pub(crate) deliveries: String,
    /// Whether they come in the order of each envelope.
    pub(crate) is_ordered: bool,
}

impl Hook {
    /// Has events of both classes that every worker makes delivered.
    async fn new(api: &Api, receiver: &Receiver, number: u64) -> Self {
        let is_ordered = number.is_multiple_of(2);
        let path = format!("/hooks/{number}");
        let (origin, _) = receiver.url.split_once("/hooks").unwrap();
        let wish = json!({
            "url": format!("{origin}{path}"), "description": "The archive", "ordered": is_ordered,
            "classes": ["envelope", "recipient"], "scopes": ["envelopes:status", "events:read"],
        });
        let made = api.post_json("/v1/webhook-endpoints", "hook", &wish).await.unwrap();
        let (id, key) = (made["id"].as_str().unwrap(), &made["keys"][0]);
        api.post(&format!("/v1/webhook-endpoints/{id}/activate"), "activate").await.unwrap();
        let (name, secret) = (key["id"].as_str().unwrap(), key["secret"].as_str().unwrap());
        let keys = KeySet::new().with_secret(name.parse().unwrap(), secret.parse().unwrap());
        let deliveries = format!("/v1/webhook-endpoints/{id}/deliveries");
        Self { path, keys, deliveries, is_ordered }
    }
}

#[derive(Default)]
pub(crate) struct Shared {
    stop: AtomicBool,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) repeated: AtomicU64,
}

pub(crate) struct Load {
    pub(crate) shared: Arc<Shared>,
    workers: JoinSet<Worker>,
}

impl Load {
    /// Puts workers to work, each in an organization of its own.
    pub(crate) async fn start(service: &Service, count: u64, seed: u64, receiver: Option<&Receiver>) -> Self {
        let shared = Arc::<Shared>::default();
        let mut workers = JoinSet::new();
        for number in 0..count {
            let organization = format!("org{number}");
            let token = service.token(&organization);
            let clients = service.clients();
            let api = Api::new(clients(), &service.url(), &token);
            let hook = match receiver {
                Some(receiver) => Some(Hook::new(&api, receiver, number).await),
                None => None,
            };
            let worker = Worker {
                api,
                hook,
                stories: Vec::new(),
                organization,
                url: service.url(),
                clients: Box::new(clients),
                dice: TestDice::new(seed.wrapping_mul(1_000).wrapping_add(number)),
                database: if service.database.is_some() { Database::Postgres } else { Database::Sqlite },
                shared: Arc::clone(&shared),
            };
            workers.spawn(worker.work());
        }
        Self { shared, workers }
    }

    /// A worker that failed its test fails it now.
    pub(crate) fn check(&mut self) {
        if let Some(ended) = self.workers.try_join_next() {
            ended.unwrap();
            panic!("a worker ended before it was told to");
        }
    }

    /// Lets the workers end what they have begun, and gives what they did.
    pub(crate) async fn stop(self) -> Vec<Worker> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.workers.join_all().await
    }
}

impl Worker {
    async fn work(mut self) -> Self {
        while !self.shared.stop.load(Ordering::SeqCst) {
            let story = self.story(self.stories.len()).await;
            self.stories.push(story);
        }
        self
    }

    /// Whether nobody knows if the server did it: then the same is asked again.
    fn is_unknown(&self, fault: &DemoFault) -> bool {
        let DemoFault::Refused { status, body, .. } = fault else {
            return matches!(fault, DemoFault::Http(_));
        };
        let again = ["idempotency_in_flight", "busy", "request_timeout"];
        again.iter().any(|code| body.contains(&format!("\"{code}\"")))
            || self.database == Database::Postgres && *status >= 500
    }

    /// Asks until there is an answer.
    async fn ask<T, F: Future<Output = Result<T, DemoFault>>>(
        &self,
        what: &str,
        mut act: impl FnMut() -> F,
    ) -> T {
        let begun = Instant::now();
        loop {
            match act().await {
                Ok(answer) => return answer,
                Err(fault) => {
                    let waits = begun.elapsed() < PATIENCE && self.is_unknown(&fault);
                    assert!(waits, "{what} of {}: {fault}", self.organization);
                    self.shared.repeated.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Acts until it is acknowledged, and now and then once more.
    async fn act<F: Future<Output = Result<Value, DemoFault>>>(
        &self,
        what: &str,
        mut act: impl FnMut() -> F,
    ) -> Value {
        let answer = self.ask(what, &mut act).await;
        self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        if below(&self.dice, 4) == 0 {
            assert_eq!(self.ask(what, act).await, answer, "the same key gives the same answer");
        }
        answer
    }

    async fn story(&self, number: usize) -> Story {
        let name = format!("{}-{number}", self.organization);
        let key = |act: &str| format!("{name}-{act}");
        let addresses = ["ada", "bob"].map(|person| format!("{person}.{name}@example.com"));
        let document = self
            .act("upload", async || Ok(json!(self.api.upload("lease.pdf", &key("upload"), pdf(1)).await?)));
        let body = envelope(document.await.as_str().unwrap(), &addresses);
        let created = self
            .act("create", async || self.api.post_json("/v1/envelopes", &key("create"), &body).await)
            .await;
        let envelope = id_of(&created).unwrap();
        let path = format!("/v1/envelopes/{envelope}");
        self.act("send", async || self.api.post(&format!("{path}/send"), &key("send")).await).await;
        let is_voided = below(&self.dice, 5) == 0;
        if is_voided {
            let reason = json!({ "reason": "a typo" });
            self.act("void", async || {
                self.api.post_json(&format!("{path}/void"), &key("void"), &reason).await
            })
            .await;
        } else {
            let [ada, bob] = &addresses;
            tokio::join!(self.sign(&envelope, ada), self.sign(&envelope, bob));
        }
        Story { envelope, addresses, is_voided }
    }

    async fn link(&self, envelope: &str, address: &str) -> String {
        let start = format!("{}/s/{envelope}#", self.url);
        let begun = Instant::now();
        loop {
            let page = self.ask("mailbox", || self.api.get_json("/v1/mailbox?limit=8")).await;
            let mails = page["mails"].as_array().unwrap().iter();
            let mut mails = mails.map(|mail| mail["message"].as_str().unwrap().replace("=\r\n", ""));
            let found = mails.find(|mail| mail.contains(address) && mail.contains(&start));
            if let Some(mail) = found {
                let (_, rest) = mail.split_once(&start).unwrap();
                let secret = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap();
                return format!("{start}{secret}");
            }
            assert!(begun.elapsed() < PATIENCE, "no mail to {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sign(&self, envelope: &str, address: &str) {
        let link = self.link(envelope, address).await;
        let http = (self.clients)();
        let mark = ("typed", "Ada Lovelace".to_owned());
        let person = Person { http: &http, public_url: &self.url, values: &[], mark };
        let read_code: ReadCode<'_> =
            &|| Box::pin(async { Err(DemoFault::Unexpected("nobody asked for a code".to_owned())) });
        let ready = self.ask("ceremony", || prepare(&person, &link, read_code)).await;
        self.act("sign", async || Ok(json!(ready.act().await?))).await;
    }
}

/// An envelope that two sign in parallel.
pub(crate) fn envelope(document: &str, addresses: &[String; 2]) -> Value {
    let field = |recipient: u32| {
        json!({
            "document": 0, "recipient": recipient, "kind": "signature", "page": 1, "label": "Signature",
            "rect": { "x": 72 + 200 * recipient, "y": 600.5, "width": 180, "height": 40 },
        })
    };
    let recipients: Vec<Value> = addresses
        .iter()
        .map(|email| json!({ "name": "Ada Lovelace", "email": email, "role": "signer", "order": 1, "factor": "link" }))
        .collect();
    json!({
        "title": "Lease of the old mill",
        "documents": [{ "id": document }],
        "recipients": recipients,
        "fields": [field(0), field(1)],
    })
}
