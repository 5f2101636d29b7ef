//! Vendored assets: third-party files that the server embeds are exactly those that were taken from their package.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Complaint, entries};
use crate::failure::Failure;

const FOLDER: &str = "crates/server/assets/vendor";

/// `VENDORED.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendored {
    package: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    name: String,
    version: String,
    licence: String,
    registry: String,
    folder: String,
    tarball_sha256: String,
    files: BTreeMap<String, String>,
}

/// Compares every vendored file with its recorded digest, both ways.
pub(super) fn check(root: &Path) -> Result<Vec<Complaint>, Failure> {
    let folder = root.join(FOLDER);
    let list = folder.join("VENDORED.toml");
    let text = fs::read_to_string(&list).map_err(|error| Failure::of_file(&list, error))?;
    let vendored: Vendored = toml::from_str(&text).map_err(|error| Failure::of_file(&list, error))?;
    let mut complaints = Vec::new();
    for package in &vendored.package {
        complaints.extend(check_package(&folder, package)?);
    }
    Ok(complaints)
}

fn check_package(folder: &Path, package: &Package) -> Result<Vec<Complaint>, Failure> {
    let from = format!(
        "{} {} ({}, {}, tarball {})",
        package.name, package.version, package.registry, package.licence, package.tarball_sha256
    );
    let place = folder.join(&package.folder);
    let mut found = BTreeSet::new();
    collect(&place, &place, &mut found)?;
    let mut complaints = Vec::new();
    for (name, recorded) in &package.files {
        let path = place.join(name);
        if !found.remove(name) {
            complaints.push(format!("{}: missing; take it from {from}", path.display()));
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| Failure::of_file(&path, error))?;
        if hex::encode(Sha256::digest(&bytes)) != *recorded {
            complaints.push(format!("{}: changed; take it again from {from}", path.display()));
        }
    }
    let unlisted = found.iter().map(|name| format!("{}/{name}: not listed in VENDORED.toml", place.display()));
    complaints.extend(unlisted);
    Ok(complaints)
}

fn collect(top: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<(), Failure> {
    for path in entries(folder)? {
        if path.is_dir() {
            collect(top, &path, found)?;
        } else {
            found.insert(path.strip_prefix(top).unwrap_or(&path).to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_missing_and_an_added_file_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("p");
        fs::create_dir(&place).unwrap();
        for name in ["good", "changed", "added"] {
            fs::write(place.join(name), name).unwrap();
        }
        let digest = |text: &str| hex::encode(Sha256::digest(text));
        let files = [("good", digest("good")), ("changed", digest("before")), ("missing", digest("missing"))];
        let package = Package {
            name: "p".into(),
            version: "1".into(),
            licence: "MIT".into(),
            registry: "npm".into(),
            folder: "p".into(),
            tarball_sha256: digest("tarball"),
            files: files.into_iter().map(|(name, digest)| (name.to_owned(), digest)).collect(),
        };
        let complaints = check_package(folder.path(), &package).unwrap();
        let told: Vec<bool> = ["changed: changed", "missing: missing", "added: not listed"]
            .iter()
            .map(|words| complaints.iter().any(|complaint| complaint.contains(words)))
            .collect();
        assert_eq!((told, complaints.len()), (vec![true; 3], 3), "{complaints:?}");
    }
}
