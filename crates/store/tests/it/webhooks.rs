//! What the stores promise of webhooks: the same random work as the model, and each promise by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use countersign_core::{
    id::{AttemptId, CorrelationId, EndpointId, MessageId, WebhookKeyId, WorkerId},
    time::Time,
    webhook::{
        class::{Class, Classes},
        containment::Holder,
        standing::BlockReason,
    },
};
use countersign_store::{
    Batch, CommitError, Memory, Postgres, Sqlite, Store,
    access_rows::{Change, Ending},
    batch::Row,
    testing,
    webhook_rows::{
        AttemptRow, BlockKey, BlockRow, DeliveryClaim, DeliveryMove, DeliveryQuery, DeliveryRow,
        DeliveryState, EndpointRow, NewMessage, Settlement, Taking, WebhookKeyRow,
    },
};
use tokio::task::JoinSet;

use crate::{dice::Dice, races::all, rows};

const SEEDS: u64 = 8;
const STEPS: u64 = 400;
const ENDPOINTS: u64 = 4;
const WORKERS: u64 = 3;
/// What the random work must have come to, again and again.
const MET: [&str; 5] = ["Committed", "LeaseLost", "Outdated", "worker: Some", "false"];

fn endpoint_id(number: u64) -> EndpointId {
    EndpointId::from_bytes(rows::bytes(number))
}

fn message_id(number: u64) -> MessageId {
    MessageId::from_bytes(rows::bytes(number))
}

fn worker_id(number: u64) -> WorkerId {
    WorkerId::from_bytes(rows::bytes(number))
}

fn endpoint(of: u64, number: u64, version: u64, salt: u64) -> EndpointRow {
    EndpointRow {
        tenant: rows::tenant(of),
        endpoint: endpoint_id(number),
        settings: vec![1, u8::try_from(salt).unwrap()],
        condition: "{}".to_owned(),
        classes: 1 + u32::try_from(salt % 3).unwrap(),
        takes: [Taking::Due, Taking::Parked, Taking::Due, Taking::Nothing, Taking::Due]
            [usize::try_from(salt % 5).unwrap()],
        is_ordered: number.is_multiple_of(2),
        created_at: rows::at(number),
        ended_at: None,
        version,
    }
}

fn key(of: u64, number: u64, version: u64, salt: u64) -> WebhookKeyRow {
    WebhookKeyRow {
        tenant: rows::tenant(of),
        endpoint: endpoint_id(number / 2),
        key: WebhookKeyId::from_bytes(rows::bytes(number)),
        sealed: vec![3],
        public: "{}".to_owned(),
        stage: format!("\"{salt}\""),
        created_at: rows::at(number),
        ended_at: None,
        version,
    }
}

fn message(of: u64, number: u64) -> NewMessage {
    NewMessage {
        tenant: rows::tenant(of),
        message: message_id(number),
        stream: rows::envelope(number % 3),
        seq: number + 1,
        kind: "envelope.sent".to_owned(),
        class: 1 << (number % 2),
        at: rows::at(number),
        hash: rows::digest("message", number),
        correlation: CorrelationId::from_bytes(rows::bytes(number)),
    }
}

fn attempt(number: u64, endpoint: EndpointId, message: MessageId, at: Time) -> AttemptRow {
    AttemptRow {
        tenant: rows::tenant(0),
        attempt: AttemptId::new(at, number.to_be_bytes().repeat(2)[6..].try_into().unwrap()),
        endpoint,
        message,
        at,
        took_ms: 12,
        signed_s: at.unix_ms() / 1_000,
        status: number.is_multiple_of(2).then_some(503),
        outcome: "status".to_owned(),
        sealed: vec![4],
    }
}

fn delivery(message: NewMessage, endpoint: EndpointId, state: DeliveryState, due_at: Time) -> DeliveryRow {
    DeliveryRow {
        message,
        endpoint,
        sealed_body: None,
        state,
        due_at,
        attempt_count: 0,
        asked_count: 0,
        signed_s: None,
        is_ordered: false,
        worker: None,
    }
}

