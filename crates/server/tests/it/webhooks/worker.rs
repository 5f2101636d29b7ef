//! The worker where something goes on for long, or breaks: what it has stays its own, and nobody else waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{EndpointId, EnvelopeId, MessageId, WorkerId},
    limits,
    scope::Scopes,
    time::Time,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use countersign_server::webhooks::{act::Act, endpoints, work::Deliverer};
use countersign_store::{
    Batch,
    batch::Row,
    webhook_rows::{DeliveryClaim, DeliveryRow, DeliveryState, NewMessage},
};
use rusqlite::Connection;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Semaphore, watch},
};

use super::{
    House, Receiver,
    hostile::{Stream, raw, until},
    settings,
};
use crate::{
    app::{Options, TestApp},
    receivers::trusting,
};

/// How long a test waits for what comes at its time.
const PATIENCE: Duration = Duration::from_mins(1);
/// Endpoints that take all slots together: each begins with so many.
const ENDPOINTS: usize = limits::WEBHOOK_SLOTS / limits::WEBHOOK_CONCURRENCY_FIRST as usize;

/// A receiver that answers nothing until it is let go.
struct TarPit {
    url: String,
    open: watch::Sender<usize>,
    most: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl TarPit {
    async fn start() -> Self {
        let (open, most, go) =
            (watch::Sender::new(0), Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
        let (counted, highest, goes) = (open.clone(), Arc::clone(&most), Arc::clone(&go));
        let url = raw(move |mut stream: Stream| {
            let (counted, highest, goes) = (counted.clone(), Arc::clone(&highest), Arc::clone(&goes));
            async move {
                counted.send_modify(|open| {
                    *open += 1;
                    highest.fetch_max(*open, Ordering::SeqCst);
                });
                let mut rest = Vec::new();
                tokio::select! {
                    _ = stream.read_to_end(&mut rest) => {}
                    gone = goes.acquire() => drop(gone.unwrap()),
                }
                counted.send_modify(|open| *open -= 1);
            }
        })
        .await;
        Self { url, open, most, go }
    }

    fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until so many hang at the same time.
    async fn wait_for(&self, count: usize) {
        let mut open = self.open.subscribe();
        let all = open.wait_for(|open| *open >= count);
        let come = tokio::time::timeout(PATIENCE, all).await.is_ok_and(|all| all.is_ok());
        assert!(come, "{} of {count} hang", self.open());
    }

    /// Breaks off all that hangs, now and later.
    fn let_go(&self) {
        self.go.add_permits(1);
    }
}

/// A house whose deliveries hang for as long as a test takes, however busy the machine is.
async fn patient() -> House {
    let options = Options { configure: trusting, attempt_deadline: Some(2 * PATIENCE), ..Options::default() };
    House::on(TestApp::start_with(options).await).await
}

async fn endpoint(house: &House, tenant: &Tenant, url: &str) -> EndpointId {
    let (app, circumstances) = (&house.app.app, house.circumstances());
    let asked = settings(url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = endpoints::create(app, tenant, &circumstances, Scopes::ALL, &asked, None).await.unwrap();
    let act = Act { tenant, circumstances: &circumstances, keep: None };
    endpoints::activate(app, &act, made.endpoint).await.unwrap();
    made.endpoint
}

pub(super) fn database(house: &House) -> Connection {
    Connection::open(house.app.app.config.server.data_dir.join("countersign.sqlite")).unwrap()
}

/// W-4: a worker whose slots all hang lives on by its heart, so that nobody takes what it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heart_of_a_worker_beats_while_all_slots_hang() {
    let (house, pit) = (patient().await, TarPit::start().await);
    let (app, database) = (&house.app.app, database(&house));
    for _ in 0..ENDPOINTS {
        endpoint(&house, &house.tenant, &pit.url).await;
    }
    house.queue(house.tenant, usize::from(limits::WEBHOOK_CONCURRENCY_FIRST)).await;
    let lives_until = || -> Option<i64> {
        database.query_row("SELECT max(until) FROM workers", [], |row| row.get(0)).unwrap()
    };
    let deliverer = Deliverer::start(Arc::clone(app));
    pit.wait_for(limits::WEBHOOK_SLOTS / 2).await;
    // It waits for its heart in real time: the next beat is a second away from here.
    house.app.clock.forward_s(4);
    pit.wait_for(limits::WEBHOOK_SLOTS).await;
    let first = lives_until().unwrap();
    house.app.clock.forward_s(2);
    // Nobody tells of a beat.
    until(|| lives_until() > Some(first)).await;
    assert_eq!(pit.open(), limits::WEBHOOK_SLOTS, "no slot was free for it");
    // After the end of what it had to live at first.
    house.app.clock.forward_s(10);
    let now = app.now();
    assert!(now > Time::from_unix_ms(first));
    let other = WorkerId::new(now, app.draw());
    assert!(app.store.beat(other, now, now.plus_s(15)).await.unwrap());
    let claim = DeliveryClaim {
        fresh: limits::WEBHOOK_SLOTS,
        again: limits::WEBHOOK_SLOTS,
        ..DeliveryClaim::default()
    };
    assert_eq!(app.store.claim_deliveries(other, now, &claim).await.unwrap(), []);
    pit.let_go();
    deliverer.stop().await.unwrap();
    house.app.finish_without_worker().await;
}

/// W-4: what waits in hand for a receiver that was fast, and hangs now, is given back: it would wait in the place of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_fast_and_hangs_has_little_in_hand() {
    const FAST: usize = 400;
    let options =
        Options { configure: trusting, attempt_deadline: Some(Duration::from_secs(3)), ..Options::default() };
    let house = House::on(TestApp::start_with(options).await).await;
    let (came, counted) = (watch::Sender::new(0_usize), watch::Sender::new(0_usize));
    let (arrivals, hanging) = (came.clone(), counted.clone());
    let url = raw(move |mut stream: Stream| {
        let (arrivals, hanging) = (arrivals.clone(), hanging.clone());
        async move {
            let mut number = 0;
            arrivals.send_modify(|count| {
                *count += 1;
                number = *count;
            });
            if number <= FAST {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
                return;
            }
            hanging.send_modify(|count| *count += 1);
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let app = &house.app.app;
    endpoint(&house, &house.tenant, &url).await;
    house.queue(house.tenant, FAST + 300).await;
    let deliverer = Deliverer::start(Arc::clone(app));
    let mut hangs = counted.subscribe();
    let many = hangs.wait_for(|count| *count >= 16);
    tokio::time::timeout(PATIENCE, many).await.unwrap().unwrap();
    let database = database(&house);
    let in_hand = || -> usize {
        let sql = "SELECT count(*) FROM deliveries WHERE worker IS NOT NULL";
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
    };
    assert!(in_hand() > 32, "it was fast: {}", in_hand());
    until(|| in_hand() <= 8).await;
    deliverer.stop().await.unwrap();
    house.app.finish_without_worker().await;
}

/// W-4: however many deliveries are tried again, and hang, half of the slots are left to those that were never tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_do_not_take_the_place_of_first_attempts() {
    let (house, pit) = (patient().await, TarPit::start().await);
    let app = &house.app.app;
    let other = house.app.sandbox("Lighthouse").await.tenant;
    endpoint(&house, &other, &house.receiver.url).await;
    let mut rows = Vec::new();
    for _ in 0..ENDPOINTS {
        let endpoint = endpoint(&house, &house.tenant, &pit.url).await;
        for _ in 0..limits::WEBHOOK_CONCURRENCY_FIRST {
            rows.push(Row::Delivery(tried_before(&house, endpoint)));
        }
    }
    app.store.commit(Batch { rows, ..Batch::default() }).await.unwrap();
    let deliverer = Deliverer::start(Arc::clone(app));
    pit.wait_for(limits::WEBHOOK_SLOTS / 2).await;
    house.queue(other, 300).await;
    house.receiver.wait_for(300).await;
    assert_eq!(pit.most.load(Ordering::SeqCst), limits::WEBHOOK_SLOTS / 2);
    pit.let_go();
    deliverer.stop().await.unwrap();
    house.app.finish_without_worker().await;
}

fn tried_before(house: &House, endpoint: EndpointId) -> DeliveryRow {
    let app = &house.app.app;
    let message = NewMessage {
        tenant: house.tenant,
        message: MessageId::new(app.now(), app.draw()),
        stream: EnvelopeId::new(app.now(), app.draw()),
        seq: 1,
        kind: "envelope.created".to_owned(),
        class: u32::from(Class::Envelope.bit()),
        at: app.now(),
        hash: Digest::of(b"x"),
        correlation: app.new_correlation(),
    };
    DeliveryRow {
        message,
        endpoint,
        sealed_body: None,
        state: DeliveryState::Due,
        due_at: app.now(),
        attempt_count: 1,
        asked_count: 0,
        signed_s: None,
        is_ordered: false,
        worker: None,
    }
}

/// W-4: an endpoint whose row cannot be opened holds up no other, and gets what it is owed once it can be again.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_opened_holds_up_no_other() {
    let house = House::start(false).await;
    let (others, database) = (Receiver::start().await, database(&house));
    let broken = endpoint(&house, &house.tenant, &others.url).await;
    let good = endpoint(&house, &house.tenant, &house.receiver.url).await;
    let set = |settings: &[u8]| {
        let values = rusqlite::params![settings, broken.as_bytes()];
        assert_eq!(
            database.execute("UPDATE endpoints SET settings = ?1 WHERE endpoint = ?2", values).unwrap(),
            1
        );
    };
    let whole = house.app.app.store.endpoint(&house.tenant, broken).await.unwrap().unwrap().settings;
    set(b"no seal");
    house.queue(house.tenant, 5).await;
    house.deliver().await;
    assert_eq!((house.receiver.came().len(), others.came().len()), (5, 0));
    assert_eq!(house.states(good).await, [DeliveryState::Delivered; 5]);
    let now = house.app.app.now();
    let waits =
        |row: &DeliveryRow| row.state == DeliveryState::Due && row.due_at > now && row.worker.is_none();
    assert!(house.deliveries(broken).await.iter().all(waits));
    set(&whole);
    house.app.clock.forward_s(60);
    house.deliver().await;
    assert_eq!((house.receiver.came().len(), others.came().len()), (5, 5));
    house.finish().await;
}

/// W-4: where the database refuses what is to be written of an attempt, the delivery is not left with the worker: it is tried again, with
/// the same id.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_to_settle_is_tried_again() {
    let house = House::start(false).await;
    let (endpoint, database) = (endpoint(&house, &house.tenant, &house.receiver.url).await, database(&house));
    let refusing =
        "CREATE TRIGGER refusing BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'refused'); END";
    database.execute_batch(refusing).unwrap();
    house.queue(house.tenant, 1).await;
    assert_eq!(house.deliver().await, 1);
    let row = house.deliveries(endpoint).await.remove(0);
    let waits_ms = row.due_at.since_ms(house.app.app.now());
    assert_eq!((row.state, row.worker, row.attempt_count, waits_ms), (DeliveryState::Due, None, 0, 60_000));
    database.execute_batch("DROP TRIGGER refusing").unwrap();
    house.app.clock.forward_s(59);
    assert_eq!(house.deliver().await, 0);
    house.app.clock.forward_s(1);
    assert_eq!(house.deliver().await, 1);
    assert_eq!(house.states(endpoint).await, [DeliveryState::Delivered]);
    let came = house.receiver.came();
    assert!(came.len() == 2 && came[0].headers["webhook-id"] == came[1].headers["webhook-id"]);
    house.finish().await;
}

/// W-4, W-5: an endpoint on the shelf that has nothing but a later retry waits for that without holding anybody up, gets it in its time, and
/// leaves the shelf.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_later_waits_on_the_shelf() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let slow = endpoint(&house, &house.tenant, &house.receiver.url).await;
        let (other, others) = (house.app.sandbox("Lighthouse").await.tenant, Receiver::start().await);
        endpoint(&house, &other, &others.url).await;
        house.receiver.answers(&[(500, None)]);
        house.queue(house.tenant, 1).await;
        assert_eq!(house.deliver().await, 1);
        let store = &house.app.app.store;
        assert_eq!(store.shelve(slow, 1_000).await.unwrap(), 1);
        house.queue(other, 3).await;
        assert_eq!((house.deliver().await, others.came().len()), (3, 3));
        assert_eq!(house.deliver().await, 0, "and it ends");
        assert_eq!(store.shelved(10).await.unwrap(), [(slow, 1)]);
        house.app.clock.forward_s(6);
        assert_eq!(house.deliver().await, 1);
        assert_eq!(house.states(slow).await, [DeliveryState::Delivered]);
        assert_eq!(house.deliver().await, 0);
        assert_eq!(store.shelved(10).await.unwrap(), []);
        house.queue(house.tenant, 1).await;
        assert_eq!(house.deliver().await, 1, "from its usual place");
        house.finish().await;
    }
}

