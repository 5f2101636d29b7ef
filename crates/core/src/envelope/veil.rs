//! Personal values in events: the event holds a salted hash, the value lives aside under that person's key and
//! can be erased without breaking any proof (D-8).

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, id::PersonId, secret::Personal};

const DOMAIN: &[u8] = b"countersign/veil/v1\0";

/// A personal value as an event holds it: whose it is and a salted SHA-256, `SHA-256("countersign/veil/v1" || 0x00
/// || salt || UTF-8)`. The opening travels along in memory and is never encoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Veiled {
    /// Whose value it is.
    pub person: PersonId,
    /// The commitment.
    pub sha256: Digest,
    /// Salt and value, unless erased or not disclosed.
    #[serde(skip)]
    pub opening: Option<Opening>,
}

/// What opens a commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// 16 random bytes.
    pub salt: [u8; 16],
    /// The value.
    pub value: Personal<String>,
}

impl Opening {
    /// The commitment that this opens.
    pub fn commitment(&self) -> Digest {
        Digest::of_parts(&[DOMAIN, &self.salt, self.value.disclose().as_bytes()])
    }

    /// The bytes that are encrypted aside: salt, then value.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.salt.as_slice(), self.value.disclose().as_bytes()].concat()
    }

    /// The inverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (salt, value) = bytes.split_first_chunk::<16>()?;
        let value = String::from_utf8(value.to_vec()).ok()?;
        Some(Self { salt: *salt, value: Personal::new(value) })
    }
}

impl Veiled {
    /// Veils `value` of `person` under `salt`.
    pub fn new(person: PersonId, salt: [u8; 16], value: Personal<String>) -> Self {
        let opening = Opening { salt, value };
        Self { person, sha256: opening.commitment(), opening: Some(opening) }
    }

    /// The value, where it has not been erased.
    pub fn value(&self) -> Option<&Personal<String>> {
        self.opening.as_ref().map(|opening| &opening.value)
    }

    /// Attaches an opening if it is the right one; `false` if it opens another commitment.
    pub fn open(&mut self, opening: Opening) -> bool {
        let fits = opening.commitment() == self.sha256;
        if fits {
            self.opening = Some(opening);
        }
        fits
    }
}

/// Two veiled values are the same when their commitments are: an erased value is still the same value.
impl PartialEq for Veiled {
    fn eq(&self, other: &Self) -> bool {
        self.person == other.person && self.sha256 == other.sha256
    }
}

impl Eq for Veiled {}
