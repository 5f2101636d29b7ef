//! PKCE: who redeems a code is who asked for it (RFC 7636). `S256` is the only method.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::{digest::Digest, secret::equal_in_constant_time};

/// What a client commits to when it asks: the SHA-256 of its verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge(Digest);

/// A challenge or a verifier that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotPkce {
    /// RFC 7636 §4.2.
    #[error("code_challenge is the SHA-256 of the code_verifier in base64url: 43 characters")]
    Challenge,
    /// RFC 7636 §4.3: without it the method would be `plain`.
    #[error("code_challenge_method is S256")]
    Method,
    /// RFC 7636 §4.1.
    #[error("code_verifier has 43 to 128 characters out of A-Z a-z 0-9 - . _ ~")]
    Verifier,
    /// RFC 7636 §4.6.
    #[error("code_verifier does not fit the code_challenge")]
    Mismatch,
}

impl Challenge {
    /// Reads the two parameters of an authorization request.
    pub fn parse(challenge: &str, method: Option<&str>) -> Result<Self, NotPkce> {
        if method != Some("S256") {
            return Err(NotPkce::Method);
        }
        Self::read(challenge).ok_or(NotPkce::Challenge)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(Digest(bytes.try_into().ok()?)))
    }

    /// Checks the verifier of a token request, in a time that does not depend on where it differs.
    pub fn check(&self, verifier: &str) -> Result<(), NotPkce> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return Err(NotPkce::Verifier);
        }
        let found = Digest::of(verifier.as_bytes());
        if equal_in_constant_time(&found.0, &self.0.0) { Ok(()) } else { Err(NotPkce::Mismatch) }
    }
}

impl Serialize for Challenge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.0))
    }
}

impl<'de> Deserialize<'de> for Challenge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| serde::de::Error::custom(NotPkce::Challenge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// the pair of RFC 7636, appendix B.
    #[test]
    fn the_verifier_of_the_rfc_fits_its_challenge() {
        let challenge = Challenge::parse(CHALLENGE, Some("S256")).unwrap();
        assert_eq!(challenge.check(VERIFIER), Ok(()));
        let wrong = VERIFIER.replace('d', "e");
        assert_eq!(challenge.check(&wrong), Err(NotPkce::Mismatch));
        assert_eq!(challenge.check(VERIFIER.strip_suffix('k').unwrap()), Err(NotPkce::Verifier));
        assert_eq!(challenge.check(&"a".repeat(129)), Err(NotPkce::Verifier));
        assert_eq!(challenge.check(CHALLENGE), Err(NotPkce::Mismatch));
        assert_eq!(challenge.check(&VERIFIER.replace('d', "+")), Err(NotPkce::Verifier));
    }

    /// `plain`, also by leaving the method out, is not offered.
    #[test]
    fn only_s256_is_taken() {
        assert_eq!(Challenge::parse(CHALLENGE, None), Err(NotPkce::Method));
        assert_eq!(Challenge::parse(CHALLENGE, Some("plain")), Err(NotPkce::Method));
        assert_eq!(Challenge::parse(&format!("{CHALLENGE}="), Some("S256")), Err(NotPkce::Challenge));
        // The last character has two bits that say nothing: only one of its four forms is the canonical one.
        assert_eq!(Challenge::parse(&CHALLENGE.replace("cM", "cN"), Some("S256")), Err(NotPkce::Challenge));
        assert_eq!(Challenge::parse("short", Some("S256")), Err(NotPkce::Challenge));
    }

    proptest! {
        #[test]
        fn a_challenge_survives_its_text(bytes: [u8; 32]) {
            let challenge = Challenge(Digest(bytes));
            let text = serde_json::to_string(&challenge).unwrap();
            prop_assert_eq!(serde_json::from_str::<Challenge>(&text).unwrap(), challenge);
        }
    }
}
