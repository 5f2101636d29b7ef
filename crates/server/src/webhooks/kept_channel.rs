//! How the channel of an endpoint is kept among its settings, which are encrypted as a whole.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::{
    secret::Secret,
    time::Time,
    webhook::{
        channel::{Channel, ClientCertificate},
        oauth::OAuth,
        pin::Pin,
    },
};
use serde::{Deserialize, Serialize, Serializer};

/// A channel as it is kept.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct KeptChannel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<KeptCertificate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pins: Vec<Pin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oauth: Option<KeptOAuth>,
}

#[derive(Serialize, Deserialize)]
struct KeptCertificate {
    /// In base64.
    chain: Vec<String>,
    /// In base64.
    #[serde(serialize_with = "exposed")]
    key: Secret<String>,
    begins_at: Time,
    expires_at: Time,
}

#[derive(Serialize, Deserialize)]
struct KeptOAuth {
    token_url: String,
    client_id: String,
    #[serde(serialize_with = "exposed")]
    client_secret: Secret<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// Into what is encrypted.
fn exposed<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl KeptChannel {
    pub(super) fn of(channel: &Channel) -> Self {
        let certificate = channel.certificate.as_ref().map(|certificate| KeptCertificate {
            chain: certificate.chain.iter().map(|one| STANDARD.encode(one)).collect(),
            key: Secret::new(STANDARD.encode(certificate.key.expose())),
            begins_at: certificate.begins_at,
            expires_at: certificate.expires_at,
        });
        let oauth = channel.oauth.clone().map(|OAuth { token_url, client_id, client_secret, scope }| {
            KeptOAuth { token_url, client_id, client_secret, scope }
        });
        Self { certificate, pins: channel.pins.clone(), oauth }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.certificate.is_none() && self.pins.is_empty() && self.oauth.is_none()
    }

    /// What was kept; `None` if it is damaged.
    pub(super) fn opened(self) -> Option<Channel> {
        let certificate = match self.certificate {
            Some(kept) => Some(ClientCertificate {
                chain: kept.chain.iter().map(|one| STANDARD.decode(one)).collect::<Result<_, _>>().ok()?,
                key: Secret::new(STANDARD.decode(kept.key.expose()).ok()?),
                begins_at: kept.begins_at,
                expires_at: kept.expires_at,
            }),
            None => None,
        };
        let oauth = self.oauth.map(|KeptOAuth { token_url, client_id, client_secret, scope }| OAuth {
            token_url,
            client_id,
            client_secret,
            scope,
        });
        Some(Channel { certificate, pins: self.pins, oauth })
    }
}
