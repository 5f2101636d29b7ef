//! The webhook headers, read strictly: each once, in form, and no longer than it can be.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::event::Class;
use crate::ids::{AttemptId, CorrelationId, KeyId, MessageId};
use crate::incoming::{Incoming, printable};
use crate::refused::{Problem, Refused};

pub(crate) const ID: &str = "webhook-id";
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
pub(crate) const SIGNATURE: &str = "webhook-signature";
pub(crate) const KEY_ID: &str = "webhook-key-id";
pub(crate) const ATTEMPT_ID: &str = "webhook-attempt-id";
pub(crate) const EVENT_CLASS: &str = "webhook-event-class";
pub(crate) const SEQUENCE: &str = "webhook-sequence";
pub(crate) const CORRELATION_ID: &str = "correlation-id";

/// An id is 30 characters; a little more is read, so that a longer one is "not in form".
const ID_BYTES_MAX: usize = 64;
/// Two ids and a space.
const KEY_IDS_BYTES_MAX: usize = 128;
const KEY_IDS_MAX: usize = 2;
/// Four signatures of 64 bytes, with room for a scheme that is not known yet.
const SIGNATURES_BYTES_MAX: usize = 2048;
const SIGNATURES_MAX: usize = 4;

/// What the headers say.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) id: MessageId,
    pub(crate) timestamp_s: i64,
    pub(crate) signatures: Vec<Signature>,
    pub(crate) key_ids: Vec<KeyId>,
    pub(crate) attempt_id: AttemptId,
    pub(crate) class: Option<Class>,
    pub(crate) sequence: Option<u64>,
    pub(crate) correlation_id: Option<CorrelationId>,
}

/// One signature of `webhook-signature`: its bytes, in form, and of whatever length they came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) scheme: Scheme,
    pub(crate) bytes: Vec<u8>,
}

/// How a signature of `webhook-signature` is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    V1,
    V1a,
    /// One that comes after this library.
    Unknown,
}

impl Headers {
    pub(crate) fn read(incoming: &Incoming<'_>) -> Result<Self, Refused> {
        Ok(Self {
            id: id(incoming, ID)?,
            timestamp_s: in_form(TIMESTAMP, decimal(incoming.required(TIMESTAMP, ID_BYTES_MAX)?, 12))?,
            signatures: in_form(SIGNATURE, signatures(incoming.required(SIGNATURE, SIGNATURES_BYTES_MAX)?))?,
            key_ids: key_ids(incoming)?,
            attempt_id: id(incoming, ATTEMPT_ID)?,
            class: optional(incoming, EVENT_CLASS, Class::read)?,
            sequence: optional(incoming, SEQUENCE, sequence)?,
            correlation_id: optional(incoming, CORRELATION_ID, |text| text.parse().ok())?,
        })
    }
}

/// `webhook-key-id`: one or two ids, which differ.
pub(crate) fn key_ids(incoming: &Incoming<'_>) -> Result<Vec<KeyId>, Refused> {
    let text = incoming.required(KEY_ID, KEY_IDS_BYTES_MAX)?;
    let ids: Option<Vec<KeyId>> = text.split(' ').map(|id| id.parse().ok()).collect();
    let are_right =
        |ids: &Vec<KeyId>| ids.len() <= KEY_IDS_MAX && (ids.len() < 2 || ids.first() != ids.last());
    in_form(KEY_ID, ids.filter(are_right))
}

/// Refuses a body that is encoded: every line of `content-encoding` has to be `identity`.
pub(crate) fn refuse_encoding(incoming: &Incoming<'_>) -> Result<(), Refused> {
    let is_identity =
        |line: &[u8]| printable(line).is_some_and(|line| line.trim().eq_ignore_ascii_case("identity"));
    if incoming.lines("content-encoding").all(is_identity) {
        Ok(())
    } else {
        Err(Refused::UnsupportedEncoding)
    }
}

fn id<T: std::str::FromStr>(incoming: &Incoming<'_>, name: &'static str) -> Result<T, Refused> {
    in_form(name, incoming.required(name, ID_BYTES_MAX)?.parse().ok())
}

fn optional<T>(
    incoming: &Incoming<'_>,
    name: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refused> {
    let text = incoming.optional(name, ID_BYTES_MAX)?;
    text.map(|text| in_form(name, read(text))).transpose()
}

fn in_form<T>(name: &'static str, read: Option<T>) -> Result<T, Refused> {
    read.ok_or(Refused::malformed(name, Problem::NotInForm))
}

/// A number in decimal digits, as it is written: no sign, no zero before it.
fn decimal<T: std::str::FromStr>(text: &str, digits_max: usize) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (!text.starts_with('0') || text == "0");
    if is_plain && text.len() <= digits_max { text.parse().ok() } else { None }
}

fn sequence(text: &str) -> Option<u64> {
    decimal(text, 20).filter(|sequence| *sequence > 0)
}

/// One to four signatures with one space between them, those of unknown schemes too: each a scheme, a comma, and padded
/// base64 in its one canonical spelling (RFC 4648 §4).
fn signatures(text: &str) -> Option<Vec<Signature>> {
    let read: Option<Vec<Signature>> =
        text.split(' ').take(SIGNATURES_MAX.saturating_add(1)).map(signature).collect();
    read.filter(|signatures| signatures.len() <= SIGNATURES_MAX)
}

fn signature(text: &str) -> Option<Signature> {
    let (name, encoded) = text.split_once(',')?;
    let scheme = match name {
        "v1" => Scheme::V1,
        "v1a" => Scheme::V1a,
        _ => Scheme::Unknown,
    };
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = STANDARD.decode(encoded).ok()?;
    (is_name && !bytes.is_empty()).then_some(Signature { scheme, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_one_way() {
        assert_eq!(decimal("0", 12), Some(0));
        assert_eq!(decimal("1795342830", 12), Some(1_795_342_830));
        for bad in ["", "+1", "-1", " 1", "1 ", "01", "1.0", "1e3", "0x1", "1234567890123", "१"] {
            assert_eq!(decimal::<i64>(bad, 12), None, "{bad}");
        }
        assert_eq!(sequence("18446744073709551615"), Some(u64::MAX));
        assert_eq!(sequence("18446744073709551616"), None);
        assert_eq!(sequence("0"), None);
    }

    #[test]
    fn signatures_are_listed_with_one_space_between_them() {
        let v1 = format!("v1,{}", STANDARD.encode([7; 32]));
        let v1a = format!("v1a,{}", STANDARD.encode([8; 64]));
        let three = signatures(&format!("{v1} v2x,AAAA {v1a}")).unwrap();
        assert_eq!(
            three.iter().map(|one| one.scheme).collect::<Vec<_>>(),
            [Scheme::V1, Scheme::Unknown, Scheme::V1a]
        );
        assert_eq!((three[0].bytes.as_slice(), three[2].bytes.len()), ([7; 32].as_slice(), 64));
        assert_eq!(signatures(&[v1.as_str(); 4].join(" ")).unwrap().len(), 4);
        let five = [v1.as_str(); 5].join(" ");
        for bad in [
            "",
            " ",
            "v1",
            "v1,",
            ",AAAA",
            "v1,abc",
            "V1,AAAA",
            "1v,AAAA",
            "v-1,AAAA",
            &format!("{v1}  {v1a}"),
            &format!("{v1} "),
            &five,
        ] {
            assert_eq!(signatures(bad), None, "{bad}");
        }
        // The last character before the padding has bits that mean nothing: they have to be zero.
        assert_eq!(signatures(&v1.replace("c=", "d=")), None);
    }
}
