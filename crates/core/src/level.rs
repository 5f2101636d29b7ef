//! How surely a person was authenticated: the levels of NIST SP 800-63B-4 that a step-up asks for (RFC 9470).

use serde::{Deserialize, Serialize};

/// An authentication level. What asks for one is content with a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// One factor.
    #[serde(rename = "aal1")]
    Aal1,
    /// Two factors: a password and a one-time code.
    #[serde(rename = "aal2")]
    Aal2,
    /// Two factors that cannot be phished: a passkey with user verification.
    #[serde(rename = "aal2-phr")]
    Aal2Phr,
}

impl Level {
    /// All levels, the lowest first.
    pub const ALL: [Self; 3] = [Self::Aal1, Self::Aal2, Self::Aal2Phr];

    /// As `acr` and `acr_values` have it (OpenID Connect Core §2).
    pub fn text(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Aal2Phr => "aal2-phr",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.text() == text)
    }
}

/// What a dangerous act asks of the person who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepUp {
    /// The least level.
    pub level: Level,
    /// How long ago the person may have authenticated at most, in seconds.
    pub max_age_s: i64,
}
