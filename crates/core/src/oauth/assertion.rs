//! Client assertions: a client proves who it is with a token that it signed for this server (RFC 7521 §4.2, RFC 7523
//! §3), as FAPI 2.0 has it: the audience is the issuer and nothing else.

use serde_json::Value;

use crate::{
    digest::Digest,
    id::ClientId,
    limits,
    oauth::{
        error::{ErrorCode, OAuthError},
        jose::{JwkSet, Unverified, VerifySignature, decoy},
        json::{Members, NotStrict},
    },
    security::FailureReason,
    time::Time,
};

/// The `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const DOMAIN: &[u8] = b"countersign/assertion/v1";
const JTI_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// A good assertion, if it is the first with its `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// What is to be spent: of this client, this `jti`.
    pub jti_hash: Digest,
    /// Until when it must be remembered as spent.
    pub expires_at: Time,
}

/// Why an assertion is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What the caller is told.
    pub error: OAuthError,
    /// What the organization is told.
    pub reason: FailureReason,
}

impl Wrong {
    /// In the words for whoever is unknown.
    pub fn unproven(reason: FailureReason) -> Self {
        Self { error: OAuthError::unproven_client(), reason }
    }

    fn of(reason: FailureReason, sentence: impl std::fmt::Display) -> Self {
        Self { error: wrong(sentence), reason }
    }
}

fn wrong(sentence: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, format!("the client_assertion: {sentence}"))
}

fn malformed(sentence: impl std::fmt::Display) -> Wrong {
    Wrong::of(FailureReason::Malformed, sentence)
}

/// Whose assertion it says it is: to look the client up with, before anything is verified.
pub fn client_of(assertion: &str) -> Result<ClientId, OAuthError> {
    let claims = Unverified::parse(assertion).and_then(|token| token.claims()).map_err(wrong)?;
    let subject = claims.required_text("sub").map_err(wrong)?;
    subject.parse().map_err(|_| OAuthError::unproven_client())
}

/// Checks an assertion of `client`, whose keys are `keys`, for the server `issuer`.
///
/// # Errors
///
/// Always `invalid_client` for the caller. What depends on the registration, the keys, has the same sentence as an unknown client.
pub fn check(
    assertion: &str,
    client: ClientId,
    keys: &JwkSet,
    issuer: &str,
    now: Time,
    verifier: &dyn VerifySignature,
) -> Result<Assertion, Wrong> {
    let token = Unverified::parse(assertion).map_err(malformed)?;
    let header = token.header();
    if header.typ.as_deref().is_some_and(|typ| !TYPES.contains(&typ)) {
        return Err(malformed("typ is JWT or client-authentication+jwt, if there is one"));
    }
    if header.jwk.is_some() {
        return Err(malformed("the header holds a key, and only registered keys count: leave jwk out"));
    }
    let claims = token.claims().map_err(malformed)?;
    names(&claims, &client.to_string(), issuer)?;
    let jti = claims.required_text("jti").map_err(malformed)?;
    if !JTI_BYTES.contains(&jti.len()) {
        return Err(malformed("jti has 8 to 256 bytes"));
    }
    let expires_s = life(&claims, now)?;
    // A key is looked at in any case: how long it takes tells nobody whether there is one.
    let decoy = decoy(header.algorithm);
    let chosen = keys.choose(header.kid.as_deref(), header.algorithm);
    let is_signed = token.is_signed_by(chosen.unwrap_or(&decoy), verifier);
    if chosen.is_err() || !is_signed {
        return Err(Wrong::unproven(FailureReason::WrongSignature));
    }
    let jti_hash = Digest::of_parts(&[DOMAIN, client.as_bytes(), jti.as_bytes()]);
    let expires_at = Time::from_unix_ms(expires_s.saturating_mul(1_000)).plus_s(limits::CLOCK_SKEW_S);
    Ok(Assertion { jti_hash, expires_at })
}

