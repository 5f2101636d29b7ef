//! Clients: what is registered about one (RFC 7591 §2, RFC 8705 §2.1.2, RFC 9126 §6, RFC 9449 §5.2), and what follows.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    oauth::{
        jose::JwkSet,
        json::{self, NotStrict},
        subject::Subject,
    },
    refusal::{Code, Refusal},
    scope::Scopes,
};

mod check;

pub use check::{check, check_given};

/// How a client proves who it is (RFC 7591 §2, RFC 8705 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// With a token that it signs (RFC 7523).
    PrivateKeyJwt,
    /// With a certificate of an authority that the operator trusts (RFC 8705 §2.1).
    TlsClientAuth,
    /// With a certificate that is registered itself (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
    /// With a secret; in sandboxes only.
    ClientSecretBasic,
    /// Not at all: an application on somebody's machine.
    None,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 5] = [
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
        Self::ClientSecretBasic,
        Self::None,
    ];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::None => "none",
        }
    }

    /// Whether the client proves that it has a key, and never sends what others could use.
    pub fn has_key(self) -> bool {
        matches!(self, Self::PrivateKeyJwt | Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }
}

/// What a client may bring to the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
}

impl GrantType {
    /// All of them: no password, nothing implicit.
    pub const ALL: [Self; 3] = [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    /// The inverse of [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant_type| grant_type.text() == text)
    }
}

/// Which rules a client keeps to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// OAuth 2.0 with the best practice of RFC 9700.
    #[default]
    Standard,
    /// FAPI 2.0 Security Profile: the only one with admin scopes.
    Fapi2,
}

impl Profile {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fapi2 => "fapi2",
        }
    }
}

/// What access tokens for a resource server look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFormat {
    /// Opaque: the resource server asks about each (RFC 7662).
    #[default]
    Opaque,
    /// Signed, so that the resource server judges them by itself (RFC 9068).
    Jwt,
}

impl TokenFormat {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it in this way")]
    fn is_opaque(&self) -> bool {
        *self == Self::Opaque
    }
}

/// What the tokens of a client are bound to (RFC 9449 §5.2, RFC 8705 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Nothing, unless it brings a proof.
    Free,
    /// The key of a DPoP proof.
    Dpop,
    /// The certificate of its connection.
    Certificate,
}

/// A registration as it is sent, stored and shown. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// What people are shown.
    pub client_name: String,
    /// Which rules it keeps to.
    #[serde(default)]
    pub profile: Profile,
    /// How it proves who it is.
    pub token_endpoint_auth_method: Method,
    /// Its keys, or the certificates of `self_signed_tls_client_auth` as `x5c` (RFC 8705 §2.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<JwkSet>,
    /// Where its keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The subject of its certificate, for `tls_client_auth` (RFC 4514).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    /// The DNS name of its certificate, for `tls_client_auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    /// Where people are sent back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    /// What it may bring to the token endpoint.
    pub grant_types: Vec<GrantType>,
    /// The most that it may ask for.
    pub scope: Scopes,
    /// Its tokens are bound to DPoP keys, always.
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
    /// Its tokens are bound to the certificate of its connection, always.
    #[serde(default)]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// It pushes its authorization requests, always.
    #[serde(default)]
    pub require_pushed_authorization_requests: bool,
    /// The resource that it stands for: it may ask about tokens with this audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What access tokens for that resource look like.
    #[serde(default, skip_serializing_if = "TokenFormat::is_opaque")]
    pub resource_token_format: TokenFormat,
}

/// A client certificate that a connection proved.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// SHA-256 of its DER.
    pub thumbprint: Digest,
    /// Its subject, if all of it is text.
    pub subject: Option<&'a Subject>,
    /// Its DNS names.
    pub dns_names: &'a [String],
    /// Whether it leads to an authority that the operator trusts, and is valid now.
    pub is_trusted: bool,
}

impl Registration {
    /// The registration of a program that acts for itself: FAPI 2.0, proved by its key, with tokens bound by DPoP.
    pub fn of_key(name: String, keys: JwkSet, scope: Scopes) -> Self {
        Self {
            client_name: name,
            profile: Profile::Fapi2,
            token_endpoint_auth_method: Method::PrivateKeyJwt,
            jwks: Some(keys),
            jwks_uri: None,
            tls_client_auth_subject_dn: None,
            tls_client_auth_san_dns: None,
            redirect_uris: Vec::new(),
            grant_types: vec![GrantType::ClientCredentials],
            scope,
            dpop_bound_access_tokens: true,
            tls_client_certificate_bound_access_tokens: false,
            require_pushed_authorization_requests: false,
            resource: None,
            resource_token_format: TokenFormat::Opaque,
        }
    }

    /// Reads a registration strictly; [`check`] then says whether it may be.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed =
            |error: NotStrict| Refusal::new(Code::Malformed, format!("the registration: {error}"));
        let value = json::value(bytes).map_err(malformed)?;
        if !value.is_object() {
            return Err(malformed(NotStrict::NotAnObject));
        }
        serde_json::from_value(value)
            .map_err(|error| Refusal::new(Code::Invalid, format!("the registration: {error}")))
    }

    /// Whether it keeps to FAPI 2.0.
    pub fn is_fapi(&self) -> bool {
        self.profile == Profile::Fapi2
    }

    /// Whether it proves to nobody who it is.
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == Method::None
    }

    /// Whether its authorization requests are pushed, always (RFC 9126 §6; FAPI 2.0 Security Profile §5.3.2.2).
    pub fn must_push(&self) -> bool {
        self.is_fapi() || self.require_pushed_authorization_requests
    }

    /// Whether its refresh tokens change with every use. Those of FAPI clients do not: they need the client's key
    /// (FAPI 2.0 Security Profile §5.3.2.1).
    pub fn rotates(&self) -> bool {
        !self.is_fapi()
    }

    /// Whether it may bring this to the token endpoint.
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// What its tokens are bound to.
    pub fn constraint(&self) -> Constraint {
        match (self.dpop_bound_access_tokens, self.tls_client_certificate_bound_access_tokens) {
            (true, _) => Constraint::Dpop,
            (false, true) => Constraint::Certificate,
            (false, false) => Constraint::Free,
        }
    }

    /// Whether a certificate is this client's (RFC 8705 §2). `keys` are those of `jwks` or `jwks_uri`.
    pub fn is_certificate_of(&self, certificate: &Certificate<'_>, keys: &JwkSet) -> bool {
        match self.token_endpoint_auth_method {
            Method::TlsClientAuth => {
                let subject = self.tls_client_auth_subject_dn.as_deref();
                let dns = self.tls_client_auth_san_dns.as_deref();
                let has = |name: &str| certificate.dns_names.iter().any(|dns| dns.eq_ignore_ascii_case(name));
                certificate.is_trusted
                    && match (subject, dns) {
                        (Some(subject), None) => {
                            Subject::parse(subject).is_ok_and(|wanted| certificate.subject == Some(&wanted))
                        }
                        (None, Some(name)) => has(name),
                        _ => false,
                    }
            }
            Method::SelfSignedTlsClientAuth => {
                keys.keys().iter().any(|key| key.certificate() == Some(certificate.thumbprint))
            }
            _ => false,
        }
    }
}
