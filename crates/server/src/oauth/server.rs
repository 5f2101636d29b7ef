//! What the authorization server holds while it runs: its name, its keys, and the keys of clients that publish theirs.

use countersign_core::{
    id::ClientId,
    oauth::{nonce::NonceKey, refresh::RefreshKey},
};

use super::{client_keys::ClientKeys, registrations::Registrations, signing::SigningKeys};
use crate::{
    app::Records, egress::guard::Guard, fault::Fault, http::client_certificate::ClientCas, pace::Pace, tls,
};

/// The authorization server.
pub struct AuthorizationServer {
    /// Its name: the server's own URL (RFC 8414 §2).
    pub issuer: String,
    /// Makes and knows the nonces of DPoP proofs.
    pub nonces: NonceKey,
    /// Makes and knows refresh tokens.
    pub refresh: RefreshKey,
    /// Judges chains of client certificates, where the operator named CAs.
    pub client_cas: Option<ClientCas>,
    /// What it signs with.
    pub keys: SigningKeys,
    /// How fast a resource server may ask what tokens are worth.
    pub introspections: Pace<ClientId>,
    /// What is registered about clients.
    pub registrations: Registrations,
    /// The keys of clients.
    pub client_keys: ClientKeys,
    /// Fetches what strangers name.
    pub guard: Guard,
}

impl AuthorizationServer {
    /// Opens it on the records.
    pub fn open(records: &Records) -> Result<Self, Fault> {
        let config = &records.config;
        let client_cas = config.oauth.client_ca_file.as_deref().map(tls::client_cas).transpose()?;
        Ok(Self {
            registrations: Registrations::default(),
            issuer: config.server.public_url.clone(),
            nonces: NonceKey::new(*records.keys.tokens.derive("dpop-nonces").expose()),
            refresh: RefreshKey::new(*records.keys.tokens.derive("refresh-tokens").expose()),
            client_cas,
            keys: SigningKeys::default(),
            introspections: Pace::per_minute(config.oauth.introspections_per_minute),
            guard: Guard::new(&config.egress)?,
            client_keys: ClientKeys::new(Guard::new(&config.egress)?),
        })
    }
}
