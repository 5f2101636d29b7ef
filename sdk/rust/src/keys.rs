//! The keys that a receiver holds, by their ids, and how they come out of a JWK set (RFC 7517).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::ids::KeyId;
use crate::json;
use crate::public::{Algorithm, PublicKey};
use crate::secret::Secret;

/// How long a JWK set may be, in bytes. One of an endpoint has two or three keys: some 2 KiB.
pub const JWKS_BYTES_MAX: usize = 64 * 1024;
const JWKS_KEYS_MAX: usize = 16;

/// A JWK set that cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwksError {
    /// It is too long.
    #[error(
        "the JWK set is longer than {JWKS_BYTES_MAX} bytes, or has more than {JWKS_KEYS_MAX} keys: check its URL"
    )]
    TooLarge,
    /// It is no JSON, or has a member twice.
    #[error(
        "the JWK set is no JSON (RFC 8259), or has a member twice: check its URL, and what is in between"
    )]
    NotJson,
    /// It is no JWK set.
    #[error(
        "this is no JWK set (RFC 7517): check its URL, /webhooks/{{endpoint}}/jwks.json, and what is in between"
    )]
    NotASet,
    /// Two keys of one kind have one id.
    #[error("the JWK set has two keys of one kind under one id: tell Countersign")]
    Ambiguous,
    /// No key in it can verify anything here.
    #[error(
        "the JWK set has no key that can be used here: check its URL, and the feature `rsa-pss` if the endpoint signs with RSA"
    )]
    NoKeys,
}

/// Keys by their ids. Several are held while one is rotated: the staged one too, from the moment it is published.
#[derive(Clone, Debug, Default)]
pub struct KeySet(BTreeMap<KeyId, Held>);

/// What is held under one id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) secret: Option<Secret>,
    pub(crate) ed25519: Option<PublicKey>,
    /// The key for HTTP Message Signatures, where it is another one.
    other: Option<PublicKey>,
}

impl Held {
    /// The one key that makes HTTP Message Signatures.
    pub(crate) fn of_messages(&self) -> Option<&PublicKey> {
        self.other.as_ref().or(self.ed25519.as_ref())
    }

    fn place_of(&mut self, key: &PublicKey) -> &mut Option<PublicKey> {
        if key.algorithm() == Algorithm::Ed25519 { &mut self.ed25519 } else { &mut self.other }
    }
}

impl KeySet {
    /// A set without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the secret of a key, in place of one that is held under the id.
    #[must_use]
    pub fn with_secret(mut self, id: KeyId, secret: Secret) -> Self {
        self.0.entry(id).or_default().secret = Some(secret);
        self
    }

    /// Adds a public key, in place of one of its kind that is held under the id. An id can have an Ed25519 key and
    /// one of another algorithm: then that one makes the HTTP Message Signatures.
    #[must_use]
    pub fn with_public_key(mut self, id: KeyId, key: PublicKey) -> Self {
        let place = self.0.entry(id).or_default().place_of(&key);
        *place = Some(key);
        self
    }

    /// Adds all that another set holds, in place of what is held already.
    #[must_use]
    pub fn with_all_of(mut self, other: &Self) -> Self {
        for (id, more) in &other.0 {
            let held = self.0.entry(*id).or_default();
            held.secret = more.secret.clone().or(held.secret.take());
            held.ed25519 = more.ed25519.clone().or(held.ed25519.take());
            held.other = more.other.clone().or(held.other.take());
        }
        self
    }

    /// Reads a JWK set: keys of types, curves and uses that are not known are passed over, and so is one whose
    /// private part somebody published.
    pub fn from_jwks(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        let Value::Object(mut set) = json::read(bytes).ok_or(JwksError::NotJson)? else {
            return Err(JwksError::NotASet);
        };
        let Some(Value::Array(keys)) = set.remove("keys") else { return Err(JwksError::NotASet) };
        if keys.len() > JWKS_KEYS_MAX {
            return Err(JwksError::TooLarge);
        }
        let mut read = Self::new();
        for (id, key) in keys.iter().filter_map(Value::as_object).filter_map(usable) {
            let place = read.0.entry(id).or_default().place_of(&key);
            if place.replace(key).is_some() {
                return Err(JwksError::Ambiguous);
            }
        }
        if read.0.is_empty() { Err(JwksError::NoKeys) } else { Ok(read) }
    }

    /// Whether anything is held under `id`.
    pub fn holds(&self, id: &KeyId) -> bool {
        self.0.contains_key(id)
    }

