//! What belongs to a grant besides its scopes: stored with it as canonical JSON, and never shown as it is.

use serde::{Deserialize, Serialize};

use crate::{
    id::ProviderId,
    oauth::{client::GrantType, details::Detail, token::Binding},
};

/// The terms of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How it began.
    pub grant_type: GrantType,
    /// What narrows its scopes (RFC 9396).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// The resource server that its access tokens are for; this server's API if there is none (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whether an ID token was asked for.
    #[serde(default)]
    pub openid: bool,
    /// The client's nonce for the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What the person authenticated with (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The organization's OpenID provider that opened the session in which the person agreed, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// What the first access token was bound to: later ones are bound the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<BoundBy>,
}

/// A kind of binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundBy {
    /// A DPoP key.
    Key,
    /// A certificate.
    Certificate,
}

impl From<Binding> for BoundBy {
    fn from(binding: Binding) -> Self {
        match binding {
            Binding::Key(_) => Self::Key,
            Binding::Certificate(_) => Self::Certificate,
        }
    }
}

impl Terms {
    /// The terms of a client's own grant.
    pub fn of_client(details: Vec<Detail>) -> Self {
        Self {
            grant_type: GrantType::ClientCredentials,
            details,
            resource: None,
            openid: false,
            nonce: None,
            methods: Vec::new(),
            provider: None,
            bound: None,
        }
    }
}
