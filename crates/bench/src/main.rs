//! Measures the product and prints one line of JSON for each measurement. `cargo xtask bench` runs it beside the peers
//! and makes the table.

mod auth;
mod cluster;
mod commits;
mod connection;
mod cpu;
mod house;
mod lifecycle;
mod lifecycles;
mod log;
mod memory;
mod program;
mod seal;
mod webhooks;

use std::{error::Error, path::PathBuf, process::ExitCode};

use auth::Which;
use clap::{Parser, Subcommand};

/// Whatever went wrong ends the measurement.
type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measure the product.")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Tokens in a second, by one authorization server over a database of its own.
    Auth {
        /// Folder of the peer, beside its `node_modules`: measures it over PostgreSQL.
        #[arg(long, value_name = "FOLDER", required_unless_present = "server")]
        peer: Option<PathBuf>,
        /// Processes among which the peer shares the work.
        #[arg(long, default_value_t = 1)]
        workers: u32,
        /// Program of our own server: measures it over SQLite.
        #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["peer", "workers"])]
        server: Option<PathBuf>,
        /// Measures our own server over PostgreSQL.
        #[arg(long, requires = "server")]
        postgres: bool,
        /// How long each row is measured, about; 0 tries each for a moment.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
    },
    /// Processor time of a seal and of verifications; leaves trail, package and key in a folder.
    Seal {
        /// PDF to seal.
        pdf: PathBuf,
        /// Where the trail, the package and the log's key go.
        out: PathBuf,
        /// Seals in each of the batches whose median counts.
        #[arg(long, default_value_t = 40)]
        count: u32,
    },
    /// Whole lifecycles in a second, over TLS, with two signers.
    Lifecycles {
        /// PDF to sign.
        pdf: PathBuf,
        /// Lifecycles that are measured.
        #[arg(long, default_value_t = 400)]
        count: u32,
        /// Lifecycles at the same time.
        #[arg(long, default_value_t = 32)]
        callers: u32,
    },
    /// Durable commits in a second by 64 callers.
    Commits {
        /// URL of a PostgreSQL to measure instead of SQLite.
        #[arg(long)]
        postgres: Option<String>,
    },
    /// Appending to a log, and proving, at a million leaves.
    Log,
    /// Resident memory of the server, idle and while it seals 25 MiB.
    Memory {
        /// The server's program.
        server: PathBuf,
    },
    /// Webhooks, from an integrator's request to the receiver.
    Webhooks {
        /// What of them.
        #[arg(value_enum)]
        part: webhooks::Part,
        /// The server's program.
        server: PathBuf,
        /// PDF of the envelopes.
        pdf: PathBuf,
        /// Measures it over PostgreSQL.
        #[arg(long)]
        postgres: bool,
        /// How long each row is measured, about.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
    },
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn main() -> ExitCode {
    let measured = match Arguments::parse().what {
        What::Auth { peer, workers, server, postgres, seconds } => match (&peer, &server) {
            (Some(folder), _) => auth::measure(&Which::Peer(folder, workers), seconds),
            (None, Some(program)) => auth::measure(&Which::Ours(program, postgres), seconds),
            (None, None) => Err("name a server".into()),
        },
        What::Seal { pdf, out, count } => seal::measure(&pdf, &out, count),
        What::Lifecycles { pdf, count, callers } => lifecycles::measure(&pdf, count, callers),
        What::Commits { postgres } => commits::measure(postgres.as_deref()),
        What::Log => log::measure(),
        What::Memory { server } => memory::measure(&server),
        What::Webhooks { part, server, pdf, postgres, seconds } => {
            webhooks::measure(part, &server, &pdf, postgres, seconds)
        }
    };
    match measured {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("countersign-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
