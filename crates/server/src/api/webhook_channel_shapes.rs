//! How the channel of a webhook endpoint is written: what is asked for, and what is shown of it, which is nothing secret.

use countersign_core::{
    refusal::{Code, Refusal},
    secret::Secret,
    webhook::{
        channel::{Channel, ClientCertificate},
        endpoint::host_of,
        oauth::OAuth,
        pin::{NotAPin, Pin},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::egress::certificate;

/// Reads pins: each once, in one order.
pub(super) fn pins(texts: &[String]) -> Result<Vec<Pin>, Refusal> {
    let wrong = |(index, none): (usize, NotAPin)| {
        Refusal::at(Code::Invalid, format!("/pins/{index}"), none.to_string())
    };
    Pin::read_all(texts.iter().map(String::as_str)).map_err(wrong)
}

/// A certificate that is shown to the receiver where it asks for one (mutual TLS), with its key. Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClientCertificateBody {
    /// PEM: the certificate first, and behind it those between it and its authority.
    #[schema(max_length = 32_768)]
    chain: String,
    /// Its private key: PEM, PKCS #8, not encrypted. It is kept encrypted, and never shown again.
    #[schema(value_type = String, max_length = 8_192)]
    key: Secret<String>,
}

impl NewClientCertificateBody {
    pub(super) fn read(&self) -> Result<ClientCertificate, Refusal> {
        certificate::read(&self.chain, &self.key)
    }
}

/// A client certificate as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct ClientCertificateBody {
    /// SHA-256 of the certificate (DER), in hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    /// Until when it is valid. Nothing is delivered with it afterwards.
    expires_at: String,
}

impl ClientCertificateBody {
    pub(super) fn of(channel: &Channel) -> Option<Self> {
        let certificate = channel.certificate.as_ref()?;
        Some(Self {
            sha256: certificate.fingerprint().to_string(),
            expires_at: certificate.expires_at.to_string(),
        })
    }
}

/// What each delivery has a token from: OAuth 2.0 with client credentials (RFC 6749 §4.4). Unknown members are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOAuthBody {
    /// Where tokens are asked for: `https`, on the public Internet.
    #[schema(max_length = 1000)]
    token_url: String,
    /// Who asks.
    #[schema(min_length = 1, max_length = 1000)]
    client_id: String,
    /// What shows it, sent by HTTP Basic. It is kept encrypted, and never shown again.
    #[schema(value_type = String, min_length = 1, max_length = 1000)]
    client_secret: Secret<String>,
    /// What the token is to be good for, words with one space between; left out, the authorization server decides.
    #[schema(max_length = 1000)]
    scope: Option<String>,
}

impl NewOAuthBody {
    pub(super) fn taken(self) -> OAuth {
        let Self { token_url, client_id, client_secret, scope } = self;
        OAuth { token_url, client_id, client_secret, scope }
    }
}

/// What deliveries have a token from, as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct OAuthBody {
    /// The host where tokens are asked for.
    token_host: String,
    /// Who asks.
    client_id: String,
    /// What the token is to be good for; null where the authorization server decides.
    scope: Option<String>,
}

impl OAuthBody {
    pub(super) fn of(channel: &Channel) -> Option<Self> {
        let oauth = channel.oauth.as_ref()?;
        Some(Self {
            token_host: host_of(&oauth.token_url),
            client_id: oauth.client_id.clone(),
            scope: oauth.scope.clone(),
        })
    }
}
