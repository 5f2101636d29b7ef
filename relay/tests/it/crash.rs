//! The relay is killed (SIGKILL) at random moments under load, again and again over the same queue: what it answered with 202
//! comes out, once past the idempotency key, and in the order of its envelope. `cargo xtask soak relay` runs the long form.

#![expect(
    clippy::disallowed_methods,
    reason = "another process is watched here, and that lives in real time"
)]

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crate::desk::{Database, Relay, configuration, database, event, forward_to, id, now_s, signed, until};
use crate::order::place;
use crate::system::System;

/// Set by `cargo xtask soak relay`.
const KILLS: &str = "CS_TEST_SOAK_KILLS";
/// Senders at once; each sends the events of one envelope after the other.
const SENDERS: u64 = 16;
const EVENTS: u64 = 12;

fn kills() -> u64 {
    std::env::var(KILLS).map_or(10, |kills| kills.parse().unwrap())
}

/// Drawn numbers: the same ones for one seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

/// What the senders share.
#[derive(Default)]
struct Load {
    urls: RwLock<Vec<String>>,
    taken: AtomicU64,
    attempts: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    /// Sends until it is over: the events of an envelope in their order, each until it is taken. The envelopes that are
    /// complete, and the ids of all that was taken.
    async fn send(&self, number: u64) -> (Vec<String>, HashSet<String>) {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let (mut envelopes, mut ids) = (Vec::new(), HashSet::new());
        while !self.is_over.load(Ordering::Relaxed) {
            let envelope = format!("env_{number}_{}", envelopes.len());
            for sequence in 1..=EVENTS {
                let id = id("msg");
                self.until_taken(&client, &id, &event(&envelope, sequence)).await;
                ids.insert(format!("countersign:{id}"));
            }
            envelopes.push(envelope);
        }
        (envelopes, ids)
    }

    /// Each attempt has a later time than the one before, as the wire format says.
    async fn until_taken(&self, client: &reqwest::Client, id: &str, body: &[u8]) {
        let mut time_s = now_s();
        loop {
            let turn = self.attempts.fetch_add(1, Ordering::Relaxed);
            let url = {
                let urls = self.urls.read().unwrap();
                urls[usize::try_from(turn).unwrap() % urls.len()].clone()
            };
            let sent = signed(id, time_s, body);
            let mut request = client.post(format!("{url}/in/countersign")).body(sent.body);
            for (name, value) in &sent.headers {
                request = request.header(name, value);
            }
            match request.send().await.map(|response| response.status().as_u16()) {
                Ok(202) => {
                    self.taken.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(503) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(status) => panic!("a right message was answered with {status}"),
            }
            time_s = now_s().max(time_s + 1);
            assert!(time_s < now_s() + 290, "it was tried too often");
        }
    }
}

/// One relay over SQLite, or two that share a PostgreSQL; and where the senders reach them.
async fn relays(database: Database, system: &System, load: &Load) -> Vec<Relay> {
    let limits = "requests_per_address_per_s = 100000\nconnections_per_address = 1000";
    let ordered = "attempt_s = 1\nordered = true\nconcurrency = 16";
    let forward = forward_to(&system.url).replace("attempt_s = 2", ordered);
    let text = configuration(limits, "messages_per_s = 100000", &forward);
    let urls = match database {
        Database::Sqlite => vec![None],
        Database::Postgres => vec![Some(self::database().await); 2],
    };
    let mut relays = Vec::new();
    for url in urls {
        let mut relay = Relay::new(&text);
        if let Some(url) = &url {
            relay.over_url(url);
        }
        relay.start().await;
        load.urls.write().unwrap().push(relay.url.clone());
        relays.push(relay);
    }
    relays
}

/// Kills relays at random moments, counted in messages.
async fn kill(relays: &mut [Relay], load: &Load, dice: &mut Dice) -> u64 {
    let mut killed = 0;
    while killed < kills() {
        let enough = load.taken.load(Ordering::Relaxed) + 1 + dice.below(60);
        until("messages are taken", || {
            std::future::ready((load.taken.load(Ordering::Relaxed) >= enough).then_some(()))
        })
        .await;
        tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
        let number = usize::try_from(dice.below(relays.len() as u64)).unwrap();
        let relay = &mut relays[number];
        relay.kill();
        killed += 1;
        if dice.below(4) == 0 && killed < kills() {
            // Killed again while it starts.
            relay.begin();
            tokio::time::sleep(Duration::from_micros(dice.below(40_000))).await;
            relay.kill();
            killed += 1;
        }
        relay.start().await;
        load.urls.write().unwrap()[number].clone_from(&relay.url);
    }
    killed
}

async fn campaign(database: Database, seed: u64) {
    let begun = Instant::now();
    let system = System::start().await;
    system.behave(|_, before| if before % 17 == 3 { 500 } else { 200 });
    let load = Arc::<Load>::default();
    let mut relays = relays(database, &system, &load).await;
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let load = Arc::clone(&load);
            tokio::spawn(async move { load.send(number).await })
        })
        .collect();
    let killed = kill(&mut relays, &load, &mut Dice(seed)).await;
    load.is_over.store(true, Ordering::Relaxed);
    let (mut envelopes, mut ids) = (Vec::new(), HashSet::new());
    for sender in senders {
        let sent = sender.await.unwrap();
        envelopes.extend(sent.0);
        ids.extend(sent.1);
    }
    // However long it takes, as long as it goes on.
    let mut before = 0;
    while before < ids.len() {
        before = until("more comes", || {
            let came = system.count(200);
            std::future::ready((came > before).then_some(came))
        })
        .await;
    }
    for relay in &relays {
        relay.until_empty().await;
        assert_eq!(relay.metric("dead_messages").await, 0);
    }
    let came = verdict(&system, &envelopes, &ids);
    for relay in &mut relays {
        assert_eq!(relay.stop().await.code(), Some(0));
    }
    println!(
        "{database:?}: {killed} kills, {} messages taken in {} attempts, each came out, {came} times all in all, {} envelopes in \
         their order, {} s",
        ids.len(),
        load.attempts.load(Ordering::Relaxed),
        envelopes.len(),
        begun.elapsed().as_secs(),
    );
}

/// Past the idempotency key: everything once, and each envelope in its order. Gives how often something came.
fn verdict(system: &System, envelopes: &[String], ids: &HashSet<String>) -> usize {
    let got = system.got();
    let mut seen = HashSet::new();
    let mut streams = BTreeMap::<String, Vec<u64>>::new();
    for one in got.iter().filter(|got| got.status == 200) {
        let key = one.header("idempotency-key").to_owned();
        assert!(ids.contains(&key), "{key} was not sent");
        if seen.insert(key) {
            let (envelope, sequence) = place(one);
            streams.entry(envelope).or_default().push(sequence);
        }
    }
    assert_eq!(seen.len(), ids.len(), "{:?} are lost", ids.difference(&seen).collect::<Vec<_>>());
    for envelope in envelopes {
        assert_eq!(streams[envelope], (1..=EVENTS).collect::<Vec<_>>(), "{envelope} is out of order");
    }
    got.len()
}

/// W-4, W-10: on SQLite, one relay.
#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_nothing_is_lost_doubled_or_out_of_order_by_kills() {
    campaign(Database::Sqlite, 1).await;
}

/// W-4, W-10: on PostgreSQL, two relays that share a queue.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_nothing_is_lost_doubled_or_out_of_order_by_kills() {
    campaign(Database::Postgres, 2).await;
}