/// A random act on both, and what came of it.
async fn act(dice: &mut Dice, step: u64, store: &dyn Store) -> String {
    let now = rows::at(step);
    let (of, number) = (dice.below(2), dice.below(ENDPOINTS));
    let (endpoint_id, worker) = (endpoint_id(number), worker_id(dice.below(WORKERS)));
    let limit = dice.size(4);
    match dice.below(19) {
        0 => {
            let row = endpoint(number % 2, number, 1, dice.below(9));
            told(store.commit(with(vec![Row::Endpoint(row)])).await)
        }
        1 => {
            let row = endpoint(number % 2, number, 1 + dice.below(5), dice.below(9));
            told(store.commit(changing(Change::Endpoint(row))).await)
        }
        2 => {
            let (keys, version) = (dice.below(6), dice.below(4));
            let row = key(of, keys, version.max(1), dice.below(9));
            let batch = match version {
                0 => with(vec![Row::WebhookKey(row)]),
                1 => changing(Change::End { what: Ending::WebhookKey(row.key), at: now, once: true }),
                _ => changing(Change::WebhookKey(row)),
            };
            told(store.commit(batch).await)
        }
        3..=6 => {
            let messages = (0..=dice.below(3)).map(|more| message(of, step + more)).collect();
            told(store.commit(Batch { messages, ..Batch::default() }).await)
        }
        7 => format!("{:?}", store.beat(worker, now, now.plus_ms(60)).await.unwrap()),
        8..=9 => {
            let full = if limit == 0 { vec![endpoint_id] } else { Vec::new() };
            let shelved = vec![(endpoint_id, dice.size(3))];
            let claim = DeliveryClaim { fresh: limit, again: dice.size(4), full, shelved };
            let taken = store.claim_deliveries(worker, now, &claim).await.unwrap();
            format!("{taken:?}")
        }
        10..=11 => settle_one(dice, step, now, store).await,
        12 => format!("{:?}", store.shelve(endpoint_id, limit).await.unwrap()),
        13 => format!("{:?}", store.unshelve(endpoint_id, limit).await.unwrap()),
        14 => move_some(dice, step, endpoint_id, limit, store).await,
        15 => {
            let state = DeliveryState::ALL[dice.size(4)];
            let (message, at) = (message(of, dice.below(step + 1)), now.plus_ms(5));
            let attempts = Row::Attempt(attempt(step, endpoint_id, message.message, now));
            let row = delivery(message, endpoint_id, state, at);
            told(store.commit(with(vec![Row::Delivery(row), attempts])).await)
        }
        16..=17 => {
            let key = block_key(dice);
            let is_new = dice.below(9) == 0;
            let row = BlockRow { key, reason: BlockReason::Incident, created_at: now };
            let batch =
                if is_new { with(vec![Row::WebhookBlock(row)]) } else { changing(Change::Unblock(key)) };
            told(store.commit(batch).await)
        }
        _ => {
            let before = rows::at(step.saturating_sub(100));
            format!("{:?}", store.sweep_deliveries(before, limit).await.unwrap())
        }
    }
}

/// Moves deliveries of one endpoint from one state to another.
async fn move_some(
    dice: &mut Dice,
    step: u64,
    endpoint: EndpointId,
    limit: usize,
    store: &dyn Store,
) -> String {
    let (of, now) = (dice.below(2), rows::at(step));
    let state = |dice: &mut Dice| DeliveryState::ALL[dice.size(4)];
    let (from, to, since) = (state(dice), state(dice), message_id(dice.below(step + 1)));
    let until = message_id(dice.below(step + 1).max(step / 2));
    let moves = DeliveryMove {
        endpoint,
        from,
        to,
        since,
        until,
        classes: Classes::of_bits(u8::try_from(dice.below(32)).unwrap()).unwrap(),
        over_before: now.plus_ms(20),
        due_at: now,
        limit,
    };
    format!("{:?}", store.move_deliveries(&rows::tenant(of), &moves).await.unwrap())
}

fn block_key(dice: &mut Dice) -> BlockKey {
    BlockKey {
        tenant: dice.maybe(2).map(rows::tenant),
        class: dice.maybe(2).map(|class| Class::ALL[usize::try_from(class).unwrap()]),
        holder: [Holder::Operator, Holder::Organization][dice.size(2)],
    }
}

