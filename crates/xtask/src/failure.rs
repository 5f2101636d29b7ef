//! Why a task failed, in a sentence for the person who ran it.

use std::fmt::Display;
use std::path::Path;

/// A sentence that says what is wrong and, where it is known, how to mend it.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// For a file that could not be read or written.
    pub(crate) fn of_file(path: &Path, error: impl Display) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}
