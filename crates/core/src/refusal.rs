//! What we tell a caller who asked for something that cannot be: a stable code, a sentence that says what to do,
//! and where in the request it was. What broke on our side is a `Fault` and lives elsewhere.

use thiserror::Error;

/// A refusal: shown to the caller as it is, so it never holds anything about another caller or a person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: {sentence}", code.text())]
pub struct Refusal {
    /// Stable code.
    pub code: Code,
    /// What is wrong and what to do.
    pub sentence: String,
    /// JSON Pointer (RFC 6901) to the offending part of the request body, where there is one.
    pub pointer: Option<String>,
}

impl Refusal {
    /// A refusal of the whole request.
    pub fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), pointer: None }
    }

    /// A refusal of one part of the request body.
    pub fn at(code: Code, pointer: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), pointer: Some(pointer.into()) }
    }

    /// The one answer for everything that is not there or not the caller's.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing here, or your key may not see it")
    }
}

/// What kind of failure a code is; HTTP turns it into a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is malformed (400).
    Malformed,
    /// Who calls is not known (401).
    Unauthenticated,
    /// The caller is known and may not (403).
    Forbidden,
    /// Not there, or not the caller's (404).
    NotFound,
    /// The method is not offered here (405).
    Method,
    /// No answer in an accepted form (406).
    NotAcceptable,
    /// The request did not arrive in time (408).
    Timeout,
    /// The state of the thing forbids it now (409).
    Conflict,
    /// It was there and is no longer (410).
    Gone,
    /// Too large (413).
    TooLarge,
    /// The content type is not taken here (415).
    MediaType,
    /// Well formed, but its content cannot be taken (422).
    Unprocessable,
    /// Too often (429).
    TooMany,
    /// Too large headers (431).
    Headers,
    /// Busy or not ready (503).
    Unavailable,
}

macro_rules! codes {
    ($($name:ident = $text:literal, $kind:ident, $title:literal;)*) => {
        /// Every stable code. Codes are never renamed or given another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes, for the docs and their test.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind of failure.
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// A short title, the same for every occurrence (RFC 9457 §3.1.3).
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    Malformed = "malformed", Malformed, "The request cannot be read";
    UnknownParameter = "unknown_parameter", Malformed, "The request has a query parameter that is not known here";
    Unauthenticated = "unauthenticated", Unauthenticated, "The caller is not known";
    KeyExpired = "key_expired", Unauthenticated, "The API key has expired";
    ScopeMissing = "scope_missing", Forbidden, "The credential lacks the scope for this";
    CrossSite = "cross_site", Forbidden, "The request came from another site";
    NotFound = "not_found", NotFound, "Not found";
    MethodNotAllowed = "method_not_allowed", Method, "The method is not offered here";
    NotAcceptable = "not_acceptable", NotAcceptable, "No answer in an accepted form";
    RequestTimeout = "request_timeout", Timeout, "The request took too long";
    WrongState = "wrong_state", Conflict, "The envelope's state does not allow this";
    NotYourTurn = "not_your_turn", Conflict, "It is not this recipient's turn";
    AlreadyDone = "already_done", Conflict, "This recipient has already acted";
    Busy = "busy", Conflict, "Too many others are changing this now";
    IdempotencyInFlight = "idempotency_in_flight", Conflict, "The first request with this key is still in work";
    DocumentChanged = "document_changed", Conflict, "The document is not the one that was shown";
    Declined = "declined", Gone, "The envelope was declined";
    Voided = "voided", Gone, "The envelope was voided";
    Expired = "expired", Gone, "The envelope has expired";
    LinkExpired = "link_expired", Gone, "The link has expired";
    SessionEnded = "session_ended", Unauthenticated, "The signing session has ended";
    TooLarge = "too_large", TooLarge, "Too large";
    UnsupportedMediaType = "unsupported_media_type", MediaType, "The content type is not taken here";
    Invalid = "invalid", Unprocessable, "A value cannot be taken";
    FieldMissing = "field_missing", Unprocessable, "A required field has no value";
    PdfRefused = "pdf_refused", Unprocessable, "The PDF cannot be sealed safely";
    IdempotencyMissing = "idempotency_key_missing", Malformed, "The Idempotency-Key header is missing";
    IdempotencyMismatch = "idempotency_mismatch", Unprocessable, "The Idempotency-Key was used for another request";
    ConsentMissing = "consent_missing", Conflict, "Consent has not been given";
    FactorMissing = "factor_missing", Forbidden, "The recipient has not been identified in this session";
    FactorLocked = "factor_locked", Forbidden, "Too many wrong codes";
    CodeExpired = "code_expired", Gone, "The code has expired";
    TooMany = "too_many", TooMany, "Too often";
    HeadersTooLarge = "headers_too_large", Headers, "The request headers are too large";
    Overloaded = "overloaded", Unavailable, "Too many requests are in work";
    NotReady = "not_ready", Unavailable, "The server is not ready";
}
