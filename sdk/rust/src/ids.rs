//! The names that stand in headers, each with its prefix and of a length that never varies.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How many characters an id has: a prefix of four and 26 more.
const LENGTH: usize = 30;

/// A text that is not an id of the kind that was wanted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("this is no id of the kind wanted: it is `{0}` and 26 characters of 0-9a-z without i, l, o and u")]
pub struct NotAnId(&'static str);

fn read(text: &str, prefix: &'static str) -> Result<[u8; LENGTH], NotAnId> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'h' | b'j' | b'k' | b'm' | b'n' | b'p'..=b't' | b'v'..=b'z');
    let rest = text.strip_prefix(prefix).ok_or(NotAnId(prefix))?;
    if !rest.bytes().all(is_digit) {
        return Err(NotAnId(prefix));
    }
    text.as_bytes().try_into().map_err(|_| NotAnId(prefix))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            /// The id as it stands in the header.
            pub fn as_str(&self) -> &str {
                // It was read from ASCII.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                read(text, $prefix).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

id! {
    /// What a message is called (`webhook-id`): the same in every attempt, so that a receiver can act once.
    MessageId, "msg_"
}
id! {
    /// Which key signed (`webhook-key-id`), and what it is called in the JWK set.
    KeyId, "whk_"
}
id! {
    /// What one attempt to deliver a message is called (`webhook-attempt-id`), for both sides' logs.
    AttemptId, "att_"
}
id! {
    /// The request or job that caused the event (`correlation-id`), as in the server's logs.
    CorrelationId, "cor_"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_prefix_and_twenty_six_characters_of_the_alphabet() {
        let good = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw";
        assert_eq!(good.parse::<MessageId>().unwrap().to_string(), good);
        for bad in [
            "",
            "msg_",
            "msg_01kb1x8a9wh5t0c8m2q4r6s7v",
            "msg_01kb1x8a9wh5t0c8m2q4r6s7vww",
            "msg_01kb1x8a9wh5t0c8m2q4r6s7vi",
            "msg_01KB1X8A9WH5T0C8M2Q4R6S7VW",
            "whk_01kb1x8a9wh5t0c8m2q4r6s7vw",
            "msg_01kb1x8a9wh5t0c8m2q4r6s7é",
        ] {
            assert_eq!(bad.parse::<MessageId>(), Err(NotAnId("msg_")), "{bad}");
        }
        assert!(good.parse::<KeyId>().unwrap_err().to_string().contains("whk_"));
    }
}
