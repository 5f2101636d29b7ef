//! Blocks of more than an endpoint: while one stands nothing leaves that it stops, everything else goes on, and its release gives
//! all that was kept, once each.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::http::StatusCode;
use countersign_core::{
    access::{Environment, Tenant},
    limits,
    scope::Scopes,
    security::SecurityActor,
    webhook::{
        class::{Class, Payload},
        containment::Holder,
        endpoint::{Profile, Settings},
        standing::BlockReason,
    },
};
use countersign_server::{
    security::Circumstances,
    webhooks::{act::Act, containment, endpoints, work},
};
use countersign_store::webhook_rows::{BlockKey, DeliveryQuery, DeliveryState};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{
    House, Receiver,
    hostile::{Stream, raw, until},
    settings,
};
use crate::{
    app::{Key, Options, TestApp, envelope_of, logged, pdf},
    operator::{printed, run, said},
    processes::Process,
    receivers::trusting,
};

/// The house's, and that of somebody else beside it.
struct Pair {
    house: House,
    ours: Settings,
    other: Key,
    others: Receiver,
}

async fn made(house: &House, tenant: &Tenant, settings: &Settings) -> countersign_core::id::EndpointId {
    let (app, circumstances) = (&house.app.app, house.circumstances());
    let made = endpoints::create(app, tenant, &circumstances, Scopes::ALL, settings, None).await.unwrap();
    let act = Act { tenant, circumstances: &circumstances, keep: None };
    endpoints::activate(app, &act, made.endpoint).await.unwrap();
    made.endpoint
}

impl Pair {
    async fn start(postgres: bool) -> Self {
        let house = House::start(postgres).await;
        let classes = [Class::Envelope, Class::Recipient];
        let ours = settings(&house.receiver.url, &classes, Payload::Thin, Profile::Standard);
        let (other, others) = (house.app.sandbox("Lighthouse").await, Receiver::start().await);
        let theirs = settings(&others.url, &classes, Payload::Thin, Profile::Standard);
        made(&house, &other.tenant, &theirs).await;
        Self { house, ours, other, others }
    }

    /// An envelope is sent in each of the organizations.
    async fn sent(&self) {
        self.house.sent_envelope().await;
        let document = self.house.app.upload(&self.other, "Contract.pdf", pdf(1)).await;
        let envelope = self.house.app.create(&self.other, &envelope_of(&document)).await;
        self.house.app.send(&self.other, &envelope).await;
        self.house.app.work().await;
    }

    async fn finish(self) {
        self.house.finish().await;
    }
}

pub(super) fn key(tenant: Option<Tenant>, class: Option<Class>) -> BlockKey {
    BlockKey { tenant, class, holder: Holder::Operator }
}

pub(super) async fn block(house: &House, key: BlockKey) {
    let by = house.circumstances();
    containment::set(&house.app.app, &by, &[key], BlockReason::Incident, None).await.unwrap();
}

pub(super) async fn release(house: &House, key: BlockKey) {
    containment::unset(&house.app.app, &house.circumstances(), &[key], None).await.unwrap();
}

/// The ids of what came, each as often as it came, by class.
fn ids(receiver: &Receiver, class: Class) -> Vec<String> {
    let header = |one: &super::Came, name: &str| one.headers[name].to_str().unwrap().to_owned();
    let came = receiver.came();
    let of_class = came.iter().filter(|one| header(one, "webhook-event-class") == class.text());
    of_class.map(|one| header(one, "webhook-id")).collect()
}

