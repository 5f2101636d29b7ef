//! What a change gives for something that can be taken away.

use serde::{Deserialize, Deserializer};

/// Nothing is said of it, it is taken away, or it is replaced. As JSON: absent, `null`, or a value.
#[derive(Clone, Debug, Default)]
pub enum Given<T> {
    /// It stays as it is.
    #[default]
    Absent,
    /// It is taken away.
    Null,
    /// It is this from now on.
    Value(T),
}

impl<T> Given<T> {
    /// What there is afterwards.
    pub(crate) fn over(&self, old: Option<&T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Absent => old.cloned(),
            Self::Null => None,
            Self::Value(new) => Some(new.clone()),
        }
    }

    /// The same of what a value is made into.
    pub(crate) fn map<U>(self, make: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(make(value)),
        }
    }

    /// The same of what is read out of a value.
    pub(crate) fn read<U, E>(&self, read: impl FnOnce(&T) -> Result<U, E>) -> Result<Given<U>, E> {
        Ok(match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(read(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|given| given.map_or(Self::Null, Self::Value))
    }
}
