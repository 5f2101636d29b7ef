//! Rows as values. Everything personal or secret in them is already encrypted or hashed by the application.

use countersign_core::{
    access::{Environment, Tenant},
    digest::Digest,
    id::{
        ApiKeyId, CodeId, CorrelationId, DocumentId, EndpointId, EnvelopeId, JobId, LinkId, MailId,
        MessageId, OrganizationId, PersonId, RecipientId, SessionId, TicketId, UserId,
    },
    scope::Scopes,
    secret::HashedToken,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// An event as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Position in the stream from 1.
    pub seq: u64,
    /// Canonical JSON.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub hash: Digest,
    /// Random id of its leaf.
    pub leaf_id: [u8; 16],
    /// Index in the log, once sequenced.
    pub log_index: Option<u64>,
}

/// The name of a tenant's security stream among the streams of that tenant. Ids are random, so that no envelope has it.
pub fn security_stream(tenant: &Tenant) -> EnvelopeId {
    EnvelopeId::from_bytes(*tenant.organization().as_bytes())
}

/// All of an envelope that a use case needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Events in order.
    pub events: Vec<StoredEvent>,
    /// Openings of their personal values, where not erased.
    pub openings: Vec<OpeningRow>,
    /// Keys of the persons in the openings.
    pub persons: Vec<PersonRow>,
}

/// The projection of an envelope for lists; derived from its events and compared by `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeRow {
    /// Which.
    pub envelope: EnvelopeId,
    /// Its status.
    pub status: String,
    /// When it was created.
    pub created_at: Time,
    /// When its last event was.
    pub changed_at: Time,
    /// When it expires, once sent.
    pub expires_at: Option<Time>,
    /// Commitment of its title.
    pub title: Digest,
    /// Position of its last event.
    pub last_seq: u64,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct EnvelopeQuery {
    /// Only with this status.
    pub status: Option<String>,
    /// Only those before this one (the cursor).
    pub before: Option<EnvelopeId>,
    /// Most rows.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopePage {
    /// Rows, newest first.
    pub rows: Vec<EnvelopeRow>,
    /// Whether there are more.
    pub more: bool,
}

/// A personal value, encrypted under its person's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningRow {
    /// Whose tenant.
    pub tenant: Tenant,
    /// In which envelope.
    pub envelope: EnvelopeId,
    /// The commitment in the event.
    pub commitment: Digest,
    /// Whose value.
    pub person: PersonId,
    /// Salt and value, encrypted.
    pub sealed: Vec<u8>,
}

/// A person and the wrapped key of that person's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// Whose tenant.
    pub tenant: Tenant,
    /// Which.
    pub person: PersonId,
    /// Keyed hash of the address.
    pub lookup: Digest,
    /// The person's key, wrapped by the organization's key.
    pub wrapped_key: Vec<u8>,
}

/// An organization and its wrapped key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationRow {
    /// Which.
    pub organization: OrganizationId,
    /// Its name, shown to recipients.
    pub name: String,
    /// Its key, wrapped by the root key.
    pub wrapped_key: Vec<u8>,
    /// When it was created.
    pub created_at: Time,
}

/// An uploaded document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// Whose tenant.
    pub tenant: Tenant,
    /// Which.
    pub document: DocumentId,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Name of its blob.
    pub blob: String,
    /// The blob's key, wrapped by the organization's key.
    pub wrapped_key: Vec<u8>,
    /// What `inspect` found, with the file's name, as JSON encrypted under the document's key.
    pub inspection: Vec<u8>,
    /// Person under whose key its name goes into events.
    pub person: PersonId,
    /// When it was uploaded.
    pub created_at: Time,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub key: ApiKeyId,
    /// SHA-256 of the token.
    pub hash: HashedToken,
    /// What it may do.
    pub scopes: Scopes,
    /// Under whose key the addresses of its callers go.
    pub person: PersonId,
    /// What the operator calls it.
    pub label: String,
    /// When it was created.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// From which networks it is taken, in CIDR notation (RFC 4632 §3.1); from everywhere if there is none.
    pub networks: Vec<String>,
    /// The key that it takes over from.
    pub replaces: Option<ApiKeyId>,
    /// The last use: when, and from where, encrypted under the key's person. Changes leave it as it is.
    pub used: Option<(Time, Vec<u8>)>,
    /// The smallest number of days before its end of which somebody was warned; 0 once its end is recorded.
    pub warned_days: Option<u32>,
    /// Who made it on the console or through a client; nobody for one that was made on the command line.
    pub created_by: Option<UserId>,
    /// Counts the changes from 1.
    pub version: u64,
}