    /// The ids under which something is held.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.0.keys()
    }

    pub(crate) fn get(&self, id: &KeyId) -> Option<&Held> {
        self.0.get(id)
    }
}

/// The key of a JWK that is for verifying webhooks.
fn usable(jwk: &Map<String, Value>) -> Option<(KeyId, PublicKey)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let coordinate = |name: &str| <[u8; 32]>::try_from(bytes(name)?).ok();
    // Whose private part is public is nobody's key.
    if jwk.contains_key("d") || jwk.get("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let (key, algorithms) = match (text("kty")?, text("crv")) {
        ("OKP", Some("Ed25519")) => (PublicKey::ed25519(&coordinate("x")?), ["EdDSA", "Ed25519"]),
        ("EC", Some("P-256")) => (PublicKey::p256(&coordinate("x")?, &coordinate("y")?), ["ES256", "ES256"]),
        ("RSA", None) => (PublicKey::rsa(&bytes("n")?, &bytes("e")?), ["PS512", "PS512"]),
        _ => return None,
    };
    if jwk.get("alg").is_some_and(|given| !algorithms.iter().any(|algorithm| given == algorithm)) {
        return None;
    }
    Some((text("kid")?.parse().ok()?, key.ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw";

    fn ed25519() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": ID, "use": "sig", "alg": "EdDSA",
               "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"})
    }

    fn p256() -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": ID,
               "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA", "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"})
    }

    fn read(keys: &[Value]) -> Result<KeySet, JwksError> {
        KeySet::from_jwks(&serde_json::to_vec(&json!({ "keys": keys })).unwrap())
    }

    #[test]
    fn one_id_has_an_ed25519_key_and_the_one_of_message_signatures() {
        let held = read(&[p256(), ed25519()]).unwrap();
        let held = held.get(&ID.parse().unwrap()).unwrap();
        assert_eq!(held.ed25519.as_ref().unwrap().algorithm(), Algorithm::Ed25519);
        assert_eq!(held.of_messages().unwrap().algorithm(), Algorithm::EcdsaP256Sha256);
        let held = read(&[ed25519()]).unwrap();
        assert_eq!(
            held.get(&ID.parse().unwrap()).unwrap().of_messages().unwrap().algorithm(),
            Algorithm::Ed25519
        );
    }

    #[test]
    fn a_key_that_is_not_for_this_is_passed_over() {
        let with = |name: &str, value: Value| {
            let mut key = ed25519();
            key[name] = value;
            key
        };
        for key in [
            with("use", json!("enc")),
            with("alg", json!("ES256")),
            with("alg", json!(null)),
            with("crv", json!("X25519")),
            with("kty", json!("oct")),
            with("kid", json!("1")),
            with("kid", json!(null)),
            with("x", json!("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs=")),
            with("x", json!("")),
            with("d", json!("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU")),
            json!({"kty": "RSA", "kid": ID, "n": "AQ", "e": "AQAB"}),
            json!("key"),
        ] {
            assert_eq!(read(std::slice::from_ref(&key)).unwrap_err(), JwksError::NoKeys, "{key}");
            assert!(read(&[key, p256()]).is_ok());
        }
    }

    #[test]
    fn a_set_that_is_none_is_an_error() {
        assert_eq!(KeySet::from_jwks(b"").unwrap_err(), JwksError::NotJson);
        assert_eq!(KeySet::from_jwks(b"[]").unwrap_err(), JwksError::NotASet);
        assert_eq!(KeySet::from_jwks(br#"{"keys":{}}"#).unwrap_err(), JwksError::NotASet);
        assert_eq!(KeySet::from_jwks(br#"{"keys":[],"keys":[]}"#).unwrap_err(), JwksError::NotJson);
        assert_eq!(read(&[]).unwrap_err(), JwksError::NoKeys);
        assert_eq!(read(&[ed25519(), ed25519()]).unwrap_err(), JwksError::Ambiguous);
        assert_eq!(read(&vec![json!({}); 17]).unwrap_err(), JwksError::TooLarge);
        assert_eq!(KeySet::from_jwks(&vec![b' '; JWKS_BYTES_MAX + 1]).unwrap_err(), JwksError::TooLarge);
    }

    #[test]
    fn sets_are_joined_key_by_key() {
        let id: KeyId = ID.parse().unwrap();
        let secret = KeySet::new().with_secret(id, Secret::from_bytes([7; 32]));
        let joined = secret.with_all_of(&read(&[ed25519()]).unwrap());
        let held = joined.get(&id).unwrap();
        assert!(held.secret.is_some() && held.ed25519.is_some());
        assert!(joined.holds(&id) && joined.ids().count() == 1);
    }
}
