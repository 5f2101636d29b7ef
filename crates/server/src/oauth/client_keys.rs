//! The keys of clients: registered with them, or fetched from where they publish them (RFC 7591 §2, `jwks_uri`). A set that was
//! fetched is kept; one without the key that is wanted is fetched anew, by one request at a time and not too often.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::{
    id::ClientId,
    limits,
    oauth::{client::Registration, jose::JwkSet},
    time::Time,
};

use crate::egress::guard::Guard;

/// A set that was fetched is good for so long.
const FRESH_S: i64 = 300;
/// A set is not fetched more often than this, whatever key somebody names.
const AGAIN_S: i64 = 30;
/// A set whose place does not answer any more is believed so long, and not a second longer: keys may have been taken from it.
const STALE_S: i64 = 3_600;
/// Sets that are kept.
const KEPT: usize = 1_000;

/// The keys of clients that publish theirs.
pub struct ClientKeys {
    guard: Arc<Guard>,
    places: Mutex<HashMap<ClientId, Arc<Place>>>,
}

/// Where one client publishes its keys.
struct Place {
    uri: String,
    known: Mutex<Known>,
    /// Held by the one request that fetches.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of a place.
#[derive(Clone, Default)]
struct Known {
    tried_at: Option<Time>,
    fetched: Option<(Arc<JwkSet>, Time)>,
}

fn age_s(at: Time, now: Time) -> i64 {
    now.since_ms(at) / 1_000
}

impl Known {
    /// The set, if it need not or must not be fetched anew.
    fn settled(&self, now: Time, wanted: impl Fn(&JwkSet) -> bool) -> Option<Arc<JwkSet>> {
        let was_tried = self.tried_at.is_some_and(|at| age_s(at, now) < AGAIN_S);
        let fresh = self.fetched.as_ref().filter(|(keys, at)| age_s(*at, now) < FRESH_S && wanted(keys));
        match fresh {
            Some((keys, _)) => Some(Arc::clone(keys)),
            None => was_tried.then(|| self.believed(now)),
        }
    }

    /// The set as far as it is believed; none if it is too old.
    fn believed(&self, now: Time) -> Arc<JwkSet> {
        let believed = self.fetched.as_ref().filter(|(_, at)| age_s(*at, now) < STALE_S);
        believed.map(|(keys, _)| Arc::clone(keys)).unwrap_or_default()
    }
}

impl ClientKeys {
    /// Fetches through the guard.
    pub fn new(guard: Guard) -> Self {
        Self { guard: Arc::new(guard), places: Mutex::default() }
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
        let place = self.place(client, uri);
        if let Some(keys) = place.known().settled(now, &wanted) {
            return keys;
        }
        let one = Arc::clone(&place.fetching).lock_owned().await;
        // Somebody else may have fetched it meanwhile.
        if let Some(keys) = place.known().settled(now, &wanted) {
            return keys;
        }
        // Goes on if the caller hangs up: nobody makes the server fetch more often, nor keeps it from fetching.
        let (guard, fetched) = (Arc::clone(&self.guard), Arc::clone(&place));
        let fetching = tokio::spawn(async move {
            let _one = one;
            let keys = fetch(&guard, &fetched.uri).await;
            fetched.keep(now, client, keys);
        });
        if let Err(error) = fetching.await {
            tracing::error!(event_type = "jwks_uri", event_result = "failed", client_id = %client, "{error}");
        }
        place.known().believed(now)
    }

    fn place(&self, client: ClientId, uri: &str) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&client).filter(|place| place.uri == uri) {
            return Arc::clone(place);
        }
        if places.len() >= KEPT {
            places.clear();
        }
        let place =
            Arc::new(Place { uri: uri.to_owned(), known: Mutex::default(), fetching: Arc::default() });
        places.insert(client, Arc::clone(&place));
        place
    }
}

async fn fetch(guard: &Guard, uri: &str) -> Result<JwkSet, String> {
    let body = guard.get(uri, limits::JWKS_BYTES).await.map_err(|reason| reason.to_string())?;
    JwkSet::parse(&body).map_err(|reason| reason.to_string())
}

impl Place {
    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, now: Time, client: ClientId, keys: Result<JwkSet, String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tried_at = Some(now);
        match keys {
            Ok(keys) => known.fetched = Some((Arc::new(keys), now)),
            Err(reason) => {
                tracing::warn!(event_type = "jwks_uri", event_result = "failed", client_id = %client, reason);
            }
        }
    }
}