/// A signing link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub link: LinkId,
    /// Of which envelope.
    pub envelope: EnvelopeId,
    /// For whom.
    pub recipient: RecipientId,
    /// SHA-256 of the secret.
    pub secret: HashedToken,
    /// The secret, encrypted under the recipient's person key, for the mail.
    pub sealed_secret: Vec<u8>,
    /// When it ends.
    pub expires_at: Time,
}

/// A signer's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub session: SessionId,
    /// SHA-256 of the cookie.
    pub cookie: HashedToken,
    /// Of which envelope.
    pub envelope: EnvelopeId,
    /// As whom.
    pub recipient: RecipientId,
    /// The nonce that its one act carries.
    pub nonce: Digest,
    /// When it was opened.
    pub created_at: Time,
    /// When it ends if nothing happens.
    pub expires_at: Time,
}

/// A one-time code that waits to be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub code: CodeId,
    /// For which session.
    pub session: SessionId,
    /// HMAC-SHA256 of the digits under the organization's code key.
    pub mac: Digest,
    /// The digits, encrypted under the recipient's person key, for the mail.
    pub sealed_digits: Vec<u8>,
    /// When it ends.
    pub expires_at: Time,
}

/// A blob that the server made for an envelope: a sealed document or the sealed certificate of completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Of which envelope.
    pub envelope: EnvelopeId,
    /// The document that was sealed; `None` for the certificate of completion.
    pub document: Option<DocumentId>,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Name of its blob.
    pub blob: String,
    /// The blob's key, wrapped by the organization's key.
    pub wrapped_key: Vec<u8>,
}

/// A mail in the mailbox of a sandbox, or one about an account that no mail server took, which is kept as of live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub mail: MailId,
    /// When it was put there.
    pub at: Time,
    /// The message, encrypted under the organization's key.
    pub sealed: Vec<u8>,
}

/// A page of the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailPage {
    /// Mails, newest first, each with its position.
    pub rows: Vec<(u64, MailboxRow)>,
    /// Whether there are more.
    pub more: bool,
}

/// A wrapped key of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Which: unique; a second server that creates the same key gets a conflict and reads this one.
    pub name: String,
    /// What for: `log`, `seal`.
    pub purpose: String,
    /// The private key, wrapped by the root key.
    pub wrapped_key: Vec<u8>,
    /// Public part: a verifier key, or the certificate chain in PEM.
    pub public: String,
    /// When it was created.
    pub created_at: Time,
}

