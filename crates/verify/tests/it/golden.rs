//! The formats of version 1 as they were written first.

use std::{fs, path::PathBuf};

use countersign_verify::{Check, Verdict, verify_package};

use crate::story::{archive, keys, short_trail, system};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Compares with a file that only `UPDATE_GOLDEN=1` writes.
fn compare(path: PathBuf, now: &[u8]) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, now).expect("the folder is there");
    }
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        golden == now,
        "{} differs: a stored format never changes, write a new version of it",
        path.display()
    );
}

#[test]
fn a_trail_is_written_as_version_1_was() {
    let bytes = short_trail().to_bytes();
    compare(golden("trail-v1.json"), &bytes);
    assert_eq!(countersign_verify::trail::system_of(&bytes), Ok(system()));
    let spaced = [b" ".as_slice(), &bytes].concat();
    assert!(countersign_verify::trail::system_of(&spaced).is_err(), "one form only");
    let next =
        String::from_utf8(bytes).expect("text").replacen("countersign-trail/1", "countersign-trail/2", 1);
    assert!(countersign_verify::trail::system_of(next.as_bytes()).is_err(), "version 2 is not known");
}

#[test]
fn a_package_that_was_written_as_version_1_stays_genuine() {
    let path = golden("package-v1.evidence.zip");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, archive()).expect("the folder is there");
    }
    // Its PDFs may be written in another way today; what it says and how it is packed may not.
    let report = verify_package(&fs::read(path).expect("the golden package"), &keys());
    assert_eq!(report.verdict(), Verdict::Genuine, "{}", report.to_text());
}

#[test]
fn e_6_the_checks_in_the_docs_are_the_code_s() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/evidence.md");
    let page = fs::read_to_string(page).expect("docs/evidence.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let rows: Vec<String> =
        Check::ALL.iter().map(|check| format!("| `{}` | {} |", check.id(), check.title())).collect();
    assert_eq!(listed, rows, "the table of checks in docs/evidence.md is:\n{}", rows.join("\n"));
}
