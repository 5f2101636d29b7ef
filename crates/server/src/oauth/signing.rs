//! The signing keys of the authorization server: made when they are due, published before they sign, gone when nothing that
//! they signed is believed any more (D-3). When that is, says `core/oauth/keys.rs`.

use std::sync::{Arc, PoisonError, RwLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{
    digest::Digest,
    oauth::{
        jose::{Algorithm, Jwk, compact},
        keys::{self, KeyTimes},
    },
    time::Time,
};
use countersign_store::{Batch, CommitError, batch::Row, rows::KeyRow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    app::Records,
    fault::Fault,
    keys::{Binding, SigningKey},
};

/// What the server signs with; the first is what it uses where nobody asks.
pub const SIGNS_WITH: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];
/// What their rows are for.
const PURPOSE: &str = "oauth-signing";
/// How old what is known of the keys may be: another node may have made one meanwhile.
const LOOK_AGAIN_S: i64 = 60;

/// The keys, as far as they are known.
#[derive(Default)]
pub struct SigningKeys {
    known: RwLock<Option<Arc<Known>>>,
}

struct Known {
    keys: Vec<Held>,
    at: Time,
}

struct Held {
    times: KeyTimes,
    key: SigningKey,
    public: Jwk,
}

/// What stands beside a wrapped key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    algorithm: String,
    active_from: Time,
}

fn place(name: &str) -> Binding {
    Binding::new("server-key", &[name.as_bytes()])
}

impl SigningKeys {
    /// Signs claims with the key that is active now.
    pub async fn sign(&self, app: &Records, typ: &str, claims: &Value) -> Result<String, Fault> {
        let known = self.known(app).await?;
        let times: Vec<KeyTimes> = known.keys.iter().map(|held| held.times).collect();
        let [algorithm, _] = SIGNS_WITH;
        let place = keys::signing(&times, algorithm, app.now());
        let held = place.and_then(|place| known.keys.get(place));
        let held = held.ok_or_else(|| Fault::Missing("an active signing key".to_owned()))?;
        let kid = held.public.kid.as_deref().unwrap_or_default();
        compact(algorithm, typ, kid, claims, |input| held.key.sign(input))
    }

    /// The JWK set of those that are published now.
    pub async fn published(&self, app: &Records) -> Result<Value, Fault> {
        let known = self.known(app).await?;
        let times: Vec<KeyTimes> = known.keys.iter().map(|held| held.times).collect();
        let published =
            keys::published(&times, app.now()).into_iter().filter_map(|place| known.keys.get(place));
        Ok(json!({ "keys": published.map(|held| held.public.to_json()).collect::<Vec<_>>() }))
    }

    /// The keys, looked at again when it is time, with those that are due made.
    async fn known(&self, app: &Records) -> Result<Arc<Known>, Fault> {
        let now = app.now();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| now.since_ms(known.at) < LOOK_AGAIN_S * 1_000) {
            return Ok(known);
        }
        let mut held = Self::read(app).await?;
        let times = |held: &[Held]| held.iter().map(|held| held.times).collect::<Vec<_>>();
        for algorithm in SIGNS_WITH {
            if let Some(due) = keys::due(&times(&held), algorithm, now) {
                Self::make(app, &due, held.len()).await?;
                held = Self::read(app).await?;
            }
        }
        let known = Arc::new(Known { keys: held, at: now });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn read(app: &Records) -> Result<Vec<Held>, Fault> {
        let rows = app.store.keys().await?;
        rows.iter().filter(|row| row.purpose == PURPOSE).map(|row| held(app, row)).collect()
    }

    /// Makes a key. Its number is in its name: of two nodes that make the same one, the first is kept and both read it.
    async fn make(app: &Records, times: &KeyTimes, number: usize) -> Result<(), Fault> {
        let name = format!("oauth-{}-{}", times.algorithm.text().to_ascii_lowercase(), number + 1);
        let pkcs8 = SigningKey::generate(times.algorithm)?;
        let stored = Stored { algorithm: times.algorithm.text().to_owned(), active_from: times.active_from };
        let row = KeyRow {
            purpose: PURPOSE.to_owned(),
            wrapped_key: app.root().seal(&*app.random, &place(&name), &pkcs8)?,
            public: serde_json::to_string(&stored).map_err(|error| Fault::Key(error.to_string()))?,
            created_at: times.published_at,
            name,
        };
        tracing::info!(
            event_type = "signing_key",
            event_result = "made",
            name = row.name,
            active_from = %times.active_from
        );
        match app.store.commit(Batch { rows: vec![Row::Key(row)], ..Batch::default() }).await {
            Ok(_) | Err(CommitError::Conflict) => Ok(()),
            Err(error) => Err(Fault::of_commit(error)),
        }
    }
}

fn held(app: &Records, row: &KeyRow) -> Result<Held, Fault> {
    let damaged = || Fault::Key(format!("the key {} is damaged", row.name));
    let stored: Stored = serde_json::from_str(&row.public).map_err(|_| damaged())?;
    let algorithm = Algorithm::parse(&stored.algorithm).ok_or_else(damaged)?;
    let pkcs8 = app.root().open(&place(&row.name), &row.wrapped_key)?;
    let key = SigningKey::read(algorithm, &pkcs8)?;
    let mut public = Jwk { key: key.public().ok_or_else(damaged)?, kid: None, x5c: Vec::new() };
    let Digest(thumbprint) = public.thumbprint();
    public.kid = Some(URL_SAFE_NO_PAD.encode(thumbprint));
    let times =
        KeyTimes { algorithm, published_at: row.created_at, active_from: stored.active_from, ended_at: None };
    Ok(Held { times, key, public })
}
