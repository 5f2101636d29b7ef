//! With what a client comes: exactly one kind of credential, and the one that it is registered with (RFC 6749 §2.3,
//! RFC 7521 §4.2, RFC 8705 §2). A secret in the form is not taken (A-6).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    id::ClientId,
    oauth::{
        assertion::{self, ASSERTION_TYPE},
        authorize,
        client::Method,
        error::{ErrorCode, OAuthError},
        form::{self, Parameters},
    },
    secret::{PlainToken, TokenKind},
};

/// What a request brings to prove who its client is; nothing of it is proved yet.
#[derive(Clone)]
pub enum Credential {
    /// A token that the client signed, to be judged by [`assertion::check`].
    Assertion {
        /// Whose it says it is.
        client: ClientId,
        /// Its text.
        text: String,
    },
    /// A secret in the `Authorization` header.
    Secret {
        /// Whose.
        client: ClientId,
        /// The secret.
        secret: PlainToken,
    },
    /// The name alone: a public client, or one that the certificate of the connection proves.
    Name {
        /// Whose.
        client: ClientId,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Assertion { .. } => "Assertion",
            Self::Secret { .. } => "Secret",
            Self::Name { .. } => "Name",
        };
        write!(f, "{kind}({})", self.client())
    }
}

impl Credential {
    /// Reads what a form and its `Authorization` header bring.
    ///
    /// # Errors
    ///
    /// `invalid_request` for more than one kind, `invalid_client` for none and for one that cannot be read.
    pub fn read(parameters: &Parameters, authorization: Option<&str>) -> Result<Self, OAuthError> {
        if parameters.has("client_secret") {
            let sentence = "client_secret_post is not offered: a secret goes into the Authorization header";
            return Err(OAuthError::new(ErrorCode::InvalidClient, sentence));
        }
        let brings_assertion = parameters.has("client_assertion") || parameters.has("client_assertion_type");
        let credential = match authorization {
            Some(_) if brings_assertion => {
                return Err(OAuthError::request(
                    "send one kind of client credential, not two (RFC 6749 section 2.3)",
                ));
            }
            Some(header) => secret(header)?,
            None if brings_assertion => signed(parameters)?,
            None if parameters.has("client_id") => Self::Name { client: authorize::client_id(parameters)? },
            None => {
                let sentence = "the request does not say which client it is from";
                return Err(OAuthError::new(ErrorCode::InvalidClient, sentence));
            }
        };
        if parameters.has("client_id") && authorize::client_id(parameters)? != credential.client() {
            return Err(OAuthError::unproven_client());
        }
        Ok(credential)
    }

    /// Whose it says it is.
    pub fn client(&self) -> ClientId {
        match self {
            Self::Assertion { client, .. } | Self::Secret { client, .. } | Self::Name { client } => *client,
        }
    }

    /// Whether the client is registered with this kind. Another one proves nothing, however good it is.
    pub fn check_method(&self, registered: Method) -> Result<(), OAuthError> {
        let fits = match self {
            Self::Assertion { .. } => registered == Method::PrivateKeyJwt,
            Self::Secret { .. } => registered == Method::ClientSecretBasic,
            Self::Name { .. } => {
                matches!(registered, Method::TlsClientAuth | Method::SelfSignedTlsClientAuth | Method::None)
            }
        };
        if fits { Ok(()) } else { Err(OAuthError::unproven_client()) }
    }
}

