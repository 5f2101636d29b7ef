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
    ($($name:ident = $text:literal, $kind:ident, $title:literal, $advice:literal;)*) => {
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

            /// What to do about it, whatever the occurrence: for the page that the `type` of a problem names.
            /// Code is in backticks; there is no other markup.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

codes! {
    Malformed = "malformed", Malformed, "The request cannot be read",
        "`detail` says what could not be read: the JSON of the body with line and column, a query parameter, \
         or a body that ended too early. Correct the request; the same one will be refused again.";
    UnknownParameter = "unknown_parameter", Malformed, "The request has a query parameter that is not known here",
        "`detail` lists the query parameters that are known here. Correct the name or leave the parameter \
         out; nothing is ignored silently.";
    Unauthenticated = "unauthenticated", Unauthenticated, "The caller is not known",
        "Send one header `Authorization`: `Bearer csk_…` with the API key that `countersign keys create` printed, or \
         `DPoP cst_…` with an access token of the token endpoint, and its proof in the header `DPoP` (`Bearer` for a token that \
         is not bound to a DPoP key). If you do, the key or token is mistyped, cut off, or of another server.";
    KeyExpired = "key_expired", Unauthenticated, "The API key has expired",
        "Give your program the key that replaces it, or create another with `countersign keys create`. Keys end after at \
         most 90 days: rotate the next one before its end, when the mails of 14, 7 and 1 days ahead come.";
    TokenInvalid = "token_invalid", Unauthenticated, "The access token is not valid",
        "It has expired, was revoked, or is of another server; or it is bound to a DPoP key and came as `Bearer`: send it as \
         `Authorization: DPoP …` with a proof. Otherwise ask for another at the token endpoint; access tokens live for minutes, \
         so a program asks whenever the one that it has is about to end.";
    ProofInvalid = "dpop_proof_invalid", Unauthenticated, "The proof of possession does not fit",
        "The token is bound to a key. Send it as `Authorization: DPoP …` with a `DPoP` header made for this \
         very request (RFC 9449 §4), or over mutual TLS with the certificate that it was issued to (RFC 8705 §3). \
         `detail` says what did not fit.";
    NonceNeeded = "dpop_nonce_needed", Unauthenticated, "The proof of possession needs a fresh nonce",
        "Take the value of the `DPoP-Nonce` header of this answer, make a new proof with it as `nonce`, and send \
         the request again (RFC 9449 §8). Client libraries do this by themselves.";
    StepUpRequired = "step_up_required", Unauthenticated, "A person must sign in again for this",
        "The header `WWW-Authenticate` says with which level and how lately (RFC 9470). Send the person through \
         an authorization request with these `acr_values` and this `max_age`, and use the new token.";
    ScopeMissing = "scope_missing", Forbidden, "The credential lacks the scope for this",
        "`detail` names the scope that is needed. A client is registered for it (`scope` of its registration) and asks for \
         it at the token endpoint; what acts for a person may do no more than that person's role. For a program with an API key \
         create one that has it with `countersign keys create --scope …`. Give each program only the scopes that it uses.";
    CrossSite = "cross_site", Forbidden, "The request came from another site",
        "Signing pages take requests of their own pages only. Open the link from the mail again, in a browser \
         that sends the `Origin` header, and not in a frame of another site.";
    NotFound = "not_found", NotFound, "Not found",
        "Check the id, and that the key belongs to the same organization and environment: what is in `live` \
         is not found with a key of `sandbox`. What is not yours is answered like what is not there.";
    MethodNotAllowed = "method_not_allowed", Method, "The method is not offered here",
        "The `Allow` header of the answer names the methods that are offered at this address.";
    NotAcceptable = "not_acceptable", NotAcceptable, "No answer in an accepted form",
        "`detail` names the media type of the answer. Name it in `Accept`, or leave that header out.";
    RequestTimeout = "request_timeout", Timeout, "The request took too long",
        "Send it again with the same `Idempotency-Key`: if the first was done after all, you get its answer. \
         If an upload takes too long, your connection is slow or the file is large; the server's `request_s` \
         sets the time.";
    WrongState = "wrong_state", Conflict, "The envelope's state does not allow this",
        "Read the envelope and look at its `status`: `detail` says what is in the way. Wait for the status \
         that you need, or work on another envelope; to send the same request again does not help.";
    KeyState = "key_state", Conflict, "The API key's state does not allow this",
        "Read the key and look at its `state`: what has ended or was rotated is not changed any more. Change or rotate \
         the key in `replaced_by`, or create another.";
    WebhookState = "webhook_state", Conflict, "The state of the webhook endpoint or its key does not allow this",
        "`detail` says what is in the way. Read the endpoint and look at its `state`, at what blocks it, and at its keys; \
         what has ended stays so: create another.";
    WebhookUnproven = "webhook_unproven", Conflict, "The receiver of the webhook has not been proven",
        "Before live events go to it, a receiver must accept a good message and refuse a forged, a stale, a replayed and a \
         tampered one, and one with a wrong key id. Run the probes: their report says what to mend. A change of the address or the \
         profile takes a new proof.";
    NotYourTurn = "not_your_turn", Conflict, "It is not this recipient's turn",
        "Others act first, as the routing orders say. A link is mailed by itself when it is this recipient's \
         turn; a copy goes out when everybody has acted. Nothing needs to be done.";
    AlreadyDone = "already_done", Conflict, "This recipient has already acted",
        "Nothing was changed by this request, and what was done before counts. The receipt shows it.";
    Busy = "busy", Conflict, "Too many others are changing this now",
        "Nothing was changed. Send the request again after the seconds in `Retry-After`, with the same \
         `Idempotency-Key`.";
    IdempotencyInFlight = "idempotency_in_flight", Conflict, "The first request with this key is still in work",
        "Ask again after the seconds in `Retry-After`, with the same key and the same request, and you get \
         the answer of the first. Do not take a new key, or it may be done twice.";
    DocumentChanged = "document_changed", Conflict, "The document is not the one that was shown",
        "What is stored is not what the sender uploaded, or not what the page showed, so nothing was signed. \
         Reload the page once; if it stays so, the operator runs `countersign doctor`, which names the \
         document, and restores it from the backup.";
    Declined = "declined", Gone, "The envelope was declined",
        "A recipient declined, and nobody can sign any more. Talk to that person, then create a new envelope.";
    Voided = "voided", Gone, "The envelope was voided",
        "The sender ended the envelope before it was complete. Whoever expected it asks the sender; the \
         sender creates a new one if it is wanted after all.";
    Expired = "expired", Gone, "The envelope has expired",
        "The time for signing is over. The sender creates a new envelope, with a larger `lifetime_s` if \
         people need more time.";
    LinkExpired = "link_expired", Gone, "The link has expired",
        "Links end after a while, and when a newer one is mailed. Open the newest mail, or have the sender \
         send the link again (`POST /v1/envelopes/{envelope}/resend`).";
    LinkUsed = "link_used", Gone, "The link was used",
        "A link of an account works once. If it was you, sign in; if it was not, tell the owner of your organization \
         and ask for a new one.";
    SignInNeeded = "sign_in_needed", Unauthenticated, "Somebody must sign in for this",
        "Sign in at `/signin`. Sessions end after 30 minutes without activity, after 12 hours, and when a password or a \
         factor changes.";
    SignInRefused = "sign_in_refused", Forbidden, "The sign-in was refused",
        "Address, password, code or passkey were not right, or were tried too often; which of them is not told. Wait a \
         moment, then try again, or reset the password.";
    SessionEnded = "session_ended", Unauthenticated, "The signing session has ended",
        "Sessions end after 30 minutes without activity, after 12 hours, and when a newer link is mailed. Open the \
         link from the newest mail. What was typed in a tab is kept if the link is opened in that tab.";
    TooLarge = "too_large", TooLarge, "Too large",
        "`detail` names the limit in bytes. Make the file smaller, for example by reducing the resolution of \
         its images, or split the document.";
    UnsupportedMediaType = "unsupported_media_type", MediaType, "The content type is not taken here",
        "`detail` says what is taken here: send JSON as `application/json`, documents as `application/pdf`, \
         and no body where none is taken.";
    Invalid = "invalid", Unprocessable, "A value cannot be taken",
        "`pointer` names the place in the request body, and `detail` what it must be. Correct it and send it \
         again.";
    FieldMissing = "field_missing", Unprocessable, "A required field has no value",
        "`pointer` names the field. Fill it and send again; a field that may stay empty is made with \
         `\"required\": false`.";
    PdfRefused = "pdf_refused", Unprocessable, "The PDF cannot be sealed safely",
        "`reason` is the code of the inspection, and `detail` says what to do about it. The file is never \
         repaired here, because the signed one must begin with the uploaded bytes. `countersign inspect FILE` \
         says the same without an upload.";
    IdempotencyMissing = "idempotency_key_missing", Malformed, "The Idempotency-Key header is missing",
        "Send one header `Idempotency-Key` with every `POST`: a new random text of visible ASCII characters \
         for each thing that you want done, and the same one when you try that thing again.";
    IdempotencyMismatch = "idempotency_mismatch", Unprocessable, "The Idempotency-Key was used for another request",
        "The key belongs to another path or another body, byte by byte. Take a new key for a new request; to \
         repeat the first, send exactly what you sent then.";
    ConsentMissing = "consent_missing", Conflict, "Consent has not been given",
        "Open the link again: the page shows the disclosure and asks for consent before it goes on. If its \
         text has changed meanwhile, it is to be read and agreed to again.";
    FactorMissing = "factor_missing", Forbidden, "The recipient has not been identified in this session",
        "Open the page again: it asks for what is missing, a code or a passkey. A mailed code counts in the browser that \
         asked for it only.";
    FactorLocked = "factor_locked", Forbidden, "Too many wrong codes, or a passkey that may be a copy",
        "Neither code nor passkey is taken any more with this link. The sender sends a new one (`POST \
         /v1/envelopes/{envelope}/resend`), and everything can go on.";
    PasskeyRefused = "passkey_refused", Forbidden, "The passkey's answer is not taken",
        "`detail` says what was wrong with it. Try again with the passkey that was made for this request. Whoever has \
         lost it asks the sender for a new envelope.";
    CodeExpired = "code_expired", Gone, "The code has expired",
        "Ask for a new code and type the one of the newest mail.";
    TooMany = "too_many", TooMany, "Too often",
        "`detail` says what was asked too often. Recipients ask the sender for a new link; senders create a \
         new envelope for what they still need. Nothing that was signed is touched, and whatever there is to read \
         and to download is still given.";
    HeadersTooLarge = "headers_too_large", Headers, "The request headers are too large",
        "`detail` names the limits. Send fewer or smaller headers; on a signing page, delete the cookies of \
         this site.";
    Overloaded = "overloaded", Unavailable, "Too many requests are in work",
        "Send it again after the seconds in `Retry-After`, later each time. Operators who see it often set \
         `server.requests` higher or add a server.";
    NotReady = "not_ready", Unavailable, "The server is not ready",
        "Send it again after the seconds in `Retry-After`, with the same `Idempotency-Key`. If `GET /ready` \
         stays so, the operator sees to the database and the folder of documents; the log names the cause.";
    SealUnavailable = "seal_unavailable", Unavailable, "Nothing can be sealed at this moment",
        "The last act of an envelope is taken when its seal can follow. Nothing was recorded and nothing is lost: \
         act again later. The operator renews the certificate that seals; the log names the day on which it ended.";
}
