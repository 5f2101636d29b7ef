//! Errors as OAuth has them: a registered code and a sentence for the developer, who gets both as they are (RFC 6749
//! §5.2, §4.1.2.1). No sentence says anything about a person, or whether somebody or something exists.

use serde_json::{Value, json};
use thiserror::Error;

/// Longest description, in characters.
const DESCRIPTION_CHARS: usize = 400;

macro_rules! codes {
    ($($name:ident = $text:literal, $status:literal, $source:literal;)*) => {
        /// A code of the registry of OAuth extensions errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $(#[doc = $source] $name,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status of HTTP with which an endpoint of the authorization server answers.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "RFC 6749 §5.2";
    InvalidClient = "invalid_client", 401, "RFC 6749 §5.2";
    InvalidGrant = "invalid_grant", 400, "RFC 6749 §5.2";
    UnauthorizedClient = "unauthorized_client", 400, "RFC 6749 §5.2";
    UnsupportedGrantType = "unsupported_grant_type", 400, "RFC 6749 §5.2";
    UnsupportedResponseType = "unsupported_response_type", 400, "RFC 6749 §4.1.2.1";
    InvalidScope = "invalid_scope", 400, "RFC 6749 §5.2";
    AccessDenied = "access_denied", 403, "RFC 6749 §4.1.2.1";
    ServerError = "server_error", 500, "RFC 6749 §4.1.2.1";
    TemporarilyUnavailable = "temporarily_unavailable", 503, "RFC 6749 §4.1.2.1";
    InvalidToken = "invalid_token", 401, "RFC 6750 §3.1";
    InsufficientScope = "insufficient_scope", 403, "RFC 6750 §3.1";
    UnsupportedTokenType = "unsupported_token_type", 400, "RFC 7009 §2.2.1";
    InvalidTarget = "invalid_target", 400, "RFC 8707 §2";
    InvalidAuthorizationDetails = "invalid_authorization_details", 400, "RFC 9396 §5";
    InvalidDpopProof = "invalid_dpop_proof", 400, "RFC 9449 §5";
    UseDpopNonce = "use_dpop_nonce", 400, "RFC 9449 §8";
    InsufficientUserAuthentication = "insufficient_user_authentication", 401, "RFC 9470 §3";
    LoginRequired = "login_required", 400, "OpenID Connect Core §3.1.2.6";
    ConsentRequired = "consent_required", 400, "OpenID Connect Core §3.1.2.6";
    InteractionRequired = "interaction_required", 400, "OpenID Connect Core §3.1.2.6";
    UnmetAuthenticationRequirements =
        "unmet_authentication_requirements", 400, "OpenID Connect Core Unmet Authentication Requirements §2";
    RequestNotSupported = "request_not_supported", 400, "OpenID Connect Core §3.1.2.6";
    RequestUriNotSupported = "request_uri_not_supported", 400, "OpenID Connect Core §3.1.2.6";
    InvalidRequestUri = "invalid_request_uri", 400, "OpenID Connect Core §3.1.2.6";
}

impl ErrorCode {
    /// The status of HTTP with which a protected resource answers: a proof that does not fit is 401 there (RFC 9449 §7.1).
    pub fn resource_status(self) -> u16 {
        match self {
            Self::InvalidDpopProof | Self::UseDpopNonce => 401,
            other => other.status(),
        }
    }
}

/// An error of an endpoint of OAuth.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: {description}", code.text())]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// What is wrong and what to do, in the characters of [`describable`].
    pub description: String,
}

impl OAuthError {
    /// An error; what the description may not hold is replaced.
    pub fn new(code: ErrorCode, description: impl AsRef<str>) -> Self {
        Self { code, description: describable(description.as_ref()) }
    }

    /// The request cannot be read, or misses something.
    pub fn request(description: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// The one answer to a client that is not known and to one that did not prove who it is.
    pub fn unproven_client() -> Self {
        Self::new(
            ErrorCode::InvalidClient,
            "there is no such client, or it did not prove who it is: check the client_id, the key and that its public part is registered",
        )
    }

    /// The body of the answer (RFC 6749 §5.2).
    pub fn body(&self) -> Value {
        json!({ "error": self.code.text(), "error_description": self.description })
    }
}

/// The text with nothing but the characters that an `error_description` may have: `%x20-21 / %x23-5B / %x5D-7E`
/// (RFC 6749 §5.2). Quotes become apostrophes, a backslash a slash, and the rest question marks.
pub fn describable(text: &str) -> String {
    let allowed = |character| match character {
        '"' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '`' => '\'',
        '\\' => '/',
        ' '..='~' => character,
        _ => '?',
    };
    text.chars().take(DESCRIPTION_CHARS).map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A-7: whatever a caller wrote, a description keeps to the characters of RFC 6749 §5.2.
        #[test]
        fn a_description_keeps_to_its_characters(text: String) {
            let error = OAuthError::request(&text);
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            prop_assert!(error.description.bytes().all(allowed), "{}", error.description);
        }
    }

    #[test]
    fn codes_have_one_text_each_and_only_a_client_or_a_token_is_401() {
        let mut texts: Vec<_> = ErrorCode::ALL.iter().map(|code| code.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        let unauthenticated: Vec<_> =
            ErrorCode::ALL.iter().filter(|code| code.status() == 401).map(|code| code.text()).collect();
        assert_eq!(unauthenticated, ["invalid_client", "invalid_token", "insufficient_user_authentication"]);
        assert_eq!(ErrorCode::UseDpopNonce.resource_status(), 401);
    }

    #[test]
    fn the_body_is_what_rfc_6749_has() {
        let body = OAuthError::request("the parameter \"code\" is missing").body();
        assert_eq!(
            body.to_string(),
            r#"{"error":"invalid_request","error_description":"the parameter 'code' is missing"}"#
        );
    }
}