/// `iss`, `sub` and `aud` (RFC 7523 §3, FAPI 2.0 Security Profile §5.3.2.1).
fn names(claims: &Members, client: &str, issuer: &str) -> Result<(), Wrong> {
    let text = |name| claims.required_text(name).map_err(malformed);
    if text("iss")? != client || text("sub")? != client {
        return Err(malformed("iss and sub are the client_id, both"));
    }
    let wrong = |sentence| Err(Wrong::of(FailureReason::WrongAudience, sentence));
    match claims.get("aud") {
        Some(Value::String(audience)) if audience == issuer => Ok(()),
        Some(Value::Array(_)) => wrong("aud is one string, the issuer of this server, and no list"),
        Some(_) => wrong("aud is the issuer of this server, as its metadata has it, and no endpoint"),
        None => Err(malformed(NotStrict::Missing("aud"))),
    }
}

/// `exp`, `iat` and `nbf`; gives `exp` in seconds since 1970. `nbf` counts where there is one.
fn life(claims: &Members, now: Time) -> Result<i64, Wrong> {
    let now_s = now.unix_ms() / 1_000;
    let latest_s = now_s.saturating_add(limits::CLOCK_SKEW_S);
    let expires_s = claims.required_integer("exp").map_err(malformed)?;
    let issued_s = claims.required_integer("iat").map_err(malformed)?;
    let begins_s = claims.integer("nbf").map_err(malformed)?.unwrap_or(issued_s);
    if issued_s < 0 || expires_s <= now_s {
        return Err(Wrong::of(FailureReason::Expired, "it has expired"));
    }
    if issued_s > latest_s || begins_s > latest_s {
        let sentence = "iat or nbf is in the future: check the clock against the Date header";
        return Err(Wrong::of(FailureReason::WrongTime, sentence));
    }
    let is_long = expires_s.saturating_sub(issued_s) > limits::ASSERTION_S
        || expires_s.saturating_sub(latest_s) > limits::ASSERTION_S;
    if is_long {
        return Err(Wrong::of(FailureReason::WrongTime, "it lives for more than 5 minutes"));
    }
    Ok(expires_s)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oauth::jose::{Algorithm, Jwk, PublicKey, base64url};

    struct Repeats;

    impl VerifySignature for Repeats {
        fn verify(&self, key: &Jwk, _: Algorithm, _: &[u8], signature: &[u8]) -> bool {
            matches!(&key.key, PublicKey::Ed25519 { x } if signature.iter().all(|byte| *byte == x[0]))
        }
    }

    const NOW_S: i64 = 1_795_000_000;
    const ISSUER: &str = "https://sign.test";

    fn client() -> ClientId {
        ClientId::from_bytes([4; 16])
    }

    fn claims() -> Value {
        json!({
            "iss": client().to_string(), "sub": client().to_string(), "aud": ISSUER,
            "iat": NOW_S, "exp": NOW_S + 60, "jti": "0123456789",
        })
    }

    fn text(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        format!("{}.{}.{}", part(header), part(claims), base64url(&[7; 64]))
    }

    fn judge_with(header: &Value, claims: &Value) -> Result<Assertion, OAuthError> {
        let keys = JwkSet::new(vec![Jwk::new(PublicKey::Ed25519 { x: [7; 32] }, "a")]);
        let now = Time::from_unix_ms(NOW_S * 1_000);
        check(&text(header, claims), client(), &keys, ISSUER, now, &Repeats).map_err(|wrong| wrong.error)
    }

    fn judge(claims: &Value) -> Result<Assertion, OAuthError> {
        judge_with(&json!({ "alg": "EdDSA", "kid": "a" }), claims)
    }

    fn with(mut value: Value, name: &str, to: Value) -> Value {
        value[name] = to;
        value
    }

    /// a good assertion is taken, in each form that a client may give it.
    #[test]
    fn a_good_assertion_is_taken() {
        let good = judge(&claims()).unwrap();
        assert_eq!(good.expires_at, Time::from_unix_ms((NOW_S + 70) * 1_000));
        for header in [
            json!({ "alg": "EdDSA" }),
            json!({ "alg": "EdDSA", "typ": "JWT" }),
            json!({ "alg": "EdDSA", "typ": "client-authentication+jwt", "kid": "a" }),
        ] {
            assert_eq!(judge_with(&header, &claims()), Ok(good));
        }
        assert!(judge(&with(with(claims(), "iat", json!(NOW_S + 8)), "nbf", json!(NOW_S + 8))).is_ok());
        assert_eq!(client_of(&text(&json!({ "alg": "EdDSA" }), &claims())), Ok(client()));
    }

    /// audience, names and times, each wrong by itself.
    #[test]
    fn each_claim_is_checked() {
        for (name, to) in [
            ("iss", json!("cli_other")),
            ("sub", json!(ClientId::from_bytes([5; 16]).to_string())),
            ("aud", json!([ISSUER])),
            ("aud", json!([ISSUER, "https://other.test"])),
            ("aud", json!("https://sign.test/oauth/token")),
            ("aud", json!("https://sign.test/")),
            ("aud", json!(7)),
            ("exp", json!(NOW_S)),
            ("exp", json!(NOW_S - 300)),
            ("exp", json!(NOW_S + 301)),
            ("exp", json!(i64::MAX)),
            ("exp", json!((NOW_S + 60).to_string())),
            ("iat", json!(NOW_S + 11)),
            ("iat", json!(i64::MIN)),
            ("nbf", json!(NOW_S + 61)),
            ("jti", json!("short")),
        ] {
            let error = judge(&with(claims(), name, to.clone())).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidClient, "{name} {to}");
        }
        for name in ["iss", "sub", "aud", "exp", "iat", "jti"] {
            let mut less = claims();
            less.as_object_mut().unwrap().remove(name);
            let error = judge(&less).unwrap_err();
            assert!(error.description.ends_with(&format!("the member {name} is missing")), "{error}");
        }
    }

    /// the header chooses neither key nor algorithm.
    #[test]
    fn the_header_is_checked() {
        for header in [
            json!({ "alg": "EdDSA", "typ": "at+jwt" }),
            json!({ "alg": "EdDSA", "typ": "dpop+jwt" }),
            json!({ "alg": "none" }),
            json!({ "alg": "RS256" }),
            json!({ "alg": "EdDSA", "crit": ["exp"] }),
            json!({ "alg": "EdDSA", "jwk": { "kty": "OKP", "crv": "Ed25519", "x": base64url(&[7; 32]) } }),
        ] {
            assert_eq!(
                judge_with(&header, &claims()).unwrap_err().code,
                ErrorCode::InvalidClient,
                "{header}"
            );
        }
    }

    /// an unknown client, an unknown key and a wrong signature are told apart by nobody.
    #[test]
    fn what_is_registered_does_not_show() {
        let unknown_key = judge_with(&json!({ "alg": "EdDSA", "kid": "b" }), &claims()).unwrap_err();
        let other_algorithm = judge_with(&json!({ "alg": "ES256", "kid": "a" }), &claims()).unwrap_err();
        let keys = JwkSet::new(vec![Jwk::new(PublicKey::Ed25519 { x: [8; 32] }, "a")]);
        let token = text(&json!({ "alg": "EdDSA", "kid": "a" }), &claims());
        let now = Time::from_unix_ms(NOW_S * 1_000);
        let wrong_signature = check(&token, client(), &keys, ISSUER, now, &Repeats).unwrap_err().error;
        // The key that stands in is known to all: what it signed is believed from nobody.
        let (header, signature) = (json!({ "alg": "EdDSA", "kid": "b" }), base64url(&[0x58; 64]));
        let of_the_decoy = text(&header, &claims());
        let of_the_decoy = format!("{}.{signature}", of_the_decoy.rsplit_once('.').unwrap().0);
        let of_the_decoy = check(&of_the_decoy, client(), &keys, ISSUER, now, &Repeats).unwrap_err().error;
        for error in [unknown_key, other_algorithm, wrong_signature, of_the_decoy] {
            assert_eq!(error, OAuthError::unproven_client());
        }
        let stranger = with(claims(), "sub", json!("nobody"));
        assert_eq!(
            client_of(&text(&json!({ "alg": "EdDSA" }), &stranger)),
            Err(OAuthError::unproven_client())
        );
    }
}
