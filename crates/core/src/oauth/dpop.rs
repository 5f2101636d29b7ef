//! DPoP: a proof that the caller has a key, for this request and once (RFC 9449 §4.3). What was checked here is good if
//! its `jti` was not spent before, which the store says; nothing is to be spent for a proof that was refused.

use thiserror::Error;

use crate::{
    digest::Digest,
    limits,
    oauth::{
        error::{ErrorCode, OAuthError},
        jose::{NotJose, Unverified, VerifySignature, base64url},
        json::{Members, NotStrict},
        nonce::NonceKey,
        uri::Uri,
    },
    secret::equal_in_constant_time,
    time::Time,
};

const JTI_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
const DOMAIN: &[u8] = b"countersign/dpop/v1";
/// How much longer a spent proof is remembered than it is good, in seconds: clocks of nodes differ.
const REMEMBERED_LONGER_S: i64 = limits::CLOCK_SKEW_S;

/// The request that a proof must be for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URL as the caller knows it; query and fragment do not count.
    pub url: &'a str,
    /// The access token that it brings to a protected resource. Whether it is bound to the proof's key is judged where the
    /// token is looked up (`presented`), so that a wrong proof never leads to a look-up.
    pub token: Option<&'a str>,
}

/// A good proof, if it is the first with its `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of the key (RFC 7638).
    pub thumbprint: Digest,
    /// What is to be spent: of this key, this `jti`.
    pub jti_hash: Digest,
    /// Until when it must be remembered as spent.
    pub expires_at: Time,
    /// Whether its nonce is good still, and there is a newer one: the answer brings that (RFC 9449 §8.2).
    pub has_old_nonce: bool,
}

