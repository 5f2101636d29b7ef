//! The rules of the store, written as changes of plain maps.

use std::collections::BTreeMap;

use countersign_core::{
    access::Tenant,
    api_key::life::END_TOLD,
    digest::Digest,
    id::{ApiKeyId, CodeId, DocumentId, EnvelopeId, JobId, LinkId, OrganizationId, PersonId, SessionId},
    time::Time,
};

use super::{
    access_state::{Access, replace},
    webhook_state::Webhooks,
};
use crate::{
    access_rows::{Change, Ending},
    batch::{Append, Batch, Chain, CommitError, Committed, NewEvent, Row},
    cells::not_waiting,
    fault::Fault,
    limits::{SWEPT_ROWS, swept_before},
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopeRow, IdempotencyClaim, IdempotencyState,
        JobRow, KeyRow, LeafRow, LinkRow, MailboxRow, NewJob, OpeningRow, OrganizationRow, PersonRow,
        SessionRow, StoredAnswer, StoredEvent, Stream, TileRow, security_stream,
    },
    webhook_rows::FedEvent,
};

/// A job with its lease.
#[derive(Clone)]
pub(super) struct HeldJob {
    new: NewJob,
    pub(super) due_at: Time,
    pub(super) leased: bool,
    pub(super) attempt_count: u32,
    fence: u64,
}

impl HeldJob {
    pub(super) fn is_leased_as(&self, fence: u64) -> bool {
        self.leased && self.fence == fence
    }
}

/// A claim with its answer.
#[derive(Clone)]
struct HeldClaim {
    fingerprint: Digest,
    claim: [u8; 16],
    claimed_at: Time,
    expires_at: Time,
    answer: Option<StoredAnswer>,
}

type ClaimPlace = (Tenant, [u8; 16], String);

fn place(claim: &IdempotencyClaim) -> ClaimPlace {
    (claim.tenant, claim.caller, claim.key.clone())
}

/// Everything that is stored.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) organizations: BTreeMap<OrganizationId, OrganizationRow>,
    pub(super) persons: BTreeMap<PersonId, PersonRow>,
    pub(super) openings: BTreeMap<(Tenant, EnvelopeId, Digest), OpeningRow>,
    pub(super) documents: BTreeMap<DocumentId, DocumentRow>,
    pub(super) api_keys: BTreeMap<ApiKeyId, ApiKeyRow>,
    pub(super) links: BTreeMap<LinkId, LinkRow>,
    pub(super) sessions: BTreeMap<SessionId, SessionRow>,
    pub(super) codes: BTreeMap<CodeId, CodeRow>,
    pub(super) artifacts: BTreeMap<(EnvelopeId, Option<DocumentId>), ArtifactRow>,
    pub(super) mails: BTreeMap<u64, MailboxRow>,
    pub(super) keys: BTreeMap<String, KeyRow>,
    pub(super) envelopes: BTreeMap<EnvelopeId, (Tenant, EnvelopeRow)>,
    events: BTreeMap<(Tenant, EnvelopeId, u64), NewEvent>,
    pub(super) unsequenced: Vec<(Tenant, LeafRow)>,
    leaves: BTreeMap<u64, (Tenant, EnvelopeId, u64)>,
    pub(super) tiles: BTreeMap<(u8, u64), Vec<u8>>,
    pub(super) checkpoints: Vec<(u64, String)>,
    claims: BTreeMap<ClaimPlace, HeldClaim>,
    pub(super) jobs: BTreeMap<JobId, HeldJob>,
    pub(super) access: Access,
    pub(super) webhooks: Webhooks,
}

impl State {
    pub(super) fn load(&self, tenant: &Tenant, envelope: EnvelopeId) -> Option<Stream> {
        self.envelopes.get(&envelope).filter(|(owner, _)| owner == tenant)?;
        let events = self.events_of(tenant, envelope);
        let openings: Vec<_> = self
            .openings
            .values()
            .filter(|row| row.tenant == *tenant && row.envelope == envelope)
            .cloned()
            .collect();
        let persons = self
            .persons
            .values()
            .filter(|row| {
                row.tenant == *tenant && openings.iter().any(|opening| opening.person == row.person)
            })
            .cloned()
            .collect();
        Some(Stream { events, openings, persons })
    }

