//! What the authorization server holds while it runs: its name, its keys, and the keys of clients that publish theirs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::{
    id::ClientId,
    limits,
    oauth::{
        client::Registration,
        jose::{JwkSet, Unverified},
        nonce::NonceKey,
        refresh::RefreshKey,
    },
    time::Time,
};
use rustls::server::danger::ClientCertVerifier;

use super::signing::SigningKeys;
use crate::{app::Records, egress::guard::Guard, fault::Fault, pace::Pace, tls};

/// A JWK set that was fetched is good for so long.
const JWKS_S: i64 = 300;
/// A JWK set is not fetched more often than this, whatever `kid` somebody names.
const JWKS_AGAIN_S: i64 = 30;
/// JWK sets that are kept.
const JWKS_KEPT: usize = 1_000;

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
    guard: Guard,
    fetched: Mutex<HashMap<ClientId, Fetched>>,
}

#[derive(Clone)]
struct Fetched {
    uri: String,
    keys: JwkSet,
    at: Time,
}

impl AuthorizationServer {
    /// Opens it on the records.
    pub fn open(records: &Records) -> Result<Self, Fault> {
        let config = &records.config;
        let client_ca = config.oauth.client_ca_file.as_deref().map(tls::client_ca).transpose()?;
        Ok(Self {
            issuer: config.server.public_url.clone(),
            nonces: NonceKey::new(*records.keys.tokens.derive("dpop-nonces").expose()),
            refresh: RefreshKey::new(*records.keys.tokens.derive("refresh-tokens").expose()),
            client_ca,
            keys: SigningKeys::default(),
            introspections: Pace::per_minute(config.oauth.introspections_per_minute),
            guard: Guard::new(&config.egress)?,
            fetched: Mutex::default(),
        })
    }

    /// The keys of a client: registered with it, or fetched from where it publishes them. Keys that cannot be fetched are
    /// none: nothing is proved with them. `assertion` says which key is wanted; an unknown one is looked for anew.
    pub async fn keys_of(
        &self,
        now: Time,
        client: ClientId,
        registration: &Registration,
        assertion: Option<&str>,
    ) -> JwkSet {
        let Some(uri) = &registration.jwks_uri else { return registration.jwks.clone().unwrap_or_default() };
        let header = assertion.and_then(|text| Unverified::parse(text).ok());
        let knows = |keys: &JwkSet| {
            header.as_ref().is_none_or(|token| {
                keys.choose(token.header().kid.as_deref(), token.header().algorithm).is_ok()
            })
        };
        let kept = self.kept(client).filter(|fetched| fetched.uri == *uri);
        if let Some(fetched) = &kept {
            let age_s = now.since_ms(fetched.at) / 1_000;
            if age_s < JWKS_AGAIN_S || (age_s < JWKS_S && knows(&fetched.keys)) {
                return fetched.keys.clone();
            }
        }
        let body = self.guard.get(uri, limits::JWKS_BYTES).await;
        let keys = body
            .map_err(|reason| reason.to_string())
            .and_then(|body| JwkSet::parse(&body).map_err(|reason| reason.to_string()));
        let keys = match keys {
            Ok(keys) => keys,
            Err(reason) => {
                tracing::warn!(event_type = "jwks_uri", event_result = "failed", client_id = %client, reason);
                kept.map(|fetched| fetched.keys).unwrap_or_default()
            }
        };
        self.keep(client, Fetched { uri: uri.clone(), keys: keys.clone(), at: now });
        keys
    }

    fn kept(&self, client: ClientId) -> Option<Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).get(&client).cloned()
    }

    fn keep(&self, client: ClientId, fetched: Fetched) {
        let mut kept = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= JWKS_KEPT {
            kept.clear();
        }
        kept.insert(client, fetched);
    }
}
