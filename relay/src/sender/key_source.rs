//! The public keys of an endpoint, fetched from its JWK set when they are needed, and kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_webhooks::{FetchError, JWKS_BYTES_MAX, JwksError, KeyCache, KeyId, KeySet, Lookup};
use reqwest::{Client, Url};

use crate::fault::with_causes;

/// Time for a fetch, all in all.
const DEADLINE: Duration = Duration::from_secs(5);

/// A JWK set somewhere else. It is fetched as the wire format says: at most once in a minute because of a key that is not
/// known, and the last good one is used for a day while fetching fails.
#[derive(Debug)]
pub struct KeySource {
    url: Url,
    client: Client,
    cache: Mutex<KeyCache>,
    fetching: tokio::sync::Mutex<()>,
}

impl KeySource {
    /// A source that has fetched nothing yet. The client follows no redirects.
    pub fn new(url: Url, client: Client) -> Self {
        Self { url, client, cache: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The keys for a message that names these, fetched before if they have to be. The error says why there are none.
    pub async fn keys(&self, named: &[KeyId], now_s: i64) -> Result<Option<KeySet>, String> {
        let (lookup, kept) = {
            let mut cache = self.cache();
            (cache.look_up(named, now_s), cache.keys(now_s).cloned())
        };
        if lookup == Lookup::Ready && kept.is_some() {
            return Ok(kept);
        }
        // Whoever has no keys at all waits for the one who fetches.
        let _turn = self.fetching.lock().await;
        if lookup == Lookup::Fetch {
            let fetched = tokio::time::timeout(DEADLINE, self.fetch()).await;
            let bytes = fetched.unwrap_or(Err(FetchError::TimedOut));
            let taken = bytes.and_then(|bytes| Ok(self.cache().fetched(&bytes, now_s)?));
            let mut cache = self.cache();
            match taken {
                Ok(()) => {
                    if let Some(reason) = cache.failure() {
                        tracing::warn!(url = %self.url, %reason, "the JWK set was fetched; keys of before are not used any more");
                    }
                }
                Err(reason) => {
                    tracing::warn!(url = %self.url, %reason, "the JWK set was not fetched; the last good one is used");
                    cache.failed(reason);
                }
            }
        }
        let cache = self.cache();
        let kept = cache.keys_or_why(now_s).cloned();
        kept.map(Some).map_err(|why| format!("{why} ({})", self.url))
    }

    fn cache(&self) -> MutexGuard<'_, KeyCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let request = self.client.get(self.url.clone()).header("accept-encoding", "identity");
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status { status });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > JWKS_BYTES_MAX {
                return Err(JwksError::TooLarge.into());
            }
        }
        Ok(bytes)
    }
}

fn unreachable(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::TimedOut;
    }
    // The URL is said beside it.
    FetchError::Unreachable { reason: with_causes(&error.without_url()) }
}
