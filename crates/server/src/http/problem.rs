//! The one form of an error answer (RFC 9457): a refusal is shown as it is, a fault is logged once and shown as an id.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{
    access::Operation,
    id::CorrelationId,
    oauth::{
        challenge::{Challenge, Scheme},
        error::{ErrorCode, OAuthError},
    },
    refusal::{Code, Kind, Refusal},
};
use serde::Serialize;

use crate::fault::{Failure, Fault};

/// Code, title and advice of an answer about our own fault; all others are in [`Code::ALL`].
pub const INTERNAL: (&str, &str, &str) = (
    "internal_error",
    "Something broke on our side",
    "Send it again with the same `Idempotency-Key`: what was done is not done twice. If it stays so, tell the operator \
     the `request_id`: the log says under it what broke.",
);

/// An error answer. Handlers return it; the edge writes it out with type URL and request id.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    pointer: Option<String>,
    reason: Option<&'static str>,
    about: Option<Box<About>>,
    retry_after_s: Option<u32>,
    challenge: Option<(Scheme, Operation)>,
}

/// What a link opened before its envelope ended: for the page of whoever has the link, and for no part of the API.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Name of the sender's organization.
    pub organization: String,
    /// Title of the envelope.
    pub title: String,
    /// Whether all this is a test.
    #[serde(rename = "sandbox")]
    pub is_sandbox: bool,
    /// Whether it was the link's own recipient who declined.
    pub by_you: bool,
}

/// As it is written (RFC 9457 §3).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemBody<'a> {
    /// Page about the code.
    #[schema(format = "uri")]
    r#type: String,
    /// Title of the code, always the same.
    title: &'a str,
    /// HTTP status.
    status: u16,
    /// What is wrong here, and what to do.
    detail: &'a str,
    /// Stable code.
    code: &'a str,
    /// Names this request in our logs.
    request_id: String,
    /// JSON Pointer to the offending part of the request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    /// For `pdf_refused`: the inspection's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// For the page of a signing link alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    about: Option<&'a About>,
}

/// The status of a kind of refusal.
pub fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
        Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Gone => StatusCode::GONE,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let retry_after_s = match refusal.code {
            Code::Overloaded | Code::IdempotencyInFlight | Code::Busy => Some(1),
            Code::NotReady => Some(5),
            Code::SealUnavailable => Some(3_600),
            _ => None,
        };
        Self {
            status: status_of(refusal.code.kind()),
            code: refusal.code.text(),
            title: refusal.code.title(),
            detail: refusal.sentence,
            pointer: refusal.pointer,
            reason: None,
            about: None,
            retry_after_s,
            challenge: None,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        tracing::error!(event_type = "fault", event_result = "failed", "{fault}");
        match fault {
            // It comes back by itself, or somebody sees to it: the same request may be sent again.
            Fault::Store(countersign_store::Fault::Unavailable(_)) => {
                Refusal::new(Code::NotReady, "the database does not answer; try again in a few seconds")
                    .into()
            }
            _ => Self::internal(),
        }
    }
}

impl From<countersign_store::Fault> for Problem {
    fn from(fault: countersign_store::Fault) -> Self {
        Fault::from(fault).into()
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Broken(fault) => fault.into(),
            Failure::PdfRefused { reason, sentence } => {
                let mut problem = Self::from(Refusal::new(Code::PdfRefused, sentence));
                problem.reason = Some(reason);
                problem
            }
        }
    }
}

impl Problem {
    /// Our own fault, which whoever calls this has logged.
    pub fn internal() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: INTERNAL.0,
            title: INTERNAL.1,
            detail: "this is our fault and was logged; name the request id when you report it".to_owned(),
            pointer: None,
            reason: None,
            about: None,
            retry_after_s: None,
            challenge: None,
        }
    }

    /// The same with what the caller's link opened once.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = Some(Box::new(about));
        self
    }

    /// The same for a caller that used this scheme and wanted to do that: for `WWW-Authenticate`.
    #[must_use]
    pub fn challenging(mut self, scheme: Scheme, operation: Operation) -> Self {
        self.challenge = Some((scheme, operation));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, and what to do: for pages, which show it in words.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the caller proves its possession of a key, and so needs the next nonce.
    pub fn is_about_a_proof(&self) -> bool {
        matches!(self.challenge, Some((Scheme::Dpop, _)))
    }

    /// What `WWW-Authenticate` says: for a request without a credential every scheme, for one with a credential what is
    /// wrong with it (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3, RFC 9728 §5.1).
    fn challenges(&self, public_url: &str) -> Vec<String> {
        let Some((scheme, operation)) = self.challenge else {
            return if self.status == StatusCode::UNAUTHORIZED {
                vec!["Bearer".to_owned()]
            } else {
                Vec::new()
            };
        };
        let metadata = format!("{public_url}/.well-known/oauth-protected-resource");
        let with_metadata = |scheme| {
            let mut challenge = Challenge::new(scheme);
            challenge.resource_metadata = Some(&metadata);
            challenge
        };
        let is = |code: Code| self.code == code.text();
        let code = if is(Code::TokenInvalid) || is(Code::KeyExpired) {
            ErrorCode::InvalidToken
        } else if is(Code::ProofInvalid) {
            ErrorCode::InvalidDpopProof
        } else if is(Code::NonceNeeded) {
            ErrorCode::UseDpopNonce
        } else if is(Code::ScopeMissing) {
            ErrorCode::InsufficientScope
        } else if is(Code::StepUpRequired) {
            ErrorCode::InsufficientUserAuthentication
        } else if self.status == StatusCode::UNAUTHORIZED {
            // No credential, or none that can be told: RFC 6750 §3.1 wants no error code then.
            return [Scheme::Bearer, Scheme::Dpop].map(|scheme| with_metadata(scheme).to_string()).into();
        } else {
            return Vec::new();
        };
        let error = OAuthError::new(code, &self.detail);
        let mut challenge = with_metadata(scheme).because(&error);
        challenge.scope = is(Code::ScopeMissing).then_some(operation.scope());
        challenge.step_up = operation.step_up().filter(|_| is(Code::StepUpRequired));
        vec![challenge.to_string()]
    }

    /// Writes it out as `application/problem+json`.
    pub fn render(&self, public_url: &str, correlation: CorrelationId, from: &Response) -> Response {
        let body = ProblemBody {
            r#type: format!("{public_url}/docs/errors#{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id: correlation.to_string(),
            pointer: self.pointer.as_deref(),
            reason: self.reason,
            about: self.about.as_deref(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        // What the router knows stays: `Allow` of a 405.
        if let Some(allow) = from.headers().get(header::ALLOW) {
            headers.insert(header::ALLOW, allow.clone());
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for challenge in self.challenges(public_url) {
            if let Ok(value) = HeaderValue::try_from(challenge) {
                headers.append(header::WWW_AUTHENTICATE, value);
            }
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
