//! The seal key in memory, for servers without a token.

use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use countersign_pdf::seal::{KeyFault, SealKey};

/// A P-256 key held in memory, with its certificates.
pub(super) struct SoftwareKey {
    key: EcdsaKeyPair,
    chain: Vec<Vec<u8>>,
}

fn refused(error: impl ToString) -> KeyFault {
    KeyFault { detail: error.to_string() }
}

impl SoftwareKey {
    /// Reads a PKCS#8 private key.
    pub(super) fn from_pkcs8_der(der: &[u8], chain: Vec<Vec<u8>>) -> Result<Self, KeyFault> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).map_err(refused)?;
        Ok(Self { key, chain })
    }
}

impl SealKey for SoftwareKey {
    fn certificate_chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        let digest = Digest::import_less_safe(digest, &SHA256).map_err(refused)?;
        Ok(self.key.sign_digest(&digest).map_err(refused)?.as_ref().to_vec())
    }
}
