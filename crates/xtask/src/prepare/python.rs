//! The Python environment of the judges: an interpreter of 3.12 or newer, wherever it is, and pinned packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Stamp, in_path};
use crate::failure::Failure;
use crate::process;

/// The oldest version that every judge runs on.
const OLDEST: (u32, u32) = (3, 12);

/// Makes the environment under the cache, or finds it as it must be. Gives its interpreter.
pub(super) fn install(root: &Path, cache: &Path) -> Result<PathBuf, Failure> {
    let requirements = root.join("crates/xtask/python-requirements.txt");
    let environment = cache.join("venv");
    let python = environment.join("bin/python");
    let stamp = Stamp::of(&environment, &[&requirements])?;
    let usable = version(&python).is_some_and(|version| version >= OLDEST);
    if usable && stamp.is_current() {
        println!("Python environment: {} is as it must be", environment.display());
        return Ok(python);
    }
    println!(
        "Python environment: installing the judges (pyHanko, aics-tlog, Authlib and others) in {}",
        environment.display()
    );
    if !usable {
        let interpreter = interpreter()?;
        process::run(Command::new(interpreter).args(["-m", "venv", "--clear"]).arg(&environment))?;
    }
    process::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )?;
    stamp.write()?;
    Ok(python)
}

/// The newest interpreter that can make an environment.
fn interpreter() -> Result<PathBuf, Failure> {
    let makes_environments =
        |python: &PathBuf| process::read(Command::new(python).args(["-c", "import ensurepip, venv"])).is_ok();
    candidates()
        .into_iter()
        .filter_map(|python| version(&python).map(|version| (version, python)))
        .filter(|(version, python)| *version >= OLDEST && makes_environments(python))
        .max_by_key(|(version, _)| *version)
        .map(|(_, python)| python)
        .ok_or_else(|| {
            Failure(
                "the judges need Python 3.12 or newer with venv, in PATH, under pyenv or under uv; install one: \
                 apt-get install python3 python3-venv (Debian 13), pyenv install 3.12, or uv python install 3.12"
                    .into(),
            )
        })
}

/// Whether some interpreter can make an environment.
pub(super) fn makes_environments() -> bool {
    interpreter().is_ok()
}

/// Whether the system's own interpreter is too old for the judges, with or without packages.
pub(super) fn is_too_old() -> bool {
    in_path("python3").and_then(|python| version(&python)).is_some_and(|version| version < OLDEST)
}

fn candidates() -> Vec<PathBuf> {
    let names = ["python3.15", "python3.14", "python3.13", "python3.12", "python3"];
    let mut found: Vec<PathBuf> = names.iter().filter_map(|name| in_path(name)).collect();
    for root in pyenv_roots() {
        let versions = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
        found.extend(versions.map(|version| version.path().join("bin/python3")));
    }
    if let Ok(python) = process::read(Command::new("uv").args(["python", "find", ">=3.12"])) {
        found.push(PathBuf::from(python.trim()));
    }
    found
}

/// Where pyenv keeps its versions: as it says, beside its shims in `PATH`, or where its own program really is.
fn pyenv_roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = env::var_os("PYENV_ROOT").map(PathBuf::from).into_iter().collect();
    roots.extend(env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv")));
    let path = env::var_os("PATH").unwrap_or_default();
    let shims = env::split_paths(&path).filter(|directory| directory.ends_with("shims"));
    roots.extend(shims.filter_map(|shims| shims.parent().map(Path::to_path_buf)));
    if let Some(program) = in_path("pyenv").and_then(|program| program.canonicalize().ok()) {
        roots.extend(program.ancestors().skip(2).take(1).map(Path::to_path_buf));
        roots.extend(program.ancestors().skip(3).take(1).map(Path::to_path_buf));
    }
    roots.sort();
    roots.dedup();
    roots
}

/// Major and minor version; `None` if it does not run.
fn version(python: &Path) -> Option<(u32, u32)> {
    let said =
        process::read(Command::new(python).args(["-c", "import sys; print(*sys.version_info[:2])"])).ok()?;
    parse_version(&said)
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_two_numbers() {
        assert_eq!(parse_version("3 12\n"), Some((3, 12)));
        assert_eq!(parse_version("pyenv: no such version"), None);
        assert!((3, 9) < OLDEST && (4, 0) > OLDEST);
    }

    #[test]
    fn an_interpreter_that_does_not_run_has_no_version() {
        assert_eq!(version(Path::new("/no/such/python")), None);
    }
}
