//! Keys of a client under test, and what it signs with them: client assertions and DPoP proofs, right ones and any wrong
//! ones.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{digest::Digest, time::Time};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};

/// Base64url without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A P-256 key.
#[derive(Clone)]
pub(crate) struct ClientKey(SigningKey);

impl ClientKey {
    /// The key of a seed: another seed, another key.
    pub(crate) fn new(seed: &str) -> Self {
        Self(SigningKey::from_slice(&Digest::of(seed.as_bytes()).0).unwrap())
    }

    /// The key that a private JWK holds.
    pub(crate) fn of_private(jwk: &Value) -> Self {
        let secret = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
        Self(SigningKey::from_slice(&secret).unwrap())
    }

    /// Its public part, with a `kid`.
    pub(crate) fn public(&self, kid: &str) -> Value {
        let mut public = self.bare();
        public["kid"] = json!(kid);
        public["alg"] = json!("ES256");
        public["use"] = json!("sig");
        public
    }

    /// Its public part, as a DPoP proof carries it.
    pub(crate) fn bare(&self) -> Value {
        let point = self.0.verifying_key().to_sec1_point(false);
        json!({ "kty": "EC", "crv": "P-256", "x": base64url(point.x().unwrap()), "y": base64url(point.y().unwrap()) })
    }

    /// All of it as a JWK, for a client that somebody else wrote.
    pub(crate) fn private(&self, kid: &str) -> Value {
        let mut private = self.public(kid);
        private["d"] = json!(base64url(&self.0.to_bytes()));
        private
    }

    /// Any header over any claims, rightly signed.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature: Signature = self.0.sign(input.as_bytes());
        format!("{input}.{}", base64url(&signature.to_bytes()))
    }

    /// A client assertion (RFC 7523), as FAPI 2.0 wants it.
    pub(crate) fn assertion(&self, client: &str, audience: &str, jti: &str, now: Time) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": "1" }), &assertion_claims(client, audience, jti, now))
    }

    /// A DPoP proof (RFC 9449 §4.2).
    pub(crate) fn proof(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": self.bare() }), claims)
    }
}

/// The claims of a good assertion, to be spoilt by a test.
pub(crate) fn assertion_claims(client: &str, audience: &str, jti: &str, now: Time) -> Value {
    let seconds = now.unix_ms() / 1_000;
    json!({ "iss": client, "sub": client, "aud": audience, "jti": jti, "iat": seconds, "exp": seconds + 60 })
}

/// The claims of a good proof, to be spoilt by a test.
pub(crate) fn proof_claims(
    method: &str,
    url: &str,
    jti: &str,
    now: Time,
    nonce: Option<&str>,
    token: Option<&str>,
) -> Value {
    let mut claims = json!({ "htm": method, "htu": url, "jti": jti, "iat": now.unix_ms() / 1_000 });
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    if let Some(token) = token {
        claims["ath"] = json!(base64url(&Digest::of(token.as_bytes()).0));
    }
    claims
}
