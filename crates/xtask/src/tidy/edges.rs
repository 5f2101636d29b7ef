//! Which package may depend on which: the edges between our own, and the outside packages that only some may use.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::Complaint;
use crate::failure::Failure;
use crate::process;

/// What each of our packages may know of ours.
const OURS: &[(&str, &[&str])] = &[
    ("countersign-core", &[]),
    ("countersign-tlog", &[]),
    ("countersign-pdf", &[]),
    ("countersign-store", &["countersign-core"]),
    ("countersign-verify", &["countersign-core", "countersign-tlog", "countersign-pdf"]),
    ("countersign-webhooks", &[]),
    ("countersign-relay", &["countersign-webhooks"]),
    (
        "countersign",
        &[
            "countersign-core",
            "countersign-tlog",
            "countersign-pdf",
            "countersign-store",
            "countersign-verify",
            "countersign-webhooks",
        ],
    ),
    (
        "countersign-bench",
        &[
            "countersign",
            "countersign-core",
            "countersign-tlog",
            "countersign-pdf",
            "countersign-store",
            "countersign-verify",
            "countersign-webhooks",
        ],
    ),
    ("xtask", &[]),
];

const SERVER: &[&str] = &["countersign"];
const STORE: &[&str] = &["countersign-store"];
/// What integrators build in, and the server too.
const WEBHOOKS: &str = "countersign-webhooks";
/// What integrators run in front of their systems.
const RELAY: &str = "countersign-relay";
const RUNNING: &[&str] = &["countersign", "countersign-store", RELAY];
/// One place of the server serves and one connects; so it is in the relay.
const HTTP: &[&str] = &["countersign", RELAY];

/// Outside packages by a prefix of their name, and who may use them in what ships. A pure crate (core, tlog, pdf,
/// verify) runs nothing, connects to nothing and keeps nothing, so it is in none of these lists. What is not listed
/// is free.
const OUTSIDE: &[(&str, &[&str])] = &[
    // A runtime, and what needs one.
    ("tokio-postgres", &["countersign-store", RELAY]),
    ("tokio", RUNNING),
    ("async-trait", RUNNING),
    ("futures", RUNNING),
    ("tracing", RUNNING),
    // HTTP, TLS and mail: one place serves and one place connects.
    ("axum", SERVER),
    ("hyper", HTTP),
    ("http", HTTP),
    // Names that strangers give are looked up where the answers are judged.
    ("hickory", SERVER),
    ("tower", SERVER),
    ("reqwest", HTTP),
    // The store reaches a database on another machine under TLS.
    ("rustls", RUNNING),
    ("rcgen", SERVER),
    ("lettre", SERVER),
    ("askama", SERVER),
    ("utoipa", SERVER),
    // Passwords, passkeys and one-time codes: one place proves who somebody is.
    ("argon2", SERVER),
    ("totp-rs", SERVER),
    ("webauthn-rs", SERVER),
    ("zxcvbn", SERVER),
    // Keys that can seal, and randomness.
    // The verifier of webhooks has it as a feature, for RSA.
    ("aws-lc", &["countersign", WEBHOOKS]),
    ("cryptoki", SERVER),
    ("rand", &[]),
    ("getrandom", &[]),
    // Databases. The verifier of webhooks keeps what it has seen in one of two, each a feature.
    ("rusqlite", &["countersign-store", RELAY, WEBHOOKS]),
    ("redis", &[WEBHOOKS]),
    ("deadpool", STORE),
    ("sqlx", &[]),
    // Formats that one package owns.
    ("lopdf", &["countersign-pdf"]),
    ("cms", &["countersign-pdf"]),
    ("rustybuzz", &["countersign-pdf"]),
    ("subsetter", &["countersign-pdf"]),
    ("ed25519-dalek", &["countersign-tlog", "countersign-verify", WEBHOOKS]),
];

/// What `cargo metadata` says of our packages.
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what ships, `dev` for tests, `build` for build scripts.
    kind: Option<String>,
}

/// Asks cargo about the workspace at `root`, without its dependencies.
pub(super) fn metadata(root: &Path) -> Result<Metadata, Failure> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let said = process::read(Command::new("cargo").current_dir(root).args(arguments))?;
    serde_json::from_str(&said)
        .map_err(|error| Failure(format!("`cargo metadata` is not understood: {error}")))
}

/// Every edge that the tables do not have.
pub(super) fn check(metadata: &Metadata) -> Vec<Complaint> {
    metadata.packages.iter().flat_map(edges_of).collect()
}

fn edges_of(package: &Package) -> Vec<Complaint> {
    let Some((_, allowed)) = OURS.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!("{}: say in tidy/edges.rs what this package may know of ours", package.name)];
    };
    let is_wrong = |dependency: &&Dependency| {
        if OURS.iter().any(|(name, _)| *name == dependency.name) {
            // A test may not know more of ours than its package, or the package is not tested alone. A package may
            // name itself there, to have a feature of its own in its tests.
            dependency.name != package.name && !allowed.contains(&dependency.name.as_str())
        } else {
            dependency.kind.is_none() && !may_use(&package.name, &dependency.name)
        }
    };
    let complain = |dependency: &Dependency| {
        format!("{} must not depend on {} (tidy/edges.rs)", package.name, dependency.name)
    };
    package.dependencies.iter().filter(is_wrong).map(complain).collect()
}

fn may_use(package: &str, dependency: &str) -> bool {
    let rule = OUTSIDE.iter().find(|(prefix, _)| {
        dependency.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    });
    // The bench ships nothing: it serves and connects to measure.
    package == "countersign-bench" || rule.is_none_or(|(_, allowed)| allowed.contains(&package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(package: &str, dependency: &str, kind: Option<&str>) -> usize {
        let dependency = Dependency { name: dependency.into(), kind: kind.map(Into::into) };
        let package = Package { name: package.into(), dependencies: vec![dependency] };
        check(&Metadata { packages: vec![package] }).len()
    }

    #[test]
    fn an_edge_between_ours_that_the_table_lacks_is_a_complaint_even_in_tests() {
        assert_eq!(complaints("countersign-store", "countersign-core", None), 0);
        assert_eq!(complaints("countersign-core", "countersign-store", None), 1);
        assert_eq!(complaints("countersign-pdf", "countersign-tlog", Some("dev")), 1);
        assert_eq!(complaints("xtask", "countersign-core", None), 1);
        assert_eq!(complaints("countersign-store", "countersign-store", Some("dev")), 0);
        assert_eq!(complaints("countersign-relay", "countersign-webhooks", None), 0);
        assert_eq!(complaints("countersign-relay", "countersign-store", Some("dev")), 1);
    }

    #[test]
    fn a_pure_crate_may_not_run_connect_or_keep() {
        for dependency in
            ["tokio", "tokio-util", "hyper", "rusqlite", "reqwest", "rand", "aws-lc-rs", "tracing"]
        {
            assert_eq!(complaints("countersign-verify", dependency, None), 1, "{dependency}");
        }
        assert_eq!(complaints("countersign-store", "tokio", None), 0);
        assert_eq!(complaints("countersign-core", "serde", None), 0);
        assert_eq!(complaints("countersign-core", "rand", Some("dev")), 0);
    }

    #[test]
    fn a_new_package_has_to_be_placed() {
        assert_eq!(complaints("countersign-unheard-of", "serde", None), 1);
    }
}
