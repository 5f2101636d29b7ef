//! The rules of webhooks, written as changes of plain maps.

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::{
    access::Tenant,
    id::{AttemptId, EndpointId, MessageId, WebhookKeyId, WorkerId},
    time::Time,
    webhook::containment::stopped,
};

use super::access_state::{Lasting, replace};
use crate::{
    batch::{CommitError, Row},
    change::{Change, Ending},
    limits::{FREED_DELIVERIES, workers_forgotten_before},
    webhook_rows::{
        AttemptRow, BlockKey, BlockRow, Claimed, DeliveryClaim, DeliveryMove, DeliveryRow, DeliveryState,
        EndpointRow, NewMessage, Settlement, Taking, WebhookKeyRow,
    },
};

/// Which way a delivery is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Fresh,
    Again,
    Shelved,
}

impl Lane {
    fn of(is_shelved: bool, attempt_count: u32) -> Self {
        match attempt_count {
            _ if is_shelved => Self::Shelved,
            0 => Self::Fresh,
            _ => Self::Again,
        }
    }
}

/// A delivery and its lane.
#[derive(Clone)]
struct Held {
    row: DeliveryRow,
    lane: Lane,
}

/// All that is stored of webhooks.
#[derive(Clone, Default)]
pub(super) struct Webhooks {
    pub(super) endpoints: BTreeMap<EndpointId, EndpointRow>,
    shelf: BTreeSet<EndpointId>,
    pub(super) keys: BTreeMap<WebhookKeyId, WebhookKeyRow>,
    blocks: Vec<BlockRow>,
    deliveries: BTreeMap<(EndpointId, MessageId), Held>,
    pub(super) attempts: BTreeMap<AttemptId, AttemptRow>,
    workers: BTreeMap<WorkerId, Time>,
}

impl Webhooks {
    fn lane(&self, endpoint: EndpointId, attempt_count: u32) -> Lane {
        Lane::of(self.shelf.contains(&endpoint), attempt_count)
    }

    pub(super) fn deliveries(&self) -> impl DoubleEndedIterator<Item = &DeliveryRow> {
        self.deliveries.values().map(|held| &held.row)
    }

    pub(super) fn has(&self, row: &Row) -> bool {
        match row {
            Row::Endpoint(row) => self.endpoints.contains_key(&row.endpoint),
            Row::WebhookKey(row) => self.keys.contains_key(&row.key),
            Row::WebhookBlock(row) => self.blocks.iter().any(|block| block.key == row.key),
            Row::Delivery(row) => self.deliveries.contains_key(&(row.endpoint, row.message.message)),
            Row::Attempt(row) => self.attempts.contains_key(&row.attempt),
            _ => false,
        }
    }

    pub(super) fn insert(&mut self, row: Row) {
        match row {
            Row::Endpoint(row) => drop(self.endpoints.insert(row.endpoint, row)),
            Row::WebhookKey(row) => drop(self.keys.insert(row.key, row)),
            Row::WebhookBlock(row) => {
                self.blocks.push(row);
                self.blocks.sort_by_key(|block| block.key.columns());
            }
            Row::Delivery(mut row) => {
                let owner = self.endpoints.get(&row.endpoint);
                let Some(owner) = owner.filter(|owner| owner.tenant == row.message.tenant) else { return };
                (row.is_ordered, row.worker, row.asked_count) = (owner.is_ordered, None, 0);
                let lane = self.lane(row.endpoint, row.attempt_count);
                self.deliveries.insert((row.endpoint, row.message.message), Held { row, lane });
            }
            Row::Attempt(row) => drop(self.attempts.insert(row.attempt, row)),
            _ => {}
        }
    }

