//! What every source file keeps: a heading, a size, and each control in its one place.

use super::{Complaint, SourceFile};

/// The most lines that a file may have before its tests.
const LINES_MAX: usize = 600;

/// A text that may stand in some places only.
struct Rule {
    text: &'static str,
    /// Beginnings of the paths where it may stand. A part `/tests/` allows the integration tests.
    places: &'static [&'static str],
    /// Whether it may stand in tests that are beside their subject.
    in_unit_tests: bool,
    reason: &'static str,
}

const fn rule(
    text: &'static str,
    places: &'static [&'static str],
    in_unit_tests: bool,
    reason: &'static str,
) -> Rule {
    Rule { text, places, in_unit_tests, reason }
}

const CLOCK: &[&str] = &[
    "crates/server/src/app.rs",
    "crates/xtask/src/report.rs",
    "relay/src/clock.rs",
    "/tests/",
    "crates/bench/src/cpu.rs",
    "sdk/rust/examples/",
];
const CLOCK_REASON: &str = "time comes from the application's clock (crates/server/src/app.rs)";
const TESTS: &[&str] = &["/tests/", "/examples/"];
const NO_PANIC: &str = "return a typed error, or assert an invariant with its reason";
const XTASK: &str = "crates/xtask/src/tidy/sources.rs";

const RULES: &[Rule] = &[
    rule(
        "Principal::authenticated(",
        &["crates/server/src/http/auth.rs", "/tests/"],
        true,
        "only the authentication makes a Principal",
    ),
    rule(
        "Tenant::of_stored_row(",
        &["crates/store/src/", "crates/server/src/organizations.rs", "/tests/", "crates/bench/"],
        true,
        "only the store, and what adds an organization to it, knows whose a row is; elsewhere a Tenant comes from a Principal",
    ),
    rule("SystemTime::now", CLOCK, false, CLOCK_REASON),
    rule("Instant::now", CLOCK, false, CLOCK_REASON),
    rule("Timestamp::now", CLOCK, false, CLOCK_REASON),
    rule(".unwrap()", TESTS, true, NO_PANIC),
    rule(".expect(", TESTS, true, NO_PANIC),
    rule("panic!(", TESTS, true, NO_PANIC),
    rule("#[ignore", &[], false, "a test runs or is not there"),
    rule("thread::sleep(", &["crates/bench/src/cpu.rs"], false, "wait for the event, or move the clock"),
    rule("TODO", &[], false, "do it, or open an issue"),
    rule("FIXME", &[], false, "mend it, or open an issue"),
    rule("'unsafe-inline'", TESTS, true, "the content security policy has no unsafe source (G-9)"),
    rule("'unsafe-eval'", TESTS, true, "the content security policy has no unsafe source (G-9)"),
];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "manager", "misc", "common", "info", "data"];

/// Every rule that a file breaks.
pub(super) fn check(files: &[SourceFile]) -> Vec<Complaint> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let path = &file.path;
    if !file.text.starts_with("//!") && !file.text.starts_with("#![") {
        complaints.push(format!("{path}: begin with `//!` and one or two sentences on what the file is for"));
    }
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&stem) {
        complaints.push(format!("{path}: name the file for what is in it"));
    }
    let (subject, _) = split_tests(&file.text);
    let line_count = subject.lines().count();
    if line_count > LINES_MAX && !is_test_file(path) {
        complaints.push(format!("{path}: {line_count} lines without tests; split it ({LINES_MAX} at most)"));
    }
    if path != XTASK {
        complaints.extend(RULES.iter().flat_map(|rule| broken(rule, file)));
    }
    complaints
}

fn broken(rule: &Rule, file: &SourceFile) -> Vec<Complaint> {
    let allowed = |place: &&str| {
        file.path.starts_with(*place) || (place.starts_with('/') && file.path.contains(*place))
    };
    if rule.places.iter().any(allowed) {
        return Vec::new();
    }
    let (subject, _) = split_tests(&file.text);
    let searched = if rule.in_unit_tests { subject } else { &file.text };
    searched
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(rule.text) && !is_comment_about_code(line, rule.text))
        .map(|(index, _)| format!("{}:{}: `{}`: {}", file.path, index + 1, rule.text, rule.reason))
        .collect()
}

/// A comment may speak of a function; it may not promise work.
fn is_comment_about_code(line: &str, text: &str) -> bool {
    line.trim_start().starts_with("//") && !["TODO", "FIXME"].contains(&text)
}

/// The file before its first unit tests, and the rest.
pub(super) fn split_tests(text: &str) -> (&str, &str) {
    text.find("\n#[cfg(test)]").map_or((text, ""), |position| text.split_at(position))
}

/// Whether all of a file is tests.
pub(super) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<Complaint> {
        check(&[SourceFile { path: path.into(), text: text.into() }])
    }

    #[test]
    fn a_file_without_a_heading_is_a_complaint() {
        assert_eq!(complaints("crates/core/src/a.rs", "use std::fs;\n").len(), 1);
        assert_eq!(complaints("crates/core/src/a.rs", "//! What for.\n").len(), 0);
    }

    #[test]
    fn a_long_file_is_a_complaint_and_its_tests_do_not_count() {
        let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(LINES_MAX));
        assert_eq!(complaints("crates/core/src/a.rs", &long).len(), 1);
        assert_eq!(complaints("crates/core/tests/it/a.rs", &long).len(), 0);
        let tested = format!("//! Short.\n#[cfg(test)]\n{}", "fn f() {}\n".repeat(LINES_MAX));
        assert_eq!(complaints("crates/core/src/a.rs", &tested).len(), 0);
    }

    #[test]
    fn a_principal_is_made_in_one_file() {
        let text = "//! A.\nlet principal = Principal::authenticated(tenant, identity);\n";
        assert_eq!(complaints("crates/server/src/http/auth.rs", text).len(), 0);
        assert_eq!(complaints("crates/server/tests/it/access.rs", text).len(), 0);
        assert_eq!(complaints("crates/server/src/api/envelopes.rs", text).len(), 1);
    }

    #[test]
    fn every_rule_catches_its_text() {
        for rule in RULES {
            let text = format!("//! A.\n{}\n", rule.text);
            let found = complaints("crates/pdf/src/a.rs", &text);
            assert_eq!(found.len(), 1, "{}", rule.text);
            assert!(found.iter().all(|complaint| complaint.contains(":2:")), "{found:?}");
        }
    }

    #[test]
    fn unit_tests_may_unwrap_and_may_not_sleep() {
        let tests = |line: &str| format!("//! A.\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
        assert_eq!(complaints("crates/pdf/src/a.rs", &tests("x.unwrap()")).len(), 0);
        assert_eq!(complaints("crates/pdf/src/a.rs", &tests("thread::sleep(second)")).len(), 1);
    }

    #[test]
    fn a_name_that_says_nothing_is_a_complaint() {
        assert_eq!(complaints("crates/core/src/utils.rs", "//! A.\n").len(), 1);
    }
}