/// Which of the twelve points of RFC 9449 §4.3 a proof fails.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadProof {
    /// No header at all.
    #[error("there is no DPoP header")]
    Missing,
    /// Point 1.
    #[error("there is more than one DPoP header")]
    Several,
    /// Points 2, 5 and 7.
    #[error("the proof is not a signed token as we take it: {0}")]
    Token(#[from] NotJose),
    /// Point 3.
    #[error("the claims of the proof: {0}")]
    Claims(#[from] NotStrict),
    /// Point 3.
    #[error("the proof has no jwk in its header")]
    NoKey,
    /// Point 4.
    #[error("the typ of the proof is not dpop+jwt")]
    Typ,
    /// Point 6.
    #[error("the signature of the proof does not verify with its jwk")]
    Signature,
    /// Point 8.
    #[error("htm is not the method of the request")]
    Method,
    /// Point 9.
    #[error("htu is not the URL of the request")]
    Url,
    /// Point 10.
    #[error("the proof needs the nonce of the DPoP-Nonce header of this answer")]
    Nonce,
    /// Point 11.
    #[error("iat is more than a minute from the time of the server, which the Date header says")]
    Time,
    /// Point 11.
    #[error("jti has 8 to 256 bytes")]
    Jti,
    /// Point 12.
    #[error("ath is not the hash of the access token")]
    TokenHash,
    /// The same point's second half, judged where the token is looked up.
    #[error("the access token is bound to another key than the one of the proof")]
    OtherKey,
}

impl From<BadProof> for OAuthError {
    fn from(bad: BadProof) -> Self {
        let code = match bad {
            BadProof::Nonce => ErrorCode::UseDpopNonce,
            _ => ErrorCode::InvalidDpopProof,
        };
        Self::new(code, bad.to_string())
    }
}

/// Checks the `DPoP` headers of a request; there must be exactly one. With a `nonce` key the proof must hold a nonce of it.
pub fn check(
    headers: &[&str],
    request: &Request<'_>,
    nonces: Option<&NonceKey>,
    now: Time,
    verifier: &dyn VerifySignature,
) -> Result<Proof, BadProof> {
    let proof = match headers {
        [] => return Err(BadProof::Missing),
        [proof] => Unverified::parse(proof)?,
        _ => return Err(BadProof::Several),
    };
    if proof.header().typ.as_deref() != Some("dpop+jwt") {
        return Err(BadProof::Typ);
    }
    let key = proof.header().jwk.as_ref().ok_or(BadProof::NoKey)?;
    if !proof.is_signed_by(key, verifier) {
        return Err(BadProof::Signature);
    }
    let claims = proof.claims()?;
    let jti = claims.required_text("jti")?;
    let issued_at = claims.required_integer("iat")?;
    if !JTI_BYTES.contains(&jti.len()) {
        return Err(BadProof::Jti);
    }
    is_for(&claims, request)?;
    let thumbprint = key.thumbprint();
    if let Some(token) = request.token {
        let expected = base64url(&Digest::of(token.as_bytes()).0);
        if !equal_in_constant_time(claims.required_text("ath")?.as_bytes(), expected.as_bytes()) {
            return Err(BadProof::TokenHash);
        }
    }
    is_of_now(&claims, issued_at, now)?;
    let mut has_old_nonce = false;
    if let Some(nonces) = nonces {
        let nonce = claims.text("nonce")?.filter(|nonce| nonces.is_good(nonce, now));
        has_old_nonce = !nonces.is_newest(nonce.ok_or(BadProof::Nonce)?, now);
    }
    let jti_hash = Digest::of_parts(&[DOMAIN, &thumbprint.0, jti.as_bytes()]);
    let good_until_ms = issued_at.saturating_mul(1_000);
    let expires_at =
        Time::from_unix_ms(good_until_ms).plus_s(limits::DPOP_PROOF_S).plus_s(REMEMBERED_LONGER_S);
    Ok(Proof { thumbprint, jti_hash, expires_at, has_old_nonce })
}

/// Points 8 and 9.
fn is_for(claims: &Members, request: &Request<'_>) -> Result<(), BadProof> {
    let (method, url) = (claims.required_text("htm")?, claims.required_text("htu")?);
    if method != request.method {
        return Err(BadProof::Method);
    }
    let target = |text| Uri::parse(text).and_then(|uri| uri.target());
    match (target(url), target(request.url)) {
        (Ok(found), Ok(expected)) if found == expected => Ok(()),
        _ => Err(BadProof::Url),
    }
}

/// Point 11: `iat`, and `nbf` and `exp` where a proof has them.
fn is_of_now(claims: &Members, issued_at: i64, now: Time) -> Result<(), BadProof> {
    let now_s = now.unix_ms() / 1_000;
    let age_s = now_s.saturating_sub(issued_at);
    let begins = claims.integer("nbf")?.is_none_or(|at| at <= now_s.saturating_add(limits::DPOP_PROOF_S));
    let lasts = claims.integer("exp")?.is_none_or(|at| at > now_s);
    let is_near = age_s.checked_abs().is_some_and(|age_s| age_s <= limits::DPOP_PROOF_S);
    if begins && lasts && is_near { Ok(()) } else { Err(BadProof::Time) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth::jose::{Algorithm, Jwk, PublicKey};

    /// Takes a signature whose bytes repeat the first byte of the key.
    struct Repeats;

    impl VerifySignature for Repeats {
        fn verify(&self, key: &Jwk, _: Algorithm, _: &[u8], signature: &[u8]) -> bool {
            matches!(&key.key, PublicKey::Ed25519 { x } if signature.iter().all(|byte| *byte == x[0]))
        }
    }

    const NOW_S: i64 = 1_795_000_000;
    const URL: &str = "https://sign.test/oauth/token";

    fn jwk(seed: u8) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&[seed; 32]) })
    }

    fn proof(header: &Value, claims: &Value, seed: u8) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        format!("{}.{}.{}", part(header), part(claims), base64url(&[seed; 64]))
    }

    fn header() -> Value {
        json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk(7) })
    }

    fn claims() -> Value {
        json!({ "jti": "0123456789", "htm": "POST", "htu": URL, "iat": NOW_S })
    }

    fn judge_at(header: &Value, claims: &Value, now: Time) -> Result<Proof, BadProof> {
        let request = Request { method: "POST", url: URL, token: None };
        check(&[&proof(header, claims, 7)], &request, None, now, &Repeats)
    }

    fn judge(header: &Value, claims: &Value) -> Result<Proof, BadProof> {
        judge_at(header, claims, Time::from_unix_ms(NOW_S * 1_000))
    }

    fn with(mut value: Value, name: &str, to: Value) -> Value {
        value[name] = to;
        value
    }

    /// a proof that keeps to RFC 9449 is taken, whatever else it holds.
    #[test]
    fn a_good_proof_is_taken() {
        let proof = judge(&header(), &claims()).unwrap();
        assert_eq!(proof.thumbprint, Jwk::parse(&jwk(7)).unwrap().thumbprint());
        assert_eq!(proof.expires_at, Time::from_unix_ms((NOW_S + 70) * 1_000));
        let more = with(with(claims(), "nbf", json!(NOW_S)), "exp", json!(NOW_S + 300));
        assert_eq!(judge(&with(header(), "extra", json!(1)), &with(more, "extra", json!([1]))), Ok(proof));
        assert_ne!(
            judge(&header(), &with(claims(), "jti", json!("9876543210"))).unwrap().jti_hash,
            proof.jti_hash
        );
    }

    /// each of the points fails by itself.
    #[test]
    fn each_point_is_checked() {
        let request = Request { method: "POST", url: URL, token: None };
        let now = Time::from_unix_ms(NOW_S * 1_000);
        let good = proof(&header(), &claims(), 7);
        let of = |headers: &[&str]| check(headers, &request, None, now, &Repeats).unwrap_err();
        assert_eq!(of(&[]), BadProof::Missing);
        assert_eq!(of(&[&good, &good]), BadProof::Several);
        assert!(matches!(of(&["x.y"]), BadProof::Token(NotJose::Parts)));
        assert_eq!(of(&[&proof(&header(), &claims(), 8)]), BadProof::Signature);
        for (name, to, expected) in [
            ("typ", json!("JWT"), BadProof::Typ),
            ("typ", json!("DPOP+JWT"), BadProof::Typ),
            ("alg", json!("none"), BadProof::Token(NotJose::Algorithm)),
            ("alg", json!("ES256"), BadProof::Signature),
            ("jwk", with(jwk(7), "d", json!("AA")), BadProof::Token(NotJose::PrivateKey)),
            ("crit", json!(["jwk"]), BadProof::Token(NotJose::Header("crit"))),
        ] {
            assert_eq!(judge(&with(header(), name, to), &claims()), Err(expected), "{name}");
        }
        assert_eq!(judge(&json!({ "typ": "dpop+jwt", "alg": "EdDSA" }), &claims()), Err(BadProof::NoKey));
        for name in ["jti", "htm", "htu", "iat"] {
            let mut less = claims();
            less.as_object_mut().unwrap().remove(name);
            assert_eq!(judge(&header(), &less), Err(BadProof::Claims(NotStrict::Missing(name))));
        }
        for (name, to, expected) in [
            ("htm", json!("post"), BadProof::Method),
            ("htu", json!("https://other.test/oauth/token"), BadProof::Url),
            ("htu", json!("/oauth/token"), BadProof::Url),
            ("jti", json!("short"), BadProof::Jti),
            ("jti", json!("j".repeat(257)), BadProof::Jti),
            ("exp", json!(NOW_S), BadProof::Time),
            ("nbf", json!(NOW_S + 61), BadProof::Time),
            ("iat", json!(i64::MIN), BadProof::Time),
        ] {
            assert_eq!(judge(&header(), &with(claims(), name, to)), Err(expected), "{name}");
        }
    }

    /// the time is good for a minute on either side, and not a second longer.
    #[test]
    fn a_proof_is_good_for_a_minute() {
        for (moved_s, is_good) in
            [(-61, false), (-60, true), (-10, true), (10, true), (60, true), (61, false)]
        {
            let now = Time::from_unix_ms((NOW_S + moved_s) * 1_000);
            assert_eq!(judge_at(&header(), &claims(), now).is_ok(), is_good, "{moved_s}");
        }
    }

    /// a proof at a resource is for one token.
    #[test]
    fn a_proof_is_bound_to_its_token() {
        let now = Time::from_unix_ms(NOW_S * 1_000);
        let ath = |text: &str| with(claims(), "ath", json!(base64url(&Digest::of(text.as_bytes()).0)));
        let judge = |claims: &Value| {
            let request = Request { method: "POST", url: URL, token: Some("cst_x") };
            check(&[&proof(&header(), claims, 7)], &request, None, now, &Repeats)
        };
        assert!(judge(&ath("cst_x")).is_ok());
        assert_eq!(judge(&ath("cst_y")), Err(BadProof::TokenHash));
        assert_eq!(judge(&claims()), Err(BadProof::Claims(NotStrict::Missing("ath"))));
    }

    /// without the server's nonce nothing is taken, and the code says how to go on.
    #[test]
    fn a_proof_needs_the_nonce_of_the_server() {
        let now = Time::from_unix_ms(NOW_S * 1_000);
        let nonces = NonceKey::new([1; 32]);
        let request = Request { method: "POST", url: URL, token: None };
        let judge =
            |claims: &Value| check(&[&proof(&header(), claims, 7)], &request, Some(&nonces), now, &Repeats);
        assert_eq!(judge(&claims()), Err(BadProof::Nonce));
        assert_eq!(judge(&with(claims(), "nonce", json!("AAAA"))), Err(BadProof::Nonce));
        assert!(judge(&with(claims(), "nonce", json!(nonces.issue(now)))).is_ok());
        assert!(judge(&with(claims(), "nonce", json!(nonces.issue(now.plus_s(-60))))).is_ok());
        assert_eq!(
            judge(&with(claims(), "nonce", json!(nonces.issue(now.plus_s(-120))))),
            Err(BadProof::Nonce)
        );
        assert_eq!(OAuthError::from(BadProof::Nonce).code, ErrorCode::UseDpopNonce);
        assert_eq!(OAuthError::from(BadProof::Typ).code, ErrorCode::InvalidDpopProof);
    }
}
