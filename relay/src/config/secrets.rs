//! Secrets out of the environment: the file names variables, and never holds what is in them.

use zeroize::Zeroizing;

/// Where variables are read.
pub trait Environment {
    /// The value of a variable, if there is one.
    fn read(&self, name: &str) -> Option<Zeroizing<String>>;
}

/// The variables of this process.
#[derive(Clone, Copy, Debug)]
pub struct Secrets;

impl Environment for Secrets {
    fn read(&self, name: &str) -> Option<Zeroizing<String>> {
        std::env::var(name).ok().map(Zeroizing::new)
    }
}

impl<const N: usize> Environment for [(&str, &str); N] {
    fn read(&self, name: &str) -> Option<Zeroizing<String>> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| Zeroizing::new((*value).to_owned()))
    }
}
