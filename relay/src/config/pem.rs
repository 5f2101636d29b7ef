//! Certificates out of files of PEM, with one sentence for what is wrong with such a file.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error, PemObject as _};

/// The certificates of a file: one at least. The error names the file and says what to do.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let sentence = match read {
        Ok(certificates) if certificates.is_empty() => {
            "no certificate is in it: give PEM with `BEGIN CERTIFICATE`".to_owned()
        }
        Ok(certificates) => return Ok(certificates),
        Err(error) => unreadable(&error),
    };
    Err(format!("{}: {sentence}", file.display()))
}

/// What is wrong with a file that cannot be read as PEM, and what to do.
pub(super) fn unreadable(error: &Error) -> String {
    let reason = match error {
        Error::Io(error) => error.to_string(),
        _ => "it is no PEM".to_owned(),
    };
    format!("{reason}: give a file of PEM that the relay may read")
}