    /// `None` for a change that is not of webhooks.
    pub(super) fn change(&mut self, change: &Change) -> Option<Result<(), CommitError>> {
        Some(match change {
            Change::Endpoint(row) => replace(self.endpoints.get_mut(&row.endpoint), row.clone()),
            Change::WebhookKey(row) => replace(self.keys.get_mut(&row.key), row.clone()),
            Change::Unblock(key) => ended(self.unblock(key), true),
            Change::End { what: Ending::Endpoint(endpoint), at, once } => {
                let row = self.endpoints.get_mut(endpoint);
                ended(row.is_some_and(|row| row.end(*at)), *once)
            }
            Change::End { what: Ending::WebhookKey(key), at, once } => {
                ended(self.keys.get_mut(key).is_some_and(|row| row.end(*at)), *once)
            }
            _ => return None,
        })
    }

    fn unblock(&mut self, key: &BlockKey) -> bool {
        let before = self.blocks.len();
        self.blocks.retain(|block| block.key != *key);
        self.blocks.len() < before
    }

    pub(super) fn blocks(&self, tenant: Option<&Tenant>) -> Vec<BlockRow> {
        let concerns =
            |block: &&BlockRow| tenant.is_none_or(|tenant| block.key.tenant.is_none_or(|of| of == *tenant));
        self.blocks.iter().filter(concerns).copied().collect()
    }

    fn is_stopped(&self, message: &NewMessage) -> bool {
        let (organization, environment) = (message.tenant.organization(), message.tenant.environment());
        let blocks = self.blocks.iter().map(|block| block.key.block());
        u32::from(stopped(blocks, organization, environment).bits()) & message.class != 0
    }

    pub(super) fn announce(&mut self, messages: &[NewMessage]) {
        for message in messages {
            let takers: Vec<EndpointRow> = self
                .endpoints
                .values()
                .filter(|row| row.tenant == message.tenant && row.classes & message.class != 0)
                .cloned()
                .collect();
            for taker in takers {
                let state = match taker.takes {
                    Taking::Nothing => continue,
                    Taking::Due if !self.is_stopped(message) => DeliveryState::Due,
                    Taking::Due | Taking::Parked => DeliveryState::Parked,
                };
                let row = DeliveryRow {
                    message: message.clone(),
                    endpoint: taker.endpoint,
                    sealed_body: None,
                    state,
                    due_at: message.at,
                    attempt_count: 0,
                    asked_count: 0,
                    signed_s: None,
                    is_ordered: taker.is_ordered,
                    worker: None,
                };
                let held = Held { row, lane: self.lane(taker.endpoint, 0) };
                self.deliveries.entry((taker.endpoint, message.message)).or_insert(held);
            }
        }
    }

    pub(super) fn settle(&mut self, settlement: Settlement) -> Result<(), CommitError> {
        let Settlement { worker, endpoint, message, state, due_at, is_asked, attempt } = settlement;
        let takes = self.endpoints.get(&endpoint).map(|row| row.takes);
        let is_shelved = self.shelf.contains(&endpoint);
        let held = self.deliveries.get_mut(&(endpoint, message));
        let held = held.filter(|held| held.row.worker == Some(worker)).ok_or(CommitError::LeaseLost)?;
        held.row.state = match (state, takes) {
            (DeliveryState::Due | DeliveryState::Parked, Some(Taking::Parked)) => DeliveryState::Parked,
            (DeliveryState::Due | DeliveryState::Parked, Some(Taking::Nothing) | None) => {
                DeliveryState::Failed
            }
            (state, _) => state,
        };
        (held.row.due_at, held.row.worker) = (due_at, None);
        held.row.asked_count += u32::from(is_asked);
        if let Some(attempt) = attempt {
            held.row.attempt_count += 1;
            held.row.signed_s = Some(attempt.signed_s);
            self.attempts.entry(attempt.attempt).or_insert(attempt);
        }
        held.lane = Lane::of(is_shelved, held.row.attempt_count);
        Ok(())
    }

