//! Why somebody who came back from a provider was not let in: a word of a fixed list. Events never change and logs are read by
//! machines, so that nothing gets there that a provider or a stranger wrote.

use serde::{Deserialize, Serialize};

use super::Unfit;

macro_rules! reasons {
    ({ $($ours:ident = $ours_text:literal, $ours_words:literal;)* } { $($code:ident = $code_text:literal;)* }) => {
        /// Why nobody came in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Reason {
            $(#[doc = $ours_words] #[serde(rename = $ours_text)] $ours,)*
            $(#[doc = concat!("The provider said `", $code_text, "`.")] #[serde(rename = $code_text)] $code,)*
        }

        impl Reason {
            /// As it is written.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$ours => $ours_text,)*
                    $(Self::$code => $code_text,)*
                }
            }

            /// An error code of a provider, if it is registered: RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6.
            pub fn registered(code: &str) -> Self {
                match code {
                    $($code_text => Self::$code,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

reasons! {
    {
    Unreachable = "unreachable", "It did not answer in time, or not with what is asked for.";
    Metadata = "metadata", "Its metadata or keys are not those of this issuer, or cannot be read.";
    Issuer = "issuer", "The response or the ID token is of another issuer, or does not name it (RFC 9207).";
    NoCode = "no_code", "The response has neither a code nor an error.";
    TokenResponse = "token_response", "The answer of the token endpoint cannot be read.";
    NoIdToken = "no_id_token", "The answer of the token endpoint has no ID token.";
    Algorithm = "algorithm", "The ID token is signed with an algorithm that is not taken.";
    Signature = "signature", "No key of the provider signed the ID token.";
    Audience = "audience", "The ID token is not for this server alone (`aud`, `azp`).";
    Nonce = "nonce", "The ID token is not for this request (`nonce`).";
    Expired = "expired", "The ID token has expired (`exp`).";
    IdToken = "id_token", "The ID token is wrong in another way.";
    IssuedAt = "iat", "The ID token was issued at another time (`iat`).";
    AuthTime = "auth_time", "The person signed in too long ago, in the future, or nobody knows when (`auth_time`).";
    Level = "level", "Neither the class (`acr`) nor a method (`amr`) is mapped to the level that is needed.";
    NotConnected = "not_connected", "No account is connected with this subject.";
    Connected = "connected", "This subject is connected with an account already.";
    AnotherPerson = "another_person", "Somebody else came back.";
    Refused = "refused", "What was begun could not be finished: an invitation that has ended, say.";
    Fault = "fault", "Something broke here.";
    Other = "other", "The provider said something that is not registered.";
    } {
    InvalidRequest = "invalid_request";
    UnauthorizedClient = "unauthorized_client";
    AccessDenied = "access_denied";
    UnsupportedResponseType = "unsupported_response_type";
    InvalidScope = "invalid_scope";
    ServerError = "server_error";
    TemporarilyUnavailable = "temporarily_unavailable";
    InvalidClient = "invalid_client";
    InvalidGrant = "invalid_grant";
    UnsupportedGrantType = "unsupported_grant_type";
    InteractionRequired = "interaction_required";
    LoginRequired = "login_required";
    AccountSelectionRequired = "account_selection_required";
    ConsentRequired = "consent_required";
    InvalidRequestUri = "invalid_request_uri";
    InvalidRequestObject = "invalid_request_object";
    RequestNotSupported = "request_not_supported";
    RequestUriNotSupported = "request_uri_not_supported";
    RegistrationNotSupported = "registration_not_supported";
    }
}

impl From<Unfit> for Reason {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Audience => Self::Audience,
            Unfit::IssuedAt => Self::IssuedAt,
            Unfit::NoAuthTime | Unfit::AuthTime => Self::AuthTime,
            Unfit::Level => Self::Level,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L-4: what a stranger writes is no reason, nor can it pass for one of ours.
    #[test]
    fn only_registered_codes_are_kept() {
        assert_eq!(Reason::registered("access_denied"), Reason::AccessDenied);
        for odd in ["", "Access_Denied", "access_denied ", "not_connected", "<script>", "call 0123 456"] {
            assert_eq!(Reason::registered(odd), Reason::Other, "{odd}");
        }
        for reason in [Reason::Signature, Reason::LoginRequired, Reason::Other] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.text());
        }
    }
}
