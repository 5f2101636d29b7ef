//! Public keys, and the algorithms of HTTP Message Signatures (RFC 9421 §3.3).

use std::fmt;
use std::str::FromStr;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use p256::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};
use thiserror::Error;

use crate::ids::KeyId;

/// A secret or a public key that is not one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// A secret has another form.
    #[error(
        "this is no secret: it is `whsec_` and base64 of 32 bytes, as it was shown when the key was made"
    )]
    NotASecret,
    /// A public key has another form.
    #[error("this is no public key: it is `whpk_` and base64 of 32 bytes, as the endpoint's page shows it")]
    NotAPublicKey,
    /// The bytes are no point of the curve, or one that anybody can sign for.
    #[error(
        "this public key is no point of its curve, or a weak one: copy it anew from the endpoint's JWK set"
    )]
    BadPoint,
    /// An RSA key outside the bounds.
    #[error("this RSA key is not taken: it has 2048 to 4096 bits and the public exponent 65537")]
    BadRsaKey,
    /// An RSA key, and no RSA in this build.
    #[error("RSA is not built in: turn on the feature `rsa-pss` of countersign-webhooks")]
    NoRsa,
}

/// How an HTTP Message Signature is made. The name is what stands as `alg` (RFC 9421 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `ed25519`
    Ed25519,
    /// `ecdsa-p256-sha256`: the signature is `r` and `s`, 64 bytes.
    EcdsaP256Sha256,
    /// `rsa-pss-sha512`, with a salt of 64 bytes.
    RsaPssSha512,
}

impl Algorithm {
    /// The name, as it stands as `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A public key that was checked, and knows its one algorithm.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    #[cfg(feature = "rsa-pss")]
    Rsa(crate::rsa::RsaKey),
}

impl PublicKey {
    /// An Ed25519 key (RFC 8032). Points of small order are refused: anybody can sign for them.
    pub fn ed25519(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::BadPoint)?;
        // Another spelling of the same point would be another key id's key in disguise (RFC 8032 §5.1.3).
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::BadPoint);
        }
        Ok(Self(Kind::Ed25519(key)))
    }

    /// A key of the curve P-256 by its coordinates.
    pub fn p256(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, KeyError> {
        // An uncompressed point (SEC 1 §2.3.3).
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| KeyError::BadPoint)?;
        Ok(Self(Kind::P256(key)))
    }

    /// An RSA key of 2048 to 4096 bits with the exponent 65537, both numbers big-endian without zeros before them.
    /// Needs the feature `rsa-pss`.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        #[cfg(feature = "rsa-pss")]
        return Ok(Self(Kind::Rsa(crate::rsa::RsaKey::new(modulus, exponent)?)));
        #[cfg(not(feature = "rsa-pss"))]
        {
            let _ = (modulus, exponent);
            Err(KeyError::NoRsa)
        }
    }

    /// What the key makes.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Ed25519(_) => Algorithm::Ed25519,
            Kind::P256(_) => Algorithm::EcdsaP256Sha256,
            #[cfg(feature = "rsa-pss")]
            Kind::Rsa(_) => Algorithm::RsaPssSha512,
        }
    }

    /// The key as it is shown to the endpoint's owner, `whpk_` and base64: that of `v1a` has such a text.
    pub fn whpk(&self) -> Option<String> {
        let Kind::Ed25519(key) = &self.0 else { return None };
        Some(format!("whpk_{}", STANDARD.encode(key.as_bytes())))
    }

    /// The key as a JWK (RFC 7517, RFC 8037, RFC 7518 §6), as it stands in the endpoint's set.
    pub fn jwk(&self, id: &KeyId) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.0 {
            Kind::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.as_bytes()), "alg": "EdDSA"})
            }
            Kind::P256(key) => {
                let point = key.to_sec1_point(false);
                let [x, y] =
                    [point.x(), point.y()].map(|part| part.map(|part| text(part)).unwrap_or_default());
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256"})
            }
            #[cfg(feature = "rsa-pss")]
            Kind::Rsa(key) => {
                json!({"kty": "RSA", "n": text(key.modulus()), "e": text(&crate::rsa::EXPONENT), "alg": "PS512"})
            }
        };
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), id.as_str().into());
            members.insert("use".to_owned(), "sig".into());
        }
        jwk
    }

    /// Whether `signature` is one of this key over `text`.
    pub(crate) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok()),
            Kind::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            #[cfg(feature = "rsa-pss")]
            Kind::Rsa(key) => key.verify(text, signature),
        }
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads `whpk_` and base64 of 32 bytes: an Ed25519 key.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix("whpk_").ok_or(KeyError::NotAPublicKey)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::NotAPublicKey)?;
        Self::ed25519(&bytes.try_into().map_err(|_| KeyError::NotAPublicKey)?)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_ED25519: [u8; 32] = [
        0x26, 0xb4, 0x0b, 0x8f, 0x93, 0xff, 0xf3, 0xd8, 0x97, 0x11, 0x2f, 0x7e, 0xbc, 0x58, 0x2b, 0x23, 0x2d,
        0xbd, 0x72, 0x51, 0x7d, 0x08, 0x2f, 0xe8, 0x3c, 0xfb, 0x30, 0xdd, 0xce, 0x43, 0xd1, 0xbb,
    ];

    #[test]
    fn a_public_key_is_a_point_that_not_anybody_can_sign_for() {
        let text = format!("whpk_{}", STANDARD.encode(RFC_ED25519));
        assert_eq!(text.parse::<PublicKey>(), PublicKey::ed25519(&RFC_ED25519));
        assert_eq!(text.parse::<PublicKey>().unwrap().whpk(), Some(text.clone()));
        for bad in
            ["", "whpk_", "whsec_AAAA", &text.replace('=', ""), &format!("whpk_{}", STANDARD.encode([1; 33]))]
        {
            assert_eq!(bad.parse::<PublicKey>(), Err(KeyError::NotAPublicKey), "{bad}");
        }
        let mut one = [0; 32];
        one[0] = 1;
        // The neutral element, the point of order two, and the neutral element in another spelling (p + 1).
        let mut spelled_anew = [0xff; 32];
        (spelled_anew[0], spelled_anew[31]) = (0xee, 0x7f);
        for weak in [one, [0; 32], spelled_anew] {
            assert_eq!(PublicKey::ed25519(&weak), Err(KeyError::BadPoint));
        }
        assert_eq!(PublicKey::p256(&[1; 32], &[1; 32]), Err(KeyError::BadPoint));
        assert_eq!(PublicKey::p256(&[0; 32], &[0; 32]), Err(KeyError::BadPoint));
    }

    /// RFC 9421 §B.2.4: a signature with ECDSA that somebody else made.
    #[test]
    fn the_rfcs_own_ecdsa_signature_is_right() {
        let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap();
        let key = PublicKey::p256(
            &coordinate("qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA"),
            &coordinate("Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"),
        )
        .unwrap();
        let base = concat!(
            "\"@status\": 200\n",
            "\"content-type\": application/json\n",
            "\"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n",
            "\"content-length\": 23\n",
            "\"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"",
        );
        let mut signature = STANDARD
            .decode(
                "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
            )
            .unwrap();
        assert!(key.verify(base.as_bytes(), &signature));
        assert!(!key.verify(&base.as_bytes()[1..], &signature));
        assert!(!key.verify(base.as_bytes(), &signature[..63]));
        signature[40] ^= 1;
        assert!(!key.verify(base.as_bytes(), &signature));
    }
}
