//! The sections of a run: their headings, their times, what each counted, and the closing lines.

use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How many tests passed, failed and were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) ignored: u32,
}

impl Tally {
    /// Adds what a line of a test binary says; any other line adds nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some(counts) = line.trim().strip_prefix("test result: ") else { return };
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// Lines of complaints that the closing lines repeat: whoever has the end of a long run has what failed.
const COMPLAINT_LINES: usize = 200;

/// What test binaries say of the tests that failed.
#[derive(Default)]
pub(crate) struct Complaints {
    lines: Vec<String>,
    is_complaint: bool,
}

impl Complaints {
    /// Takes a line, if it stands between `failures:` and the result of its binary.
    pub(crate) fn add_line(&mut self, line: &str) {
        match line {
            "failures:" => self.is_complaint = true,
            _ if line.starts_with("test result: ") => self.is_complaint = false,
            _ if self.is_complaint && !line.is_empty() && self.lines.len() < COMPLAINT_LINES => {
                self.lines.push(line.to_owned());
            }
            _ => {}
        }
    }

    /// All of them.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// One heading of the run.
struct Section {
    name: String,
    took: Duration,
    tally: Tally,
    failure: Option<String>,
}

/// What ran so far.
pub(crate) struct Report {
    started: Instant,
    sections: Vec<Section>,
}

impl Report {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self { started: now(), sections: Vec::new() }
    }

    /// Runs a check that counts as one. Gives whether it passed.
    pub(crate) fn check(&mut self, name: &str, work: impl FnOnce() -> Result<(), Failure>) -> bool {
        self.section(name, || {
            let failure = work().err();
            let failed = u32::from(failure.is_some());
            (Tally { passed: 1 - failed, failed, ignored: 0 }, failure)
        })
    }

    /// Runs tests that count themselves. Gives whether all passed; a failure without a failed test counts as one.
    pub(crate) fn section(&mut self, name: &str, work: impl FnOnce() -> (Tally, Option<Failure>)) -> bool {
        println!("\n=== {name}");
        let started = now();
        let (mut tally, failure) = work();
        if failure.is_some() && tally.failed == 0 {
            tally.failed = 1;
        }
        let failure = failure.map(|failure| failure.0);
        let took = started.elapsed();
        match &failure {
            None => println!("--- {name}: passed in {}", seconds(took)),
            Some(why) => {
                let first = why.lines().next().unwrap_or_default();
                println!("--- {name}: FAILED in {}: {first}", seconds(took));
            }
        }
        let passed = failure.is_none();
        self.sections.push(Section { name: name.to_owned(), took, tally, failure });
        passed
    }

    /// Prints the closing lines. Gives whether every section passed.
    pub(crate) fn close(&self) -> bool {
        println!("\n=== Summary");
        for section in &self.sections {
            let verdict = if section.failure.is_none() { "passed" } else { "FAILED" };
            let Tally { passed, failed, .. } = section.tally;
            println!(
                "{:>9}  {verdict}  {:<28} {passed} passed, {failed} failed",
                seconds(section.took),
                section.name
            );
        }
        for section in &self.sections {
            if let Some(why) = &section.failure {
                println!("{}: {why}", section.name);
            }
        }
        println!("{:>9}  in all", seconds(self.started.elapsed()));
        let passed: u32 = self.sections.iter().map(|section| section.tally.passed).sum();
        let failed: u32 = self.sections.iter().map(|section| section.tally.failed).sum();
        println!("{passed} passed, {failed} failed");
        failed == 0
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a task of the house measures itself; no product code runs here"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_lines_of_test_binaries_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            tally.add_line(line);
        }
        assert_eq!(tally, Tally { passed: 14, failed: 1, ignored: 4 });
    }

    #[test]
    fn what_is_said_of_failed_tests_is_kept_for_the_end() {
        let mut complaints = Complaints::default();
        for line in ["test a ... FAILED", "failures:", "", "---- a stdout ----", "why", "failures:", "    a"]
        {
            complaints.add_line(line);
        }
        complaints.add_line("test result: FAILED. 0 passed; 1 failed; 0 ignored; finished in 0.01s");
        complaints.add_line("running 3 tests");
        assert_eq!(complaints.text(), "---- a stdout ----\nwhy\n    a");
    }

    #[test]
    fn a_failure_without_a_failed_test_still_counts() {
        let mut report = Report::start();
        assert!(!report.section("build", || (Tally::default(), Some(Failure("no".into())))));
        assert!(!report.close());
    }

    #[test]
    fn a_passed_check_counts_as_one_and_closes_well() {
        let mut report = Report::start();
        assert!(report.check("format", || Ok(())));
        assert!(report.close());
    }
}
