//! Signatures of passkeys in pure Rust, for whoever checks them offline (E-7).

use countersign_core::envelope::passkey::{PublicKey, VerifyPasskey};
use ed25519_dalek::{Signature as EdDsaSignature, VerifyingKey as EdDsaKey};
use p256::ecdsa::{DerSignature, VerifyingKey as Es256Key, signature::Verifier as _};

/// Verifies by p256 and ed25519-dalek.
#[derive(Clone, Copy, Debug, Default)]
pub struct PurePasskeys;

impl VerifyPasskey for PurePasskeys {
    fn is_signed(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match key {
            PublicKey::Es256 { x, y } => is_es256(x, y, message, signature).is_some(),
            PublicKey::EdDsa(key) => is_eddsa(key, message, signature).is_some(),
        }
    }
}

/// ECDSA on P-256 with SHA-256, the key as an uncompressed point (SEC 1 §2.3.3).
fn is_es256(x: &[u8; 32], y: &[u8; 32], message: &[u8], signature: &[u8]) -> Option<()> {
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let key = Es256Key::from_sec1_bytes(&point).ok()?;
    key.verify(message, &DerSignature::from_bytes(signature).ok()?).ok()
}

/// Ed25519 without malleable signatures or weak keys (RFC 8032 §5.1.7).
fn is_eddsa(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = EdDsaKey::from_bytes(key).ok()?;
    key.verify_strict(message, &EdDsaSignature::from_slice(signature).ok()?).ok()
}
