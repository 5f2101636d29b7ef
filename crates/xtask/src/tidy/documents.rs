//! What the documents of the house keep: paths that exist, decisions numbered without a gap.

use std::fs;
use std::path::Path;

use super::{Complaint, entries};
use crate::failure::Failure;

/// Documents that every visitor looks for.
const EXPECTED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "STYLE.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE",
    "deny.toml",
    ".ci/run",
];

/// Every rule that a document breaks.
pub(super) fn check(root: &Path) -> Result<Vec<Complaint>, Failure> {
    let mut complaints: Vec<Complaint> = EXPECTED
        .iter()
        .filter(|name| !root.join(name).is_file())
        .map(|name| format!("{name} is missing"))
        .collect();
    let mut names: Vec<String> = entries(&root.join("docs/adr"))?
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    complaints.extend(decisions(&names));
    let architecture = root.join("ARCHITECTURE.md");
    if architecture.is_file() {
        let text =
            fs::read_to_string(&architecture).map_err(|error| Failure::of_file(&architecture, error))?;
        complaints.extend(lost_paths(&text, |path| root.join(path).exists()));
    }
    Ok(complaints)
}

/// Decision records are `NNNN-title.md`, numbered from 0001 without a gap or a pair.
fn decisions(names: &[String]) -> Vec<Complaint> {
    let is_in_place = |name: &str, number: usize| {
        name.strip_suffix(".md").is_some_and(|name| name.starts_with(&format!("{number:04}-")))
    };
    names
        .iter()
        .zip(1..)
        .filter(|(name, number)| !is_in_place(name, *number))
        .map(|(name, number)| format!("docs/adr/{name}: the record in this place is {number:04}-title.md"))
        .collect()
}

/// Paths in backquotes that begin in a folder of ours and are not there.
fn lost_paths(text: &str, exists: impl Fn(&str) -> bool) -> Vec<Complaint> {
    text.lines()
        .enumerate()
        .flat_map(|(index, line)| line.split('`').skip(1).step_by(2).map(move |code| (index + 1, code)))
        .filter(|(_, code)| {
            ["crates/", "docs/", "fuzz/", "relay/", ".ci/"].iter().any(|start| code.starts_with(start))
        })
        .filter(|(_, path)| !exists(path))
        .map(|(line, path)| format!("ARCHITECTURE.md:{line}: {path} is not there"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_or_a_pair_in_the_numbers_of_decisions_is_a_complaint() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert!(decisions(&names(&["0001-a.md", "0002-b.md"])).is_empty());
        assert_eq!(decisions(&names(&["0001-a.md", "0003-b.md"])).len(), 1);
        assert_eq!(decisions(&names(&["0001-a.md", "0001-b.md"])).len(), 1);
        assert_eq!(decisions(&names(&["0001-a.txt"])).len(), 1);
    }

    #[test]
    fn a_path_that_the_map_names_and_nobody_finds_is_a_complaint() {
        let text = "| limits | `crates/core/src/limits.rs` · `crates/server/src/gone.rs` |\n`cargo test`\n";
        let found = lost_paths(text, |path| path.ends_with("limits.rs"));
        assert_eq!(found, ["ARCHITECTURE.md:1: crates/server/src/gone.rs is not there"]);
    }
}
