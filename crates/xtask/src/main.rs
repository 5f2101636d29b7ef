//! Tasks of the house, as `cargo xtask TASK`.

mod failure;
mod fuzz;
mod prepare;
mod process;
mod report;
mod soak;
mod test;
mod tidy;

use std::path::Path;
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
    /// Kill the server under load, again and again, and check that nothing acknowledged is lost or doubled.
    Soak {
        /// Kills on each database.
        #[arg(long, default_value_t = 200)]
        kills: u32,
    },
    /// Check the rules of the house that no compiler knows: edges between crates, sizes, places of controls.
    Tidy,
}

fn main() -> ExitCode {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let Some(root) = crates.and_then(Path::parent) else { return ExitCode::FAILURE };
    let passed = match Arguments::parse().task {
        Task::Test { quick: false } => test::everything(root),
        Task::Test { quick: true } => test::quick(root),
        Task::Soak { kills } => soak::run(root, kills),
        Task::Tidy => match tidy::check(root) {
            Ok(()) => true,
            Err(failure) => {
                eprintln!("{}", failure.0);
                false
            }
        },
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
