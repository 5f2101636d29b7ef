//! A transaction as data: what must still be true, what to append, which rows and jobs go with it.

use countersign_core::{access::Tenant, digest::Digest, id::EnvelopeId};
use thiserror::Error;

use crate::{
    fault::Fault,
    rows::{
        ApiKeyRow, ArtifactRow, CodeRow, DocumentRow, EnvelopeRow, FinishedIdempotency, JobRow, KeyRow,
        LinkRow, MailboxRow, NewJob, OpeningRow, OrganizationRow, PersonRow, SessionRow,
    },
};

/// One transaction. Everything in it becomes durable together, or nothing does.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events to append to one stream.
    pub append: Option<Append>,
    /// Rows to insert or replace.
    pub rows: Vec<Row>,
    /// Jobs to add. A job whose id exists is left alone.
    pub jobs: Vec<NewJob>,
    /// The leased job that this batch finishes: removed, and refused if the lease was lost.
    pub finishes: Option<JobRow>,
    /// The idempotency claim that this batch answers.
    pub answers: Option<FinishedIdempotency>,
}

/// Events for one stream.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub envelope: EnvelopeId,
    /// Position that the first event must get; anything else is a conflict.
    pub expected_seq: u64,
    /// The events in order.
    pub events: Vec<NewEvent>,
    /// The projection after them.
    pub projection: EnvelopeRow,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Canonical JSON.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub hash: Digest,
    /// Random id of its leaf in the log.
    pub leaf_id: [u8; 16],
}

/// A row that goes with a batch. Rows are keyed by their id; inserting one that exists is a contradiction, unless
/// said otherwise.
#[derive(Clone, Debug)]
pub enum Row {
    /// A new organization.
    Organization(OrganizationRow),
    /// A new person. One with the same tenant and lookup makes the batch a conflict: reload and use that one.
    Person(PersonRow),
    /// A personal value. One with the same tenant and commitment is left alone.
    Opening(OpeningRow),
    /// A new document.
    Document(DocumentRow),
    /// A new API key.
    ApiKey(ApiKeyRow),
    /// A new signing link. Earlier links of the same recipient are removed.
    Link(LinkRow),
    /// A new session.
    Session(SessionRow),
    /// A new code.
    Code(CodeRow),
    /// A sealed document or certificate.
    Artifact(ArtifactRow),
    /// A mail for the sandbox mailbox. One with the same id is left alone.
    Mailbox(MailboxRow),
    /// A new server key.
    Key(KeyRow),
}

/// A batch that became durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Position of the stream's last event, 0 if the batch had none.
    pub last_seq: u64,
}

/// Why a batch did not become durable. Nothing of it did.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Somebody else was first: load again and decide again.
    #[error("somebody else changed the same thing first")]
    Conflict,
    /// The job's lease was lost; another worker has it.
    #[error("the lease of the job was lost")]
    LeaseLost,
    /// The idempotency claim was lost to a take-over.
    #[error("the idempotency claim was lost")]
    ClaimLost,
    /// Something broke; whether the batch became durable is unknown only for [`Fault::Unavailable`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Batch {
    /// Refuses a batch that contradicts itself, before any backend sees it.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let Some(append) = &self.append else { return Ok(()) };
        let contradiction = |text: &str| Err(Fault::Contradiction(format!("{}: {text}", append.envelope)));
        if append.events.is_empty() || append.expected_seq == 0 {
            return contradiction("an append has events, and positions begin at 1");
        }
        if append.projection.envelope != append.envelope {
            return contradiction("the projection is of another envelope");
        }
        let count = u64::try_from(append.events.len()).unwrap_or(u64::MAX);
        if append.expected_seq.checked_add(count - 1) != Some(append.projection.last_seq) {
            return contradiction("the projection ends at another position than the events");
        }
        Ok(())
    }

    /// Whether workers or the sequencer have something to do after it.
    pub(crate) fn makes_work(&self) -> bool {
        self.append.is_some() || !self.jobs.is_empty()
    }

    /// What a caller gets once it is durable.
    pub(crate) fn committed(&self) -> Committed {
        Committed { last_seq: self.append.as_ref().map_or(0, |append| append.projection.last_seq) }
    }
}

impl Row {
    /// What it means that a row with the same key exists; `None` where that row is left alone. A person with the same
    /// lookup is a conflict, which the backends find out themselves.
    pub(crate) fn refusal(&self) -> Option<CommitError> {
        let what = match self {
            Self::Opening(_) | Self::Mailbox(_) => return None,
            Self::Key(_) => return Some(CommitError::Conflict),
            Self::Organization(row) => row.organization.to_string(),
            Self::Person(row) => row.person.to_string(),
            Self::Document(row) => row.document.to_string(),
            Self::ApiKey(row) => row.key.to_string(),
            Self::Link(row) => row.link.to_string(),
            Self::Session(row) => row.session.to_string(),
            Self::Code(row) => row.code.to_string(),
            Self::Artifact(row) => format!("the artifact {}", row.blob),
        };
        Some(Fault::Contradiction(format!("{what} exists")).into())
    }
}
