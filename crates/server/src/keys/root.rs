//! The root key: 256 bits in a file that only its owner may read. Everything else that is secret hangs on it.

use std::{fs, io::ErrorKind, path::Path};

use super::{secret_file, wrapping::WrappingKey};
use crate::{app::Randomness, fault::Fault, vault::write_new};

const HEADER: &str = "countersign-root-key-v1:";

/// The root key.
#[derive(Clone, Debug)]
pub struct RootKey(WrappingKey);

impl RootKey {
    /// The key that wraps with it.
    pub fn wrapping(&self) -> &WrappingKey {
        &self.0
    }

    /// Reads the file; `None` if there is none. A file that others may read is refused.
    pub fn read(path: &Path) -> Result<Option<Self>, Fault> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::file(path, error)),
        };
        secret_file::check_mode(path, &metadata)?;
        let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(|e| Fault::file(path, e))?);
        let wrong = || {
            Fault::file(
                path,
                format!("this is not a root key: it does not read `{HEADER}` and 64 hex digits"),
            )
        };
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        let digits = text.trim_end().strip_prefix(HEADER).ok_or_else(wrong)?;
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| wrong())?;
        Ok(Some(Self(WrappingKey::from_bytes(*bytes))))
    }

    /// Makes a new key and its file, mode 0600, synced. A file that exists is never replaced.
    pub fn create(path: &Path, random: &dyn Randomness) -> Result<Self, Fault> {
        let key = WrappingKey::generate(random);
        let text = zeroize::Zeroizing::new(format!("{HEADER}{}\n", hex::encode(key.expose())));
        write_new(path, text.as_bytes(), 0o600)?;
        Ok(Self(key))
    }
}