/// M-3: while a class, all of an organization or everything is blocked, nothing of it leaves, also not what waited before; what
/// happens meanwhile is parked; everything else goes on; and the release gives all of it, once each. On both databases.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_blocked_leaves_and_all_of_it_comes_after_the_release() {
    for postgres in [false, true] {
        let pair = Pair::start(postgres).await;
        let house = &pair.house;
        let endpoint = made(house, &house.tenant, &pair.ours).await;
        let ours = Some(house.tenant);
        for blocked in [key(ours, Some(Class::Envelope)), key(ours, None), key(None, None)] {
            let (before, theirs) = (house.receiver.came().len(), pair.others.came().len());
            let seen = ids(&house.receiver, Class::Recipient).len();
            let stopped = ids(&house.receiver, Class::Envelope).len();
            pair.sent().await;
            block(house, blocked).await;
            pair.sent().await;
            house.settle().await;
            assert_eq!(ids(&house.receiver, Class::Envelope).len(), stopped, "nothing of the class");
            let name = blocked.block().reach();
            let is_class = blocked.class.is_some();
            if is_class {
                assert!(ids(&house.receiver, Class::Recipient).len() > seen, "other classes go on");
            } else {
                assert_eq!(house.receiver.came().len(), before, "{name}");
            }
            let parked = async |of: &Tenant| {
                let query = DeliveryQuery {
                    state: Some(DeliveryState::Parked),
                    limit: 100,
                    ..DeliveryQuery::default()
                };
                house.app.app.store.deliveries(of, endpoint, &query).await.unwrap().len()
            };
            assert!(parked(&house.tenant).await >= 4, "{name}");
            let due = house.states(endpoint).await;
            assert!(!due.contains(&DeliveryState::Due) && !due.contains(&DeliveryState::Failed), "{name}");
            // The others' go on, but where everything is stopped.
            assert_eq!(pair.others.came().len() > theirs, blocked.tenant.is_some(), "{name}");
            let (status, answer) = house.act(endpoint, "/test", &Value::Null).await;
            let expected = if is_class { StatusCode::OK } else { StatusCode::CONFLICT };
            assert_eq!(status, expected, "{name}: {answer}");
            // Nothing is swept or given up in the meantime.
            house.app.clock.forward_s(limits::WEBHOOK_KEPT_S + 60);
            work::deliver_due(&house.app.app).await.unwrap();
            assert!(parked(&house.tenant).await >= 4, "{name}: kept");

            release(house, blocked).await;
            house.settle().await;
            assert_eq!(parked(&house.tenant).await, 0, "{name}");
            for receiver in [&house.receiver, &pair.others] {
                for class in [Class::Envelope, Class::Recipient] {
                    let came = ids(receiver, class);
                    let once: BTreeSet<&String> = came.iter().collect();
                    assert_eq!(once.len(), came.len(), "{name}: once each");
                }
                assert!(ids(receiver, Class::Envelope).len() >= 4, "{name}");
            }
            let states = house.states(endpoint).await;
            assert!(states.iter().all(|state| *state == DeliveryState::Delivered), "{name}: {states:?}");
        }
        pair.finish().await;
    }
}

/// M-3: a delivery that was claimed and waits for a slot goes by what is blocked when its turn comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_slot_obeys_a_block() {
    let house = House::start(false).await;
    let (count, is_open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, opened) = (Arc::clone(&count), Arc::clone(&is_open));
    let url = raw(move |mut stream: Stream| {
        let (counted, opened) = (Arc::clone(&counted), Arc::clone(&opened));
        async move {
            counted.fetch_add(1, Ordering::SeqCst);
            until(|| opened.load(Ordering::SeqCst)).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let asked = settings(&url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let endpoint = house.endpoint(&asked).await.endpoint;
    house.queue(house.tenant, 40).await;
    let app = Arc::clone(&house.app.app);
    let delivering = tokio::spawn(async move { work::deliver_due(&app).await.unwrap() });
    let first = usize::from(limits::WEBHOOK_CONCURRENCY_FIRST);
    until(|| count.load(Ordering::SeqCst) == first).await;
    block(&house, key(Some(house.tenant), None)).await;
    house.app.clock.forward_s(1);
    is_open.store(true, Ordering::SeqCst);
    delivering.await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), first, "those that were on their way, and no other");
    let states = house.states(endpoint).await;
    let parked = states.iter().filter(|state| **state == DeliveryState::Parked).count();
    assert_eq!(parked, 40 - first);
    release(&house, key(Some(house.tenant), None)).await;
    house.settle().await;
    assert_eq!(count.load(Ordering::SeqCst), 40);
    house.finish().await;
}

/// M-3, W-4: an ordered endpoint gets what was parked in its order, and nothing of an envelope before what is kept of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_endpoint_keeps_its_order_through_a_block() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let classes = [Class::Envelope, Class::Recipient];
        let asked = settings(&house.receiver.url, &classes, Payload::Thin, Profile::Standard);
        house.endpoint(&Settings { is_ordered: true, ..asked }).await;
        let stopped = key(Some(house.tenant), Some(Class::Envelope));
        block(&house, stopped).await;
        house.sent_envelope().await;
        house.settle().await;
        assert_eq!(house.receiver.came().len(), 0, "the first event of the envelope is kept");
        release(&house, stopped).await;
        house.settle().await;
        let came = house.receiver.came();
        let sequences: Vec<u64> = came
            .iter()
            .map(|one| one.headers["webhook-sequence"].to_str().unwrap().parse().unwrap())
            .collect();
        assert!(sequences.len() > 2 && sequences.is_sorted(), "{sequences:?}");
        house.finish().await;
    }
}

