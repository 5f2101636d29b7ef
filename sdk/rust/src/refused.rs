//! Why a webhook is refused, with the status and the code of the wire format.

use thiserror::Error;

/// Why a message is not taken. Answer with [`status`](Self::status); log the [`code`](Self::code) and the text.
///
/// The texts are for those who run the receiver. They hold nothing of the message besides names of headers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The body is longer than what is taken.
    #[error(
        "the body is longer than {bytes_max} bytes: stop reading there, and check that nothing in between adds to it"
    )]
    TooLarge {
        /// How long a body may be.
        bytes_max: usize,
    },
    /// The body is compressed or otherwise encoded.
    #[error(
        "the message has a content-encoding: it is sent without one, so let nothing in between compress requests"
    )]
    UnsupportedEncoding,
    /// A header is missing, there twice, or not in form.
    #[error("the header {header} {problem}: hand over all headers of the request as they came in")]
    Malformed {
        /// The header, in lower case.
        header: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// It was signed too long ago.
    #[error(
        "the message was signed more than {window_s} seconds ago: it is old, or this machine's clock is fast; set it by NTP"
    )]
    Stale {
        /// How far the time may be from this machine's clock, in seconds.
        window_s: u32,
    },
    /// It was signed in what is the future here.
    #[error(
        "the message was signed more than {window_s} seconds from now: this machine's clock is slow; set it by NTP"
    )]
    Future {
        /// How far the time may be from this machine's clock, in seconds.
        window_s: u32,
    },
    /// None of the keys that the message names is held, for what was configured.
    #[error(
        "no key that the message names is held here: give the verifier the endpoint's secret or public keys under their ids, the staged key too"
    )]
    UnknownKey,
    /// No signature of the accepted kind by a held key is right.
    #[error(
        "no signature of an accepted kind is right: hand over the body byte for byte, and check the secret or key of that id, what the endpoint signs with, and the URL it sends to"
    )]
    BadSignature,
    /// The same attempt was seen before.
    #[error(
        "this very attempt was seen before: somebody sends it again; nothing is to be done, the message itself was taken"
    )]
    Replayed,
    /// It is ours, and is no event.
    #[error(
        "the body is signed and is no event ({reason}): update this library, and tell Countersign if that does not help"
    )]
    NotAnEvent {
        /// What is wrong with the body.
        reason: &'static str,
    },
    /// What is needed to judge it could not be reached: the replay store, or the public keys. It is not said on the
    /// wire format's page, since the fault is the receiver's own; the sender tries again.
    #[error("the message cannot be judged now ({reason}): mend that; it is sent again")]
    Unavailable {
        /// What could not be reached.
        reason: String,
    },
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is there more than once.
    #[error("is there more than once")]
    Repeated,
    /// It is longer than what it can hold.
    #[error("is too long")]
    TooLong,
    /// It is not what the wire format says.
    #[error("is not in the form of the wire format")]
    NotInForm,
    /// It contradicts another header.
    #[error("does not agree with the other headers")]
    Contradiction,
    /// It is in form, and does not cover what it has to, or covers what is not there.
    #[error("does not list what a signature has to cover, or lists what is not there")]
    Incomplete,
}

impl Refused {
    /// The HTTP status to answer with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed { .. } | Self::Future { .. } | Self::NotAnEvent { .. } => 400,
            Self::UnknownKey | Self::BadSignature => 401,
            Self::Stale { .. } => 408,
            Self::Replayed => 409,
            Self::TooLarge { .. } => 413,
            Self::UnsupportedEncoding => 415,
            Self::Unavailable { .. } => 503,
        }
    }

    /// The name of the reason, which never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::Malformed { .. } => "malformed",
            Self::Stale { .. } => "stale",
            Self::Future { .. } => "future",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Replayed => "replayed",
            Self::NotAnEvent { .. } => "not_an_event",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    pub(crate) const fn malformed(header: &'static str, problem: Problem) -> Self {
        Self::Malformed { header, problem }
    }
}
