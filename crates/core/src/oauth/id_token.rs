//! ID tokens: who signed in, for one client (OpenID Connect Core §2). They are no credential of the API.

use serde_json::Value;

use crate::{
    id::{ClientId, UserId},
    level::Level,
    limits,
    oauth::claims::{Claims, numeric_date},
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
        };
        insta::assert_json_snapshot!(claims(&token, at));
        let less = claims(&IdToken { nonce: None, methods: &[], ..token }, at);
        assert!(less.get("nonce").is_none() && less.get("amr").is_none());
    }
}
