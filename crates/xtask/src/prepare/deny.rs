//! `cargo deny`, built once from its own source into the cache: a check of our supply chain does not run a
//! program that somebody else compiled.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process;

const VERSION: &str = "0.20.2";

/// Builds the pinned version if it is not there. Gives the program.
pub(super) fn install(cache: &Path) -> Result<PathBuf, Failure> {
    let tools = cache.join("tools");
    let program = tools.join("bin/cargo-deny");
    let is_pinned = |said: String| said.split_whitespace().nth(1) == Some(VERSION);
    if process::read(Command::new(&program).arg("--version")).is_ok_and(is_pinned) {
        println!("cargo-deny: {VERSION} is there");
        return Ok(program);
    }
    println!("cargo-deny: building {VERSION} from source in {} (once, some minutes)", tools.display());
    process::run(
        Command::new("cargo")
            .args(["install", "--quiet", "--locked", "--force", "--debug", "--no-default-features"])
            .args(["--version", &format!("={VERSION}"), "--root"])
            .arg(&tools)
            .arg("cargo-deny")
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    Ok(program)
}
