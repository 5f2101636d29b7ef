//! Public keys: one at a time, and in sets (RFC 7517), with their thumbprints (RFC 7638).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{Algorithm, NotJose, base64, base64url, from_base64, from_base64url, jws::NAME_BYTES};
use crate::{
    digest::Digest,
    limits,
    oauth::json::{self, Members},
};

/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4, RFC 8037 §2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// The one exponent that we take: 65537.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;
/// The point that P-256 begins with (SEC 2 §2.4.2).
const P256_GENERATOR: ([u8; 32], [u8; 32]) = (
    [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77,
        0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    ],
    [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b,
        0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
    ],
);
/// Certificates in one `x5c`.
const CERTIFICATES: usize = 5;

/// A public key. A point may lie beside its curve: what verifies signatures finds that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PublicKey {
    /// A point on P-256.
    P256 {
        /// Its first coordinate.
        x: [u8; 32],
        /// Its second coordinate.
        y: [u8; 32],
    },
    /// A point of Ed25519.
    Ed25519 {
        /// Its encoding (RFC 8032 §5.1.2).
        x: [u8; 32],
    },
    /// A modulus of RSA of 2048 to 4096 bits, with the exponent 65537.
    Rsa {
        /// The modulus, the most significant byte first and not zero.
        n: Vec<u8>,
    },
}

/// A public key with its name, for signatures only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jwk {
    /// The key.
    pub key: PublicKey,
    /// Its name.
    pub kid: Option<String>,
    /// Its certificate and those above it, in DER (RFC 7517 §4.7).
    pub x5c: Vec<Vec<u8>>,
}

/// A key that stands in where there is none: whoever verifies with it takes as long as with the right one, and believes
/// nothing that it says. Its private part is known to all: a generator, or a modulus that is no product of two primes.
pub fn decoy(algorithm: Algorithm) -> Jwk {
    let key = match algorithm {
        Algorithm::Es256 => PublicKey::P256 { x: P256_GENERATOR.0, y: P256_GENERATOR.1 },
        Algorithm::EdDsa => {
            let mut x = [0x66; 32];
            x[0] = 0x58;
            PublicKey::Ed25519 { x }
        }
        Algorithm::Ps256 => {
            let bytes = RSA_BITS.start() / 8;
            let n = (1..=bytes).map(|place| if place == 1 { 0x80 } else { u8::from(place == bytes) });
            PublicKey::Rsa { n: n.collect() }
        }
    };
    Jwk { key, kid: None, x5c: Vec::new() }
}

/// What a key of a set is: one that we can use, one for others, or a fault.
enum Read {
    Usable(Jwk),
    ForOthers,
}

impl Jwk {
    /// A key with a name.
    pub fn new(key: PublicKey, kid: impl Into<String>) -> Self {
        Self { key, kid: Some(kid.into()), x5c: Vec::new() }
    }

    /// Reads one key that must be of use here.
    pub fn parse(value: &Value) -> Result<Self, NotJose> {
        match read(value)? {
            Read::Usable(key) => Ok(key),
            Read::ForOthers => Err(NotJose::Key("kty, crv, alg or use")),
        }
    }

    /// The one algorithm that the key is used with.
    pub fn algorithm(&self) -> Algorithm {
        match self.key {
            PublicKey::P256 { .. } => Algorithm::Es256,
            PublicKey::Ed25519 { .. } => Algorithm::EdDsa,
            PublicKey::Rsa { .. } => Algorithm::Ps256,
        }
    }