/// Settles a delivery that somebody has, if there is one, as its worker or as another.
async fn settle_one(dice: &mut Dice, step: u64, now: Time, store: &dyn Store) -> String {
    let mut held = Vec::new();
    for number in 0..ENDPOINTS {
        let query = DeliveryQuery { limit: 1_000, ..DeliveryQuery::default() };
        let of = rows::tenant(number % 2);
        let found = store.deliveries(&of, endpoint_id(number), &query).await.unwrap();
        held.extend(found.into_iter().filter(|row| row.worker.is_some()));
    }
    let (chosen, is_theirs, tries) = (dice.below(1_000), dice.below(5) > 0, dice.below(3) > 0);
    let state = DeliveryState::ALL[dice.size(4)];
    let Some(row) = held.get(usize::try_from(chosen).unwrap() % held.len().max(1)) else {
        return "nobody has any".to_owned();
    };
    let worker = if is_theirs { row.worker.unwrap() } else { worker_id(99) };
    let attempt = tries.then(|| attempt(step, row.endpoint, row.message.message, now));
    let settlement = Settlement {
        worker,
        endpoint: row.endpoint,
        message: row.message.message,
        state,
        due_at: now.plus_ms(i64::try_from(chosen % 30).unwrap()),
        is_asked: chosen % 2 == 0,
        attempt,
    };
    told(store.commit(Batch { settles: vec![settlement], ..Batch::default() }).await)
}

/// Everything that can be read.
async fn seen(store: &dyn Store, dice: &mut Dice, step: u64) -> String {
    let (of, number) = (rows::tenant(dice.below(2)), dice.below(ENDPOINTS));
    let endpoint = endpoint_id(number);
    let query = DeliveryQuery {
        state: dice.maybe(4).map(|state| DeliveryState::ALL[usize::try_from(state).unwrap()]),
        stream: dice.maybe(3).map(rows::envelope),
        before: dice.maybe(step + 1).map(message_id),
        limit: dice.size(6),
    };
    let before = dice.maybe(ENDPOINTS).map(endpoint_id);
    let message = message_id(dice.below(step + 1));
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        store.endpoint(&of, endpoint).await.unwrap(),
        store.endpoints(&of, before, 3).await.unwrap(),
        store.webhook_keys(endpoint).await.unwrap(),
        store.delivery(&of, endpoint, message).await.unwrap(),
        store.deliveries(&of, endpoint, &query).await.unwrap(),
        store.attempts(&of, endpoint, message).await.unwrap(),
        store.next_delivery_due().await.unwrap(),
        store.shelved(2).await.unwrap(),
        store.webhook_blocks(Some(&of)).await.unwrap(),
        store.webhook_blocks(None).await.unwrap(),
    )
}

fn told<T: std::fmt::Debug>(answer: Result<T, CommitError>) -> String {
    match answer {
        Ok(_) => "Committed".to_owned(),
        Err(CommitError::Fault(fault)) => format!("{fault:?}"),
        Err(other) => format!("{other:?}"),
    }
}

fn with(rows: Vec<Row>) -> Batch {
    Batch { rows, ..Batch::default() }
}

fn changing(change: Change) -> Batch {
    Batch { changes: vec![change], ..Batch::default() }
}

async fn compare(store: Arc<dyn Store>, seed: u64, met: &mut BTreeMap<&'static str, usize>) {
    let model = Memory::new();
    for step in 0..STEPS {
        let dice = || Dice::new(seed * 10_000 + step);
        let wanted = act(&mut dice(), step, &model).await;
        let found = act(&mut dice(), step, store.as_ref()).await;
        assert_eq!(found, wanted, "seed {seed}, step {step}");
        for word in MET {
            *met.entry(word).or_default() += usize::from(wanted.contains(word));
        }
        let wanted = seen(&model, &mut dice(), step).await;
        let found = seen(store.as_ref(), &mut dice(), step).await;
        assert_eq!(found, wanted, "seed {seed}, after step {step}");
    }
}

/// W-4: both databases do the work of delivering as the model does it.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_on_both_databases_go_as_in_the_model() {
    let cluster = testing::cluster().unwrap();
    let mut met = BTreeMap::new();
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        compare(Arc::new(Sqlite::open(&folder.path().join("store.db")).unwrap()), seed, &mut met).await;
        let url = cluster.database().await.unwrap();
        compare(Arc::new(Postgres::open(&url, None).await.unwrap()), seed, &mut met).await;
    }
    // Work that never met a refusal would prove little.
    assert!(MET.iter().all(|word| met.get(word).is_some_and(|count| *count > 20)), "{met:?}");
}

