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

/// Writes a line of what a command was asked for. Where nobody reads it to the end, as behind `| head`, that ends the command.
pub fn print(line: impl Display) -> Result<(), Fault> {
    let written = writeln!(io::stdout().lock(), "{line}");
    written.map_err(|error| Fault::File { path: "standard output".to_owned(), reason: error.to_string() })
}
