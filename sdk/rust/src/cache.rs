//! When the public keys of an endpoint are fetched, and how long they are used: rules without clock and network.

use thiserror::Error;

use crate::ids::KeyId;
use crate::keys::{JwksError, KeySet};
use crate::refused::Refused;

/// How long a set is used before it is fetched anew.
const FRESH_S: i64 = 5 * 60;
/// The shortest time between two fetches, whatever strangers name as their key.
const PAUSE_S: i64 = 60;
/// How long the last good set is used while fetching fails.
const KEPT_S: i64 = 24 * 60 * 60;

/// Why there are no keys: what the last fetch came to. It becomes [`Refused::Unavailable`] with its text as the reason.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// Nothing was fetched yet.
    #[error("the JWK set was not fetched yet")]
    NotYet,
    /// No whole answer came in time.
    #[error("the JWK set did not come in time")]
    TimedOut,
    /// It was answered with another status than 200.
    #[error("the JWK set was answered with status {status}")]
    Status {
        /// That status.
        status: u16,
    },
    /// There was no answer.
    #[error("the JWK set could not be fetched: {reason}")]
    Unreachable {
        /// What the client of HTTP says.
        reason: String,
    },
    /// There was an answer that cannot be used.
    #[error(transparent)]
    Unusable(#[from] JwksError),
}

impl From<FetchError> for Refused {
    fn from(error: FetchError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

/// The public keys of one endpoint, out of its JWK set. It holds the last good set and says when to fetch; fetching is
/// the caller's: `GET` over TLS, no redirects, at most [`JWKS_BYTES_MAX`](crate::JWKS_BYTES_MAX) bytes, a deadline of
/// some seconds.
///
/// ```
/// # use countersign_webhooks::{FetchError, KeyCache, KeySet, KeyId, Lookup, Refused};
/// # fn fetch() -> Result<Vec<u8>, FetchError> { Err(FetchError::Status { status: 404 }) }
/// fn keys<'c>(cache: &'c mut KeyCache, named: &[KeyId], now_s: i64) -> Result<&'c KeySet, Refused> {
///     if cache.look_up(named, now_s) == Lookup::Fetch {
///         let taken = fetch().and_then(|bytes| Ok(cache.fetched(&bytes, now_s)?));
///         if let Err(why) = taken {
///             eprintln!("{why}; the last good set is used");
///             cache.failed(why);
///         }
///     }
///     Ok(cache.keys_or_why(now_s)?)
/// }
/// # let why = keys(&mut KeyCache::new(), &[], 1_795_342_830).unwrap_err();
/// # assert!(why.to_string().contains("status 404"), "{why}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeyCache {
    good: Option<Good>,
    asked_at_s: Option<i64>,
    failure: Option<FetchError>,
}

#[derive(Clone, Debug)]
struct Good {
    keys: KeySet,
    fetched_at_s: i64,
}

/// What is to be done before a message is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing: use [`KeyCache::keys`].
    Ready,
    /// Fetch the set first, and hand it to [`KeyCache::fetched`]. Who asks meanwhile is not told to fetch too.
    Fetch,
}

impl KeyCache {
    /// A cache that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether to fetch before verifying a message that names these keys
    /// (see [`Incoming::key_ids`](crate::Incoming::key_ids)), and takes it that the caller does.
    pub fn look_up(&mut self, named: &[KeyId], now_s: i64) -> Lookup {
        let is_known = self.good.as_ref().is_some_and(|good| {
            is_within(good.fetched_at_s, FRESH_S, now_s) && named.iter().any(|id| good.keys.holds(id))
        });
        let was_asked = self.asked_at_s.is_some_and(|asked_at_s| is_within(asked_at_s, PAUSE_S, now_s));
        if is_known || was_asked {
            return Lookup::Ready;
        }
        self.asked_at_s = Some(now_s);
        Lookup::Fetch
    }

