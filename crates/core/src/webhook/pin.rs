//! Pins of a receiver's key (W-7): beside the authorities that vouch for its certificate, its owner says which key it has.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::digest::Digest;

/// SHA-256 of the SubjectPublicKeyInfo of a certificate (RFC 7469 §2.4), written `sha256/` and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(Digest);

/// Text that is no pin.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "a pin is `sha256/` and 44 letters of base64, of the receiver's public key: `openssl x509 -pubkey -noout -in server.pem | openssl \
     pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`"
)]
pub struct NotAPin;

impl Pin {
    /// The pin of a key by its SubjectPublicKeyInfo in DER.
    pub fn of(spki: &[u8]) -> Self {
        Self(Digest::of(spki))
    }

    /// Reads several: each once, in one order. The first that is none is told with its place.
    pub fn read_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, (usize, NotAPin)> {
        let read =
            texts.into_iter().enumerate().map(|(place, text)| text.parse().map_err(|none| (place, none)));
        let mut pins = read.collect::<Result<Vec<Self>, _>>()?;
        pins.sort_unstable();
        pins.dedup();
        Ok(pins)
    }

    /// The hash.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0.0))
    }
}

impl FromStr for Pin {
    type Err = NotAPin;

    fn from_str(text: &str) -> Result<Self, NotAPin> {
        let encoded = text.strip_prefix("sha256/").ok_or(NotAPin)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NotAPin)?;
        bytes.try_into().map(|bytes| Self(Digest(bytes))).map_err(|_| NotAPin)
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_each_is_once_and_the_wrong_one_is_found() {
        let (one, other) = (Pin::of(b"a key").to_string(), Pin::of(b"another").to_string());
        let both = Pin::read_all([one.as_str(), other.as_str(), one.as_str()]).unwrap();
        assert_eq!(both, Pin::read_all([other.as_str(), one.as_str()]).unwrap());
        assert_eq!(both.len(), 2);
        assert_eq!(Pin::read_all([one.as_str(), "sha256/"]), Err((1, NotAPin)));
        assert_eq!(Pin::read_all([]), Ok(Vec::new()));
    }

    #[test]
    fn a_pin_is_written_in_one_way() {
        let pin = Pin::of(b"a key");
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert_eq!(pin.to_string().len(), "sha256/".len() + 44);
        let short = format!("sha256/{}", STANDARD.encode([1; 31]));
        let text = pin.to_string();
        for wrong in [
            "",
            "sha256/",
            text.trim_start_matches("sha256/"),
            &text.replace("sha256", "sha1"),
            &text.replace('=', ""),
            &short,
        ] {
            assert_eq!(wrong.parse::<Pin>(), Err(NotAPin), "{wrong}");
        }
    }
}
