//! Files that hold secrets, which only their owner may read.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use zeroize::Zeroizing;

use crate::fault::Fault;

/// Refuses a file that others than its owner may read.
pub(crate) fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), Fault> {
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let reason = format!(
            "others may read this secret (mode {mode:03o}): run `chmod 600` on it, or have it mounted with mode 0400"
        );
        return Err(Fault::file(path, reason));
    }
    Ok(())
}

/// Reads a secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let metadata = fs::metadata(path).map_err(|error| Fault::file(path, error))?;
    check_mode(path, &metadata)?;
    fs::read_to_string(path).map(Zeroizing::new).map_err(|error| Fault::file(path, error))
}