    /// The required members (RFC 7638 §3.2).
    fn required(&self) -> Map<String, Value> {
        let members = match &self.key {
            PublicKey::P256 { x, y } => {
                vec![("crv", "P-256".into()), ("kty", "EC".into()), ("x", base64url(x)), ("y", base64url(y))]
            }
            PublicKey::Ed25519 { x } => {
                vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", base64url(x))]
            }
            PublicKey::Rsa { n } => {
                vec![("e", base64url(&RSA_EXPONENT)), ("kty", "RSA".into()), ("n", base64url(n))]
            }
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }

    /// The thumbprint with SHA-256 (RFC 7638), in which a token is bound to the key (RFC 9449 §6.1).
    pub fn thumbprint(&self) -> Digest {
        let mut required = Value::Object(self.required());
        // Without the feature `preserve_order` they are sorted already, and this does nothing.
        required.sort_all_objects();
        Digest::of(required.to_string().as_bytes())
    }

    /// SHA-256 of its certificate, where it has one (RFC 8705 §3.1).
    pub fn certificate(&self) -> Option<Digest> {
        self.x5c.first().map(|der| Digest::of(der))
    }

    /// As it is published: with `use` and `alg`.
    pub fn to_json(&self) -> Value {
        let mut members = self.required();
        members.insert("alg".to_owned(), json!(self.algorithm().text()));
        members.insert("use".to_owned(), json!("sig"));
        if let Some(kid) = &self.kid {
            members.insert("kid".to_owned(), json!(kid));
        }
        if !self.x5c.is_empty() {
            members.insert("x5c".to_owned(), self.x5c.iter().map(|der| base64(der)).collect());
        }
        Value::Object(members)
    }
}

/// Reads one key. A secret part is a fault in any key, and so is a known kind with wrong members.
fn read(value: &Value) -> Result<Read, NotJose> {
    let members = Members::of(value.clone())?;
    if PRIVATE.iter().any(|name| members.has(name)) {
        return Err(NotJose::PrivateKey);
    }
    let for_signatures = members.text("use")?.is_none_or(|usage| usage == "sig")
        && members.texts("key_ops")?.is_none_or(|operations| operations.contains(&"verify"));
    let curve = members.text("crv")?;
    let key = match (members.required_text("kty")?, curve) {
        _ if !for_signatures => return Ok(Read::ForOthers),
        ("EC", Some("P-256")) => {
            PublicKey::P256 { x: coordinate(&members, "x")?, y: coordinate(&members, "y")? }
        }
        ("OKP", Some("Ed25519")) => PublicKey::Ed25519 { x: coordinate(&members, "x")? },
        ("RSA", None) => match rsa(&members)? {
            Some(key) => key,
            None => return Ok(Read::ForOthers),
        },
        _ => return Ok(Read::ForOthers),
    };
    let kid = members.text("kid")?;
    if kid.is_some_and(|kid| kid.len() > NAME_BYTES) {
        return Err(NotJose::Key("kid"));
    }
    let certificates = members.texts("x5c")?.unwrap_or_default();
    if certificates.len() > CERTIFICATES {
        return Err(NotJose::Key("x5c"));
    }
    let x5c = certificates.into_iter().map(from_base64).collect::<Result<_, _>>()?;
    let key = Jwk { key, kid: kid.map(str::to_owned), x5c };
    let fits = members.text("alg")?.is_none_or(|algorithm| algorithm == key.algorithm().text());
    Ok(if fits { Read::Usable(key) } else { Read::ForOthers })
}

fn coordinate(members: &Members, name: &'static str) -> Result<[u8; 32], NotJose> {
    let text = members.text(name)?.ok_or(NotJose::Key(name))?;
    from_base64url(text)?.try_into().map_err(|_| NotJose::Key(name))
}

/// An RSA key; `None` for one whose size or exponent is out of our range (RFC 7517 §5).
fn rsa(members: &Members) -> Result<Option<PublicKey>, NotJose> {
    let n = from_base64url(members.text("n")?.ok_or(NotJose::Key("n"))?)?;
    let e = from_base64url(members.text("e")?.ok_or(NotJose::Key("e"))?)?;
    let first = *n.first().ok_or(NotJose::Key("n"))?;
    if first == 0 {
        return Err(NotJose::Key("n"));
    }
    let zeros = usize::try_from(first.leading_zeros()).unwrap_or(0);
    let bits = n.len().saturating_mul(8).saturating_sub(zeros);
    Ok((RSA_BITS.contains(&bits) && e == RSA_EXPONENT).then_some(PublicKey::Rsa { n }))
}

/// The keys of a client, or our own.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct JwkSet(Vec<Jwk>);

/// Why no key of a set fits a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoKey {
    /// No key has this name and algorithm.
    #[error("no key of the set has this kid and algorithm")]
    Unknown,
    /// The token names no key, and several would do.
    #[error("the token has no kid, and several keys of the set have its algorithm")]
    Ambiguous,
}

impl JwkSet {
    /// Of keys of ours.
    pub fn new(keys: Vec<Jwk>) -> Self {
        Self(keys)
    }

