//! The store: one narrow trait at the height of use cases, in three parts, a `Batch` that is the transaction as data, and
//! three implementations that one conformance suite holds to the same behaviour.

mod access;
mod access_cells;
pub mod access_rows;
pub mod batch;
pub mod blob;
mod cells;
mod change;
pub mod fault;
mod limits;
mod memory;
mod postgres;
pub mod rows;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod webhook_cells;
pub mod webhook_rows;
mod webhooks;
mod work;

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    digest::Digest,
    id::{CodeId, DocumentId, EnvelopeId, LinkId, OrganizationId, PersonId, SessionId},
    secret::HashedToken,
    time::Time,
};

pub use access::AccessStore;
pub use batch::{Batch, CommitError, Committed};
pub use fault::Fault;
pub use memory::Memory;
pub use postgres::{GroupStats, Postgres};
use rows::{
    ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopePage, EnvelopeQuery, IdempotencyClaim,
    IdempotencyState, JobRow, KeyRow, LeafRow, LinkRow, MailPage, OpeningRow, OrganizationRow, PersonRow,
    PutBack, SessionRow, Stream, TileRow,
};
pub use sqlite::{Sqlite, Stats};
pub use webhooks::WebhookStore;

/// What the application needs of a database. Reads need a [`Tenant`], but for the look-ups that give one, and for
/// what belongs to the whole server (people, keys, jobs, the log).
#[async_trait]
pub trait Store: AccessStore + WebhookStore {
    // Envelopes

