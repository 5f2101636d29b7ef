//! Tasks of the house, as `cargo xtask TASK`.

mod bench;
mod failure;
mod fuzz;
mod prepare;
mod process;
mod report;
mod soak;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the house.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need where that is possible, then run everything.
    Test {
        /// Only the loop of daily work: format, tidy, and the pure crates.
        #[arg(long)]
        quick: bool,
    },
    /// Kill the server or the relay under load, again and again, and check that nothing acknowledged is lost or doubled.
    Soak {
        /// What is killed.
        #[arg(value_enum, default_value_t)]
        what: soak::What,
        /// Kills on each database.
        #[arg(long, default_value_t = 200)]
        kills: u32,
    },
    /// Check the rules of the house that no compiler knows: edges between crates, sizes, places of controls.
    Tidy,
    /// Measure what the README says, of programs built as operators build them, beside its peers: best on a machine that does nothing else.
    Bench {
        /// What is measured.
        #[arg(value_enum, default_value_t)]
        what: bench::What,
        /// Writes the figures into this file too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Times that everything is measured; medians count.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Seconds for each row of tokens and of webhooks.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let Some(root) = crates.and_then(Path::parent) else { return ExitCode::FAILURE };
    let passed = match Arguments::parse().task {
        Task::Test { quick: false } => test::everything(root),
        Task::Test { quick: true } => test::quick(root),
        Task::Soak { what, kills } => soak::run(root, what, kills),
        Task::Tidy => told(tidy::check(root)),
        Task::Bench { what, json, rounds, seconds } => {
            told(bench::run(root, what, bench::Length { rounds, seconds }, json.as_deref()))
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether it passed; says why if it did not.
fn told(result: Result<(), failure::Failure>) -> bool {
    result.map_err(|failure| eprintln!("{}", failure.0)).is_ok()
}