    /// Takes what was fetched at `now_s`. If it cannot be used, the last good set stays. A set without keys is taken: those of
    /// before were revoked, messages are refused as of an unknown key, and [`failure`](Self::failure) says why.
    ///
    /// # Errors
    ///
    /// Why the answer is no set that was taken.
    pub fn fetched(&mut self, jwks: &[u8], now_s: i64) -> Result<(), JwksError> {
        let read = KeySet::from_jwks(jwks);
        self.failure = read.as_ref().err().map(|error| FetchError::from(*error));
        let keys = match read {
            Err(JwksError::NoKeys) => KeySet::new(),
            read => read?,
        };
        self.good = Some(Good { keys, fetched_at_s: now_s });
        Ok(())
    }

    /// Takes it that a fetch came to nothing, and why. The last good set stays.
    pub fn failed(&mut self, why: FetchError) {
        self.failure = Some(why);
    }

    /// Why the last fetch gave no key that can be used, for logs: none if it did.
    pub fn failure(&self) -> Option<&FetchError> {
        self.failure.as_ref()
    }

    /// The last good set, while it may be used, or why there is none.
    pub fn keys_or_why(&self, now_s: i64) -> Result<&KeySet, FetchError> {
        self.keys(now_s).ok_or_else(|| self.failure.clone().unwrap_or(FetchError::NotYet))
    }

    /// The last good set, while it may be used. Without one, answer 503: the message comes again.
    pub fn keys(&self, now_s: i64) -> Option<&KeySet> {
        let good = self.good.as_ref()?;
        is_within(good.fetched_at_s, KEPT_S, now_s).then_some(&good.keys)
    }
}