/// The blocks of the house, by the API.
async fn ask(house: &House, path: &str, body: &Value) -> (StatusCode, Value) {
    let admin = house.admin().await;
    let token = admin.own_token(&Scopes::ALL.to_string()).await;
    let (method, is_act) =
        if body.is_null() { (reqwest::Method::GET, false) } else { (reqwest::Method::POST, true) };
    let request = admin.api(method, &format!("/v1/webhook-blocks{path}"), &token);
    let number = house.app.app.draw::<8>().map(|byte| format!("{byte:02x}")).concat();
    let request = if is_act { request.header("Idempotency-Key", number).json(body) } else { request };
    let answered = request.send().await.unwrap();
    let status = StatusCode::from_u16(answered.status().as_u16()).unwrap();
    (status, answered.json().await.unwrap())
}

/// M-3, L-4: an organization blocks and releases with a reason, sees what stops it, and takes away only what it set; each act is an
/// event with who did it.
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_takes_away_what_it_blocked_and_nothing_of_the_operator() {
    let house = House::start(false).await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let endpoint = house.endpoint(&asked).await.endpoint;
    let (status, answer) = ask(&house, "", &json!({ "reason": "overload" })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let block_of = |holder: &str, answer: &Value| {
        let blocks = answer["blocks"].as_array().unwrap();
        blocks.iter().filter(|block| block["holder"] == holder).cloned().collect::<Vec<_>>()
    };
    let own = block_of("organization", &answer);
    assert_eq!((&own[0]["reach"], &own[0]["reason"]), (&json!("organization"), &json!("overload")));
    for (body, status, words) in [
        (json!({ "reason": "overload" }), 409, "blocked already"),
        (json!({ "reason": "boredom" }), 422, "`overload`"),
        (json!({ "reason": "overload", "class": "mail" }), 422, "`evidence`"),
        (json!({ "reason": "overload", "class": "test" }), 422, "tests are sent"),
        (json!({ "reason": "overload", "scope": "all" }), 400, "scope"),
    ] {
        let (found, answer) = ask(&house, "", &body).await;
        assert_eq!(found.as_u16(), status, "{body}: {answer}");
        assert!(answer.to_string().contains(words), "{body}: {answer}");
    }
    block(&house, key(Some(house.tenant), None)).await;
    block(&house, key(None, Some(Class::Envelope))).await;
    let (_, listed) = ask(&house, "", &Value::Null).await;
    assert_eq!((listed["blocks"].as_array().unwrap().len(), block_of("operator", &listed).len()), (3, 2));
    let (status, left) = ask(&house, "/release", &json!({})).await;
    assert_eq!((status, left["blocks"].as_array().unwrap().len()), (StatusCode::OK, 2));
    for (body, words) in
        [(json!({}), "operator of this server"), (json!({ "class": "security" }), "nothing to release")]
    {
        let (status, answer) = ask(&house, "/release", &body).await;
        assert_eq!(status, StatusCode::CONFLICT, "{answer}");
        assert!(answer.to_string().contains(words), "{answer}");
    }
    house.sent_envelope().await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 0, "the operator's stand");
    let shown = house.app.app.store.endpoint(&house.tenant, endpoint).await.unwrap().unwrap();
    assert_eq!(shown.version, 2, "the endpoint is what it was");
    release(&house, key(Some(house.tenant), None)).await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 0, "one that is left is enough");
    release(&house, key(None, Some(Class::Envelope))).await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 2);

    let events = house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap();
    let texts: Vec<String> =
        events.iter().map(|row| String::from_utf8_lossy(&row.bytes).into_owned()).collect();
    let told = |kind: &str, who: &str| {
        let its = |text: &&String| text.contains(kind) && text.contains(who) && !text.contains("whe_");
        texts.iter().filter(its).count()
    };
    for kind in ["webhook.blocked", "webhook.released"] {
        assert_eq!(told(kind, "client"), 1, "{kind}: {texts:#?}");
    }
    assert!(texts.iter().any(|text| text.contains("webhook.blocked") && text.contains("overload")));
    house.finish().await;
}

