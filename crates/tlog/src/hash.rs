//! SHA-256 hashes of the log and the two ways RFC 6962 §2.1 makes them: leaf and node.

use crate::text;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Length of a hash in bytes.
pub const HASH_BYTES: usize = 32;

/// Root of the tree without leaves: SHA-256 of the empty string (RFC 6962 §2.1).
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// A node or leaf of the tree. Written as lowercase hex; C2SP texts use [`Hash::to_base64`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

/// Why a text or byte string is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashRefusal {
    /// Not exactly 64 lowercase hex digits.
    #[error("a hash is written as exactly 64 lowercase hexadecimal digits")]
    Hex,
    /// Not the canonical base64 of 32 bytes.
    #[error("a hash is written as the canonical base64 of exactly 32 bytes")]
    Base64,
}

impl HashRefusal {
    /// A stable short name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Hex => "hash_hex",
            Self::Base64 => "hash_base64",
        }
    }
}

impl Hash {
    /// Takes exactly 32 bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// The spelling of checkpoints and proof files (RFC 4648 §4).
    pub fn to_base64(self) -> String {
        text::to_base64(&self.0)
    }

    /// Reads the spelling of checkpoints and proof files; refuses every other spelling of the same bytes.
    pub fn from_base64(encoded: &str) -> Result<Self, HashRefusal> {
        text::from_base64(encoded).and_then(|bytes| Self::from_slice(&bytes)).ok_or(HashRefusal::Base64)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashRefusal;

    fn from_str(hex: &str) -> Result<Self, HashRefusal> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(HashRefusal::Hex),
        };
        let (pairs, odd) = hex.as_bytes().as_chunks::<2>();
        if !odd.is_empty() {
            return Err(HashRefusal::Hex);
        }
        let bytes = pairs
            .iter()
            .map(|[high, low]| Ok(nibble(*high)? << 4 | nibble(*low)?))
            .collect::<Result<Vec<u8>, HashRefusal>>()?;
        Self::from_slice(&bytes).ok_or(HashRefusal::Hex)
    }
}

/// Hash of one entry: SHA-256 of `0x00` and the entry (RFC 6962 §2.1).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// Hash of two neighbours: SHA-256 of `0x01`, left and right (RFC 6962 §2.1).
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Merkle Tree Hash of hashes in a row (RFC 6962 §2.1, with the leaves already hashed).
pub fn root_of(hashes: impl IntoIterator<Item = Hash>) -> Hash {
    fold_right(perfect_subtrees(hashes), None).unwrap_or(EMPTY_ROOT)
}

/// Roots of the perfect subtrees that cover a row of hashes, the widest first.
pub(crate) fn perfect_subtrees(hashes: impl IntoIterator<Item = Hash>) -> Vec<Hash> {
    let mut roots: Vec<Hash> = Vec::with_capacity(8);
    for (position, hash) in hashes.into_iter().enumerate() {
        // Each trailing one bit of the position is a finished subtree of the same height as what we carry.
        let merges = position.trailing_ones();
        let carried = (0..merges).fold(hash, |right, _| match roots.pop() {
            Some(left) => node_hash(left, right),
            None => right,
        });
        roots.push(carried);
    }
    roots
}

/// Joins subtrees from the right, on top of what already stands to their right.
pub(crate) fn fold_right(subtrees: Vec<Hash>, right: Option<Hash>) -> Option<Hash> {
    subtrees.into_iter().rev().fold(right, |right, left| {
        Some(match right {
            Some(right) => node_hash(left, right),
            None => left,
        })
    })
}
