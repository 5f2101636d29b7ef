//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy knows.

mod assets;
mod documents;
mod edges;
mod requirements;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// One broken rule: where, and what to do.
type Complaint = String;

/// A source file of the project.
struct SourceFile {
    /// From the root, with `/` between its parts.
    path: String,
    text: String,
}

/// Checks every rule; the failure names all that are broken.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let files = source_files(root)?;
    let mut complaints = edges::check(&edges::metadata(root)?);
    complaints.extend(sources::check(&files));
    complaints.extend(assets::check(root)?);
    complaints.extend(requirements::check(&files));
    complaints.extend(documents::check(root)?);
    if complaints.is_empty() {
        println!("tidy: {} source files keep the rules", files.len());
        return Ok(());
    }
    Err(Failure(format!("{} rules are broken\n  {}", complaints.len(), complaints.join("\n  "))))
}

/// Every Rust file under `crates` and `fuzz`, sorted by path.
fn source_files(root: &Path) -> Result<Vec<SourceFile>, Failure> {
    let mut files = Vec::new();
    let mut directories = vec![root.join("crates"), root.join("fuzz"), root.join("relay"), root.join("sdk")];
    while let Some(directory) = directories.pop() {
        for path in entries(&directory)? {
            if path.is_dir() && !path.ends_with("target") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).map_err(|error| Failure::of_file(&path, error))?;
                let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                files.push(SourceFile { path, text });
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// What a folder holds; a folder that is not there holds nothing.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).map_err(|error| Failure::of_file(directory, error))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_keeps_its_own_rules() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        check(&root).unwrap_or_else(|failure| panic!("{}", failure.0));
    }
}