/// W-4: what a commit that began before an endpoint left the shelf puts there after it goes out soon, and not at the next beat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_late_to_the_shelf_is_looked_after() {
    let house = House::start(false).await;
    let (endpoint, database) = (endpoint(&house, &house.tenant, &house.receiver.url).await, database(&house));
    let (app, shelved) = (&house.app.app, "SELECT count(*) FROM endpoints WHERE is_shelved");
    let is_shelved = || database.query_row(shelved, [], |row| row.get::<_, i64>(0)).unwrap() == 1;
    app.store.shelve(endpoint, 1_000).await.unwrap();
    let deliverer = Deliverer::start(Arc::clone(app));
    until(|| !is_shelved()).await;
    // Two commits later than this, as if of one that saw the shelf: the worker learns of neither.
    database.execute_batch("BEGIN IMMEDIATE; UPDATE endpoints SET is_shelved = 1; COMMIT").unwrap();
    house.queue(house.tenant, 3).await;
    database.execute_batch("BEGIN IMMEDIATE; UPDATE endpoints SET is_shelved = 0; COMMIT").unwrap();
    assert_eq!(house.receiver.came().len(), 0, "nobody looks there");
    house.app.clock.forward_s(1);
    house.receiver.wait_for(3).await;
    deliverer.stop().await.unwrap();
    house.app.finish_without_worker().await;
}