    pub(super) fn beat(&mut self, worker: WorkerId, now: Time, until: Time) -> bool {
        let lives = self.workers.get(&worker).is_none_or(|until| *until > now);
        if lives {
            self.workers.insert(worker, until);
        }
        let is_dead = |worker: &WorkerId| self.workers.get(worker).is_some_and(|until| *until <= now);
        let of_dead =
            self.deliveries.values_mut().filter(|held| held.row.worker.as_ref().is_some_and(is_dead));
        for held in of_dead.take(FREED_DELIVERIES) {
            held.row.worker = None;
            held.lane = Lane::of(self.shelf.contains(&held.row.endpoint), held.row.attempt_count);
            held.row.state = match self.endpoints.get(&held.row.endpoint).map(|owner| owner.takes) {
                Some(Taking::Parked) => DeliveryState::Parked,
                Some(Taking::Nothing) => DeliveryState::Failed,
                Some(Taking::Due) | None => held.row.state,
            };
        }
        let has_work =
            |worker: &WorkerId| self.deliveries.values().any(|held| held.row.worker == Some(*worker));
        let forgotten = workers_forgotten_before(now);
        self.workers.retain(|worker, until| *until > forgotten || has_work(worker));
        lives
    }

    pub(super) fn claim(&mut self, worker: WorkerId, now: Time, claim: &DeliveryClaim) -> Vec<Claimed> {
        if self.workers.get(&worker).is_none_or(|until| *until <= now) {
            return Vec::new();
        }
        let mut taken = self.take(worker, now, claim.fresh, |held| {
            held.lane == Lane::Fresh && !claim.full.contains(&held.row.endpoint)
        });
        taken.extend(self.take(worker, now, claim.again, |held| {
            held.lane == Lane::Again && !claim.full.contains(&held.row.endpoint)
        }));
        for (endpoint, most) in &claim.shelved {
            taken.extend(self.take(worker, now, *most, |held| held.row.endpoint == *endpoint));
        }
        taken
    }

