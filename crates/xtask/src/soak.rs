//! `cargo xtask soak`: kills the server or the relay under load, many times, on SQLite and on PostgreSQL, and prints figures. It is
//! the long form of the tests in `crates/server/tests/it/crash.rs` and `relay/tests/it/crash.rs`.

use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::process;
use crate::report::Report;

/// What is killed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum What {
    /// The server.
    #[default]
    Server,
    /// The receiver of webhooks: two that share a queue, on PostgreSQL.
    Relay,
}

impl What {
    fn package(self) -> &'static str {
        match self {
            Self::Server => "countersign",
            Self::Relay => "countersign-relay",
        }
    }
}

/// Runs the campaigns one after the other, each with so many kills. Gives whether all that was promised held.
pub(crate) fn run(root: &Path, what: What, kills: u32) -> bool {
    let mut report = Report::start();
    for database in ["sqlite", "postgresql"] {
        report.check(&format!("{kills} kills on {database}"), || {
            let name = format!("crash::on_{database}_nothing");
            process::run(
                Command::new("cargo")
                    .current_dir(root)
                    .args(["test", "--quiet", "--locked", "-p", what.package(), "--test", "it"])
                    .args([&name, "--", "--nocapture"])
                    .env("CS_TEST_SOAK_KILLS", kills.to_string()),
            )
        });
    }
    report.close()
}
