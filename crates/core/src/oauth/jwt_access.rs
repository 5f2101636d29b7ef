//! Access tokens that a resource server of somebody else verifies by itself (RFC 9068): only for a named audience. The API
//! of this server takes opaque tokens only.

use serde_json::Value;

use crate::{
    digest::Digest,
    id::{ClientId, UserId},
    level::Level,
    oauth::{
        claims::{Claims, numeric_date},
        details::Detail,
        token::Binding,
    },
    scope::Scopes,
    secret::HashedToken,
    time::Time,
};

/// The `typ` of such a token (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";
const DOMAIN: &[u8] = b"countersign/at+jwt/v1\0";

/// Whether a text could be such a token: three parts with a header that begins like one.
pub fn looks_like_one(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}

/// What the database keeps of such a token. It is found by all of its text: a signature that was written in another way
/// makes another token, which is not known here.
pub fn hash(text: &str) -> HashedToken {
    HashedToken::from_bytes(Digest::of_parts(&[DOMAIN, text.as_bytes()]).0)
}

/// What an access token says.
#[derive(Clone, Copy, Debug)]
pub struct AccessToken<'a> {
    /// Who issues it.
    pub issuer: &'a str,
    /// For which resource server.
    pub audience: &'a str,
    /// To which client.
    pub client: ClientId,
    /// For which user, where not for the client itself.
    pub user: Option<UserId>,
    /// Its name, of random bits: with it the token is revoked and followed.
    pub jti: &'a str,
    /// What it allows.
    pub scopes: Scopes,
    /// What narrows the scopes.
    pub details: &'a [Detail],
    /// What it is bound to.
    pub binding: Option<Binding>,
    /// How the user was authenticated.
    pub authenticated: Option<(Level, Time)>,
    /// When it is issued.
    pub issued_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

/// The claims (RFC 9068 §2.2).
pub fn claims(token: &AccessToken<'_>) -> Value {
    let subject = token.user.map_or_else(|| token.client.to_string(), |user| user.to_string());
    Claims::default()
        .with("iss", token.issuer)
        .with("aud", token.audience)
        .with("sub", subject)
        .with("client_id", token.client.to_string())
        .with("jti", token.jti)
        .with("scope", token.scopes.to_string())
        .with("iat", numeric_date(token.issued_at))
        .with("exp", numeric_date(token.expires_at))
        .confirmed(token.binding)
        .authenticated(token.authenticated)
        .detailed(token.details)
        .into_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{oauth::details, scope::Scope};

    /// A-7: the claims of RFC 9068 §2.2, bound and narrowed.
    #[test]
    fn an_access_token_says_for_whom_and_what() {
        let at = Time::from_unix_ms(1_795_000_000_000);
        let details =
            details::parse(r#"[{"type":"envelope","actions":["read"],"single_use":true}]"#).unwrap();
        let token = AccessToken {
            issuer: "https://sign.test",
            audience: "https://archive.test/api",
            client: ClientId::from_bytes([4; 16]),
            user: Some(UserId::from_bytes([5; 16])),
            jti: "0123456789",
            scopes: Scopes::of(&[Scope::EnvelopesRead]),
            details: &details,
            binding: Some(Binding::Certificate(Digest::of(b"der"))),
            authenticated: Some((Level::Aal2Phr, at.plus_s(-100))),
            issued_at: at,
            expires_at: at.plus_s(600),
        };
        insta::assert_json_snapshot!(claims(&token));
        let own =
            claims(&AccessToken { user: None, authenticated: None, binding: None, details: &[], ..token });
        assert_eq!(own["sub"], own["client_id"]);
        assert!(own.get("acr").is_none() && own.get("cnf").is_none());
    }
}
