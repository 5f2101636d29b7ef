//! What runs the packages of other languages: where their tools are, the vectors, and one way to run a program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder of all packages.
pub(crate) fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) fn vectors_file() -> PathBuf {
    sdk().join("../docs/webhooks/vectors.json").canonicalize().unwrap()
}

/// How many vectors are for a receiver that takes all of `profiles`.
pub(crate) fn vector_count(profiles: &[&str]) -> usize {
    let file: Value = serde_json::from_slice(&std::fs::read(vectors_file()).unwrap()).unwrap();
    let is_for = |vector: &&Value| {
        let listed = vector["profiles"].as_array().unwrap();
        profiles.iter().all(|profile| listed.iter().any(|one| one == profile))
    };
    file["vectors"].as_array().unwrap().iter().filter(is_for).count()
}

/// Fails unless each receiver ran every vector that is for it, and these are as many as the wire format deserves.
pub(crate) fn assert_all_ran(said: &str) {
    let ran: Value = serde_json::from_str(said).unwrap();
    for profiles in [&["v1"][..], &["v1a"], &["v1", "v1a"], &["http-message-signature"]] {
        let name = profiles.join("+");
        let count = vector_count(profiles);
        assert!(count > 100, "{name} has {count} vectors");
        assert_eq!(ran[&name], count, "{name}: {said}");
    }
}

/// Fails unless each judge took good vectors and refused bad ones.
pub(crate) fn assert_judged(said: &str, judges: &[&str]) {
    let counts: Value = serde_json::from_str(said).unwrap();
    assert_eq!(counts.as_object().unwrap().len(), judges.len(), "{said}");
    for judge in judges {
        for what in ["took", "refused"] {
            let count = counts[judge][what].as_u64().unwrap_or_default();
            assert!(count >= 20, "{judge} {what} {count} vectors");
        }
    }
}

/// What `cargo xtask test` installed: by its variable, else where it puts it.
pub(crate) fn installed(variable: &str, within: &str) -> PathBuf {
    let cached = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/countersign").join(within);
    let found = env::var_os(variable).map_or_else(cached, PathBuf::from);
    assert!(found.exists(), "{} is missing: run `cargo xtask test` once, or set {variable}", found.display());
    found
}

/// Runs a program to its end. What it said; its complaint is the test's if it failed.
pub(crate) fn run(command: &mut Command) -> String {
    let done = command.env("CS_TEST_VECTORS", vectors_file()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complained = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {}\n{said}\n{complained}", done.status);
    said
}
