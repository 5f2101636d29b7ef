//! The shared secret of a key, and what is made with it: `v1`.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ids::MessageId;
use crate::public::KeyError;

const PREFIX: &str = "whsec_";

/// The shared secret of a key: `whsec_` and base64 of 32 bytes. It has no `Display`, its `Debug` shows nothing, and
/// its memory is wiped.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes 32 bytes from a source of randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret as it is shown once to the endpoint's owner: every call is a place where it may leak.
    pub fn expose(&self) -> Zeroizing<String> {
        // The encoding is made in place: a part that is put together elsewhere would not be wiped.
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(PREFIX);
        STANDARD.encode_string(self.0.as_slice(), &mut text);
        text
    }

    /// Makes the signature `v1,…` of a message (HMAC-SHA256, RFC 2104).
    pub fn sign(&self, id: &MessageId, timestamp_s: i64, body: &[u8]) -> String {
        let mut text = String::from("v1,");
        STANDARD.encode_string(self.mac(id, timestamp_s, body).finalize().into_bytes(), &mut text);
        text
    }

    /// Whether `signature` is that of the message, compared in constant time.
    pub(crate) fn verify(&self, id: &MessageId, timestamp_s: i64, body: &[u8], signature: &[u8]) -> bool {
        self.mac(id, timestamp_s, body).verify_slice(signature).is_ok()
    }

    fn mac(&self, id: &MessageId, timestamp_s: i64, body: &[u8]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            unreachable!("HMAC takes a key of any length (RFC 2104 §3)")
        };
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl FromStr for Secret {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::NotASecret)?;
        // One byte of room more than fits, so that a longer secret is seen.
        let mut bytes = Zeroizing::new([0; 48]);
        let length =
            STANDARD.decode_slice(encoded, bytes.as_mut_slice()).map_err(|_| KeyError::NotASecret)?;
        let bytes = bytes.get(..length).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self::from_bytes).ok_or(KeyError::NotASecret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_thirty_two_bytes_and_is_not_printed() {
        let text = format!("whsec_{}", STANDARD.encode([7; 32]));
        let secret: Secret = text.parse().unwrap();
        assert_eq!(*secret.expose(), text);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let lengths = [0, 16, 31, 33, 64].map(|length| format!("whsec_{}", STANDARD.encode(vec![7; length])));
        for bad in
            lengths.iter().map(String::as_str).chain(["", "whsec_", "whpk_AAAA", &text.replace('=', "")])
        {
            assert_eq!(bad.parse::<Secret>().unwrap_err(), KeyError::NotASecret, "{bad}");
        }
    }
}
