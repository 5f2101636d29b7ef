//! What broke on our side. A fault is logged once, by whoever answers for it, and callers see only its id.

use countersign_core::refusal::Refusal;
use countersign_store::{CommitError, Fault as StoreFault};
use thiserror::Error;

/// Something broke.
#[derive(Debug, Error)]
pub enum Fault {
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreFault),
    /// Something encrypted does not open: the wrong key, or it was changed.
    #[error("{0} does not decrypt: it was changed, or the key is another one")]
    Sealed(String),
    /// Stored bytes do not have the digest that they were stored with (D-1).
    #[error("the blob {0} is not what was stored: its SHA-256 is another one")]
    Digest(String),
    /// A row or a blob that another row promises is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// An envelope's events do not form a chain.
    #[error("the events of {stream} cannot be followed: {reason}")]
    Chain {
        /// Which envelope.
        stream: String,
        /// Why.
        reason: String,
    },
    /// A lease or a claim was lost while its work was done.
    #[error("somebody else took over this work: {0}")]
    LeaseLost(&'static str),
    /// A key or a certificate cannot be made or used.
    #[error("keys: {0}")]
    Key(String),
    /// A file or a folder.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// The server must not start like this; the sentence says how to mend it.
    #[error("{0}")]
    Unsafe(String),
    /// A document could not be sealed.
    #[error("seal: {0}")]
    Seal(#[from] crate::sealing::SealFault),
    /// A mail could not be written or handed over.
    #[error("mail: {0}")]
    Mail(String),
    /// The evidence could not be put together.
    #[error("evidence: {0}")]
    Evidence(#[from] countersign_verify::PackageRefusal),
    /// A task ended before it gave its result.
    #[error("a task ended early: {0}")]
    Task(String),
}

/// Why a use case did not do what it was asked: its caller's doing, or ours.
#[derive(Debug, Error)]
pub enum Failure {
    /// Told to the caller as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A PDF that cannot be sealed safely: told with the inspection's own code.
    #[error("{reason}: {sentence}")]
    PdfRefused {
        /// The inspection's code.
        reason: &'static str,
        /// What is wrong and what to do.
        sentence: String,
    },
    /// Logged, and told as an id.
    #[error(transparent)]
    Broken(#[from] Fault),
}

impl From<StoreFault> for Failure {
    fn from(fault: StoreFault) -> Self {
        Self::Broken(fault.into())
    }
}

impl Fault {
    /// A commit's fault; conflicts are handled before this.
    pub fn of_commit(error: CommitError) -> Self {
        match error {
            CommitError::Fault(fault) => Self::Store(fault),
            CommitError::LeaseLost => Self::LeaseLost("the job's lease"),
            CommitError::ClaimLost => Self::LeaseLost("the idempotency claim"),
            CommitError::Spent => Self::LeaseLost("something that is good once"),
            CommitError::Outdated => Self::LeaseLost("a row that was to be changed"),
            CommitError::Conflict => Self::LeaseLost("a row that was to be new"),
        }
    }

    /// A fault of a mail.
    pub fn mail(error: impl ToString) -> Self {
        Self::Mail(error.to_string())
    }

    /// A fault of a file.
    pub fn file(path: &std::path::Path, reason: impl ToString) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.to_string() }
    }
}
