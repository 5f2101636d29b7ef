//! HMAC-SHA256 (RFC 2104) with secrets of any length: what presets are verified and forwarded messages signed with.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret that is never printed, and whose memory is wiped.
#[derive(Clone)]
pub struct MacKey(Zeroizing<Vec<u8>>);

impl MacKey {
    /// Takes the bytes of a text as they are, as Stripe, GitHub and DocuSign do.
    pub fn of_text(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// Reads a secret of Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes.
    pub fn of_standard(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix("whsec_")?).ok()?);
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The code of what the parts are when they stand together.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether `code` is that of the parts, compared in constant time.
    pub fn is_right(&self, parts: &[&[u8]], code: &[u8]) -> bool {
        self.mac(parts).verify_slice(code).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes a key of any length (RFC 2104 §3)")
        };
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.3.
    #[test]
    fn the_rfcs_own_code_is_right() {
        let key = MacKey::of_text("Jefe");
        let code = hex::encode(key.sign(&[b"what do ya want ", b"for nothing?"]));
        assert_eq!(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(key.is_right(&[b"what do ya want for nothing?"], &hex::decode(code).unwrap()));
        assert!(!key.is_right(&[b"what do ya want for nothing?"], &[]));
        assert_eq!(format!("{key:?}"), "MacKey(…)");
    }

    #[test]
    fn a_secret_of_standard_webhooks_has_a_form() {
        let text = |length| format!("whsec_{}", STANDARD.encode(vec![7_u8; length]));
        for good in [24, 32, 64] {
            assert!(MacKey::of_standard(&text(good)).is_some());
        }
        for bad in [text(23), text(65), "whsec_".into(), "whsec_!".into(), text(32).replace("whsec_", "")] {
            assert!(MacKey::of_standard(&bad).is_none(), "{bad}");
        }
    }
}
