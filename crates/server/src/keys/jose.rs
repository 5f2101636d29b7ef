//! Signatures of JOSE, checked and made with aws-lc: the rules around them are `countersign_core::oauth`.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    },
};
use countersign_core::oauth::jose::{Algorithm, Jwk, PublicKey, VerifySignature};

use crate::fault::Fault;

/// Checks signatures of strangers.
#[derive(Clone, Copy, Debug)]
pub struct Signatures;

impl VerifySignature for Signatures {
    fn verify(&self, key: &Jwk, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (&key.key, algorithm) {
            (PublicKey::P256 { x, y }, Algorithm::Es256) => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            (PublicKey::Ed25519 { x }, Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok()
            }
            (PublicKey::Rsa { n }, Algorithm::Ps256) => {
                let components = PublicKeyComponents { n: n.as_slice(), e: &[1, 0, 1] };
                components.verify(&RSA_PSS_2048_8192_SHA256, message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// A private key that signs for the authorization server.
pub enum SigningKey {
    /// P-256.
    Es256(EcdsaKeyPair),
    /// Ed25519.
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key in PKCS#8 (DER).
    pub fn generate(algorithm: Algorithm) -> Result<Vec<u8>, Fault> {
        let made = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()),
            Algorithm::Ps256 => return Err(Fault::Key("PS256 is read here, and never written".to_owned())),
        };
        made.map(|document| document.as_ref().to_vec()).map_err(|error| Fault::Key(error.to_string()))
    }

    /// Reads a key.
    pub fn read(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, Fault> {
        let damaged = |_| Fault::Key("a signing key of the authorization server is damaged".to_owned());
        match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
                pair.map(Self::Es256).map_err(damaged)
            }
            _ => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa).map_err(damaged),
        }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// Its public part.
    pub fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Es256(pair) => {
                let (x, rest) = pair.public_key().as_ref().strip_prefix(&[4])?.split_first_chunk::<32>()?;
                Some(PublicKey::P256 { x: *x, y: *rest.first_chunk()? })
            }
            Self::EdDsa(pair) => Some(PublicKey::Ed25519 { x: *pair.public_key().as_ref().first_chunk()? }),
        }
    }

    /// Its public part as JSON.
    pub fn public_jwk(&self) -> Option<serde_json::Value> {
        Some(Jwk { key: self.public()?, kid: None, x5c: Vec::new() }.to_json())
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                signature.map(|signature| signature.as_ref().to_vec()).map_err(|e| Fault::Key(e.to_string()))
            }
            Self::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}
