//! npm packages for the browser tests, the judges, the TypeScript package and the bench, by the hashes in the lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Stamp;
use crate::failure::Failure;
use crate::process;

/// Installs `crates/xtask/node/package-lock.json` under the cache, or finds it there. Gives its `node_modules`.
pub(super) fn install(root: &Path, cache: &Path) -> Result<PathBuf, Failure> {
    let source = root.join("crates/xtask/node");
    let directory = cache.join("node");
    let modules = directory.join("node_modules");
    let manifest = source.join("package.json");
    let lock = source.join("package-lock.json");
    fs::create_dir_all(&directory).map_err(|error| Failure::of_file(&directory, error))?;
    let stamp = Stamp::of(&directory, &[&manifest, &lock])?;
    if modules.is_dir() && stamp.is_current() {
        println!("npm packages: {} is as it must be", modules.display());
        return Ok(modules);
    }
    println!(
        "npm packages: installing axe-core, TypeScript, judges of OAuth and of webhooks, and peers of the bench in {}",
        directory.display()
    );
    for (file, name) in [(&manifest, "package.json"), (&lock, "package-lock.json")] {
        fs::copy(file, directory.join(name)).map_err(|error| Failure::of_file(file, error))?;
    }
    process::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
            .arg(&directory),
    )?;
    stamp.write()?;
    Ok(modules)
}
