//! Signatures of passkeys by the server's own library (E-7).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use countersign_core::envelope::passkey::{PublicKey, VerifyPasskey};

/// Verifies by aws-lc.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnPasskeys;

impl VerifyPasskey for OwnPasskeys {
    fn is_signed(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let (algorithm, key): (&'static dyn VerificationAlgorithm, Vec<u8>) = match key {
            // An uncompressed point (SEC 1 §2.3.3).
            PublicKey::Es256 { x, y } => {
                (&ECDSA_P256_SHA256_ASN1, [&[4], x.as_slice(), y.as_slice()].concat())
            }
            PublicKey::EdDsa(key) => (&ED25519, key.to_vec()),
        };
        UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
    }
}
