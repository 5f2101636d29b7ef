//! Installs what the tests need and says why: Debian packages, a Python environment, npm packages, cargo-deny.
//! Whatever is there already costs a look.

mod debian;
mod deny;
mod node;
mod python;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::process;

/// What the tests are told about this machine.
pub(crate) struct Workshop {
    /// Where everything that is installed without being root lives.
    cache: PathBuf,
    python: PathBuf,
    node_modules: PathBuf,
    cargo_deny: PathBuf,
}

impl Workshop {
    /// Installs what is missing. A failure says which command mends it.
    pub(crate) fn prepare(root: &Path) -> Result<Self, Failure> {
        let cache = cache()?;
        fs::create_dir_all(&cache).map_err(|error| Failure::of_file(&cache, error))?;
        toolchain()?;
        debian::install()?;
        // A compiler at work, while packages are on their way.
        let (cargo_deny, judges) = thread::scope(|scope| {
            let cargo_deny = scope.spawn(|| deny::install(&cache));
            let judges = judges(root, &cache);
            (cargo_deny.join(), judges)
        });
        let (python, node_modules) = judges?;
        let cargo_deny = cargo_deny.map_err(|_| Failure("the installation of cargo-deny broke".into()))??;
        Ok(Self { cache, python, node_modules, cargo_deny })
    }

    /// The folder that outlives a clone of the project.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Tells a test run where the judges are.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("CS_TEST_PYTHON", &self.python).env("CS_TEST_NODE_MODULES", &self.node_modules)
    }

    /// The peers of the bench, which are among the judges' packages.
    pub(crate) fn peers(&self) -> Peers {
        Peers { python: self.python.clone(), node_modules: self.node_modules.clone() }
    }

    /// `cargo deny`, built from its source.
    pub(crate) fn cargo_deny(&self) -> Command {
        Command::new(&self.cargo_deny)
    }
}

/// Installs what Python and npm have for the tests. Gives the interpreter, and the folder of npm's modules.
fn judges(root: &Path, cache: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    Ok((python::install(root, cache)?, node::install(root, cache)?))
}

/// What the bench runs beside the product.
pub(crate) struct Peers {
    /// An interpreter that has pyHanko.
    pub(crate) python: PathBuf,
    node_modules: PathBuf,
}

impl Peers {
    /// Installs what is missing.
    pub(crate) fn prepare(root: &Path) -> Result<Self, Failure> {
        let cache = cache()?;
        fs::create_dir_all(&cache).map_err(|error| Failure::of_file(&cache, error))?;
        debian::install_for_peers()?;
        let (python, node_modules) = judges(root, &cache)?;
        Ok(Self { python, node_modules })
    }

    /// A copy of an ECMAScript module where its imports are found: they are looked for beside the file itself.
    pub(crate) fn beside_modules(&self, script: &Path) -> Result<PathBuf, Failure> {
        let copy = self.node_modules.with_file_name(script.file_name().unwrap_or_default());
        fs::copy(script, &copy).map_err(|error| Failure::of_file(script, error))?;
        Ok(copy)
    }

    /// A copy of a folder of ECMAScript modules, likewise.
    pub(crate) fn folder_beside_modules(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let copy = self.node_modules.with_file_name(folder.file_name().unwrap_or_default());
        copy_folder(folder, &copy)?;
        Ok(copy)
    }

    /// Compiles a package of TypeScript where its `tsconfig.json` is.
    pub(crate) fn compile(&self, package: &Path) -> Result<(), Failure> {
        let compiler = self.node_modules.join("typescript/bin/tsc");
        process::run(
            Command::new("node").current_dir(package).arg(compiler).args(["--project", "tsconfig.json"]),
        )
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(|error| Failure::of_file(to, error))?;
    for entry in fs::read_dir(from).map_err(|error| Failure::of_file(from, error))?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(|error| Failure::of_file(&from, error))?;
        }
    }
    Ok(())
}

/// `$XDG_CACHE_HOME/countersign`, or the same under `~/.cache`.
fn cache() -> Result<PathBuf, Failure> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    named.or(home).map(|cache| cache.join("countersign")).ok_or_else(|| {
        Failure("neither XDG_CACHE_HOME nor HOME is set: say where the tests may keep tools".into())
    })
}

/// rustfmt and clippy come with rustup's default profile, and not with a minimal one.
fn toolchain() -> Result<(), Failure> {
    for (tool, component, reason) in
        [("fmt", "rustfmt", "checks the format"), ("clippy", "clippy", "finds what compiles and is wrong")]
    {
        if process::read(Command::new("cargo").args([tool, "--version"])).is_err() {
            println!("missing: {component:<24} {reason}");
            process::run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// What an installed environment was made from, kept in a file beside it, so that a second run spends no time.
struct Stamp {
    file: PathBuf,
    want: String,
}

impl Stamp {
    /// The stamp of an environment in `directory` that is made from the bytes of `sources`.
    fn of(directory: &Path, sources: &[&Path]) -> Result<Self, Failure> {
        let mut hash = Sha256::new();
        for source in sources {
            hash.update(fs::read(source).map_err(|error| Failure::of_file(source, error))?);
        }
        Ok(Self { file: directory.join("countersign-stamp"), want: hex::encode(hash.finalize()) })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|found| found == self.want)
    }

    fn write(&self) -> Result<(), Failure> {
        fs::write(&self.file, &self.want).map_err(|error| Failure::of_file(&self.file, error))
    }
}

/// The first executable of this name in `PATH`.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_current_until_what_it_was_made_from_changes() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("requirements.txt");
        fs::write(&source, "one==1").unwrap();
        let stamp = Stamp::of(directory.path(), &[&source]).unwrap();
        assert!(!stamp.is_current());
        stamp.write().unwrap();
        assert!(Stamp::of(directory.path(), &[&source]).unwrap().is_current());
        fs::write(&source, "one==2").unwrap();
        assert!(!Stamp::of(directory.path(), &[&source]).unwrap().is_current());
    }

    #[test]
    fn a_program_is_found_in_the_path_and_an_unknown_one_is_not() {
        assert!(in_path("cargo").is_some());
        assert!(in_path("no-such-program-of-countersign").is_none());
    }
}
