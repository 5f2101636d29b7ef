//! ID tokens: who signed in, for one client (OpenID Connect Core §2). They are no credential of the API.

use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};

use crate::{
    id::{ClientId, UserId},
    level::Level,
    limits,
    oauth::{
        claims::{Claims, numeric_date},
        jose::{Algorithm, base64url},
    },
    time::Time,
};

/// The `typ` of an ID token.
pub const TYPE: &str = "JWT";

/// What an ID token says.
#[derive(Clone, Copy, Debug)]
pub struct IdToken<'a> {
    /// Who issues it.
    pub issuer: &'a str,
    /// For which client.
    pub client: ClientId,
    /// Who signed in.
    pub user: UserId,
    /// The client's nonce.
    pub nonce: Option<&'a str>,
    /// How surely, and when the person was authenticated.
    pub authenticated: (Level, Time),
    /// With what (RFC 8176).
    pub methods: &'a [String],
    /// The access token that is issued with it.
    pub access_token: &'a str,
    /// What it is signed with.
    pub algorithm: Algorithm,
}

/// Ties an access token to an ID token: the left half of its hash, by the hash function of the signature (OpenID Connect
/// Core §3.1.3.6). That of Ed25519 is SHA-512 (RFC 8032 §5.1).
fn at_hash(access_token: &str, algorithm: Algorithm) -> String {
    let left = |hash: &[u8]| base64url(hash.split_at(hash.len() / 2).0);
    match algorithm {
        Algorithm::Es256 | Algorithm::Ps256 => left(&Sha256::digest(access_token)),
        Algorithm::EdDsa => left(&Sha512::digest(access_token)),
    }
}

/// The claims.
pub fn claims(token: &IdToken<'_>, now: Time) -> Value {
    let methods = token.methods.to_vec();
    Claims::default()
        .with("iss", token.issuer)
        .with("sub", token.user.to_string())
        .with("aud", token.client.to_string())
        .with("azp", token.client.to_string())
        .with("iat", numeric_date(now))
        .with("at_hash", at_hash(token.access_token, token.algorithm))
        .with("exp", numeric_date(now.plus_s(limits::ID_TOKEN_S)))
        .maybe("nonce", token.nonce)
        .authenticated(Some(token.authenticated))
        .maybe("amr", Some(methods).filter(|methods| !methods.is_empty()))
        .into_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// the claims of OpenID Connect Core §2, for one audience and for five minutes.
    #[test]
    fn an_id_token_says_who_signed_in_and_how() {
        let at = Time::from_unix_ms(1_795_000_000_000);
        let methods = ["pwd".to_owned(), "otp".to_owned()];
        let token = IdToken {
            issuer: "https://sign.test",
            client: ClientId::from_bytes([4; 16]),
            user: UserId::from_bytes([5; 16]),
            nonce: Some("n-1"),
            authenticated: (Level::Aal2, at.plus_s(-100)),
            methods: &methods,
            access_token: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
            algorithm: Algorithm::Es256,
        };
        insta::assert_json_snapshot!(claims(&token, at));
        let less = claims(&IdToken { nonce: None, methods: &[], ..token }, at);
        assert!(less.get("nonce").is_none() && less.get("amr").is_none());
    }
    /// the first value is that of OpenID Connect Core §A.3, whose token is hashed by SHA-256.
    #[test]
    fn an_access_token_is_tied_by_the_hash_of_the_signature() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(token, Algorithm::Es256), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(token, Algorithm::Ps256), "77QmUPtjPfzWtF2AnpK9RQ");
        let long = at_hash(token, Algorithm::EdDsa);
        assert_eq!((long.len(), long.starts_with("77Qm")), (43, false), "32 bytes of SHA-512");
    }
}