fn due(of: u64, number: u64, version: u64) -> EndpointRow {
    EndpointRow { takes: Taking::Due, classes: 3, ..endpoint(of, number, version, 0) }
}

async fn announce(store: &dyn Store, numbers: std::ops::Range<u64>) {
    let messages = numbers.map(|number| message(0, number)).collect();
    store.commit(Batch { messages, ..Batch::default() }).await.unwrap();
}

async fn taken_by(store: &dyn Store, worker: WorkerId, now: Time, claim: &DeliveryClaim) -> Vec<DeliveryRow> {
    let claimed = store.claim_deliveries(worker, now, claim).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.row).collect()
}

fn asking(fresh: usize) -> DeliveryClaim {
    DeliveryClaim { fresh, again: fresh, ..DeliveryClaim::default() }
}

fn settlement(worker: u64, row: &DeliveryRow, state: DeliveryState, now: Time) -> Batch {
    let message = row.message.message;
    let attempt = Some(attempt(1, row.endpoint, message, now));
    let worker = worker_id(worker);
    let settled =
        Settlement { worker, endpoint: row.endpoint, message, state, due_at: now, is_asked: false, attempt };
    Batch { settles: vec![settled], ..Batch::default() }
}

/// W-4: two servers that claim at the same time never have the same delivery, and all are had by somebody.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_taken_by_one_worker() {
    for servers in all().await {
        let store = servers.turn(0);
        store.commit(with(vec![Row::Endpoint(due(0, 1, 1))])).await.unwrap();
        let now = rows::at(1_000);
        for worker in 0..8 {
            assert!(store.beat(worker_id(worker), now, now.plus_ms(10)).await.unwrap());
        }
        announce(&*store, 0..200).await;
        let mut claims = JoinSet::new();
        for worker in 0..8 {
            let store = servers.turn(worker);
            claims.spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let more = taken_by(&*store, worker_id(worker), now, &asking(7)).await;
                    if more.is_empty() {
                        return taken;
                    }
                    taken.extend(more.into_iter().map(|row| row.message.message));
                }
            });
        }
        let taken: Vec<MessageId> = claims.join_all().await.into_iter().flatten().collect();
        let distinct: BTreeSet<_> = taken.iter().collect();
        assert_eq!((taken.len(), distinct.len()), (200, 200), "{}", servers.name);
    }
}

/// W-4: what a dead worker had is free again, and what it says afterwards is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_deliveries_are_taken_by_another_and_its_word_counts_no_more() {
    for servers in all().await {
        let (one, two) = (servers.turn(0), servers.turn(1));
        one.commit(with(vec![Row::Endpoint(due(0, 1, 1))])).await.unwrap();
        announce(&*one, 0..1).await;
        let (now, later) = (rows::at(1_000), rows::at(2_000));
        one.beat(worker_id(1), now, now.plus_ms(999)).await.unwrap();
        let taken = taken_by(&*one, worker_id(1), now, &asking(1)).await;
        assert_eq!(taken.len(), 1);
        two.beat(worker_id(2), rows::at(1_998), later.plus_ms(999)).await.unwrap();
        assert!(taken_by(&*two, worker_id(2), rows::at(1_998), &asking(1)).await.is_empty());
        two.beat(worker_id(2), later, later.plus_ms(999)).await.unwrap();
        assert_eq!(taken_by(&*two, worker_id(2), later, &asking(1)).await.len(), 1);
        let name = servers.name;
        assert!(!one.beat(worker_id(1), later, later.plus_ms(999)).await.unwrap(), "{name}: it lives again");
        assert!(taken_by(&*one, worker_id(1), later, &asking(1)).await.is_empty());
        let stale = one.commit(settlement(1, &taken[0], DeliveryState::Delivered, later)).await;
        assert!(matches!(stale, Err(CommitError::LeaseLost)), "{name}: {stale:?}");
        two.commit(settlement(2, &taken[0], DeliveryState::Delivered, later)).await.unwrap();
        let row = two.delivery(&rows::tenant(0), endpoint_id(1), message_id(0)).await.unwrap().unwrap();
        assert_eq!((row.state, row.attempt_count), (DeliveryState::Delivered, 1));
        let again = two.commit(settlement(2, &taken[0], DeliveryState::Due, later)).await;
        assert!(matches!(again, Err(CommitError::LeaseLost)), "{name}: settled twice");
    }
}

