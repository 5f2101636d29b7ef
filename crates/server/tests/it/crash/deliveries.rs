//! What must be true of webhooks after the last crash: every event came, signed, under one id; in order where that was asked for;
//! and no right message looked like a replay.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use countersign_webhooks::{Accept, MemoryStore};
use serde_json::Value;

use super::load::Worker;
use crate::webhooks::{Came, Receiver, event, verify};

/// Types that the endpoints of the workers do not ask for.
const OF_EVIDENCE: [&str; 3] = ["document.mismatched", "envelope.downloaded", "evidence.exported"];
/// Time for what was cut off to be sent again: a server is taken for dead after fifteen, and two answers in a row may be
/// failures.
const PATIENCE: Duration = Duration::from_mins(3);

/// Checks all that a worker's endpoint got; how many events there were.
pub(crate) async fn check(worker: &Worker, receiver: &Receiver) -> usize {
    let Some(hook) = &worker.hook else { return 0 };
    let mut expected = BTreeSet::new();
    for story in &worker.stories {
        let path = format!("/v1/envelopes/{}/events", story.envelope);
        let events = worker.api.get_json(&path).await.unwrap();
        assert!(events["next_cursor"].is_null());
        for one in events["events"].as_array().unwrap() {
            if !OF_EVIDENCE.contains(&one["type"].as_str().unwrap()) {
                expected.insert((story.envelope.clone(), one["seq"].as_u64().unwrap()));
            }
        }
    }
    let came =
        || -> Vec<Came> { receiver.came().into_iter().filter(|one| one.uri.path() == hook.path).collect() };
    let place = |one: &Came| {
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        let data = &body["data"];
        (data["envelope"].as_str().unwrap().to_owned(), data["sequence"].as_u64().unwrap())
    };
    let begun = Instant::now();
    loop {
        let told: BTreeSet<_> = came().iter().filter(|one| one.is_taken).map(place).collect();
        let missing: Vec<_> = expected.difference(&told).collect();
        if missing.is_empty() {
            break;
        }
        if begun.elapsed() > PATIENCE {
            let list = worker.api.get_json(&format!("{}?state=due", hook.deliveries)).await.unwrap();
            panic!("{missing:?} did not come; {list:#}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (mut ids, mut pairs, mut last) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for one in came() {
        let header = |name: &str| one.headers[name].to_str().unwrap().to_owned();
        let signed_s: i64 = header("webhook-timestamp").parse().unwrap();
        event(verify(&one, Accept::V1, &hook.keys, &MemoryStore::new(10), signed_s));
        let place = place(&one);
        assert!(expected.contains(&place), "{place:?} is an event that is not there");
        assert_eq!(*ids.entry(place.clone()).or_insert(header("webhook-id")), header("webhook-id"));
        let is_new = pairs.insert((header("webhook-id"), signed_s));
        assert!(is_new, "a receiver that keeps what it saw would have refused {place:?} as a replay");
        if hook.is_ordered && one.is_taken {
            let before = last.entry(place.0.clone()).or_insert(0);
            assert!(place.1 <= *before + gap(&expected, &place, *before), "{place:?} came before its turn");
            *before = place.1.max(*before);
        }
    }
    expected.len()
}

/// How far the next event that is told of lies after the last one: those of other classes are not told.
fn gap(expected: &BTreeSet<(String, u64)>, place: &(String, u64), before: u64) -> u64 {
    let after = (place.0.clone(), before + 1)..=(place.0.clone(), u64::MAX);
    expected.range(after).next().map_or(0, |(_, next)| next - before)
}
