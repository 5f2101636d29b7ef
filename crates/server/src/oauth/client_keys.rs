//! The keys of clients: registered with them, or fetched from where they publish them (RFC 7591 §2, `jwks_uri`). A set that was
//! fetched is kept; one without the key that is wanted is fetched anew, by one request at a time and not too often.

use std::sync::Arc;

use countersign_core::{
    id::ClientId,
    limits,
    oauth::{client::Registration, jose::JwkSet},
    time::Time,
};

use crate::egress::{
    guard::Guard,
    kept::{Kept, Terms},
};

/// A set is good for five minutes. It is looked at again for a key that is new, whatever key somebody names, twice a minute at
/// most. One whose place does not answer any more is believed for an hour: keys may have been taken from it.
const TERMS: Terms = Terms { fresh_s: 300, again_s: 30, stale_s: 3_600 };

/// The keys of clients that publish theirs.
pub struct ClientKeys {
    guard: Guard,
    kept: Kept<ClientId, JwkSet, ()>,
}

impl ClientKeys {
    /// Fetches through the guard.
    pub fn new(guard: Guard) -> Self {
        Self { guard, kept: Kept::new(TERMS) }
    }

    /// The keys of a client. Where a set that is kept is not what is `wanted`, it is looked for anew. Keys that cannot be
    /// fetched are none: nothing is proved with them.
    pub async fn of(
        &self,
        now: Time,
        client: ClientId,
        registration: &Registration,
        wanted: impl Fn(&JwkSet) -> bool,
    ) -> Arc<JwkSet> {
        let Some(uri) = &registration.jwks_uri else {
            return Arc::new(registration.jwks.clone().unwrap_or_default());
        };
        let fetched = fetch(self.guard.clone(), client, uri.clone());
        match self.kept.get(now, (client, uri), |keys| wanted(keys), fetched).await {
            Ok(keys) => keys.unwrap_or_default(),
            Err(fault) => {
                tracing::error!(event_type = "jwks_uri", event_result = "failed", client_id = %client, "{fault}");
                Arc::default()
            }
        }
    }
}

async fn fetch(guard: Guard, client: ClientId, uri: String) -> Result<JwkSet, ()> {
    let body = guard.get(&uri, limits::JWKS_BYTES).await.map_err(|reason| reason.to_string());
    let keys = body.and_then(|body| JwkSet::parse(&body).map_err(|reason| reason.to_string()));
    keys.map_err(|reason| {
        tracing::warn!(event_type = "jwks_uri", event_result = "failed", client_id = %client, reason);
    })
}