/// W-5: what a dead worker had of an endpoint that left the shelf meanwhile is found among the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_had_of_the_shelf_is_not_left_there() {
    for servers in all().await {
        let (one, two) = (servers.turn(0), servers.turn(1));
        one.commit(with(vec![Row::Endpoint(due(0, 1, 1))])).await.unwrap();
        announce(&*one, 0..3).await;
        let (now, later) = (rows::at(1_000), rows::at(2_000));
        one.beat(worker_id(1), now, now.plus_ms(999)).await.unwrap();
        assert_eq!(one.shelve(endpoint_id(1), 10).await.unwrap(), 3);
        let claim = DeliveryClaim { shelved: vec![(endpoint_id(1), 9)], ..DeliveryClaim::default() };
        assert_eq!(taken_by(&*one, worker_id(1), now, &claim).await.len(), 3);
        assert_eq!(two.shelved(1).await.unwrap(), [(endpoint_id(1), 0)], "nobody's wait there");
        two.unshelve(endpoint_id(1), 10).await.unwrap();
        two.beat(worker_id(2), later, later.plus_ms(999)).await.unwrap();
        let found = taken_by(&*two, worker_id(2), later, &asking(9)).await;
        assert_eq!(found.len(), 3, "{}", servers.name);
    }
}

/// W-5, W-4: an ordered endpoint gets the deliveries of an envelope one after the other, whoever takes them.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_endpoint_gets_one_delivery_of_an_envelope_at_a_time() {
    for servers in all().await {
        let (one, two) = (servers.turn(0), servers.turn(1));
        one.commit(with(vec![Row::Endpoint(due(0, 2, 1))])).await.unwrap();
        announce(&*one, 0..9).await;
        let now = rows::at(1_000);
        for (store, worker) in [(&one, 1), (&two, 2)] {
            store.beat(worker_id(worker), now, now.plus_ms(10)).await.unwrap();
        }
        for round in 0..3 {
            let taken = taken_by(&*one, worker_id(1), now, &asking(9)).await;
            let seqs: Vec<u64> = taken.iter().map(|row| row.message.seq).collect();
            assert_eq!(seqs, [1, 2, 3].map(|seq| seq + 3 * round), "{}: of three envelopes", servers.name);
            assert!(taken_by(&*two, worker_id(2), now, &asking(9)).await.is_empty());
            let (last, first) = taken.split_last().unwrap();
            for row in first {
                one.commit(settlement(1, row, DeliveryState::Delivered, now)).await.unwrap();
            }
            one.commit(settlement(1, last, DeliveryState::Due, now)).await.unwrap();
            let again = taken_by(&*two, worker_id(2), now, &asking(0)).await;
            assert!(again.is_empty());
            let claim = DeliveryClaim { again: 9, ..DeliveryClaim::default() };
            let again = taken_by(&*two, worker_id(2), now, &claim).await;
            assert_eq!(again.len(), 1, "only the one that is to be tried again");
            two.commit(settlement(2, &again[0], DeliveryState::Delivered, now)).await.unwrap();
        }
    }
}

/// W-6: an event makes deliveries for the endpoints of its tenant that ask for its class, as they are at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_for_those_endpoints_of_its_tenant_that_ask_for_it() {
    for servers in all().await {
        let store = servers.turn(0);
        let rows_there = vec![
            Row::Endpoint(due(0, 1, 1)),
            Row::Endpoint(due(1, 2, 1)),
            Row::Endpoint(EndpointRow { classes: 2, ..due(0, 3, 1) }),
            Row::Endpoint(EndpointRow { takes: Taking::Parked, ..due(0, 4, 1) }),
            Row::Endpoint(EndpointRow { takes: Taking::Nothing, ..due(0, 5, 1) }),
            Row::Endpoint(due(0, 6, 1)),
        ];
        store.commit(with(rows_there)).await.unwrap();
        let what = Ending::Endpoint(endpoint_id(6));
        store.commit(changing(Change::End { what, at: rows::at(1), once: true })).await.unwrap();
        announce(&*store, 0..1).await;
        let mut found = Vec::new();
        for number in 1..=6 {
            let of = rows::tenant(u64::from(number == 2));
            let row = store.delivery(&of, endpoint_id(number), message_id(0)).await.unwrap();
            found.extend(row.map(|row| (number, row.state)));
        }
        assert_eq!(found, [(1, DeliveryState::Due), (4, DeliveryState::Parked)], "{}", servers.name);
    }
}

