//! `cargo xtask test`: everything that shows the product to be right, in the order of what fails soonest.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::failure::Failure;
use crate::prepare::Workshop;
use crate::process;
use crate::report::{Complaints, Report, Tally};
use crate::{bench, fuzz, tidy};

/// The crates that the quick loop looks at: the rules, without a server, a database or a browser.
const PURE: &str = "-p countersign-core -p countersign-tlog -p countersign-pdf -p countersign-verify";

/// Runs everything. Gives whether all of it passed.
pub(crate) fn everything(root: &Path) -> bool {
    let mut report = Report::start();
    let mut workshop = None;
    report.check("prepare", || {
        workshop = Some(Workshop::prepare(root)?);
        Ok(())
    });
    let Some(workshop) = workshop else { return report.close() };
    let target = target(root, &workshop);
    // Whoever builds from nothing, as after another folder, has no use for notes of the last build.
    let incremental = built_here(root, &target);
    let cargo = |words: &str| {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(words.split_whitespace()).env("CARGO_TARGET_DIR", &target);
        workshop.tell(&mut command);
        if !incremental {
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    };

    report.check("what was built in another folder", || {
        forget_other_folders(root, &target, &mut cargo("clean --quiet --workspace"))
    });
    report.check("format", || process::run(&mut cargo("fmt --all --check -- -l")));
    report.check("tidy", || tidy::check(root));
    report.check("licences, bans, sources", || {
        let words = "--locked --log-level error check licenses bans sources";
        process::run(workshop.cargo_deny().current_dir(root).args(words.split_whitespace()))
    });
    report.check("clippy", || {
        process::run(&mut cargo(
            "clippy --quiet --locked --workspace --all-targets --keep-going -- -D warnings",
        ))
    });
    let built = report.check("build of the tests", || {
        process::run(&mut cargo("test --quiet --locked --workspace --no-run"))
    });
    if built {
        report.section("tests", || tests(&mut cargo("test --locked --workspace --no-fail-fast")));
    }
    if built {
        report.check("benches of tokens and webhooks, for a moment", || {
            // With the tests, whose packages have the features of all: what they built is not built again.
            process::run(&mut cargo("build --quiet --locked --workspace --bins --tests"))?;
            bench::for_a_moment(root, workshop.peers(), &target.join("debug"))
        });
    }
    fuzz::run(root, &target, &mut report);
    report.close()
}

/// The minute-long loop for daily work: format, tidy, and the rules. Gives whether all of it passed.
pub(crate) fn quick(root: &Path) -> bool {
    let mut report = Report::start();
    let cargo = |words: &str| {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(words.split_whitespace());
        command
    };
    report.check("format", || process::run(&mut cargo("fmt --all --check -- -l")));
    report.check("tidy", || tidy::check(root));
    report.check("clippy of the pure crates", || {
        process::run(&mut cargo(&format!("clippy --quiet --lib {PURE} -- -D warnings")))
    });
    // What other people's programs say takes their installation, and the PDFs that are drawn take more than a minute.
    report.section("tests of the rules, without the judges", || {
        let rules = "-p countersign-core -p countersign-tlog -p countersign-verify";
        tests(&mut cargo(&format!("test --tests {rules} -- --skip independent:: --skip judges::")))
    });
    report.section("unit tests of the PDF", || tests(&mut cargo("test --lib -p countersign-pdf")));
    report.close()
}

/// Where things are built: continuous integration works in a fresh clone each time, so its builds live in the cache.
fn target(root: &Path, workshop: &Workshop) -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| {
        if env::var_os("CI").is_some() { workshop.cache().join("target") } else { root.join("target") }
    })
}

/// Removes what was built of our own packages in another folder, where the cache is shared: tests know the folder that they were
/// built in, and cargo takes what is newer than its sources, wherever those are.
fn forget_other_folders(root: &Path, target: &Path, clean: &mut Command) -> Result<(), Failure> {
    if built_here(root, target) {
        return Ok(());
    }
    if target.exists() {
        process::run(clean)?;
    }
    let stamp = stamp(target);
    let failed = |error: std::io::Error| Failure(format!("{}: {error}", stamp.display()));
    fs::create_dir_all(target).map_err(failed)?;
    fs::write(&stamp, root.display().to_string()).map_err(failed)
}

/// Where it is written which folder built last.
fn stamp(target: &Path) -> PathBuf {
    target.join("built-in")
}

fn built_here(root: &Path, target: &Path) -> bool {
    fs::read_to_string(stamp(target)).is_ok_and(|built_in| built_in == root.display().to_string())
}

/// Runs `cargo test` and adds up what the test binaries say. A test that is left out is a failure.
fn tests(command: &mut Command) -> (Tally, Option<Failure>) {
    let (mut tally, mut complaints) = (Tally::default(), Complaints::default());
    // A changed snapshot or a new one fails; it is never written by a test run.
    command.env("INSTA_UPDATE", "no");
    // Now and then a test waits for a browser, a disk or a server: one more goes on meanwhile.
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let threads = thread::available_parallelism().map_or(1, usize::from) + 1;
        command.env("RUST_TEST_THREADS", threads.to_string());
    }
    let ended_well = process::tell(command, |line| {
        tally.add_line(line);
        complaints.add_line(line);
    });
    let failure = match ended_well {
        Err(failure) => Some(failure),
        Ok(false) => Some(Failure(format!("{} tests failed\n{}", tally.failed, complaints.text()))),
        Ok(true) if tally.ignored > 0 => {
            Some(Failure(format!("{} tests are ignored; a test runs or is not there", tally.ignored)))
        }
        Ok(true) if tally.passed == 0 => Some(Failure("no test ran".into())),
        Ok(true) => None,
    };
    (tally, failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_folder_built_is_forgotten_once() {
        let folder = tempfile::tempdir().unwrap();
        let (target, cleaned) = (folder.path().join("target"), folder.path().join("cleaned"));
        let forget = |root: &str| {
            let _ = fs::remove_file(&cleaned);
            forget_other_folders(Path::new(root), &target, Command::new("touch").arg(&cleaned)).unwrap();
            cleaned.exists()
        };
        assert!(!forget("/one"), "there is nothing yet");
        assert!(!forget("/one"));
        assert!(forget("/two"));
        assert!(!forget("/two"));
        assert!(forget("/one"));
    }
}