    fn take(
        &mut self,
        worker: WorkerId,
        now: Time,
        most: usize,
        asked: impl Fn(&Held) -> bool,
    ) -> Vec<Claimed> {
        let is_free = |held: &&Held| {
            let row = &held.row;
            let is_open = row.state == DeliveryState::Due && row.worker.is_none() && row.due_at <= now;
            let takes = self.endpoints.get(&row.endpoint).is_some_and(|owner| owner.takes == Taking::Due);
            is_open && takes && asked(held) && !(row.is_ordered && self.waits_for_another(row))
        };
        let mut found: Vec<_> = self.deliveries.values().filter(is_free).map(|held| &held.row).collect();
        found.sort_by_key(|row| (row.due_at, row.message.message, row.endpoint));
        let keys: Vec<_> =
            found.into_iter().take(most).map(|row| (row.endpoint, row.message.message)).collect();
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(held) = self.deliveries.get_mut(&key) {
                held.row.worker = Some(worker);
                let endpoint_version = self.endpoints.get(&key.0).map_or(0, |owner| owner.version);
                taken.push(Claimed { row: held.row.clone(), endpoint_version });
            }
        }
        taken
    }

    fn waits_for_another(&self, row: &DeliveryRow) -> bool {
        self.deliveries().any(|other| {
            other.endpoint == row.endpoint
                && other.message.stream == row.message.stream
                && other.message.seq < row.message.seq
                && matches!(other.state, DeliveryState::Due | DeliveryState::Parked)
        })
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let waits = |held: &&Held| held.lane != Lane::Shelved && is_waiting(&held.row);
        self.deliveries.values().filter(waits).map(|held| held.row.due_at).min()
    }

    pub(super) fn shelve(&mut self, endpoint: EndpointId, shelved: bool, limit: usize) -> usize {
        if shelved && self.endpoints.contains_key(&endpoint) {
            self.shelf.insert(endpoint);
        } else {
            self.shelf.remove(&endpoint);
        }
        let moves = |held: &Held| {
            held.row.endpoint == endpoint && is_waiting(&held.row) && (held.lane == Lane::Shelved) != shelved
        };
        let mut keys: Vec<_> = self
            .deliveries
            .values()
            .filter(|held| moves(held))
            .map(|held| {
                let row = &held.row;
                (row.due_at, row.message.message)
            })
            .collect();
        keys.sort();
        keys.truncate(limit);
        for (_, message) in &keys {
            if let Some(held) = self.deliveries.get_mut(&(endpoint, *message)) {
                held.lane = Lane::of(shelved, held.row.attempt_count);
            }
        }
        keys.len()
    }

    pub(super) fn shelved(&self, most: usize) -> Vec<(EndpointId, usize)> {
        let waiting = |endpoint: &EndpointId| {
            self.deliveries().filter(|row| row.endpoint == *endpoint && is_waiting(row)).take(most).count()
        };
        self.shelf.iter().map(|endpoint| (*endpoint, waiting(endpoint))).collect()
    }

    pub(super) fn move_deliveries(&mut self, tenant: &Tenant, moves: &DeliveryMove) -> usize {
        let is_shelved = self.shelf.contains(&moves.endpoint);
        let asked = |held: &&mut Held| {
            let row = &held.row;
            row.endpoint == moves.endpoint
                && row.message.tenant == *tenant
                && row.state == moves.from
                && row.worker.is_none()
                && row.due_at < moves.over_before
                && row.message.class & u32::from(moves.classes.bits()) != 0
                && (moves.since..=moves.until).contains(&row.message.message)
        };
        let mut count = 0;
        for held in self.deliveries.values_mut().filter(asked).take(moves.limit) {
            if matches!(moves.from, DeliveryState::Delivered | DeliveryState::Failed) {
                held.row.asked_count = held.row.attempt_count;
            }
            (held.row.state, held.row.due_at) = (moves.to, moves.due_at);
            held.lane = Lane::of(is_shelved, held.row.attempt_count);
            count += 1;
        }
        count
    }

    pub(super) fn sweep(&mut self, before: Time, limit: usize) -> usize {
        let first = AttemptId::new(before, [0; 10]);
        let old: Vec<_> = self.attempts.keys().copied().take_while(|id| *id < first).take(limit).collect();
        for attempt in &old {
            self.attempts.remove(attempt);
        }
        let is_over =
            |row: &DeliveryRow| matches!(row.state, DeliveryState::Delivered | DeliveryState::Failed);
        let mut over: Vec<_> = self
            .deliveries()
            .filter(|row| is_over(row) && row.due_at < before)
            .map(|row| (row.due_at, row.endpoint, row.message.message))
            .collect();
        over.sort();
        over.truncate(limit);
        for (_, endpoint, message) in &over {
            self.deliveries.remove(&(*endpoint, *message));
        }
        old.len() + over.len() + self.sweep_shelf(limit)
    }

    fn sweep_shelf(&mut self, limit: usize) -> usize {
        let mut left: Vec<_> = self
            .deliveries
            .values()
            .filter(|held| held.lane == Lane::Shelved && is_waiting(&held.row))
            .map(|held| (held.row.endpoint, held.row.due_at, held.row.message.message))
            .filter(|(endpoint, ..)| !self.shelf.contains(endpoint))
            .collect();
        left.sort();
        left.truncate(limit);
        for (endpoint, _, message) in &left {
            if let Some(held) = self.deliveries.get_mut(&(*endpoint, *message)) {
                held.lane = Lane::of(false, held.row.attempt_count);
            }
        }
        left.len()
    }
}

fn is_waiting(row: &DeliveryRow) -> bool {
    row.state == DeliveryState::Due && row.worker.is_none()
}

fn ended(changed: bool, once: bool) -> Result<(), CommitError> {
    if changed || !once { Ok(()) } else { Err(CommitError::Outdated) }
}

impl Lasting for EndpointRow {
    fn end(&mut self, at: Time) -> bool {
        let is_open = self.ended_at.is_none();
        if is_open {
            (self.ended_at, self.takes) = (Some(at), Taking::Nothing);
            self.version += 1;
        }
        is_open
    }
}