    /// The events of any stream.
    pub(super) fn fed_events(&self, tenant: &Tenant, after: Option<u64>, limit: usize) -> Vec<FedEvent> {
        let first = after.map_or(0, |after| after.saturating_add(1));
        let leaves = self.leaves.range(first..).filter(|(_, (owner, ..))| owner == tenant);
        let fed = leaves.filter_map(|(index, place)| {
            let stored = stored(place.2, self.events.get(place)?, Some(*index));
            Some(FedEvent { stream: place.1, event: stored })
        });
        fed.take(limit).collect()
    }

    pub(super) fn events_of(&self, tenant: &Tenant, stream: EnvelopeId) -> Vec<StoredEvent> {
        let range = (*tenant, stream, 0)..=(*tenant, stream, u64::MAX);
        let placed = |(place, event): (&(Tenant, EnvelopeId, u64), &NewEvent)| {
            let leaf = self.leaves.iter().find(|(_, leaf)| *leaf == place);
            stored(place.2, event, leaf.map(|(index, _)| *index))
        };
        self.events.range(range).map(placed).collect()
    }

    pub(super) fn commit(&mut self, batch: Batch) -> Result<Committed, CommitError> {
        let committed = batch.committed();
        if let Some(job) = &batch.finishes {
            let held = self.jobs.get(&job.job).is_some_and(|held| held.is_leased_as(job.fence));
            if !held {
                return Err(CommitError::LeaseLost);
            }
            self.jobs.remove(&job.job);
        }
        if let Some(finished) = batch.answers {
            let held = self
                .claims
                .get_mut(&place(&finished.claim))
                .filter(|held| held.claim == finished.claim.claim && held.answer.is_none())
                .ok_or(CommitError::ClaimLost)?;
            held.answer = Some(finished.answer);
        }
        for settlement in batch.settles {
            self.webhooks.settle(settlement)?;
        }
        self.access.spend(&batch.spends)?;
        for change in batch.changes {
            self.change(change)?;
        }
        if let Some(append) = batch.append {
            self.append(append)?;
        }
        if let Some(chain) = batch.chains {
            self.chain(chain)?;
        }
        self.webhooks.announce(&batch.messages);
        for row in batch.rows {
            self.insert(row)?;
        }
        self.access.receive(batch.security)?;
        for new in batch.jobs {
            let due_at = new.due_at;
            let held = HeldJob { due_at, leased: false, attempt_count: 0, fence: 0, new };
            self.jobs.entry(held.new.job).or_insert(held);
        }
        Ok(committed)
    }

    fn append(&mut self, append: Append) -> Result<(), CommitError> {
        let (owner, last_seq) = self
            .envelopes
            .get(&append.envelope)
            .map_or((append.tenant, 0), |(owner, row)| (*owner, row.last_seq));
        if owner != append.tenant || last_seq + 1 != append.expected_seq {
            return Err(CommitError::Conflict);
        }
        self.add_events(append.tenant, append.envelope, append.expected_seq, append.events);
        self.envelopes.insert(append.envelope, (append.tenant, append.projection));
        Ok(())
    }

    fn chain(&mut self, chain: Chain) -> Result<(), CommitError> {
        let stream = security_stream(&chain.tenant);
        let last_seq = self.events_of(&chain.tenant, stream).last().map_or(0, |event| event.seq);
        if last_seq + 1 != chain.expected_seq {
            return Err(CommitError::Conflict);
        }
        self.add_events(chain.tenant, stream, chain.expected_seq, chain.events);
        self.access.take(&chain.tenant, &chain.taken)
    }

    fn add_events(&mut self, tenant: Tenant, envelope: EnvelopeId, from_seq: u64, events: Vec<NewEvent>) {
        for (seq, event) in (from_seq..).zip(events) {
            let leaf = LeafRow { envelope, seq, hash: event.hash, leaf_id: event.leaf_id };
            self.unsequenced.push((tenant, leaf));
            self.events.insert((tenant, envelope, seq), event);
        }
    }