/// Whether `now_s` is in the time after `since_s`. A clock that was set back is not: nothing is kept for ever by it.
fn is_within(since_s: i64, lifetime_s: i64, now_s: i64) -> bool {
    (0..lifetime_s).contains(&now_s.saturating_sub(since_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"whk_01kb1x8a9wh5t0c8m2q4r6s7vw","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}]}"#;

    fn known() -> [KeyId; 1] {
        ["whk_01kb1x8a9wh5t0c8m2q4r6s7vw".parse().unwrap()]
    }

    fn unknown() -> [KeyId; 1] {
        ["whk_01kb1x8a9wh5t0c8m2q4r6s7vx".parse().unwrap()]
    }

    #[test]
    fn a_set_is_fetched_once_in_five_minutes() {
        let mut cache = KeyCache::new();
        assert_eq!(cache.look_up(&known(), 1000), Lookup::Fetch);
        assert_eq!(cache.look_up(&known(), 1000), Lookup::Ready, "somebody fetches already");
        assert!(cache.keys(1000).is_none());
        cache.fetched(SET, 1001).unwrap();
        assert_eq!(cache.look_up(&known(), 1300), Lookup::Ready);
        assert_eq!(cache.look_up(&known(), 1301), Lookup::Fetch);
        assert!(cache.keys(1301).unwrap().holds(&known()[0]));
    }

    #[test]
    fn an_unknown_key_id_makes_one_fetch_a_minute() {
        let mut cache = KeyCache::new();
        cache.look_up(&known(), 1000);
        cache.fetched(SET, 1000).unwrap();
        let fetches = (1000..1600).filter(|now_s| cache.look_up(&unknown(), *now_s) == Lookup::Fetch).count();
        assert_eq!(fetches, 9);
        let both = [unknown()[0], known()[0]];
        cache.fetched(SET, 1700).unwrap();
        assert_eq!(cache.look_up(&both, 1701), Lookup::Ready, "one of the named keys is enough");
    }

    #[test]
    fn the_last_good_set_is_kept_for_a_day_while_fetching_fails() {
        let mut cache = KeyCache::new();
        cache.fetched(SET, 0).unwrap();
        assert_eq!(cache.look_up(&known(), 300), Lookup::Fetch);
        assert_eq!(cache.fetched(b"<html>", 300), Err(JwksError::NotJson));
        assert!(cache.keys(24 * 60 * 60 - 1).is_some());
        assert!(cache.keys(24 * 60 * 60).is_none());
        assert_eq!(cache.look_up(&known(), 24 * 60 * 60), Lookup::Fetch);
    }

    #[test]
    fn a_revoked_key_is_gone_with_the_next_set_also_the_last_one() {
        let mut cache = KeyCache::new();
        cache.fetched(SET, 0).unwrap();
        assert_eq!(cache.look_up(&known(), 300), Lookup::Fetch);
        assert_eq!(cache.fetched(br#"{"keys":[]}"#, 300), Ok(()), "it was fetched, and it is used");
        assert!(!cache.keys(300).unwrap().holds(&known()[0]));
        assert_eq!(cache.failure(), Some(&JwksError::NoKeys.into()), "for logs");
        // Another one is staged.
        assert_eq!(cache.look_up(&known(), 359), Lookup::Ready);
        assert_eq!(cache.look_up(&known(), 360), Lookup::Fetch);
        cache.fetched(SET, 360).unwrap();
        assert!(cache.keys(360).unwrap().holds(&known()[0]));
    }

    /// W-1: as in TypeScript and in Python, so that a message is of an unknown key, and not to come again later.
    #[test]
    fn a_set_without_keys_is_a_set_from_the_first_fetch_on() {
        for set in [br#"{"keys":[]}"#.as_slice(), br#"{"keys":[{"kty":"oct","kid":"a","k":"AA"}]}"#] {
            let mut cache = KeyCache::new();
            assert_eq!(cache.look_up(&known(), 0), Lookup::Fetch);
            assert_eq!(cache.fetched(set, 0), Ok(()));
            assert_eq!(cache.keys_or_why(0).unwrap().ids().count(), 0);
            assert_eq!(cache.failure(), Some(&JwksError::NoKeys.into()));
            assert_eq!([59, 60].map(|now_s| cache.look_up(&known(), now_s)), [Lookup::Ready, Lookup::Fetch]);
        }
    }

    #[test]
    fn why_there_are_no_keys_is_told() {
        let mut cache = KeyCache::new();
        assert_eq!(cache.keys_or_why(0).unwrap_err(), FetchError::NotYet);
        for (why, word) in [
            (FetchError::TimedOut, "in time"),
            (FetchError::Status { status: 404 }, "status 404"),
            (FetchError::Unreachable { reason: "connection refused".into() }, "connection refused"),
        ] {
            cache.failed(why.clone());
            assert_eq!((cache.keys_or_why(0).unwrap_err(), cache.failure()), (why.clone(), Some(&why)));
            let refused = Refused::from(why);
            assert!(refused.to_string().contains(word) && refused.status() == 503, "{refused}");
        }
        for (answer, why) in [
            ("<html>", JwksError::NotJson),
            ("[]", JwksError::NotASet),
            (&" ".repeat(crate::JWKS_BYTES_MAX + 1), JwksError::TooLarge),
        ] {
            assert_eq!(cache.fetched(answer.as_bytes(), 0), Err(why));
            assert_eq!(cache.keys_or_why(0).unwrap_err(), why.into());
        }
        cache.fetched(SET, 0).unwrap();
        assert_eq!(cache.failure(), None);
        // While the last good set is used, it is told all the same.
        cache.failed(FetchError::TimedOut);
        assert!(cache.keys_or_why(0).is_ok() && cache.failure().is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_a_set() {
        let mut cache = KeyCache::new();
        cache.fetched(SET, 1000).unwrap();
        assert!(cache.keys(999).is_none());
        assert_eq!(cache.look_up(&known(), 999), Lookup::Fetch);
        assert_eq!(cache.look_up(&known(), i64::MIN), Lookup::Fetch);
    }
}
