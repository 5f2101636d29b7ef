//! Keys that seal: a trait that a file, a token or a remote service can stand behind, and the software key.

use der::Decode;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use x509_cert::Certificate;

use super::cms::verifying_key;

/// A key could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the sealing key did not sign: {detail}")]
pub struct KeyFault {
    /// What went wrong, for the log.
    pub detail: String,
}

/// A P-256 key with its certificates.
pub trait SealKey {
    /// DER certificates, the key's own first, each followed by its issuer.
    fn certificate_chain(&self) -> &[Vec<u8>];

    /// Signs a SHA-256 digest; the DER of an ECDSA signature (RFC 3279 §2.2.3).
    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault>;

    /// Whether a signature over a digest holds under the key in the first certificate. Whoever holds the key may have
    /// a faster way to tell than this crate, which stays portable.
    fn verifies(&self, digest: &[u8; 32], signature_der: &[u8]) -> bool {
        let leaf = self.certificate_chain().first().and_then(|leaf| Certificate::from_der(leaf).ok());
        let certified = leaf.as_ref().and_then(verifying_key);
        let signature = Signature::from_der(signature_der).ok();
        let both = certified.zip(signature);
        both.is_some_and(|(key, signature)| key.verify_prehash(digest, &signature).is_ok())
    }
}

/// A key held in memory.
pub struct SoftwareKey {
    key: SigningKey,
    chain: Vec<Vec<u8>>,
}

impl SoftwareKey {
    /// Reads a PKCS#8 private key on P-256.
    pub fn from_pkcs8_der(der: &[u8], chain: Vec<Vec<u8>>) -> Result<Self, KeyFault> {
        let key = SigningKey::from_pkcs8_der(der).map_err(|error| KeyFault { detail: error.to_string() })?;
        Ok(Self { key, chain })
    }
}

impl SealKey for SoftwareKey {
    fn certificate_chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        let signature: Signature =
            self.key.sign_prehash(digest).map_err(|error| KeyFault { detail: error.to_string() })?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