/// How far a recovery is, whose jobs follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resent {
    /// When its first job was made: what fails after that is not sent again by it.
    pub asked_at: Time,
    /// How many deliveries it has sent again.
    pub count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a job does. Jobs carry ids only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Mail a link, or the completed envelope, to a recipient.
    MailLink {
        /// Which envelope.
        envelope: EnvelopeId,
        /// To whom.
        recipient: RecipientId,
        /// Which link.
        link: LinkId,
        /// As which mail.
        mail: MailId,
    },
    /// Mail a code.
    MailCode {
        /// Which envelope.
        envelope: EnvelopeId,
        /// To whom.
        recipient: RecipientId,
        /// In which session.
        session: SessionId,
        /// Which code.
        code: CodeId,
        /// As which mail.
        mail: MailId,
    },
    /// Mail that an envelope was voided or declined, to a recipient who was asked before.
    MailEnded {
        /// Which envelope.
        envelope: EnvelopeId,
        /// To whom.
        recipient: RecipientId,
        /// As which mail.
        mail: MailId,
    },
    /// Mail a one-time link of an account.
    MailTicket {
        /// Which.
        ticket: TicketId,
        /// As which mail.
        mail: MailId,
    },
    /// Mail a user that something about the account changed.
    MailNotice {
        /// Whom.
        user: UserId,
        /// What: one of the application's notices.
        notice: String,
        /// As which mail.
        mail: MailId,
    },
    /// Watch over the life of an API key: warn of its end, and record it.
    WatchKey {
        /// Which.
        key: ApiKeyId,
    },
    /// Mail a user that an API key ends soon.
    MailKeyWarning {
        /// Which key.
        key: ApiKeyId,
        /// Whom.
        user: UserId,
        /// Of so many days before its end.
        days: u32,
        /// As which mail.
        mail: MailId,
    },
    /// Bring the deliveries of an endpoint after it: what it takes goes out, what is blocked is parked, what it takes no more has
    /// failed.
    FollowEndpoint {
        /// Which.
        endpoint: EndpointId,
        /// When a look found that all were where they belong, if one did: a last one follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled_at: Option<Time>,
    },
    /// Bring the deliveries of all endpoints of the tenant after what blocks them, or does no more.
    FollowBlocks,
    /// Send again what failed of an endpoint.
    SendAgain {
        /// Which.
        endpoint: EndpointId,
        /// The first message.
        since: MessageId,
        /// The last one.
        until: MessageId,
        /// Whether also what was delivered is.
        delivered: bool,
        /// What was done before, by a job that this one follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done: Option<Resent>,
    },
    /// Send an endpoint the events of which it was told nothing.
    ReplayEvents {
        /// Which.
        endpoint: EndpointId,
        /// From when on.
        since: Time,
        /// Until when.
        until: Time,
        /// After which index of the log it goes on; nothing if it has not begun.
        after: Option<u64>,
        /// How many deliveries there are by now.
        #[serde(default, skip_serializing_if = "is_zero")]
        count: u64,
    },
    /// Mail a user that an endpoint is failing: it is disabled in so many days, or was.
    MailEndpointNotice {
        /// Which.
        endpoint: EndpointId,
        /// In which environment of the organization.
        environment: Environment,
        /// Whom.
        user: UserId,
        /// In so many days; 0 if it was.
        days: u32,
        /// As which mail.
        mail: MailId,
    },
    /// Tell those who answer for an endpoint that its client certificate ends, if it still has it.
    WatchCertificate {
        /// Which endpoint.
        endpoint: EndpointId,
        /// Which certificate: SHA-256 of it.
        sha256: Digest,
    },
    /// Mail a user that the client certificate of an endpoint ends.
    MailCertificateNotice {
        /// Which endpoint.
        endpoint: EndpointId,
        /// In which environment of the organization.
        environment: Environment,
        /// Which certificate: SHA-256 of it.
        sha256: Digest,
        /// Whom.
        user: UserId,
        /// As which mail.
        mail: MailId,
    },
    /// Seal an envelope.
    Seal {
        /// Which.
        envelope: EnvelopeId,
    },
    /// Expire an envelope whose time is over.
    Expire {
        /// Which.
        envelope: EnvelopeId,
    },
}

/// A job to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which: derived from the event that caused it, so that it cannot be added twice.
    pub job: JobId,
    /// What to do.
    pub work: Work,
    /// The request that caused it.
    pub correlation: CorrelationId,
    /// When.
    pub due_at: Time,
}

/// A leased job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Its tenant.
    pub tenant: Tenant,
    /// Which.
    pub job: JobId,
    /// What to do.
    pub work: Work,
    /// The request that caused it.
    pub correlation: CorrelationId,
    /// Attempts so far, this one included: leases, but for those that only waited.
    pub attempt_count: u32,
    /// Fencing token: grows with each lease.
    pub fence: u64,
}

/// How a leased job that did not end goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// When it is due again.
    pub due_at: Time,
    /// Why, for whoever reads the table.
    pub reason: String,
    /// Whether this lease was an attempt. One that only waited for its turn was not.
    pub was_attempt: bool,
}

/// A claim of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// Whose.
    pub tenant: Tenant,
    /// The bytes of the caller's id: an API key, a client or a user.
    pub caller: [u8; 16],
    /// The header's value.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub fingerprint: Digest,
    /// Random: tells this claim from a take-over.
    pub claim: [u8; 16],
    /// Now.
    pub now: Time,
    /// Until when the answer is kept.
    pub expires_at: Time,
    /// After how long without an answer another request takes over.
    pub stale_after_ms: i64,
}

/// What became of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotencyState {
    /// The claim holds: do the work.
    Claimed,
    /// The first request is still in work.
    InFlight,
    /// The key belongs to another request.
    Mismatch,
    /// The answer of the first request.
    Answered(StoredAnswer),
}

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// `Location`, where there was one.
    pub location: Option<String>,
    /// The body, encrypted under the organization's key.
    pub sealed_body: Vec<u8>,
}

/// A claim and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedIdempotency {
    /// The claim.
    pub claim: IdempotencyClaim,
    /// The answer.
    pub answer: StoredAnswer,
}

/// An event that waits for its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRow {
    /// Of which envelope.
    pub envelope: EnvelopeId,
    /// Which event.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// Random id.
    pub leaf_id: [u8; 16],
}

/// A tile to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileRow {
    /// Level; 255 for an entry bundle.
    pub level: u8,
    /// Index in the level.
    pub index: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