    /// The events of an envelope with their openings and the keys of its persons; `None` if the tenant has no such
    /// envelope. The tenant's security stream is none.
    async fn load(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Stream>, Fault>;

    /// The hash of the last event of an envelope, or of the tenant's security stream: as long as it is the same, so is
    /// the whole stream.
    async fn head(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Option<Digest>, Fault>;

    /// Commits a batch, durably, as a whole or not at all. Of several things that are wrong with it, the first of these
    /// is told: a contradiction within the batch, lease, claim, settlements, spends, changes in their order, append, chain, rows in
    /// their order, security events. An append to an envelope of another tenant is a conflict.
    ///
    /// A change finds its row by id, by what never changes of it, and by the version before; it replaces all else. Never
    /// change: ids, tenants, owners, when it was made; the hash of a token, a code, a handle or a key; an authenticator's
    /// kind and lookup; purpose and secret of a ticket; the person of a client or a key; by whom and instead of which a
    /// key was made. The end of a token removes it.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;

    /// A page of envelopes, newest first.
    async fn find_envelopes(&self, tenant: &Tenant, query: &EnvelopeQuery) -> Result<EnvelopePage, Fault>;

    /// Openings by their envelopes and commitments, for list views, in that order; unknown or erased ones are left
    /// out.
    async fn openings(
        &self,
        tenant: &Tenant,
        commitments: &[(EnvelopeId, Digest)],
    ) -> Result<Vec<OpeningRow>, Fault>;

    /// A document's row.
    async fn document(&self, tenant: &Tenant, document: DocumentId) -> Result<Option<DocumentRow>, Fault>;

    /// The sealed documents of an envelope by id and then its certificate, once sealed.
    async fn artifacts(&self, tenant: &Tenant, envelope: EnvelopeId) -> Result<Vec<ArtifactRow>, Fault>;

    // People and callers

    /// An organization.
    async fn organization(&self, organization: OrganizationId) -> Result<Option<OrganizationRow>, Fault>;

    /// All organizations, by id.
    async fn organizations(&self) -> Result<Vec<OrganizationRow>, Fault>;

    /// Persons by the keyed hash of their address, in order of id; unknown ones are left out.
    async fn persons_by_lookup(&self, tenant: &Tenant, lookups: &[Digest]) -> Result<Vec<PersonRow>, Fault>;

    /// Persons by id, in order of id; unknown ones are left out.
    async fn persons(&self, tenant: &Tenant, persons: &[PersonId]) -> Result<Vec<PersonRow>, Fault>;

    /// The API key with this hash, of whatever tenant: this look-up gives the tenant.
    async fn api_key(&self, hash: &HashedToken) -> Result<Option<ApiKeyRow>, Fault>;

    /// The API keys of an organization, of both environments and also those that ended, by id: for its operator.
    async fn api_keys(&self, organization: OrganizationId) -> Result<Vec<ApiKeyRow>, Fault>;

    /// Whether there is an API key of a live environment that has not ended by `now`.
    async fn has_live_keys(&self, now: Time) -> Result<bool, Fault>;

    /// The signing link of `envelope` with this secret: this look-up gives the tenant.
    async fn link(&self, envelope: EnvelopeId, secret: &HashedToken) -> Result<Option<LinkRow>, Fault>;

    /// A signing link by id, for the job that mails it.
    async fn link_by_id(&self, tenant: &Tenant, link: LinkId) -> Result<Option<LinkRow>, Fault>;

    /// A one-time code.
    async fn code(&self, tenant: &Tenant, code: CodeId) -> Result<Option<CodeRow>, Fault>;

    /// The signer session with this cookie: this look-up gives the tenant.
    async fn session(&self, cookie: &HashedToken) -> Result<Option<SessionRow>, Fault>;

    /// Moves the end of an idle session; a session that ended stays ended.
    async fn touch_session(&self, session: SessionId, now: Time, expires_at: Time) -> Result<(), Fault>;

    /// The sandbox mailbox before position `before`, newest first. Positions grow, with gaps.
    async fn mailbox(&self, tenant: &Tenant, before: Option<u64>, limit: usize) -> Result<MailPage, Fault>;

    // Idempotency

    /// Claims an idempotency key for a request with this fingerprint, or says what became of the one before. A claim
    /// that was never finished (the server was killed) can be taken over after `claim.stale_after_ms`. The same claim
    /// may be made again after [`Fault::Unavailable`].
    async fn claim_idempotency(&self, claim: &IdempotencyClaim) -> Result<IdempotencyState, Fault>;

    /// Gives up a claim whose request was refused, so that it can be tried again.
    async fn release_idempotency(&self, claim: &IdempotencyClaim) -> Result<(), Fault>;

    // Keys of the server

    /// All wrapped server keys (log, seal, …), oldest first.
    async fn keys(&self) -> Result<Vec<KeyRow>, Fault>;

    // Jobs

    /// Leases up to `limit` due jobs until `now + lease_ms`, oldest due first; each gets a new fencing token. A job whose
    /// lease ended is due again.
    async fn claim_jobs(&self, now: Time, lease_ms: i64, limit: usize) -> Result<Vec<JobRow>, Fault>;

    /// Removes what ended by `now`, so that tables do not grow for ever; a bounded number of rows each time, and whether that
    /// was too few. Idempotency keys and what was spent go at their end; sessions, codes, access tokens, authorization codes
    /// and requests, tickets and the console's sessions a day after it; grants after 30 days, with the tokens that are left of
    /// them. A session that somebody ended takes along what was granted in it: before it goes, its grants end.
    async fn sweep(&self, now: Time) -> Result<bool, Fault>;

    /// Puts a leased job back; `Ok(false)` if the lease was lost.
    async fn put_back_job(&self, job: &JobRow, back: &PutBack) -> Result<bool, Fault>;

    /// When the next job is due or a lease ends.
    async fn next_due(&self) -> Result<Option<Time>, Fault>;

    /// Waits until a commit has added jobs, or events to be sequenced, or `timeout_ms` have passed. Work that was
    /// added since the last return of this method ends the wait at once. Meant for one task of each server, which wakes
    /// the others; it may return without a reason.
    async fn wait_for_work(&self, timeout_ms: u64);

    // The log

    /// Takes the role of the one sequencer, or keeps it; `false` while another server has it. To be asked again before
    /// each round: the role is lost with a connection. [`Self::publish_checkpoint`] is safe without it.
    async fn lead_log(&self) -> Result<bool, Fault>;

    /// Up to `limit` events that are not in the log yet, in commit order: those of a stream in theirs, those of batches
    /// that were committed at the same time in any.
    async fn next_leaves(&self, limit: usize) -> Result<Vec<LeafRow>, Fault>;

    /// Gives leaves their indexes from `from_index` on, writes tiles (new or wider ones replace) and the signed
    /// checkpoint, in one transaction. Refused with a fault if the log has another size than `from_index`.
    async fn publish_checkpoint(
        &self,
        from_index: u64,
        leaves: &[LeafRow],
        tiles: &[TileRow],
        checkpoint: &str,
    ) -> Result<(), Fault>;

    /// The newest checkpoint: the size of the log and the signed note.
    async fn checkpoint(&self) -> Result<Option<(u64, String)>, Fault>;

    /// The widest stored tile at each place (`level`, `index`), in the order asked; `None` where there is none.
    /// Level 255 holds entry bundles.
    async fn tiles(&self, places: &[(u8, u64)]) -> Result<Vec<Option<Vec<u8>>>, Fault>;

    // Care

    /// Streams after `after` in order of id, for `doctor`: tenant and id.
    async fn streams(
        &self,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<(Tenant, EnvelopeId)>, Fault>;

    /// Documents of all tenants after `after` in order of id, for `doctor`.
    async fn documents(&self, after: Option<DocumentId>, limit: usize) -> Result<Vec<DocumentRow>, Fault>;

    /// Blob names that rows refer to, for `doctor`, in order, after `after`.
    async fn blob_names(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault>;

    /// Ends with an error when the database does not answer, or takes no writes.
    async fn ping(&self) -> Result<(), Fault>;
}
