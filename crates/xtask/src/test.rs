//! `cargo xtask test`: everything that shows the product to be right, in the order of what fails soonest.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let cargo = |words: &str| {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(words.split_whitespace()).env("CARGO_TARGET_DIR", &target);
        workshop.tell(&mut command);
        command
    };

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
        report.check("bench of the authorization server, for a moment", || {
            // With the tests, whose packages have the features of all: what they built is not built again.
            process::run(&mut cargo("build --quiet --locked --workspace --bins --tests"))?;
            bench::try_auth(root, workshop.peers(), &target.join("debug"))
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

/// Runs `cargo test` and adds up what the test binaries say. A test that is left out is a failure.
fn tests(command: &mut Command) -> (Tally, Option<Failure>) {
    let (mut tally, mut complaints) = (Tally::default(), Complaints::default());
    // A changed snapshot or a new one fails; it is never written by a test run.
    command.env("INSTA_UPDATE", "no");
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
