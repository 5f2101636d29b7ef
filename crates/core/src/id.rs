//! Typed identifiers: a prefix that says what they identify, and 16 bytes (48 bits of time, 80 random) as 26
//! Crockford base32 characters, so that they sort by creation.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::time::Time;

/// Text that is not an identifier of the expected kind.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an identifier of this kind is written `{prefix}_` and 26 characters of 0-9a-z without i, l, o, u")]
pub struct NotAnId {
    /// What it should have begun with.
    pub prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Crockford base32 in lower case, most significant bits first, the last character padded with zero bits.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    let push = |text: &mut String, value: u32| {
        let symbol = ALPHABET.get(usize::try_from(value & 31).unwrap_or(0)).copied().unwrap_or(b'0');
        text.push(char::from(symbol));
    };
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(&mut text, buffer >> bits);
            buffer &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        push(&mut text, buffer << (5 - bits));
    }
    text
}

/// The inverse of [`base32`]; `None` for any other text, also for one whose padding bits are set.
pub(crate) fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for symbol in text.bytes() {
        let value = ALPHABET.iter().position(|a| *a == symbol)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0 && bits < 5).then_some(bytes)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What its text begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// An identifier made at `now` from ten random bytes.
            pub fn new(now: Time, random: [u8; 10]) -> Self {
                let mut bytes = [0; 16];
                let millis = now.unix_ms().to_be_bytes();
                for (to, from) in bytes.iter_mut().zip(millis.iter().skip(2).chain(random.iter())) {
                    *to = *from;
                }
                Self(bytes)
            }

            /// When it was made, in milliseconds since 1970.
            pub fn unix_ms(&self) -> i64 {
                self.0.iter().take(6).fold(0, |unix_ms, byte| unix_ms << 8 | i64::from(*byte))
            }

            /// The bytes behind the text.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The identifier with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, base32(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let wrong = NotAnId { prefix: $prefix };
                let Some(("", rest)) = text.split_once(concat!($prefix, "_")) else { return Err(wrong) };
                let bytes = from_base32(rest).ok_or(NotAnId { prefix: $prefix })?;
                Ok(Self(bytes.try_into().map_err(|_| wrong)?))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An organization: the tenant that owns envelopes, keys and members.
    OrganizationId = "org";
    /// A person whose data can be erased: one per address within an organization.
    PersonId = "per";
    /// An API key.
    ApiKeyId = "key";
    /// An envelope, and the name of its stream of events.
    EnvelopeId = "env";
    /// A document: an uploaded PDF.
    DocumentId = "doc";
    /// A recipient of one envelope.
    RecipientId = "rcp";
    /// A field of one envelope.
    FieldId = "fld";
    /// A signing link that was issued to a recipient.
    LinkId = "lnk";
    /// A signer's session.
    SessionId = "ses";
    /// A one-time code that was mailed to a recipient.
    CodeId = "cod";
    /// A mail.
    MailId = "mai";
    /// A job.
    JobId = "job";
    /// What ties a request, its jobs and its mails together (L-2).
    CorrelationId = "cor";
    /// An OAuth client (RFC 6749 §2.2): a program that acts for itself or for a member.
    ClientId = "cli";
    /// What a client was given: the root of its tokens.
    GrantId = "grt";
    /// Somebody with an account on this server.
    UserId = "usr";
    /// A session of a user on the console: where and how that user signed in.
    SignInId = "sin";
    /// A passkey, a TOTP secret or a recovery code of a user.
    AuthenticatorId = "aut";
    /// A one-time link of an account: first owner, invitation, reset.
    TicketId = "tkt";
    /// An organization's OpenID provider, as long as it is the same issuer.
    ProviderId = "prv";
    /// An event of an organization's security stream.
    SecurityEventId = "sev";
    /// A webhook endpoint.
    EndpointId = "whe";
    /// A key that signs what an endpoint is sent: what `webhook-key-id` names.
    WebhookKeyId = "whk";
    /// What a webhook says of one event, however often and to whichever endpoint it is sent: `webhook-id`.
    MessageId = "msg";
    /// One attempt of a delivery: `webhook-attempt-id`.
    AttemptId = "att";
    /// A running server that takes deliveries, under this name as long as its heartbeat goes.
    WorkerId = "wrk";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_survives_its_text(bytes: [u8; 16]) {
            let id = EnvelopeId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<EnvelopeId>(), Ok(id));
            prop_assert!(id.to_string().parse::<DocumentId>().is_err());
        }

        #[test]
        fn only_one_text_names_an_id(text in "env_[0-9a-z]{25,27}") {
            if let Ok(id) = text.parse::<EnvelopeId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn ids_sort_by_creation() {
        let early = EnvelopeId::new(Time::from_unix_ms(1_000), [255; 10]);
        let late = EnvelopeId::new(Time::from_unix_ms(1_001), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(late.unix_ms(), 1_001);
    }
}
