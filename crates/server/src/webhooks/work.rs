//! The worker that delivers (ADR 12): it lives by a heartbeat, takes what is due, runs it in the slots that the rules give, and
//! settles each delivery in the commit of its attempt.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use countersign_core::{
    id::{EndpointId, OrganizationId, WorkerId},
    limits,
    time::Time,
    webhook::{
        containment::Fate,
        slots::{Candidate, Held, InFlight, may_start},
    },
};
use countersign_store::{
    Batch,
    webhook_rows::{Claimed, DeliveryClaim, DeliveryRow, Settlement},
};
use tokio::{
    sync::watch,
    task::{Id, JoinHandle, JoinSet},
};
use tracing::Instrument as _;

use super::{
    drained::Drained,
    known::{Known, Read},
    leaving::{self, Leaving},
    running::{AGAIN_MS, BROKEN_MS, Ended, kept_back, put_back, run, settle},
};
use crate::{app::App, fault::Fault};

/// How long a worker lives after its last heartbeat: what it had is taken by others then.
const LIFE_MS: i64 = 15_000;
/// How often its heart beats.
const BEAT_MS: i64 = 5_000;
/// Deliveries that are taken at once.
const TAKEN_AT_ONCE: usize = 64;
/// Longest wait between two looks, when nobody wakes us.
const POLL_MS: u64 = 1_000;
/// An endpoint that had as many as it takes for so long is shelved: claims would read past what waits for it.
const FULL_MS: i64 = 200;
/// Endpoints that leave the shelf at one beat: each is a commit.
const UNSHELVED_AT_ONCE: usize = 8;
/// Deliveries that change lanes in one step.
const MOVED_AT_ONCE: usize = 1_000;
/// Rows that are removed in one step.
const SWEPT_AT_ONCE: usize = 1_000;
/// How often old rows are looked for, when there were few.
const SWEEP_MS: i64 = 60_000;
/// Longest wait at the end for attempts in work and their settlements: an attempt has its deadline.
const LAST_WAIT: Duration = Duration::from_secs(20);

/// The worker.
pub struct Deliverer {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Deliverer {
    /// Starts to deliver.
    pub fn start(app: Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(deliver(app, stopped)) }
    }

    /// Takes no more, waits for attempts in work, and puts the rest back.
    pub async fn stop(self) -> Result<(), Fault> {
        self.stop.send_replace(true);
        self.task.await.map_err(|error| Fault::Task(error.to_string()))
    }
}

async fn deliver(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut worker = Worker::new(Arc::clone(&app));
    while !*stop.borrow() {
        let (wait_ms, until_beat) = match worker.turn().await {
            // There may be more.
            Ok(taken) if taken >= TAKEN_AT_ONCE && worker.has_room() => continue,
            Ok(_) => (worker.wait_ms().await, worker.until_beat()),
            Err(fault) => {
                tracing::error!(event_type = "webhook.turn", event_result = "fault", fault = %fault);
                (POLL_MS, Duration::from_millis(POLL_MS))
            }
        };
        let woken = app.store.wait_for_deliveries(wait_ms);
        tokio::pin!(woken);
        let heart = tokio::time::sleep(until_beat);
        tokio::pin!(heart);
        // A claim is a commit: what ended is worth one where the claim can find more than the last one did.
        while !worker.finds_more() {
            tokio::select! {
                () = &mut heart => break,
                () = &mut woken, if worker.has_room() => break,
                () = worker.one_ended(), if worker.is_busy() => {}
                _ = stop.changed() => break,
            }
        }
    }
    worker.close().await;
}

/// Delivers everything that is due now, and what becomes due by it; how many attempts there were.
pub async fn deliver_due(app: &Arc<App>) -> Result<usize, Fault> {
    let mut worker = Worker::new(Arc::clone(app));
    let mut count = 0;
    loop {
        let taken = worker.turn().await?;
        count += taken;
        if taken == 0 && !worker.is_busy() {
            worker.close().await;
            return Ok(count);
        }
        if worker.is_busy() {
            worker.one_ended().await;
        }
    }
}

/// A delivery that was taken, with its endpoint.
struct Taken {
    row: DeliveryRow,
    endpoint: Read,
}

