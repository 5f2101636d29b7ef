//! What the authorization server holds while it runs: its name, its keys, and the keys of clients that publish theirs.

use std::sync::Arc;

use countersign_core::{
    id::ClientId,
    oauth::{
        client::Registration,
        jose::{Algorithm, Jwk, JwkSet, decoy},
        nonce::NonceKey,
        refresh::RefreshKey,
    },
    scope::Scopes,
};
use rustls::server::danger::ClientCertVerifier;

use super::{client_keys::ClientKeys, signing::SigningKeys};
use crate::{app::Records, clients, egress::guard::Guard, fault::Fault, pace::Pace, tls};

/// The authorization server.
pub struct AuthorizationServer {
    /// Its name: the server's own URL (RFC 8414 §2).
    pub issuer: String,
    /// Makes and knows the nonces of DPoP proofs.
    pub nonces: NonceKey,
    /// Makes and knows refresh tokens.
    pub refresh: RefreshKey,
    /// Judges chains of client certificates, where the operator named CAs.
    pub client_ca: Option<Arc<dyn ClientCertVerifier>>,
    /// What it signs with.
    pub keys: SigningKeys,
    /// How fast a resource server may ask what tokens are worth.
    pub introspections: Pace<ClientId>,
    /// Stands in for the registration of a client that is not there, so that its refusal is as much work.
    pub nobody: String,
    /// The keys of clients.
    pub client_keys: ClientKeys,
    /// Fetches what strangers name.
    pub guard: Guard,
}

impl AuthorizationServer {
    /// Opens it on the records.
    pub fn open(records: &Records) -> Result<Self, Fault> {
        let config = &records.config;
        let client_ca = config.oauth.client_ca_file.as_deref().map(tls::client_ca).transpose()?;
        let keys = JwkSet::new(vec![Jwk { kid: Some("nobody".to_owned()), ..decoy(Algorithm::Es256) }]);
        let nobody = Registration::of_key("Nobody".to_owned(), keys, Scopes::of(&[]));
        Ok(Self {
            nobody: clients::stored(&nobody)?,
            issuer: config.server.public_url.clone(),
            nonces: NonceKey::new(*records.keys.tokens.derive("dpop-nonces").expose()),
            refresh: RefreshKey::new(*records.keys.tokens.derive("refresh-tokens").expose()),
            client_ca,
            keys: SigningKeys::default(),
            introspections: Pace::per_minute(config.oauth.introspections_per_minute),
            guard: Guard::new(&config.egress)?,
            client_keys: ClientKeys::new(Guard::new(&config.egress)?),
        })
    }
}
