//! Values that must not be printed, and tokens: a prefix that scanners recognise, a checksum against typing
//! errors, and a hash that is all the database ever holds (A-9, L-3).

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    digest::Digest,
    id::{base32, from_base32},
};

/// A secret. It has no `Display` and no `Serialize`, its `Debug` shows nothing, and its memory is wiped.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value: every call is a place where it may leak.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

/// Something about a person: a name, an address, a field's value. No `Display`, no `Serialize`, and a `Debug`
/// that shows nothing, so that it cannot reach a log or a leaf by accident.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the person it is meant for.
    pub fn disclose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(…)")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// What a token is for; its text begins with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An API key of a sandbox.
    SandboxApiKey,
    /// An API key of a live environment.
    LiveApiKey,
    /// The secret in the fragment of a signing link.
    SigningLink,
    /// The cookie of a signer's session.
    SigningSession,
    /// An access token of a sandbox.
    SandboxAccessToken,
    /// An access token of a live environment.
    LiveAccessToken,
    /// A refresh token.
    RefreshToken,
    /// An authorization code (RFC 6749 §4.1.2).
    AuthorizationCode,
    /// The handle in a `request_uri` of a pushed authorization request (RFC 9126 §2.2).
    PushedRequest,
    /// A client's secret; sandboxes only.
    ClientSecret,
    /// The cookie of a user's session on the console.
    SignIn,
    /// The secret in the fragment of an account's one-time link.
    Ticket,
}

impl TokenKind {
    /// The prefix, underscore included.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::SandboxApiKey => "csk_sandbox_",
            Self::LiveApiKey => "csk_live_",
            Self::SigningLink => "csl_",
            Self::SigningSession => "css_",
            Self::SandboxAccessToken => "cst_sandbox_",
            Self::LiveAccessToken => "cst_live_",
            Self::RefreshToken => "csr_",
            Self::AuthorizationCode => "csc_",
            Self::PushedRequest => "csp_",
            Self::ClientSecret => "csx_sandbox_",
            Self::SignIn => "csu_",
            Self::Ticket => "csi_",
        }
    }
}

/// A token as its holder has it: prefix, 256 random bits and a 32-bit checksum in base32. It exists in memory only.
#[derive(Clone)]
pub struct PlainToken(Zeroizing<String>);

/// A token as the database has it: the SHA-256 of its text. The token's 256 random bits make a slow hash needless.
#[derive(Clone, Copy)]
pub struct HashedToken([u8; 32]);

/// Why a text is not a token.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotAToken {
    /// Another kind of token, or none at all.
    #[error("it does not begin with `{expected}`")]
    Prefix {
        /// The prefix that was expected.
        expected: &'static str,
    },
    /// Cut off or mistyped.
    #[error("its checksum does not match: it was cut off or mistyped")]
    Checksum,
}

const TOKEN_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;

/// What tells a mistyped token from one that is unknown.
pub(crate) fn checksum(kind: TokenKind, random: &[u8]) -> impl Iterator<Item = u8> {
    let mut hasher = Sha256::new();
    hasher.update(kind.prefix());
    hasher.update(random);
    hasher.finalize().into_iter().take(CHECKSUM_BYTES)
}

impl PlainToken {
    /// A token of this kind from 32 random bytes.
    pub fn new(kind: TokenKind, random: &[u8; TOKEN_BYTES]) -> Self {
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(random.iter().copied().chain(checksum(kind, random)).collect());
        Self(Zeroizing::new(format!("{}{}", kind.prefix(), base32(&bytes))))
    }

    /// Reads a token of this kind. A wrong checksum is found before any look-up.
    pub fn parse(kind: TokenKind, text: &str) -> Result<Self, NotAToken> {
        let prefix = kind.prefix();
        let body = text.strip_prefix(prefix).ok_or(NotAToken::Prefix { expected: prefix })?;
        let bytes = Zeroizing::new(from_base32(body).ok_or(NotAToken::Checksum)?);
        let (random, found) = bytes.split_at_checked(TOKEN_BYTES).ok_or(NotAToken::Checksum)?;
        if !checksum(kind, random).eq(found.iter().copied()) {
            return Err(NotAToken::Checksum);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// What the database keeps.
    pub fn hash(&self) -> HashedToken {
        HashedToken(Digest::of(self.0.as_bytes()).0)
    }

    /// The text, to be shown once to its holder.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(…)")
    }
}

impl HashedToken {
    /// From a database row.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For a database row or look-up.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for HashedToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for HashedToken {}

impl fmt::Debug for HashedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedToken(…)")
    }
}

/// Compares two byte strings in time that depends on their lengths only.
pub fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// any single wrong character is found by the checksum or the prefix.
        #[test]
        fn a_mistyped_token_is_refused_without_a_look_up(random: [u8; 32], at in 0_usize..70, to in "[0-9a-z]") {
            let token = PlainToken::new(TokenKind::SandboxApiKey, &random);
            let text = token.expose().to_owned();
            prop_assert_eq!(PlainToken::parse(TokenKind::SandboxApiKey, &text).unwrap().hash(), token.hash());
            let mut wrong = text.clone();
            let at = at % text.len();
            wrong.replace_range(at..=at, &to);
            prop_assume!(wrong != text);
            prop_assert!(PlainToken::parse(TokenKind::SandboxApiKey, &wrong).is_err());
            prop_assert!(PlainToken::parse(TokenKind::LiveApiKey, &text).is_err());
        }
    }

    /// L-3: neither secrets nor persons nor tokens show in a debug print.
    #[test]
    fn debug_output_shows_no_value() {
        let token = PlainToken::new(TokenKind::SigningLink, &[7; 32]);
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            Secret::new("tell".to_owned()),
            Personal::new("Ada"),
            token,
            token.hash()
        );
        assert_eq!(shown, "Secret(…) Personal(…) PlainToken(…) HashedToken(…)");
    }
}
