//! Commands of the operator that are more than a line: each in a file of its own.

mod audit_key;
pub mod audit_webhook;
pub mod clients;
pub mod keys;
pub mod mails;
pub mod providers;
pub mod webhooks;

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use crate::fault::Fault;

/// Writes a line of what a command was asked for. Whoever reads no more of it, as behind `| head`, has what he wanted.
pub fn print(line: impl Display) -> Result<(), Fault> {
    match written(line) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| output(&error, "")),
    }
}

/// Writes what is shown once: where nobody reads it, it is lost.
pub fn print_once(line: impl Display) -> Result<(), Fault> {
    let lost = "; what is shown once is lost: make another, and end the one that nobody has";
    written(line).map_err(|error| output(&error, lost))
}

fn written(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn output(error: &io::Error, consequence: &str) -> Fault {
    Fault::File { path: "standard output".to_owned(), reason: format!("{error}{consequence}") }
}