struct Worker {
    app: Arc<App>,
    id: WorkerId,
    lives_until: Option<Time>,
    beats_at: Option<Time>,
    sweeps_at: Option<Time>,
    known: Known,
    waiting: VecDeque<Taken>,
    running: JoinSet<Ended>,
    in_work: HashMap<Id, Taken>,
    /// What ended is written down beside what runs: a commit holds up no attempt.
    settling: JoinSet<()>,
    shelf: Vec<EndpointId>,
    leaving: Leaving,
    full_since: HashMap<EndpointId, Time>,
    drained: Drained,
    /// Endpoints of which the last claim left something behind, with how many they may have in hand before a claim is worth it.
    left: Vec<(EndpointId, usize)>,
    /// Whether the last claim found no room.
    was_full: bool,
    /// Whether its room for what is shelved was too little.
    shelf_was_long: bool,
}

impl Worker {
    fn new(app: Arc<App>) -> Self {
        let id = WorkerId::new(app.now(), app.draw());
        Self {
            app,
            id,
            lives_until: None,
            beats_at: None,
            sweeps_at: None,
            known: Known::default(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            in_work: HashMap::new(),
            settling: JoinSet::new(),
            shelf: Vec::new(),
            leaving: Leaving::default(),
            full_since: HashMap::new(),
            drained: Drained::default(),
            left: Vec::new(),
            was_full: false,
            shelf_was_long: false,
        }
    }

    /// How many more it can have in hand: those that run, as many that wait for those, and as many that are written down.
    fn room(&self) -> usize {
        let most = self.in_work.len().max(self.waiting.len()).max(self.settling.len());
        limits::WEBHOOK_SLOTS.saturating_sub(most)
    }

    fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// No more of those that were tried before than may run: they would wait in the place of first attempts.
    fn room_for_retries(&self) -> usize {
        let retries = self.in_work.values().chain(&self.waiting).filter(|taken| taken.row.attempt_count > 0);
        (limits::WEBHOOK_SLOTS / 2).saturating_sub(retries.count())
    }

    /// Whether a claim would find what the last one left behind.
    fn finds_more(&self) -> bool {
        let has_few = |(endpoint, most): &(EndpointId, usize)| self.of_endpoint(*endpoint) <= *most;
        self.was_full && self.room() >= limits::WEBHOOK_SLOTS / 4
            || self.shelf_was_long && self.waiting.len() <= limits::WEBHOOK_SLOTS / 4
            || self.has_room() && self.left.iter().any(has_few)
    }

    fn is_busy(&self) -> bool {
        !self.in_work.is_empty() || !self.settling.is_empty()
    }

    /// Beats, takes, and starts what may start; how many were taken.
    async fn turn(&mut self) -> Result<usize, Fault> {
        let now = self.app.now();
        self.beat(now).await?;
        self.sweep(now).await?;
        let taken = self.take(now).await;
        if taken.is_err() {
            // The database may have given us what we do not know of: that is free once nobody beats for this worker.
            self.id = WorkerId::new(now, self.app.draw());
            (self.lives_until, self.beats_at) = (None, None);
            self.waiting.clear();
            self.left.clear();
            (self.was_full, self.shelf_was_long) = (false, false);
        }
        self.start_those_that_may();
        taken
    }

    /// How long its heart may wait: whoever has no room lives on.
    fn until_beat(&self) -> Duration {
        let wait_ms = self.beats_at.map_or(0, |at| at.since_ms(self.app.now()));
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0).max(1))
    }

    async fn beat(&mut self, now: Time) -> Result<(), Fault> {
        if self.beats_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        let until = now.plus_ms(LIFE_MS);
        if !self.app.store.beat(self.id, now, until).await? {
            // Others have what it had by now. What it still runs is sent twice, with one id.
            tracing::warn!(event_type = "webhook.worker", event_result = "lost", worker = %self.id);
            self.waiting.clear();
            self.id = WorkerId::new(now, self.app.draw());
            self.app.store.beat(self.id, now, until).await?;
        }
        self.lives_until = Some(until);
        self.look_at_the_shelf(now).await?;
        let wait_ms = if self.leaving.left_at(now) > 0 { leaving::SOON_MS } else { BEAT_MS };
        self.beats_at = Some(now.plus_ms(wait_ms));
        Ok(())
    }

    async fn look_at_the_shelf(&mut self, now: Time) -> Result<(), Fault> {
        let shelved = self.app.store.shelved(1).await?;
        for endpoint in self.leaving.look_after(now) {
            if !shelved.iter().any(|(other, _)| *other == endpoint) {
                self.unshelve(endpoint).await?;
            }
        }
        self.shelf.clear();
        for (endpoint, waiting) in shelved {
            if waiting == 0 && self.leaving.left_at(now) < UNSHELVED_AT_ONCE {
                self.unshelve(endpoint).await?;
                self.leaving.leaves(endpoint, now);
            } else {
                self.shelf.push(endpoint);
            }
        }
        Ok(())
    }

    /// Takes all that waits for an endpoint from the shelf: what were left there, nobody would look for.
    async fn unshelve(&self, endpoint: EndpointId) -> Result<(), Fault> {
        while self.app.store.unshelve(endpoint, MOVED_AT_ONCE).await? == MOVED_AT_ONCE {}
        Ok(())
    }

    fn of_endpoint(&self, endpoint: EndpointId) -> usize {
        let its = |taken: &&Taken| taken.row.endpoint == endpoint;
        self.in_work.values().filter(its).count() + self.waiting.iter().filter(its).count()
    }

    async fn take(&mut self, now: Time) -> Result<usize, Fault> {
        self.left.clear();
        self.drained.claims();
        let room = self.room();
        self.was_full = room == 0;
        self.shelf_was_long = false;
        if self.was_full || self.lives_until.is_none_or(|until| until <= now) {
            return Ok(0);
        }
        let surplus = self.surplus_of_waiting();
        self.put_back_and_shelve(surplus).await?;
        let full = self.full(now).await?;
        self.left =
            full.iter().map(|endpoint| (*endpoint, self.limit(*endpoint).saturating_sub(1))).collect();
        let claim = DeliveryClaim {
            fresh: room.min(TAKEN_AT_ONCE),
            again: self.room_for_retries().min(room).min(TAKEN_AT_ONCE),
            shelved: self.wanted_of_the_shelf(),
            full,
        };
        let rows = self.claim(now, claim.clone()).await?;
        for (endpoint, wanted) in &claim.shelved {
            if rows.iter().filter(|one| one.row.endpoint == *endpoint).count() >= *wanted {
                self.left.push((*endpoint, self.enough(*endpoint)));
            } else {
                // What was kept for it is there for others at the next claim, which needs a reason of its own.
                self.shelf_was_long = false;
            }
        }
        let count = rows.len();
        self.was_full = claim.fresh < TAKEN_AT_ONCE && count >= claim.fresh;
        let (mut surplus, mut parked, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        self.known.forget(now);
        for claimed in rows {
            let row = &claimed.row;
            let is_shelved = self.shelf.contains(&row.endpoint);
            let most = if is_shelved { self.most(row.endpoint) } else { 2 * self.limit(row.endpoint) };
            if self.of_endpoint(row.endpoint) >= most {
                surplus.push(put_back(row, self.id, row.due_at));
                continue;
            }
            let Some(endpoint) = self.known.endpoint_of(&self.app, &claimed, now).await? else {
                broken.push(put_back(row, self.id, now.plus_ms(BROKEN_MS)));
                continue;
            };
            let fate = endpoint.loaded.fate_of(row);
            if fate == Fate::Waits {
                parked.push(kept_back(row, self.id, fate));
                continue;
            }
            self.waiting.push_back(Taken { row: claimed.row, endpoint });
        }
        self.put_back_and_shelve(surplus).await?;
        // At once: what waits for nothing but a release takes nobody's place.
        self.put_back(parked).await?;
        self.put_back(broken).await?;
        Ok(count)
    }

    /// What waits for endpoints that take so much less than they did that it would wait for long, in the place of others.
    fn surplus_of_waiting(&mut self) -> Vec<Settlement> {
        let mut in_hand: HashMap<EndpointId, usize> = HashMap::new();
        for taken in self.in_work.values() {
            *in_hand.entry(taken.row.endpoint).or_default() += 1;
        }
        let (mut kept, mut surplus) = (VecDeque::with_capacity(self.waiting.len()), Vec::new());
        for taken in std::mem::take(&mut self.waiting) {
            let count = in_hand.entry(taken.row.endpoint).or_default();
            *count += 1;
            if *count > 4 * self.limit(taken.row.endpoint) {
                surplus.push(put_back(&taken.row, self.id, taken.row.due_at));
            } else {
                kept.push_back(taken);
            }
        }
        self.waiting = kept;
        surplus
    }

    /// Claims. What ends until that is durable makes room for what waits already.
    async fn claim(&mut self, now: Time, claim: DeliveryClaim) -> Result<Vec<Claimed>, Fault> {
        let (app, id) = (Arc::clone(&self.app), self.id);
        let mut claiming =
            tokio::spawn(async move { app.store.claim_deliveries(id, now, &claim).await }.in_current_span());
        loop {
            tokio::select! {
                claimed = &mut claiming => {
                    return Ok(claimed.map_err(|error| Fault::Task(error.to_string()))??);
                }
                () = self.one_ended(), if self.is_busy() => {}
            }
        }
    }

    fn limit(&self, endpoint: EndpointId) -> usize {
        self.app.webhooks.limit(endpoint).into()
    }

    /// So many of an endpoint in hand are enough: those that run, some for when these end, and those that end until more is there.
    fn enough(&self, endpoint: EndpointId) -> usize {
        let limit = self.limit(endpoint);
        limit + limit / 2 + self.drained(endpoint)
    }

    /// The most in hand of an endpoint on the shelf, which all on it together keep from filling the room of others.
    fn most(&self, endpoint: EndpointId) -> usize {
        2 * self.limit(endpoint) + self.drained(endpoint)
    }

    /// How many more it has done by the end of a claim.
    fn drained(&self, endpoint: EndpointId) -> usize {
        self.drained.of(endpoint).min(2 * self.limit(endpoint))
    }

    /// How many to take of each shelved endpoint. Half of the room is left to the others.
    fn wanted_of_the_shelf(&mut self) -> Vec<(EndpointId, usize)> {
        let mut room = (limits::WEBHOOK_SLOTS / 2).saturating_sub(self.waiting.len());
        let mut wanted = Vec::new();
        self.shelf_was_long = false;
        // Everybody is the first now and then.
        if !self.shelf.is_empty() {
            self.shelf.rotate_left(1);
        }
        for endpoint in self.shelf.clone() {
            let (has, enough) = (self.of_endpoint(endpoint), self.enough(endpoint));
            if has > enough {
                self.left.push((endpoint, enough));
                continue;
            }
            let wants = self.most(endpoint).saturating_sub(has).min(room);
            if wants == 0 {
                self.shelf_was_long = true;
                break;
            }
            room -= wants;
            wanted.push((endpoint, wants));
        }
        wanted
    }

    async fn put_back(&self, settles: Vec<Settlement>) -> Result<(), Fault> {
        if settles.is_empty() {
            return Ok(());
        }
        self.app.store.commit(Batch { settles, ..Batch::default() }).await.map(drop).map_err(Fault::of_commit)
    }

    /// Gives back what came of endpoints that have enough. What waits for them is shelved.
    async fn put_back_and_shelve(&mut self, surplus: Vec<Settlement>) -> Result<(), Fault> {
        let endpoints: HashSet<EndpointId> = surplus.iter().map(|one| one.endpoint).collect();
        self.put_back(surplus).await?;
        for endpoint in endpoints {
            self.shelve(endpoint).await?;
        }
        Ok(())
    }

    /// Moves what waits for an endpoint to the shelf, a step at a time: it is on the shelf with the last one.
    async fn shelve(&mut self, endpoint: EndpointId) -> Result<(), Fault> {
        let moved = self.app.store.shelve(endpoint, MOVED_AT_ONCE).await?;
        if moved < MOVED_AT_ONCE && !self.shelf.contains(&endpoint) {
            self.shelf.push(endpoint);
        }
        Ok(())
    }

    /// The endpoints that have as many as they take. One that had so for a while is shelved.
    async fn full(&mut self, now: Time) -> Result<Vec<EndpointId>, Fault> {
        let busy: HashSet<EndpointId> =
            self.in_work.values().chain(&self.waiting).map(|taken| taken.row.endpoint).collect();
        let is_full = |endpoint: &EndpointId| self.of_endpoint(*endpoint) >= self.limit(*endpoint);
        let full: Vec<EndpointId> = busy.into_iter().filter(is_full).collect();
        self.full_since.retain(|endpoint, _| full.contains(endpoint));
        let mut late = None;
        for endpoint in &full {
            let since = *self.full_since.entry(*endpoint).or_insert(now);
            if now.since_ms(since) >= FULL_MS && !self.shelf.contains(endpoint) {
                late = Some(*endpoint);
            }
        }
        // One at a time: each is a commit for which the claim waits.
        if let Some(endpoint) = late {
            self.shelve(endpoint).await?;
        }
        Ok(full)
    }

    fn start_those_that_may(&mut self) {
        let mut held = VecDeque::new();
        let slots =
            NonZeroU32::new(u32::try_from(limits::WEBHOOK_SLOTS).unwrap_or(1)).unwrap_or(NonZeroU32::MIN);
        while let Some(taken) = self.waiting.pop_front() {
            let others = |other: &Taken| organization(other) != organization(&taken);
            let others_wait = self.waiting.iter().chain(&held).any(others);
            let candidate = Candidate {
                is_first: taken.row.attempt_count == 0,
                others_wait,
                endpoint_limit: self.app.webhooks.limit(taken.row.endpoint),
            };
            match may_start(slots, self.in_flight(&taken), candidate) {
                Ok(()) => self.start(taken),
                Err(Held::Full) => {
                    held.push_back(taken);
                    break;
                }
                Err(_) => held.push_back(taken),
            }
        }
        held.append(&mut self.waiting);
        self.waiting = held;
    }

    fn in_flight(&self, candidate: &Taken) -> InFlight {
        let mut counts = InFlight::default();
        for taken in self.in_work.values() {
            counts.total += 1;
            counts.repeated += u32::from(taken.row.attempt_count > 0);
            counts.of_organization += u32::from(organization(taken) == organization(candidate));
            counts.of_endpoint += u32::from(taken.row.endpoint == candidate.row.endpoint);
        }
        counts
    }

    fn start(&mut self, taken: Taken) {
        let (app, row, endpoint) = (Arc::clone(&self.app), taken.row.clone(), taken.endpoint.clone());
        let span = tracing::info_span!(
            "delivery",
            correlation_id = %row.message.correlation,
            endpoint = %row.endpoint,
            message_id = %row.message.message,
            attempt = row.attempt_count + 1,
        );
        let attempt = async move { run(&app, row, endpoint).await };
        let handle = self.running.spawn(attempt.instrument(span));
        self.in_work.insert(handle.id(), taken);
    }

    /// Removes what is older than anybody keeps it, a bounded part at a time.
    async fn sweep(&mut self, now: Time) -> Result<(), Fault> {
        if self.sweeps_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        let swept =
            self.app.store.sweep_deliveries(now.plus_s(-limits::WEBHOOK_KEPT_S), SWEPT_AT_ONCE).await?;
        let wait_ms = if swept < SWEPT_AT_ONCE { SWEEP_MS } else { 0 };
        self.sweeps_at = Some(now.plus_ms(wait_ms));
        Ok(())
    }

    /// Waits until an attempt is over, or written down. One that broke without a word is put back.
    async fn one_ended(&mut self) {
        let app = Arc::clone(&self.app);
        tokio::select! {
            Some(ended) = self.running.join_next_with_id() => match ended {
                Ok((id, ended)) => {
                    if let Some(taken) = self.in_work.remove(&id) {
                        self.drained.ended(taken.row.endpoint);
                    }
                    let span = ended.span.clone();
                    self.settling.spawn(async move { ended.settle(&app).await }.instrument(span));
                }
                Err(error) => {
                    tracing::error!(event_type = "webhook.delivery", event_result = "fault", fault = %error);
                    if let Some(taken) = self.in_work.remove(&error.id()) {
                        let due_at = self.app.now().plus_ms(AGAIN_MS);
                        let settlement = put_back(&taken.row, self.id, due_at);
                        self.settling.spawn(async move { settle(&app, settlement).await });
                    }
                }
            },
            Some(written) = self.settling.join_next() => {
                if let Err(error) = written {
                    // Its delivery is free once nobody beats for this worker.
                    tracing::error!(event_type = "webhook.settle", event_result = "fault", fault = %error);
                }
            }
            else => {}
        }
        self.start_those_that_may();
    }

    async fn wait_ms(&self) -> u64 {
        let now = self.app.now();
        let due = self.app.store.next_delivery_due().await.ok().flatten();
        // What is due and was not taken waits for a slot, or for one before it.
        let due = due.filter(|due| *due > now);
        due.map_or(POLL_MS, |due| u64::try_from(due.since_ms(now)).unwrap_or(0).clamp(1, POLL_MS))
    }

    async fn close(mut self) {
        let now = self.app.now();
        for taken in std::mem::take(&mut self.waiting) {
            let (app, back) = (Arc::clone(&self.app), put_back(&taken.row, self.id, now));
            self.settling.spawn(async move { settle(&app, back).await });
        }
        let all_ended = async {
            while self.is_busy() {
                let beat = tokio::time::sleep(self.until_beat());
                tokio::select! {
                    () = self.one_ended() => {}
                    () = beat => if let Err(fault) = self.beat(self.app.now()).await {
                        tracing::warn!(event_type = "webhook.worker", event_result = "fault", fault = %fault);
                        self.beats_at = Some(self.app.now().plus_ms(BEAT_MS));
                    }
                }
            }
        };
        // What is not settled by then, for want of a database, is free once this worker's heart has stopped for so long.
        if tokio::time::timeout(LAST_WAIT, all_ended).await.is_err() {
            tracing::warn!(
                event_type = "webhook.worker",
                event_result = "left",
                deliveries = self.in_work.len() + self.settling.len()
            );
        }
    }
}

fn organization(taken: &Taken) -> OrganizationId {
    taken.row.message.tenant.organization()
}