    fn change(&mut self, change: Change) -> Result<(), CommitError> {
        if let Some(changed) = self.webhooks.change(&change) {
            return changed;
        }
        match change {
            Change::ApiKey(mut row) => {
                let old = self.api_keys.get_mut(&row.key);
                row.used = old.as_ref().and_then(|old| old.used.clone());
                replace(old, row)
            }
            Change::End { what: Ending::ApiKey(key), at, once } => {
                let is_open = |row: &&mut ApiKeyRow| row.expires_at > at && row.warned_days != Some(END_TOLD);
                if let Some(row) = self.api_keys.get_mut(&key).filter(is_open) {
                    (row.expires_at, row.warned_days) = (at, Some(END_TOLD));
                    row.version += 1;
                } else if once {
                    return Err(CommitError::Outdated);
                }
                Ok(())
            }
            other => self.access.change(other),
        }
    }

    fn insert(&mut self, row: Row) -> Result<(), CommitError> {
        if let Row::Person(new) = &row
            && self.persons.values().any(|old| old.tenant == new.tenant && old.lookup == new.lookup)
        {
            return Err(CommitError::Conflict);
        }
        if self.access.has_lookup(&row) {
            return Err(CommitError::Conflict);
        }
        if let Row::Link(new) = &row {
            self.links.retain(|_, old| {
                old.tenant != new.tenant || old.envelope != new.envelope || old.recipient != new.recipient
            });
        }
        if self.has(&row) {
            return row.refusal().map_or(Ok(()), Err);
        }
        match row {
            Row::Organization(row) => drop(self.organizations.insert(row.organization, row)),
            Row::Person(row) => drop(self.persons.insert(row.person, row)),
            Row::Opening(row) => drop(self.openings.insert((row.tenant, row.envelope, row.commitment), row)),
            Row::Document(row) => drop(self.documents.insert(row.document, row)),
            Row::ApiKey(row) => drop(self.api_keys.insert(row.key, row)),
            Row::Link(row) => drop(self.links.insert(row.link, row)),
            Row::Session(row) => drop(self.sessions.insert(row.session, row)),
            Row::Code(row) => drop(self.codes.insert(row.code, row)),
            Row::Artifact(row) => drop(self.artifacts.insert((row.envelope, row.document), row)),
            Row::Mailbox(row) => {
                let position = self.mails.last_key_value().map_or(1, |(last, _)| last + 1);
                self.mails.insert(position, row);
            }
            Row::Key(row) => drop(self.keys.insert(row.name.clone(), row)),
            Row::Endpoint(_)
            | Row::WebhookKey(_)
            | Row::WebhookBlock(_)
            | Row::Delivery(_)
            | Row::Attempt(_) => {
                self.webhooks.insert(row);
            }
            other => self.access.insert(other),
        }
        Ok(())
    }

    // Whether a row with the same id, or the same secret, exists.
    fn has(&self, row: &Row) -> bool {
        match row {
            Row::Organization(row) => self.organizations.contains_key(&row.organization),
            Row::Person(row) => self.persons.contains_key(&row.person),
            Row::Opening(row) => self.openings.contains_key(&(row.tenant, row.envelope, row.commitment)),
            Row::Document(row) => self.documents.contains_key(&row.document),
            Row::ApiKey(row) => self.api_keys.values().any(|old| old.key == row.key || old.hash == row.hash),
            Row::Link(row) => self.links.values().any(|old| old.link == row.link || old.secret == row.secret),
            Row::Session(row) => {
                self.sessions.values().any(|old| old.session == row.session || old.cookie == row.cookie)
            }
            Row::Code(row) => self.codes.contains_key(&row.code),
            Row::Artifact(row) => self.artifacts.contains_key(&(row.envelope, row.document)),
            Row::Mailbox(row) => self.mails.values().any(|old| old.mail == row.mail),
            Row::Key(row) => self.keys.contains_key(&row.name),
            Row::Endpoint(_)
            | Row::WebhookKey(_)
            | Row::WebhookBlock(_)
            | Row::Delivery(_)
            | Row::Attempt(_) => self.webhooks.has(row),
            other => self.access.has(other),
        }
    }

