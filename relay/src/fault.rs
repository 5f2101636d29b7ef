//! What goes wrong besides what a sender did: each says what to do.

use thiserror::Error;

/// What broke, or what the operator has to mend.
#[derive(Clone, Debug, Error)]
pub enum Fault {
    /// The configuration cannot be used: every place that is wrong, one a line.
    #[error("the configuration cannot be used:\n{0}")]
    Configuration(String),
    /// The queue cannot be used now. What was not answered comes again.
    #[error("the queue: {0}")]
    Queue(String),
    /// The database is one of a newer relay.
    #[error(
        "the queue's database has schema {found}, and this relay knows {known}: run the newer relay, or give this one another database"
    )]
    Schema {
        /// What the database says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// Whoever read the output has gone: there is nothing more to say.
    #[error("nobody reads the output")]
    NobodyReads,
    /// Something of the machine: a file, a port.
    #[error("{0}")]
    Machine(String),
}

/// An error with what caused it.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

impl Fault {
    /// A fault of the queue with its reason.
    pub fn queue(reason: impl std::fmt::Display) -> Self {
        Self::Queue(reason.to_string())
    }
}
