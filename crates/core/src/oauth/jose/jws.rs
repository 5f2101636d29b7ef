//! Compact JWS: read without trusting it, and written around a signature that somebody else makes (RFC 7515).

use serde_json::{Value, json};

use super::{Algorithm, Jwk, NotJose, VerifySignature, base64url, from_base64url};
use crate::oauth::json::{self, Members};

/// Longest token, in bytes.
const TOKEN_BYTES: usize = 8 * 1_024;
/// Longest `kid` or `typ`, in bytes.
pub(super) const NAME_BYTES: usize = 200;
/// Header members that would change what is signed or how it is read, and that we do not know.
const REFUSED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// What the header says, with nothing that a token could lead us to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `typ`, as it is written.
    pub typ: Option<String>,
    /// `kid`.
    pub kid: Option<String>,
    /// `jwk`: the key that the token brings along. It proves nothing but that the token's maker has it.
    pub jwk: Option<Jwk>,
}

/// A token that was read and that nobody has verified yet.
#[derive(Clone, Debug)]
pub struct Unverified<'t> {
    header: Header,
    payload: Vec<u8>,
    signing_input: &'t str,
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Reads a compact JWS.
    pub fn parse(token: &'t str) -> Result<Self, NotJose> {
        if token.len() > TOKEN_BYTES {
            return Err(NotJose::TooLong(TOKEN_BYTES));
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(NotJose::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(NotJose::Parts)?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() {
            return Err(NotJose::Parts);
        }
        let header = Header::read(&json::object(&from_base64url(header)?)?)?;
        let payload = from_base64url(payload)?;
        let signature = from_base64url(signature)?;
        let fits = match header.algorithm {
            Algorithm::Es256 | Algorithm::EdDsa => signature.len() == 64,
            Algorithm::Ps256 => (256..=512).contains(&signature.len()),
        };
        if !fits {
            return Err(NotJose::SignatureLength);
        }
        Ok(Self { header, payload, signing_input, signature })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims as bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The claims, which are one object (RFC 7519 §4).
    pub fn claims(&self) -> Result<Members, NotJose> {
        Ok(json::object(&self.payload)?)
    }

    /// Whether it was signed by `key`, with the one algorithm of that key.
    pub fn is_signed_by(&self, key: &Jwk, verifier: &dyn VerifySignature) -> bool {
        let algorithm = self.header.algorithm;
        key.algorithm() == algorithm
            && verifier.verify(key, algorithm, self.signing_input.as_bytes(), &self.signature)
    }
}

impl Header {
    fn read(members: &Members) -> Result<Self, NotJose> {
        if let Some(name) = REFUSED.into_iter().find(|name| members.has(name)) {
            return Err(NotJose::Header(name));
        }
        let algorithm = Algorithm::parse(members.required_text("alg")?).ok_or(NotJose::Algorithm)?;
        let jwk = members.get("jwk").map(Jwk::parse).transpose()?;
        Ok(Self { algorithm, typ: name(members, "typ")?, kid: name(members, "kid")?, jwk })
    }
}

fn name(members: &Members, of: &'static str) -> Result<Option<String>, NotJose> {
    match members.text(of)? {
        Some(text) if text.len() > NAME_BYTES => Err(NotJose::Header(of)),
        text => Ok(text.map(str::to_owned)),
    }
}

/// A token of ours that lacks its signature.
#[derive(Clone, Debug)]
pub struct SigningInput(String);

impl SigningInput {
    /// Header and claims. `typ` says what the token is, so that none is taken for another (RFC 8725 §3.11).
    pub fn new(algorithm: Algorithm, typ: &str, kid: &str, claims: &Value) -> Self {
        let header = json!({ "alg": algorithm.text(), "kid": kid, "typ": typ });
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        Self(format!("{}.{}", part(&header), part(claims)))
    }

    /// What is to be signed.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The whole token.
    pub fn with_signature(self, signature: &[u8]) -> String {
        format!("{}.{}", self.0, base64url(signature))
    }
}

/// A compact JWS with the signature that `sign` makes.
pub fn compact<E>(
    algorithm: Algorithm,
    typ: &str,
    kid: &str,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, E> {
    let input = SigningInput::new(algorithm, typ, kid, claims);
    let signature = sign(input.bytes())?;
    Ok(input.with_signature(&signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, payload: &str, signature: &[u8]) -> String {
        format!("{}.{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()), base64url(signature))
    }

    fn refused(header: &str) -> NotJose {
        Unverified::parse(&token(header, "{}", &[1; 64])).unwrap_err()
    }

    /// A-6: neither `none` nor a MAC nor a weaker RSA is an algorithm here.
    #[test]
    fn only_three_algorithms_are_taken() {
        for algorithm in ["none", "None", "HS256", "RS256", "ES384", "Ed448", "es256", ""] {
            assert_eq!(refused(&format!(r#"{{"alg":"{algorithm}"}}"#)), NotJose::Algorithm, "{algorithm}");
        }
        assert!(Unverified::parse(&token(r#"{"alg":"ES256"}"#, "{}", &[1; 64])).is_ok());
        assert_eq!(
            Unverified::parse(&token(r#"{"alg":"ES256"}"#, "{}", b"")).unwrap_err(),
            NotJose::SignatureLength
        );
        assert_eq!(
            Unverified::parse(&token(r#"{"alg":"PS256"}"#, "{}", &[1; 64])).unwrap_err(),
            NotJose::SignatureLength
        );
    }

    /// G-7: a header that wants to be understood and is not, is refused (RFC 7515 §4.1.11).
    #[test]
    fn a_critical_or_doubled_header_is_refused() {
        assert_eq!(refused(r#"{"alg":"ES256","crit":["exp"]}"#), NotJose::Header("crit"));
        assert_eq!(refused(r#"{"alg":"ES256","crit":[]}"#), NotJose::Header("crit"));
        assert_eq!(refused(r#"{"alg":"ES256","b64":false}"#), NotJose::Header("b64"));
        assert!(matches!(refused(r#"{"alg":"ES256","alg":"ES256"}"#), NotJose::Json(_)));
        assert!(matches!(refused(r#"{"alg":"ES256"}{}"#), NotJose::Json(_)));
        assert!(matches!(refused(r#"{"typ":"JWT"}"#), NotJose::Json(_)));
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(201));
        assert_eq!(refused(&long), NotJose::Header("kid"));
    }

    #[test]
    fn a_token_has_one_spelling() {
        let good = token(r#"{"alg":"ES256"}"#, "{}", &[1; 64]);
        let of = |text: &str| Unverified::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(of(&format!("{good}=")), NotJose::Base64);
        assert_eq!(of(&format!("{good}.")), NotJose::Parts);
        assert_eq!(of(&format!("{good}\n")), NotJose::Base64);
        assert_eq!(of("a.b"), NotJose::Parts);
        assert_eq!(of(""), NotJose::Parts);
        assert_eq!(of(&"a".repeat(TOKEN_BYTES + 1)), NotJose::TooLong(TOKEN_BYTES));
        // 64 bytes end in a character with four bits that say nothing.
        let mut other = good.clone();
        let last = other.pop().unwrap();
        other.push(if last == 'Q' { 'R' } else { 'Q' });
        assert_ne!(good, other);
        assert_eq!(of(&other), NotJose::Base64);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let claims = json!({ "iss": "https://sign.test" });
        let text = compact(Algorithm::EdDsa, "at+jwt", "k1", &claims, |input| {
            assert!(!input.is_empty());
            Ok::<_, ()>(vec![7; 64])
        })
        .unwrap();
        let read = Unverified::parse(&text).unwrap();
        assert_eq!(read.header().typ.as_deref(), Some("at+jwt"));
        assert_eq!(read.header().kid.as_deref(), Some("k1"));
        assert_eq!(read.claims().unwrap().text("iss").unwrap(), Some("https://sign.test"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_stumble(text in "[A-Za-z0-9._-]{0,200}") {
            let _ = Unverified::parse(&text);
        }
    }
}
