//! Answers of the authorization server: JSON that nobody keeps (RFC 6749 §5.1), and errors with their registered codes.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::oauth::error::{ErrorCode, OAuthError};
use countersign_store::Fault as StoreFault;
use serde_json::Value;

use crate::{
    fault::{Failure, Fault},
    http::problem::Problem,
};

/// The nonce for the next proof (RFC 9449 §8.1).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Why the authorization server does not do what it was asked.
#[derive(Debug)]
pub enum Denied {
    /// The caller's doing.
    Error(OAuthError),
    /// The caller's doing: too many, and in how many seconds the next one may come (RFC 6585 §4).
    TooMany(u64),
    /// Ours.
    Broken(Fault),
}

impl From<OAuthError> for Denied {
    fn from(error: OAuthError) -> Self {
        Self::Error(error)
    }
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<StoreFault> for Denied {
    fn from(fault: StoreFault) -> Self {
        Self::Broken(fault.into())
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Error(OAuthError::request(refusal.sentence)),
            Failure::Broken(fault) => Self::Broken(fault),
            Failure::PdfRefused { sentence, .. } => Self::Error(OAuthError::request(sentence)),
        }
    }
}

/// How an answer ended, for the one log line of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome(pub &'static str);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Error(error) => error,
            Self::TooMany(after_s) => return too_many(after_s),
            Self::Broken(fault) => {
                // Logged there, once.
                let problem = Problem::from(fault);
                match problem.status() {
                    StatusCode::SERVICE_UNAVAILABLE => OAuthError::new(
                        ErrorCode::TemporarilyUnavailable,
                        "the database does not answer: try again in a few seconds",
                    ),
                    _ => OAuthError::new(
                        ErrorCode::ServerError,
                        "this is our fault and was logged: name the X-Request-Id when you report it",
                    ),
                }
            }
        };
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = told(status, &error);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            // Of the ways in which clients prove themselves, only this one is a scheme of HTTP (RFC 6749 §5.2).
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"oauth\""));
        }
        response
    }
}

fn told(status: StatusCode, error: &OAuthError) -> Response {
    let mut response = (status, Json(error.body())).into_response();
    response.extensions_mut().insert(Outcome(error.code.text()));
    unkept(response.headers_mut());
    response
}

fn too_many(after_s: u64) -> Response {
    let sentence = format!("too many requests of this client in a minute: try again in {after_s} seconds");
    let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence);
    let mut response = told(StatusCode::TOO_MANY_REQUESTS, &error);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after_s));
    response
}

fn unkept(headers: &mut axum::http::HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// A good answer.
pub fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    unkept(response.headers_mut());
    response
}