    pub(super) fn claim_idempotency(&mut self, claim: &IdempotencyClaim) -> IdempotencyState {
        if let Some(held) = self.claims.get(&place(claim))
            && held.expires_at > claim.now
        {
            if held.fingerprint != claim.fingerprint {
                return IdempotencyState::Mismatch;
            }
            if let Some(answer) = &held.answer {
                return IdempotencyState::Answered(answer.clone());
            }
            let stale = held.claimed_at.plus_ms(claim.stale_after_ms) <= claim.now;
            if held.claim != claim.claim && !stale {
                return IdempotencyState::InFlight;
            }
        }
        let held = HeldClaim {
            fingerprint: claim.fingerprint,
            claim: claim.claim,
            claimed_at: claim.now,
            expires_at: claim.expires_at,
            answer: None,
        };
        self.claims.insert(place(claim), held);
        IdempotencyState::Claimed
    }

    pub(super) fn release_idempotency(&mut self, claim: &IdempotencyClaim) {
        let place = place(claim);
        if self.claims.get(&place).is_some_and(|held| held.claim == claim.claim && held.answer.is_none()) {
            self.claims.remove(&place);
        }
    }

    pub(super) fn claim_jobs(&mut self, now: Time, lease_ms: i64, limit: usize) -> Vec<JobRow> {
        let mut due: Vec<_> = self.jobs.values_mut().filter(|job| job.due_at <= now).collect();
        due.sort_by_key(|job| (job.due_at, job.new.job));
        let lease = |job: &mut HeldJob| {
            job.due_at = now.plus_ms(lease_ms);
            job.leased = true;
            job.attempt_count += 1;
            job.fence += 1;
            JobRow {
                tenant: job.new.tenant,
                job: job.new.job,
                work: job.new.work.clone(),
                correlation: job.new.correlation,
                attempt_count: job.attempt_count,
                fence: job.fence,
            }
        };
        due.into_iter().take(limit).map(lease).collect()
    }

    pub(super) fn sweep(&mut self, now: Time) {
        let ended = swept_before(now);
        sweep(&mut self.sessions, ended, |row| row.expires_at);
        sweep(&mut self.codes, ended, |row| row.expires_at);
        sweep(&mut self.claims, now, |held| held.expires_at);
        self.access.sweep(now);
    }

    pub(super) fn publish_checkpoint(
        &mut self,
        from_index: u64,
        leaves: &[LeafRow],
        tiles: &[TileRow],
        checkpoint: &str,
    ) -> Result<(), Fault> {
        let size = self.checkpoints.last().map_or(0, |(size, _)| *size);
        if size != from_index {
            return Err(Fault::Contradiction(format!("the log has {size} leaves, not {from_index}")));
        }
        for (index, leaf) in (from_index..).zip(leaves) {
            let waiting = self.unsequenced.iter().position(|(_, row)| row == leaf);
            let (tenant, leaf) = self.unsequenced.remove(waiting.ok_or_else(|| not_waiting(leaf))?);
            self.leaves.insert(index, (tenant, leaf.envelope, leaf.seq));
        }
        for tile in tiles {
            let widest = self.tiles.entry((tile.level, tile.index)).or_default();
            if tile.bytes.len() > widest.len() {
                widest.clone_from(&tile.bytes);
            }
        }
        let new_size = from_index + u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        self.checkpoints.push((new_size, checkpoint.to_owned()));
        Ok(())
    }
}

// Removes what ended first, a bounded number.
pub(super) fn sweep<K: Ord + Clone, V>(rows: &mut BTreeMap<K, V>, until: Time, end: impl Fn(&V) -> Time) {
    let mut ended: Vec<_> = rows.iter().map(|(key, row)| (end(row), key.clone())).collect();
    ended.retain(|(at, _)| *at <= until);
    ended.sort();
    for (_, key) in ended.into_iter().take(SWEPT_ROWS) {
        rows.remove(&key);
    }
}

fn stored(seq: u64, event: &NewEvent, log_index: Option<u64>) -> StoredEvent {
    StoredEvent { seq, bytes: event.bytes.clone(), hash: event.hash, leaf_id: event.leaf_id, log_index }
}
