//! A client of an authorization server: its key, its assertions (RFC 7523) and its DPoP proofs (RFC 9449), by ES256.

use aws_lc_rs::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::digest::Digest;
use countersign_server::app::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};

use crate::Failure;

/// Life of an assertion in s: shorter than servers allow, longer than a measurement.
const ASSERTION_S: i64 = 240;

/// Name of the key of each client.
const KEY_ID: &str = "1";

/// A client with one key for both of its uses.
pub(crate) struct Client {
    key: EcdsaKeyPair,
    /// x and y of its public key.
    point: [String; 2],
    random: SystemRandom,
    /// Makes the ids of tokens unlike those of other runs.
    run: String,
}

/// What a DPoP proof is for (RFC 9449 §4.2).
pub(crate) struct Proved<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) nonce: Option<&'a str>,
    /// The access token that goes along.
    pub(crate) token: Option<&'a str>,
}

impl Client {
    /// A client with a new key.
    pub(crate) fn new() -> Result<Self, Failure> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| "a key could not be made")?;
        // An uncompressed point (SEC 1 §2.3.3): 4, x, y.
        let point = key.public_key().as_ref();
        let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
            return Err("the public key is no point of P-256".into());
        };
        let point = [encoded(x), encoded(y)];
        let random = SystemRandom::new();
        let mut run = [0; 12];
        random.fill(&mut run).map_err(|_| "no randomness")?;
        Ok(Self { key, point, random, run: encoded(&run) })
    }

    /// Its public keys, as a registration takes them (RFC 7517 §5).
    pub(crate) fn jwks(&self) -> Value {
        let [x, y] = &self.point;
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": KEY_ID, "alg": "ES256", "use": "sig",
        }] })
    }

    /// Parameters that authenticate it once at the server called `issuer`, which calls it `id`. `number` is used once.
    pub(crate) fn assertion(&self, id: &str, issuer: &str, number: u32) -> Result<String, Failure> {
        let now = now_s();
        let claims = json!({
            "iss": id, "sub": id, "aud": issuer,
            "iat": now, "exp": now + ASSERTION_S, "jti": format!("{}-a{number}", self.run),
        });
        let jwt = self.sign(&json!({ "alg": "ES256", "kid": KEY_ID }), &claims)?;
        Ok(format!(
            "client_id={id}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion={jwt}"
        ))
    }

    /// A DPoP proof for one request. `number` is used once.
    pub(crate) fn proof(&self, what: &Proved<'_>, number: u32) -> Result<String, Failure> {
        let mut claims = Map::new();
        for (name, value) in [
            ("htm", json!(what.method)),
            ("htu", json!(what.url)),
            ("iat", json!(now_s())),
            ("jti", json!(format!("{}-p{number}", self.run))),
        ] {
            claims.insert(name.to_owned(), value);
        }
        if let Some(nonce) = what.nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        if let Some(token) = what.token {
            claims.insert("ath".to_owned(), json!(encoded(&Digest::of(token.as_bytes()).0)));
        }
        let [x, y] = &self.point;
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        self.sign(&json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }), &Value::Object(claims))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String, Failure> {
        let input =
            format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature =
            self.key.sign(&self.random, input.as_bytes()).map_err(|_| "a token could not be signed")?;
        Ok(format!("{input}.{}", encoded(signature.as_ref())))
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now_s() -> i64 {
    SystemClock.now().unix_ms() / 1_000
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_proof_is_signed_by_the_key_that_it_names() {
        let client = Client::new().unwrap();
        let what =
            Proved { method: "GET", url: "http://127.0.0.1/v1", nonce: Some("n"), token: Some("token") };
        let proof = client.proof(&what, 7).unwrap();
        let (input, signature) = proof.rsplit_once('.').unwrap();
        let (header, claims) = input.split_once('.').unwrap();
        let read =
            |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        let (header, claims) = (read(header), read(claims));
        let mut point = vec![4];
        for name in ["x", "y"] {
            point.extend(URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap());
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input.as_bytes(), &signature).unwrap();
        assert_eq!((&header["typ"], &claims["nonce"]), (&json!("dpop+jwt"), &json!("n")));
        assert_eq!(claims["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");
        assert_ne!(proof, client.proof(&what, 8).unwrap());
    }
}
