//! Signed tokens of strangers and our own: compact JWS (RFC 7515), public keys (RFC 7517, RFC 7518 §6, RFC 8037) and
//! three algorithms (FAPI 2.0 Security Profile §5.4.1). Whoever calls checks signatures and makes them.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use thiserror::Error;

use crate::oauth::json::NotStrict;

mod jwk;
mod jws;

pub use jwk::{Jwk, JwkSet, NoKey, PublicKey, decoy};
pub use jws::{Header, SigningInput, Unverified, compact};

/// A signature algorithm: one for each kind of key, so that a token never chooses how its key is used (RFC 8725 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
}

impl Algorithm {
    /// All algorithms, the preferred first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Ps256];

    /// As `alg` has it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
        }
    }

    /// The inverse of [`Self::text`]. `none`, RS256, HS256 and all others are no algorithms here.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.text() == text)
    }
}

/// Checks signatures; the server does it with its library.
pub trait VerifySignature {
    /// Whether `signature` is `key`'s over `message`. ECDSA signatures are the 64 bytes of RFC 7518 §3.4. A key that is no
    /// point on its curve verifies nothing.
    fn verify(&self, key: &Jwk, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool;
}

/// Why a text is no signed token, or no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotJose {
    /// Not three parts.
    #[error("it is not three parts in base64url with a dot between them (RFC 7515 section 7.1)")]
    Parts,
    /// Longer than anybody needs.
    #[error("it is too long: {0} bytes at most")]
    TooLong(usize),
    /// A part is not base64url in its one canonical form.
    #[error("a part is not canonical base64url without padding (RFC 7515 section 2)")]
    Base64,
    /// The header, a key or the claims are not JSON as we take it.
    #[error("{0}")]
    Json(#[from] NotStrict),
    /// `none`, a MAC, RSASSA-PKCS1 and whatever else.
    #[error("the algorithm is not one of ES256, EdDSA and PS256")]
    Algorithm,
    /// A header member that changes what the token means.
    #[error("the header member {0} is not taken here")]
    Header(&'static str),
    /// A signature that cannot be of its algorithm.
    #[error("the signature does not have the length of its algorithm")]
    SignatureLength,
    /// A member of a key does not fit its kind.
    #[error(
        "the member {0} of the key is missing, or not what RFC 7518 section 6 or RFC 8037 section 2 says"
    )]
    Key(&'static str),
    /// A secret where a public key belongs.
    #[error(
        "the key holds a private or symmetric part: treat it as disclosed, and send the public part only"
    )]
    PrivateKey,
    /// More keys than fit.
    #[error("there are too many keys: {0} at most")]
    TooManyKeys(usize),
    /// Two keys that a token cannot tell apart.
    #[error("two keys of one kind have the same kid")]
    RepeatedKid,
}

/// Canonical base64url without padding.
pub(crate) fn from_base64url(text: &str) -> Result<Vec<u8>, NotJose> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotJose::Base64)
}

/// The inverse of [`from_base64url`].
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Base64 with padding, as `x5c` has it (RFC 7517 §4.7).
fn from_base64(text: &str) -> Result<Vec<u8>, NotJose> {
    STANDARD.decode(text).map_err(|_| NotJose::Key("x5c"))
}

fn base64(bytes: &[u8]) -> Value {
    Value::String(STANDARD.encode(bytes))
}
