//! The program `countersign-relay`.

use std::process::ExitCode;

use clap::Parser as _;
use countersign_relay::command_line::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}