/// M-3, L-4: who stopped everything, and why, is told to each organization in each of its environments, and to the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_everything_is_told_to_each_organization_and_to_the_log() {
    let pair = Pair::start(false).await;
    let (house, class) = (&pair.house, Some(Class::Recipient));
    let by = Circumstances { actor: SecurityActor::Operator, ..house.circumstances() };
    let (app, reason) = (&house.app.app, BlockReason::Compromised);
    // What is refused is told to nobody.
    let refused = house.circumstances();
    containment::set(app, &by, &[key(None, class)], reason, None).await.unwrap();
    containment::set(app, &refused, &[key(None, class)], reason, None).await.unwrap_err();
    containment::unset(app, &by, &[key(None, class)], None).await.unwrap();
    containment::unset(app, &refused, &[key(None, class)], None).await.unwrap_err();
    let refused = refused.correlation.to_string();
    assert!(logged().iter().all(|line| !line.contains(&refused)), "nothing was recorded");
    house.settle().await;
    let organizations = [house.tenant, pair.other.tenant].map(|tenant| tenant.organization());
    let environments = [Environment::Sandbox, Environment::Live];
    let tenants =
        organizations.iter().flat_map(|one| environments.map(|other| Tenant::of_stored_row(*one, other)));
    for tenant in tenants {
        let events = app.store.security_events(&tenant, None, 100).await.unwrap();
        let bodies: Vec<Value> = events
            .iter()
            .map(|row| serde_json::from_slice::<Value>(&row.bytes).unwrap())
            .filter(|placed| placed["event"]["actor"]["kind"] == "operator")
            .map(|placed| placed["event"]["body"].clone())
            .filter(|body| body["type"].as_str().unwrap().starts_with("webhook"))
            .collect();
        let blocked =
            json!({ "type": "webhook.blocked", "value": { "class": "recipient", "reason": "compromised" } });
        let released = json!({ "type": "webhook.released", "value": { "class": "recipient" } });
        assert!(bodies.len() == 2 && bodies.contains(&blocked) && bodies.contains(&released), "{bodies:?}");
    }
    let correlation = by.correlation.to_string();
    let lines: Vec<Value> = logged()
        .iter()
        .filter(|line| line.contains(&correlation) && line.contains("everywhere"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told =
        |line: &Value| ["event_type", "class", "reason", "holder", "actor"].map(|name| line[name].clone());
    let line =
        |kind, reason: Value| [json!(kind), json!("recipient"), reason, json!("operator"), json!("Operator")];
    assert_eq!(
        lines.iter().map(told).collect::<Vec<_>>(),
        [line("webhook.blocked", json!("compromised")), line("webhook.released", Value::Null)]
    );
    pair.finish().await;
}

/// M-3: the operator stops and releases an organization, or all of them, from the command line, beside a server that runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_stops_webhooks_from_the_command_line() {
    let pair = Pair::start(false).await;
    let house = &pair.house;
    made(house, &house.tenant, &pair.ours).await;
    let folder = house.app.folder.path();
    let good = |words: &[&str]| {
        let done = run(folder, words);
        assert!(done.status.success(), "{words:?}: {}", said(&done));
        printed(&done)
    };
    let bad = |words: &[&str], sentence: &str| {
        let done = run(folder, words);
        assert!(!done.status.success() && said(&done).contains(sentence), "{words:?}: {}", said(&done));
    };
    bad(&["webhooks", "block", "--reason", "incident"], "--organization");
    bad(&["webhooks", "block", "--everywhere", "--reason", "boredom"], "reasons are: compromised");
    bad(&["webhooks", "release", "--everywhere"], "not blocked");
    good(&["webhooks", "block", "--organization", "Harbour Mills", "--reason", "incident"]);
    bad(&["webhooks", "block", "--organization", "Harbour Mills", "--reason", "incident"], "already");
    let listed = good(&["webhooks", "list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("Harbour Mills  all  incident  by the operator"), "{listed}");
    pair.sent().await;
    house.settle().await;
    assert_eq!(house.receiver.came().len(), 0);
    let theirs = pair.others.came().len();
    assert!(theirs > 0);
    let security = house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap();
    let is_its = |text: &str| text.contains("webhook.blocked") && text.contains("operator");
    assert!(security.iter().any(|row| is_its(&String::from_utf8_lossy(&row.bytes))));
    good(&["webhooks", "block", "--everywhere", "--reason", "compromised", "--class", "recipient"]);
    good(&["webhooks", "release", "--organization", "Harbour Mills"]);
    // What the program does is due by the clock of the machine, which is ahead of the one of the test.
    house.app.clock.forward_s(3_600);
    house.settle().await;
    assert!(!ids(&house.receiver, Class::Envelope).is_empty());
    assert!(ids(&house.receiver, Class::Recipient).is_empty());
    good(&["webhooks", "release", "--everywhere", "--class", "recipient"]);
    house.app.clock.forward_s(2);
    house.settle().await;
    assert!(!ids(&house.receiver, Class::Recipient).is_empty());
    assert!(good(&["webhooks", "list"]).is_empty());
    pair.finish().await;
}

/// M-3: where one environment of an organization is blocked or released already, a command for both does the rest, and says so where there
/// is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_both_environments_does_what_is_left_to_do() {
    let app = TestApp::start().await;
    app.organization("Harbour Mills").await;
    let act = |words: &str, more: &[&str]| {
        let mut all: Vec<&str> = vec!["webhooks", words, "--organization", "Harbour Mills"];
        all.extend(more);
        run(app.folder.path(), &all)
    };
    let listed = || {
        let printed = printed(&run(app.folder.path(), &["webhooks", "list"]));
        ["sandbox", "live"]
            .map(|environment| printed.lines().filter(|line| line.contains(environment)).count())
    };
    let reason = ["--reason", "incident"];
    assert!(act("block", &["--reason", "incident", "--environment", "sandbox"]).status.success());
    assert_eq!(listed(), [1, 0]);
    assert!(act("block", &reason).status.success());
    assert_eq!(listed(), [1, 1]);
    let again = act("block", &reason);
    assert!(!again.status.success() && said(&again).contains("blocked already"), "{}", said(&again));
    assert!(act("release", &["--environment", "live"]).status.success());
    assert_eq!(listed(), [1, 0]);
    assert!(act("release", &[]).status.success());
    assert_eq!(listed(), [0, 0]);
    let again = act("release", &[]);
    assert!(!again.status.success() && said(&again).contains("not blocked"), "{}", said(&again));
    app.finish_without_worker().await;
}

/// M-3, W-4: two servers over one database, started while everything is blocked, send nothing of what was due, and after the
/// release all of it, once each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_obey_what_was_blocked_before_they_began() {
    let options = Options { postgres: true, configure: trusting, clock_goes: true, ..Options::default() };
    let app = TestApp::start_with(options).await;
    let key = app.sandbox("Harbour Mills").await;
    let house = House { tenant: key.tenant, key, receiver: Receiver::start().await, app };
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let endpoint = house.endpoint(&asked).await.endpoint;
    house.queue(house.tenant, 40).await;
    block(&house, self::key(None, None)).await;
    let servers = [Process::beside(&house.app, 0).await, Process::beside(&house.app, 1).await];
    house.queue(house.tenant, 40).await;
    let all_are_parked = async {
        while house.states(endpoint).await != [DeliveryState::Parked; 80] {
            // Whoever parks the last of them ends its job, or begins another.
            house.app.app.store.wait_for_work(1_000).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), all_are_parked).await.unwrap();
    assert_eq!(house.receiver.came().len(), 0);
    release(&house, self::key(None, None)).await;
    house.receiver.wait_for(80).await;
    let came = ids(&house.receiver, Class::Envelope);
    assert_eq!((came.len(), came.iter().collect::<BTreeSet<_>>().len()), (80, 80));
    drop(servers);
    house.app.finish_without_worker().await;
}
