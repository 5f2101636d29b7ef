//! The model: a mutex around plain maps, every batch tried on a copy. It is what the other stores are compared
//! with, so it is simple rather than fast.

mod access;
mod access_state;
mod state;
mod webhook_state;
mod webhooks;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{CodeId, DocumentId, EnvelopeId, LinkId, OrganizationId, PersonId, SessionId},
    secret::HashedToken,
    time::Time,
};

use crate::{
    Store,
    batch::{Batch, CommitError, Committed},
    fault::Fault,
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopePage, EnvelopeQuery, IdempotencyClaim,
        IdempotencyState, JobRow, KeyRow, LeafRow, LinkRow, MailPage, OpeningRow, OrganizationRow, PersonRow,
        PutBack, SessionRow, Stream, TileRow,
    },
    work::Work,
};
use state::State;

/// A store that forgets everything with the process.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
    work: Work,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A writer that panicked left the state as it was: changes are made on a copy.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Tries a change on a copy and keeps it if it holds.
    fn change<T, E>(&self, change: impl FnOnce(&mut State) -> Result<T, E>) -> Result<T, E> {
        let mut state = self.state();
        let mut next = state.clone();
        let answer = change(&mut next)?;
        *state = next;
        Ok(answer)
    }
}

#[async_trait]
impl Store for Memory {
    async fn load(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Stream>, Fault> {
        Ok(self.state().load(tenant, envelope))
    }

    async fn head(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Digest>, Fault> {
        Ok(self.state().events_of(tenant, envelope).last().map(|event| event.hash))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        batch.check()?;
        let calls = batch.calls();
        let committed = self.change(|state| state.commit(batch))?;
        self.work.arrived(calls);
        Ok(committed)
    }

    async fn find_envelopes(&self, tenant: &Tenant, query: &EnvelopeQuery) -> Result<EnvelopePage, Fault> {
        let state = self.state();
        let mut rows: Vec<_> = state
            .envelopes
            .iter()
            .rev()
            .filter(|(id, (owner, row))| {
                owner == tenant
                    && query.before.is_none_or(|before| **id < before)
                    && query.status.as_ref().is_none_or(|status| *status == row.status)
            })
            .map(|(_, (_, row))| row.clone())
            .collect();
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        Ok(EnvelopePage { rows, more })
    }

    async fn openings(
        &self,
        tenant: &Tenant,
        commitments: &[(EnvelopeId, Digest)],
    ) -> Result<Vec<OpeningRow>, Fault> {
        let state = self.state();
        let asked = |row: &&OpeningRow| {
            row.tenant == *tenant && commitments.contains(&(row.envelope, row.commitment))
        };
        Ok(state.openings.values().filter(asked).cloned().collect())
    }

    async fn document(&self, tenant: &Tenant, document: DocumentId) -> Result<Option<DocumentRow>, Fault> {
        Ok(self.state().documents.get(&document).filter(|row| row.tenant == *tenant).cloned())
    }

    async fn artifacts(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Vec<ArtifactRow>, Fault> {
        let state = self.state();
        let mut rows: Vec<_> = state
            .artifacts
            .values()
            .filter(|row| row.tenant == *tenant && row.envelope == envelope)
            .cloned()
            .collect();
        rows.sort_by_key(|row| (row.document.is_none(), row.document));
        Ok(rows)
    }

    async fn organization(&self, organization: OrganizationId) -> Result<Option<OrganizationRow>, Fault> {
        Ok(self.state().organizations.get(&organization).cloned())
    }

    async fn organizations(&self) -> Result<Vec<OrganizationRow>, Fault> {
        Ok(self.state().organizations.values().cloned().collect())
    }

    async fn persons_by_lookup(&self, tenant: &Tenant, lookups: &[Digest]) -> Result<Vec<PersonRow>, Fault> {
        let state = self.state();
        let asked = |row: &&PersonRow| row.tenant == *tenant && lookups.contains(&row.lookup);
        Ok(state.persons.values().filter(asked).cloned().collect())
    }

    async fn persons(&self, tenant: &Tenant, persons: &[PersonId]) -> Result<Vec<PersonRow>, Fault> {
        let state = self.state();
        let asked = |row: &&PersonRow| row.tenant == *tenant && persons.contains(&row.person);
        Ok(state.persons.values().filter(asked).cloned().collect())
    }

    async fn api_key(&self, hash: &HashedToken) -> Result<Option<ApiKeyRow>, Fault> {
        Ok(self.state().api_keys.values().find(|row| row.hash == *hash).cloned())
    }

    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKeyRow>, Fault> {
        let state = self.state();
        let its = |row: &&ApiKeyRow| row.tenant.organization() == organization;
        Ok(state.api_keys.values().filter(its).cloned().collect())
    }

    async fn has_live_keys(&self, now: Time) -> Result<bool, Fault> {
        let is_live = |row: &ApiKeyRow| row.tenant.environment() == Environment::Live && row.expires_at > now;
        Ok(self.state().api_keys.values().any(is_live))
    }

    async fn link(&self, envelope: EnvelopeId, secret: &HashedToken) -> Result<Option<LinkRow>, Fault> {
        let state = self.state();
        Ok(state.links.values().find(|row| row.envelope == envelope && row.secret == *secret).cloned())
    }

    async fn link_by_id(&self, tenant: &Tenant, link: LinkId) -> Result<Option<LinkRow>, Fault> {
        Ok(self.state().links.get(&link).filter(|row| row.tenant == *tenant).cloned())
    }

    async fn code(&self, tenant: &Tenant, code: CodeId) -> Result<Option<CodeRow>, Fault> {
        Ok(self.state().codes.get(&code).filter(|row| row.tenant == *tenant).cloned())
    }

    async fn session(&self, cookie: &HashedToken) -> Result<Option<SessionRow>, Fault> {
        Ok(self.state().sessions.values().find(|row| row.cookie == *cookie).cloned())
    }

    async fn touch_session(&self, session: SessionId, now: Time, expires_at: Time) -> Result<(), Fault> {
        if let Some(row) = self.state().sessions.get_mut(&session)
            && row.expires_at > now
        {
            row.expires_at = expires_at;
        }
        Ok(())
    }

    async fn mailbox(&self, tenant: &Tenant, before: Option<u64>, limit: usize) -> Result<MailPage, Fault> {
        let state = self.state();
        let mut rows: Vec<_> = state
            .mails
            .iter()
            .rev()
            .filter(|(position, row)| {
                row.tenant == *tenant && before.is_none_or(|before| **position < before)
            })
            .map(|(position, row)| (*position, row.clone()))
            .collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(MailPage { rows, more })
    }

    async fn claim_idempotency(&self, claim: &IdempotencyClaim) -> Result<IdempotencyState, Fault> {
        Ok(self.state().claim_idempotency(claim))
    }

    async fn release_idempotency(&self, claim: &IdempotencyClaim) -> Result<(), Fault> {
        self.state().release_idempotency(claim);
        Ok(())
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, Fault> {
        let mut rows: Vec<_> = self.state().keys.values().cloned().collect();
        rows.sort_by_key(|row| (row.created_at, row.name.clone()));
        Ok(rows)
    }

    async fn claim_jobs(&self, now: Time, lease_ms: i64, limit: usize) -> Result<Vec<JobRow>, Fault> {
        Ok(self.state().claim_jobs(now, lease_ms, limit))
    }

    async fn sweep(&self, now: Time) -> Result<bool, Fault> {
        self.state().sweep(now);
        Ok(false)
    }

    async fn put_back_job(&self, job: &JobRow, back: &PutBack) -> Result<bool, Fault> {
        let mut state = self.state();
        let Some(held) = state.jobs.get_mut(&job.job).filter(|held| held.is_leased_as(job.fence)) else {
            return Ok(false);
        };
        held.due_at = back.due_at;
        held.leased = false;
        held.attempt_count -= u32::from(!back.was_attempt);
        Ok(true)
    }

    async fn next_due(&self) -> Result<Option<Time>, Fault> {
        Ok(self.state().jobs.values().map(|job| job.due_at).min())
    }

    async fn wait_for_work(&self, timeout_ms: u64) {
        self.work.wait(timeout_ms).await;
    }

    async fn lead_log(&self) -> Result<bool, Fault> {
        Ok(true)
    }

    async fn next_leaves(&self, limit: usize) -> Result<Vec<LeafRow>, Fault> {
        Ok(self.state().unsequenced.iter().take(limit).map(|(_, leaf)| leaf.clone()).collect())
    }

    async fn publish_checkpoint(
        &self,
        from_index: u64,
        leaves: &[LeafRow],
        tiles: &[TileRow],
        checkpoint: &str,
    ) -> Result<(), Fault> {
        self.change(|state| state.publish_checkpoint(from_index, leaves, tiles, checkpoint))
    }

    async fn checkpoint(&self) -> Result<Option<(u64, String)>, Fault> {
        Ok(self.state().checkpoints.last().cloned())
    }

    async fn tiles(&self, places: &[(u8, u64)]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let state = self.state();
        Ok(places.iter().map(|place| state.tiles.get(place).cloned()).collect())
    }

    async fn streams(
        &self,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<(Tenant, EnvelopeId)>, Fault> {
        let state = self.state();
        let later = state.envelopes.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(later.map(|(id, (tenant, _))| (*tenant, *id)).take(limit).collect())
    }

    async fn documents(&self, after: Option<DocumentId>, limit: usize) -> Result<Vec<DocumentRow>, Fault> {
        let state = self.state();
        let later = state.documents.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(later.map(|(_, row)| row.clone()).take(limit).collect())
    }

    async fn blob_names(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let state = self.state();
        let documents = state.documents.values().map(|row| row.blob.clone());
        let names: std::collections::BTreeSet<_> =
            documents.chain(state.artifacts.values().map(|row| row.blob.clone())).collect();
        let later = names.into_iter().filter(|name| after.is_none_or(|after| name.as_str() > after));
        Ok(later.take(limit).collect())
    }

    async fn ping(&self) -> Result<(), Fault> {
        Ok(())
    }
}