/// W-5: what is to be tried again when its endpoint was blocked or ended meanwhile waits, or is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_in_work_follows_its_endpoint_when_it_is_put_back() {
    for servers in all().await {
        for (takes, expected) in
            [(Taking::Parked, DeliveryState::Parked), (Taking::Nothing, DeliveryState::Failed)]
        {
            let number = if takes == Taking::Parked { 1 } else { 3 };
            let store = servers.turn(0);
            store.commit(with(vec![Row::Endpoint(due(0, number, 1))])).await.unwrap();
            announce(&*store, number..number + 1).await;
            let now = rows::at(1_000);
            store.beat(worker_id(1), now, now.plus_ms(10)).await.unwrap();
            let taken = taken_by(&*store, worker_id(1), now, &asking(5)).await;
            let taken = taken.iter().find(|row| row.endpoint == endpoint_id(number)).unwrap();
            let blocked = EndpointRow { takes, ..due(0, number, 2) };
            store.commit(changing(Change::Endpoint(blocked))).await.unwrap();
            store.commit(settlement(1, taken, DeliveryState::Due, now)).await.unwrap();
            let found = store.delivery(&rows::tenant(0), taken.endpoint, taken.message.message).await;
            assert_eq!(found.unwrap().unwrap().state, expected, "{}", servers.name);
        }
    }
}

/// M-3: what is blocked waits from the start, in its own tenant and class alone, or everywhere; a block is set once and taken
/// away once, whoever else does the same at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_blocked_is_parked() {
    for servers in all().await {
        let (one, two) = (servers.turn(0), servers.turn(1));
        let endpoints = vec![Row::Endpoint(due(0, 1, 1)), Row::Endpoint(due(1, 3, 1))];
        one.commit(with(endpoints)).await.unwrap();
        let holder = Holder::Operator;
        let ours = Some(rows::tenant(0));
        // Even messages are of the first class.
        let class = BlockKey { tenant: ours, class: Some(Class::Envelope), holder };
        let all = BlockKey { tenant: ours, class: None, holder };
        let everywhere = BlockKey { tenant: None, class: None, holder };
        let table = [
            (vec![], [true, true, true]),
            (vec![class], [false, true, true]),
            (vec![all], [false, false, true]),
            (vec![class, all], [false, false, true]),
            (vec![everywhere], [false, false, false]),
            (vec![], [true, true, true]),
        ];
        let block = |key| BlockRow { key, reason: BlockReason::Incident, created_at: rows::at(1) };
        for (number, (blocks, expected)) in table.into_iter().enumerate() {
            for key in &blocks {
                one.commit(with(vec![Row::WebhookBlock(block(*key))])).await.unwrap();
                let again = two.commit(with(vec![Row::WebhookBlock(block(*key))])).await;
                assert!(matches!(again, Err(CommitError::Conflict)), "{}: {again:?}", servers.name);
            }
            let first = u64::try_from(number).unwrap() * 4;
            let messages = vec![message(0, first), message(0, first + 1), message(1, first + 2)];
            two.commit(Batch { messages, ..Batch::default() }).await.unwrap();
            let places = [(0, 1, first), (0, 1, first + 1), (1, 3, first + 2)];
            let mut found = Vec::new();
            for (of, endpoint, message) in places {
                let of = rows::tenant(of);
                let row = one.delivery(&of, endpoint_id(endpoint), message_id(message)).await.unwrap();
                found.push(row.unwrap().state == DeliveryState::Due);
            }
            assert_eq!(found, expected, "{}: {blocks:?}", servers.name);
            assert_eq!(one.webhook_blocks(ours.as_ref()).await.unwrap().len(), blocks.len());
            for key in blocks {
                two.commit(changing(Change::Unblock(key))).await.unwrap();
                let again = one.commit(changing(Change::Unblock(key))).await;
                assert!(matches!(again, Err(CommitError::Outdated)), "{}: {again:?}", servers.name);
            }
        }
    }
}