    /// Reads a JWK set. Keys for other purposes or of other kinds are left out (RFC 7517 §5); a secret part, a broken key
    /// and two keys that cannot be told apart are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotJose> {
        if bytes.len() > limits::JWKS_BYTES {
            return Err(NotJose::TooLong(limits::JWKS_BYTES));
        }
        Self::of_value(&json::value(bytes)?)
    }

    fn of_value(value: &Value) -> Result<Self, NotJose> {
        let members = Members::of(value.clone())?;
        let keys = members.get("keys").and_then(Value::as_array).ok_or(NotJose::Key("keys"))?;
        if keys.len() > limits::JWKS_KEYS {
            return Err(NotJose::TooManyKeys(limits::JWKS_KEYS));
        }
        let mut usable: Vec<Jwk> = Vec::new();
        for key in keys {
            let Read::Usable(key) = read(key)? else { continue };
            let same = |other: &Jwk| other.kid == key.kid && other.algorithm() == key.algorithm();
            if key.kid.is_some() && usable.iter().any(same) {
                return Err(NotJose::RepeatedKid);
            }
            usable.push(key);
        }
        Ok(Self(usable))
    }

    /// Its keys.
    pub fn keys(&self) -> &[Jwk] {
        &self.0
    }

    /// The key for a token: by its name, or the only one of its algorithm where it names none.
    pub fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Jwk, NoKey> {
        let fits = |key: &&Jwk| {
            key.algorithm() == algorithm && kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
        };
        let mut fitting = self.0.iter().filter(fits);
        let first = fitting.next().ok_or(NoKey::Unknown)?;
        if fitting.next().is_some() { Err(NoKey::Ambiguous) } else { Ok(first) }
    }

    /// As it is published.
    pub fn to_json(&self) -> Value {
        let keys: Value = self.0.iter().map(Jwk::to_json).collect();
        Value::Object(Map::from_iter([("keys".to_owned(), keys)]))
    }
}

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JwkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_value(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7638 §3.1.
    const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"PS256","kid":"2011-04-29"}"#;
    /// The key of RFC 8037, appendix A.2.
    const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// The key of RFC 9449 §4.1.
    const P256: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;

    fn key(text: &str) -> Result<Jwk, NotJose> {
        Jwk::parse(&serde_json::from_str(text).unwrap())
    }

    /// A-5: the thumbprints that RFC 7638 §3.1, RFC 8037 appendix A.3 and RFC 9449 §6.1 give.
    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        let thumbprint = |text: &str| base64url(&key(text).unwrap().thumbprint().0);
        assert_eq!(thumbprint(RSA), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(thumbprint(ED25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(thumbprint(P256), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    /// A-5: a private key that is sent as a public one is disclosed, not used.
    #[test]
    fn a_secret_part_is_refused_in_every_kind_of_key() {
        for text in [
            P256.replace("\"crv\"", "\"d\":\"AA\",\"crv\""),
            RSA.replace("\"e\"", "\"p\":\"AA\",\"e\""),
            r#"{"kty":"oct","k":"AA"}"#.to_owned(),
        ] {
            assert_eq!(key(&text), Err(NotJose::PrivateKey));
            assert_eq!(JwkSet::parse(format!("{{\"keys\":[{text}]}}").as_bytes()), Err(NotJose::PrivateKey));
        }
    }

    #[test]
    fn a_key_that_is_not_for_us_is_left_out_of_a_set_and_refused_alone() {
        for text in [
            RSA.replace("PS256", "RS256"),
            P256.replace("P-256", "P-384"),
            ED25519.replace("\"kty\"", "\"use\":\"enc\",\"kty\""),
            ED25519.replace("\"kty\"", "\"key_ops\":[\"sign\"],\"kty\""),
            RSA.replace("AQAB", "Aw"),
            format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, base64url(&[255; 255])),
            format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, base64url(&[255; 513])),
        ] {
            assert!(key(&text).is_err(), "{text}");
            let set = JwkSet::parse(format!("{{\"keys\":[{text},{ED25519}]}}").as_bytes()).unwrap();
            assert_eq!(set.keys(), [key(ED25519).unwrap()], "{text}");
        }
    }

    #[test]
    fn a_broken_key_breaks_its_set() {
        for text in [
            P256.replace("l8tF", "8tF"),
            ED25519.replace("11qY", "=1qY"),
            RSA.replace("0vx7", "AAAA"),
            RSA.replace("\"kid\":\"2011-04-29\"", "\"x5c\":[\"*\"]"),
            "7".to_owned(),
        ] {
            assert!(JwkSet::parse(format!("{{\"keys\":[{text}]}}").as_bytes()).is_err(), "{text}");
        }
        let named = ED25519.replace("\"kty\"", "\"kid\":\"a\",\"kty\"");
        let twice = format!("{{\"keys\":[{named},{named}]}}");
        assert_eq!(JwkSet::parse(twice.as_bytes()), Err(NotJose::RepeatedKid));
        let many = vec![ED25519; limits::JWKS_KEYS + 1].join(",");
        assert_eq!(
            JwkSet::parse(format!("{{\"keys\":[{many}]}}").as_bytes()),
            Err(NotJose::TooManyKeys(limits::JWKS_KEYS))
        );
    }

    /// A-6: a token that names no key is not tried against several.
    #[test]
    fn an_ambiguous_choice_is_refused() {
        let with = |kid: &str| ED25519.replace("\"kty\"", &format!("\"kid\":\"{kid}\",\"kty\""));
        let text = format!("{{\"keys\":[{},{},{P256}]}}", with("a"), with("b"));
        let set = JwkSet::parse(text.as_bytes()).unwrap();
        assert_eq!(set.choose(Some("b"), Algorithm::EdDsa).unwrap().kid.as_deref(), Some("b"));
        assert_eq!(set.choose(None, Algorithm::EdDsa), Err(NoKey::Ambiguous));
        assert_eq!(set.choose(None, Algorithm::Es256), Ok(&key(P256).unwrap()));
        assert_eq!(set.choose(Some("a"), Algorithm::Es256), Err(NoKey::Unknown));
        assert_eq!(set.choose(None, Algorithm::Ps256), Err(NoKey::Unknown));
    }

    #[test]
    fn a_set_survives_its_text() {
        let text = format!("{{\"keys\":[{RSA},{P256},{ED25519}]}}");
        let set = JwkSet::parse(text.as_bytes()).unwrap();
        let again = serde_json::to_string(&set).unwrap();
        assert_eq!(JwkSet::parse(again.as_bytes()), Ok(set.clone()));
        assert_eq!(serde_json::from_str::<JwkSet>(&again).unwrap(), set);
    }
}
