//! What broke in the store. A fault is logged once by whoever meets it and never shown to callers.

use thiserror::Error;

/// Something broke.
#[derive(Debug, Error)]
pub enum Fault {
    /// The database cannot be reached, or gave up: worth another try.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database cannot be addressed like this; the sentence says how to mend it.
    #[error("the address of the database: {0}")]
    Address(String),
    /// The database refused a statement: a defect of ours or of its set-up.
    #[error("the database refused a statement: {0}")]
    Database(String),
    /// A row that we cannot read: names where, never the value.
    #[error("table {table}, column {column} of row {row} cannot be read: {reason}")]
    CorruptRow {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Primary key as text.
        row: String,
        /// Why.
        reason: String,
    },
    /// The schema is newer than this program.
    #[error("the database has schema {found}, this program knows {known}: start a newer program")]
    Schema {
        /// Version in the database.
        found: u32,
        /// Version of the program.
        known: u32,
    },
    /// A file could not be read or written.
    #[error("a file could not be read or written: {0}")]
    File(String),
    /// What was asked contradicts what is stored: a defect of ours.
    #[error("{0}")]
    Contradiction(String),
}
