//! The program `countersign-relay`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use countersign_relay::command_line::Arguments;
use countersign_relay::fault::Fault;

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().run().await {
        Ok(()) | Err(Fault::NobodyReads) => ExitCode::SUCCESS,
        Err(fault) => {
            // Whoever does not read it has the exit code.
            let _ = writeln!(std::io::stderr(), "{fault}");
            ExitCode::FAILURE
        }
    }
}
