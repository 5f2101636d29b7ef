//! What a resource server is told about a token (RFC 7662), as JSON or signed (RFC 9701). Who may ask is decided before.

use serde_json::{Value, json};

use crate::{
    id::{ClientId, GrantId, UserId},
    level::Level,
    oauth::{
        claims::{Claims, numeric_date},
        details::Detail,
        token::Binding,
    },
    scope::Scopes,
    time::Time,
};

/// The `typ` of a signed response (RFC 9701 §5).
pub const SIGNED_TYPE: &str = "token-introspection+jwt";
/// The media type of a signed response (RFC 9701 §4).
pub const SIGNED_MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// An access token that is good at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Active<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// To which client.
    pub client: ClientId,
    /// For which user, where not for the client itself.
    pub user: Option<UserId>,
    /// What it allows at this moment: all ceilings intersected.
    pub scopes: Scopes,
    /// For which resource server.
    pub audience: &'a str,
    /// What it is bound to.
    pub binding: Option<Binding>,
    /// How the user was authenticated.
    pub authenticated: Option<(Level, Time)>,
    /// What narrows the scopes.
    pub details: &'a [Detail],
    /// When it was issued.
    pub issued_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// For whoever follows its traces.
    pub traces: Traces,
}

/// What helps to follow a token: for its own audience only (A-8).
#[derive(Clone, Copy, Debug)]
pub struct Traces {
    /// The grant that it hangs on.
    pub grant: GrantId,
    /// With which generation of the refresh token it was issued; 0 without one.
    pub generation: u64,
    /// When it was seen last.
    pub last_seen: Option<Time>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The resource server that the token is for.
    Audience,
    /// Another one of the same organization.
    Other,
}

/// The answer for every token that is not good, whatever the reason (RFC 7662 §2.2).
pub fn inactive() -> Value {
    json!({ "active": false })
}

/// The answer for a good token.
pub fn active(token: &Active<'_>, asker: Asker) -> Value {
    let subject = token.user.map_or_else(|| token.client.to_string(), |user| user.to_string());
    let claims = Claims::default()
        .with("active", true)
        .with("iss", token.issuer)
        .with("sub", subject)
        .with("aud", token.audience)
        .with("client_id", token.client.to_string())
        .with("scope", token.scopes.to_string())
        .with("token_type", Binding::token_type(token.binding))
        .with("iat", numeric_date(token.issued_at))
        .with("exp", numeric_date(token.expires_at))
        .confirmed(token.binding)
        .authenticated(token.authenticated)
        .detailed(token.details);
    match asker {
        Asker::Other => claims,
        Asker::Audience => {
            let traces = Claims::default()
                .with("grant", token.traces.grant.to_string())
                .with("generation", token.traces.generation)
                .with("bound_by", bound_by(token.binding))
                .maybe("last_seen", token.traces.last_seen.map(numeric_date));
            claims.with("countersign_traces", traces.into_value())
        }
    }
    .into_value()
}

fn bound_by(binding: Option<Binding>) -> &'static str {
    match binding {
        Some(Binding::Key(_)) => "dpop",
        Some(Binding::Certificate(_)) => "mtls",
        None => "nothing",
    }
}

/// The claims of a signed response (RFC 9701 §5). No `sub` and no `exp` stand beside the response, so that nobody takes it
/// for an access token. `audience` is the client id of who asked.
pub fn signed(response: Value, issuer: &str, audience: ClientId, now: Time) -> Value {
    Claims::default()
        .with("iss", issuer)
        .with("aud", audience.to_string())
        .with("iat", numeric_date(now))
        .with("token_introspection", response)
        .into_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Digest, scope::Scope};

    fn token() -> Active<'static> {
        let at = Time::from_unix_ms(1_795_000_000_500);
        Active {
            issuer: "https://sign.test",
            client: ClientId::from_bytes([4; 16]),
            user: Some(UserId::from_bytes([5; 16])),
            scopes: Scopes::of(&[Scope::EnvelopesRead]),
            audience: "https://api.test/v1",
            binding: Some(Binding::Key(Digest::of(b"key"))),
            authenticated: Some((Level::Aal2, at.plus_s(-100))),
            details: &[],
            issued_at: at,
            expires_at: at.plus_s(600),
            traces: Traces { grant: GrantId::from_bytes([6; 16]), generation: 3, last_seen: Some(at) },
        }
    }

    /// A-8: an active token, in the words of RFC 7662, for its own audience.
    #[test]
    fn the_own_audience_is_told_everything() {
        insta::assert_json_snapshot!(active(&token(), Asker::Audience));
    }

    /// A-8: traces are for the token's own audience, and nobody learns why a token is not good.
    #[test]
    fn others_get_no_traces() {
        let answer = active(&token(), Asker::Other);
        assert!(answer.get("countersign_traces").is_none());
        assert_eq!(answer["cnf"], active(&token(), Asker::Audience)["cnf"]);
        assert_eq!(inactive().to_string(), r#"{"active":false}"#);
    }

    /// A-7: a signed response cannot be mistaken for a token.
    #[test]
    fn a_signed_response_has_no_subject_and_no_end() {
        let claims =
            signed(inactive(), "https://sign.test", ClientId::from_bytes([4; 16]), token().issued_at);
        let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["aud", "iat", "iss", "token_introspection"]);
        assert_eq!(claims["iat"], 1_795_000_000);
    }
}