fn signed(parameters: &Parameters) -> Result<Credential, OAuthError> {
    let wrong = |sentence| OAuthError::new(ErrorCode::InvalidClient, sentence);
    if parameters.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(wrong("client_assertion_type is urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    }
    let text = parameters.get("client_assertion").ok_or_else(|| wrong("client_assertion is missing"))?;
    Ok(Credential::Assertion { client: assertion::client_of(text)?, text: text.to_owned() })
}

/// `Basic` with both halves form-encoded (RFC 6749 §2.3.1).
fn secret(header: &str) -> Result<Credential, OAuthError> {
    let wrong = || {
        let sentence = "the Authorization header here is Basic with client_id and secret, form-encoded (RFC 6749 section 2.3.1)";
        OAuthError::new(ErrorCode::InvalidClient, sentence)
    };
    let (scheme, value) = header.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(wrong());
    }
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(value).map_err(|_| wrong())?);
    let colon = bytes.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
    let (name, rest) = bytes.split_at_checked(colon).ok_or_else(wrong)?;
    let name = form::decode(name).map_err(|_| wrong())?;
    let secret = form::decode(rest.get(1..).unwrap_or_default()).map_err(|_| wrong())?;
    let client = name.parse().map_err(|_| OAuthError::unproven_client())?;
    let secret =
        PlainToken::parse(TokenKind::ClientSecret, &secret).map_err(|_| OAuthError::unproven_client())?;
    Ok(Credential::Secret { client, secret })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::jose::base64url;
    use proptest::prelude::*;

    fn client() -> ClientId {
        ClientId::from_bytes([4; 16])
    }

    fn text_of(client: ClientId) -> String {
        let claims = format!(r#"{{"sub":"{client}"}}"#);
        format!(
            "{}.{}.{}",
            base64url(br#"{"alg":"EdDSA"}"#),
            base64url(claims.as_bytes()),
            base64url(&[7; 64])
        )
    }

    fn form(pairs: &[(&str, &str)]) -> Parameters {
        let text: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Parameters::parse(text.join("&").as_bytes()).unwrap()
    }

    fn basic(client: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")))
    }

    fn code(result: Result<Credential, OAuthError>) -> &'static str {
        result.map_or_else(|error| error.code.text(), |_| "ok")
    }

    /// A-6: one credential, of the kind that is registered.
    #[test]
    fn a_credential_is_of_the_registered_kind() {
        let id = client().to_string();
        let assertion = text_of(client());
        let secret = PlainToken::new(TokenKind::ClientSecret, &[3; 32]);
        let signed = Credential::read(
            &form(&[("client_assertion", &assertion), ("client_assertion_type", ASSERTION_TYPE)]),
            None,
        );
        let with_secret = Credential::read(&form(&[("client_id", &id)]), Some(&basic(&id, secret.expose())));
        let named = Credential::read(&form(&[("client_id", &id)]), None);
        for (credential, methods) in [
            (signed, vec![Method::PrivateKeyJwt]),
            (with_secret, vec![Method::ClientSecretBasic]),
            (named, vec![Method::TlsClientAuth, Method::SelfSignedTlsClientAuth, Method::None]),
        ] {
            let credential = credential.unwrap();
            assert_eq!(credential.client(), client());
            for method in Method::ALL {
                assert_eq!(credential.check_method(method).is_ok(), methods.contains(&method), "{method:?}");
            }
            assert!(!format!("{credential:?}").contains("csx_"));
        }
    }

    /// A-6: two at once, one in the wrong place, or one of somebody else.
    #[test]
    fn what_is_no_single_credential_is_refused() {
        let (id, other) = (client().to_string(), ClientId::from_bytes([5; 16]).to_string());
        let assertion = text_of(client());
        let typed = ("client_assertion_type", ASSERTION_TYPE);
        let secret = PlainToken::new(TokenKind::ClientSecret, &[3; 32]);
        let header = basic(&id, secret.expose());
        for (pairs, header, expected) in [
            (vec![], None, "invalid_client"),
            (vec![("client_assertion", assertion.as_str()), typed], Some(header.as_str()), "invalid_request"),
            (vec![("client_assertion", assertion.as_str())], None, "invalid_client"),
            (vec![typed], None, "invalid_client"),
            (
                vec![("client_assertion", assertion.as_str()), ("client_assertion_type", "saml")],
                None,
                "invalid_client",
            ),
            (
                vec![("client_assertion", assertion.as_str()), typed, ("client_id", &other)],
                None,
                "invalid_client",
            ),
            (vec![("client_id", &other)], Some(header.as_str()), "invalid_client"),
            (vec![("client_id", &id), ("client_secret", secret.expose())], None, "invalid_client"),
            (vec![("client_id", "cli_x")], None, "invalid_client"),
            (vec![], Some("Bearer x"), "invalid_client"),
            (vec![], Some("Basic"), "invalid_client"),
            (vec![], Some("Basic !"), "invalid_client"),
        ] {
            assert_eq!(code(Credential::read(&form(&pairs), header)), expected, "{pairs:?}");
        }
        let wrong = basic(&id, "csx_sandbox_x");
        assert_eq!(Credential::read(&form(&[]), Some(&wrong)).unwrap_err(), OAuthError::unproven_client());
        assert_eq!(code(Credential::read(&form(&[]), Some(&header.replace("Basic", "bASIC")))), "ok");
    }

    proptest! {
        #[test]
        fn no_header_makes_it_stumble(bytes: Vec<u8>) {
            let _ = Credential::read(&form(&[]), Some(&format!("Basic {}", STANDARD.encode(bytes))));
        }
    }
}
