//! What the token endpoint decides: which scopes, for how long, bound to what, and whether a code is redeemed.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::ClientId,
    limits,
    oauth::{
        client::{Constraint, Registration},
        error::{ErrorCode, OAuthError},
        pkce::Challenge,
        terms::BoundBy,
    },
    scope::Scopes,
    secret::equal_in_constant_time,
    time::Time,
};

/// What a token is bound to (RFC 9449 §6.1, RFC 8705 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The thumbprint of a DPoP key.
    Key(Digest),
    /// SHA-256 of a client certificate.
    Certificate(Digest),
}

impl Binding {
    /// The `token_type` of the answer (RFC 9449 §5, RFC 6750).
    pub fn token_type(binding: Option<Self>) -> &'static str {
        match binding {
            Some(Self::Key(_)) => "DPoP",
            Some(Self::Certificate(_)) | None => "Bearer",
        }
    }
}

/// What a caller of the token endpoint proved about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerProof {
    /// That it is the client, with a key, a certificate or a secret.
    pub is_authenticated: bool,
    /// That it has this DPoP key.
    pub key: Option<Digest>,
    /// That it has the key of this certificate.
    pub certificate: Option<Digest>,
}

/// The scopes of a refreshed token: what is asked, within what was granted (RFC 6749 §6).
pub fn narrowed_scope(granted: Scopes, asked: Option<&str>) -> Result<Scopes, OAuthError> {
    let wrong = |sentence: String| OAuthError::new(ErrorCode::InvalidScope, sentence);
    let Some(asked) = asked else { return Ok(granted) };
    let names: Vec<_> = asked.split(' ').filter(|name| *name != super::authorize::OPENID).collect();
    let asked = names.join(" ");
    let asked = Scopes::parse(&asked).map_err(|name| wrong(format!("no scope is called {name}")))?;
    if asked.is_within(granted) {
        Ok(asked)
    } else {
        let sentence = format!(
            "not granted, or not any more: {}; ask for less, or for it in a new authorization request",
            asked.without(granted)
        );
        Err(wrong(sentence))
    }
}

/// What of the granted scopes is left under today's ceiling of the client and of the person behind it. A grant of which
/// nothing is left gives no token.
pub fn remaining_scope(granted: Scopes, ceiling: Scopes) -> Result<Scopes, OAuthError> {
    let remaining = granted.and(ceiling);
    if remaining.is_empty() && !granted.is_empty() {
        return Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "the client, or the person behind it, may do nothing any more of what was granted: ask for other scopes in a \
             new authorization request",
        ));
    }
    Ok(remaining)
}

/// The scopes of a token that a client gets for itself (RFC 6749 §4.4): what it asks for, or all that it may.
pub fn own_scope(ceiling: Scopes, asked: Option<&str>) -> Result<Scopes, OAuthError> {
    let wrong = |sentence: String| OAuthError::new(ErrorCode::InvalidScope, sentence);
    let names: Vec<_> = asked.unwrap_or_default().split(' ').collect();
    if names == [super::authorize::OPENID] {
        let sentence = "openid is about a person who signs in, and client_credentials is for the client itself: use \
                        authorization_code, or ask for other scopes";
        return Err(wrong(sentence.to_owned()));
    }
    let names: Vec<_> = names.into_iter().filter(|name| *name != super::authorize::OPENID).collect();
    if let Ok(named) = Scopes::parse(&names.join(" "))
        && !named.is_within(ceiling)
    {
        return Err(wrong(format!(
            "the client is not registered for {}: register it with them (`countersign clients create --scope …`, or \
             `scope` of /v1/clients), or ask for less",
            named.without(ceiling)
        )));
    }
    let scopes = narrowed_scope(ceiling, asked)?;
    if scopes.is_empty() {
        return Err(wrong("name the scopes that are needed".to_owned()));
    }
    Ok(scopes)
}

/// How long an access token lives, in seconds. `setting_s` is the operator's.
pub fn lifetime_s(scopes: Scopes, setting_s: i64) -> i64 {
    let most_s = if scopes.has_admin() { limits::ADMIN_TOKEN_S } else { limits::ACCESS_TOKEN_LONGEST_S };
    setting_s.clamp(1, most_s)
}

/// What the new token is bound to. `before` is what the first token of the grant was bound to: a token is never bound in a
/// weaker way than the one before it.
///
/// # Errors
///
/// `invalid_request` where a proof is missing that the registration or the grant asks for.
pub fn binding(
    client: &Registration,
    caller: &CallerProof,
    before: Option<BoundBy>,
) -> Result<Option<Binding>, OAuthError> {
    let key = caller.key.map(Binding::Key);
    let certificate = caller.certificate.map(Binding::Certificate);
    let bound = match client.constraint() {
        Constraint::Dpop => {
            let sentence =
                "the tokens of this client are bound to a key: send a DPoP proof (RFC 9449 section 5)";
            Some(key.ok_or_else(|| OAuthError::request(sentence))?)
        }
        Constraint::Certificate => {
            let sentence =
                "the tokens of this client are bound to its certificate: use mutual TLS (RFC 8705 section 3)";
            Some(certificate.ok_or_else(|| OAuthError::request(sentence))?)
        }
        Constraint::Free if client.is_fapi() => {
            return Err(OAuthError::request("FAPI 2.0 binds tokens, and this client is registered without"));
        }
        Constraint::Free => key,
    };
    match (before, bound) {
        (Some(before), Some(bound)) if before == BoundBy::from(bound) => Ok(Some(bound)),
        (Some(BoundBy::Key), _) => {
            Err(OAuthError::request("this grant's tokens are bound to a key: send a DPoP proof"))
        }
        (Some(BoundBy::Certificate), _) => {
            Err(OAuthError::request("this grant's tokens are bound to a certificate: use mutual TLS"))
        }
        (None, bound) => Ok(bound),
    }
}

/// What must fit when a code is redeemed; stored with the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTerms {
    /// The client that asked.
    pub client_id: ClientId,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// What the redeemer must know.
    pub code_challenge: Challenge,
    /// The key that the redeemer must have (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Digest>,
}

/// A code as it is stored at this moment.
#[derive(Clone, Copy, Debug)]
pub struct CodeNow<'a> {
    /// What must fit.
    pub terms: &'a CodeTerms,
    /// When it ends.
    pub expires_at: Time,
    /// Whether it was redeemed.
    pub is_used: bool,
}

/// What comes with a code.
#[derive(Clone, Copy, Debug)]
pub struct Redeemer<'a> {
    /// Which client it is, as authenticated; a public one as it says.
    pub client: ClientId,
    /// `redirect_uri`.
    pub redirect_uri: Option<&'a str>,
    /// `code_verifier`.
    pub code_verifier: Option<&'a str>,
    /// What it proved.
    pub proof: CallerProof,
}

/// What becomes of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// It is redeemed, if nobody else does so at the same moment.
    Granted,
    /// It was redeemed before: the grant ends with all its tokens (RFC 6749 §4.1.2). The caller learns no more than of a
    /// wrong one.
    Reused,
    /// It stays as it is, and the caller gets nothing.
    Refused(OAuthError),
}

/// What is said of every code that cannot be redeemed.
pub fn code_refused() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidGrant,
        "the code is not known, is over, was used, or was not given to this client",
    )
}

/// Judges who comes with a code.
pub fn redeem(code: &CodeNow<'_>, redeemer: &Redeemer<'_>, now: Time) -> Redemption {
    let grant = |sentence: &str| Redemption::Refused(OAuthError::new(ErrorCode::InvalidGrant, sentence));
    if redeemer.client != code.terms.client_id {
        return Redemption::Refused(code_refused());
    }
    if code.is_used {
        return Redemption::Reused;
    }
    if code.expires_at <= now {
        return Redemption::Refused(code_refused());
    }
    let Some(redirect_uri) = redeemer.redirect_uri else {
        return Redemption::Refused(OAuthError::request("the parameter redirect_uri is missing"));
    };
    if redirect_uri != code.terms.redirect_uri {
        return grant("redirect_uri is not the one of the authorization request");
    }
    let Some(verifier) = redeemer.code_verifier else {
        return grant("the parameter code_verifier is missing (RFC 7636 section 4.5)");
    };
    if let Err(error) = code.terms.code_challenge.check(verifier) {
        return grant(&error.to_string());
    }
    let has_key =
        |expected: Digest| redeemer.proof.key.is_some_and(|key| equal_in_constant_time(&key.0, &expected.0));
    if code.terms.dpop_jkt.is_some_and(|expected| !has_key(expected)) {
        return grant(
            "the code is bound to another key than the one of the DPoP proof (RFC 9449 section 10)",
        );
    }
    Redemption::Granted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;
    use serde_json::json;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn client(profile: &str, dpop: bool, certificate: bool) -> Registration {
        let value = json!({
            "client_name": "Ledger", "profile": profile, "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"], "scope": "envelopes:read",
            "dpop_bound_access_tokens": dpop, "tls_client_certificate_bound_access_tokens": certificate,
        });
        serde_json::from_value(value).unwrap()
    }

    /// 10 minutes, 5 for admin scopes, and no setting goes beyond an hour.
    #[test]
    fn tokens_are_short_lived() {
        let (plain, admin) = (Scopes::of(&[Scope::EnvelopesRead]), Scopes::of(&[Scope::AdminKeys]));
        assert_eq!(lifetime_s(plain, limits::ACCESS_TOKEN_S), 600);
        assert_eq!(lifetime_s(admin, limits::ACCESS_TOKEN_S), 300);
        assert_eq!(lifetime_s(plain, 1_000_000), 3_600);
        assert_eq!(lifetime_s(admin.or(plain), 60), 60);
        assert_eq!(lifetime_s(plain, -5), 1);
    }

    /// a refresh narrows; what is no scope or not granted is an error, not a smaller token.
    #[test]
    fn scopes_are_narrowed_and_never_widened() {
        let granted = Scopes::of(&[Scope::EnvelopesRead, Scope::EnvelopesVoid]);
        assert_eq!(narrowed_scope(granted, None), Ok(granted));
        assert_eq!(
            narrowed_scope(granted, Some("openid envelopes:void")),
            Ok(Scopes::of(&[Scope::EnvelopesVoid]))
        );
        for asked in ["envelopes:send", "envelopes:read envelopes:send", "nonsense"] {
            assert_eq!(narrowed_scope(granted, Some(asked)).unwrap_err().code, ErrorCode::InvalidScope);
        }
        assert!(own_scope(Scopes::NONE, None).is_err());
    }

    /// who is refused a scope is told why, and where it comes from.
    #[test]
    fn a_scope_that_is_refused_says_what_to_do() {
        let registered = Scopes::of(&[Scope::EnvelopesRead]);
        for (asked, word) in [
            ("envelopes:send", "not registered for envelopes:send"),
            ("openid", "a person who signs in"),
            ("openid envelopes:send", "not registered for envelopes:send"),
            ("nonsense", "no scope is called nonsense"),
        ] {
            let error = own_scope(registered, Some(asked)).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidScope);
            assert!(error.description.contains(word), "{asked}: {error}");
        }
        assert_eq!(own_scope(registered, Some("openid envelopes:read")), Ok(registered));
        let error = narrowed_scope(registered, Some("envelopes:send")).unwrap_err();
        assert!(error.description.contains("new authorization request"), "{error}");
    }

    /// the registration and the first token say how a token is bound, and no request loosens it.
    #[test]
    fn a_binding_is_never_loosened() {
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        let none = CallerProof::default();
        let keyed = CallerProof { key: Some(key), ..none };
        let certified = CallerProof { certificate: Some(other), ..none };
        let (with_key, with_certificate) = (Some(Binding::Key(key)), Some(Binding::Certificate(other)));
        for (dpop, mtls, caller, before, expected) in [
            (true, false, keyed, None, Some(with_key)),
            (true, false, none, None, None),
            (true, false, certified, None, None),
            (false, true, certified, None, Some(with_certificate)),
            (false, true, keyed, None, None),
            (false, false, none, None, Some(None)),
            (false, false, keyed, None, Some(with_key)),
            (false, false, keyed, with_key, Some(with_key)),
            (false, false, none, with_key, None),
            (false, true, certified, with_key, None),
            (true, false, keyed, with_certificate, None),
            (true, false, keyed, Some(Binding::Key(other)), Some(with_key)),
        ] {
            let found = binding(&client("standard", dpop, mtls), &caller, before.map(BoundBy::from));
            assert_eq!(found.as_ref().ok().copied(), expected, "{dpop} {mtls} {caller:?} {before:?}");
            assert!(found.is_ok() || found.unwrap_err().code == ErrorCode::InvalidRequest);
        }
        assert!(binding(&client("fapi2", false, false), &keyed, None).is_err());
        assert_eq!(Binding::token_type(with_key), "DPoP");
        assert_eq!(Binding::token_type(with_certificate), "Bearer");
    }

    /// a code is good for its client, its address, its verifier and its key, once and for a minute.
    #[test]
    fn a_code_is_redeemed_by_who_asked_for_it() {
        let id = ClientId::from_bytes([4; 16]);
        let terms = CodeTerms {
            client_id: id,
            redirect_uri: "https://app.test/cb".to_owned(),
            code_challenge: Challenge::parse(CHALLENGE, Some("S256")).unwrap(),
            dpop_jkt: Some(Digest::of(b"key")),
        };
        let now = Time::from_unix_ms(1_000_000);
        let code = CodeNow { terms: &terms, expires_at: now.plus_s(1), is_used: false };
        let proof = CallerProof { key: Some(Digest::of(b"key")), ..CallerProof::default() };
        let good = Redeemer {
            client: id,
            redirect_uri: Some("https://app.test/cb"),
            code_verifier: Some(VERIFIER),
            proof,
        };
        assert_eq!(redeem(&code, &good, now), Redemption::Granted);
        assert_eq!(redeem(&CodeNow { is_used: true, ..code }, &good, now.plus_s(100)), Redemption::Reused);
        let other = ClientId::from_bytes([5; 16]);
        for (name, redeemer, at) in [
            ("client", Redeemer { client: other, ..good }, now),
            ("time", good, now.plus_s(1)),
            ("redirect_uri", Redeemer { redirect_uri: Some("https://app.test/cb2"), ..good }, now),
            ("no redirect_uri", Redeemer { redirect_uri: None, ..good }, now),
            ("verifier", Redeemer { code_verifier: Some(CHALLENGE), ..good }, now),
            ("no verifier", Redeemer { code_verifier: None, ..good }, now),
            ("key", Redeemer { proof: CallerProof { key: Some(Digest::of(b"x")), ..proof }, ..good }, now),
            ("no key", Redeemer { proof: CallerProof::default(), ..good }, now),
        ] {
            assert!(matches!(redeem(&code, &redeemer, at), Redemption::Refused(_)), "{name}");
        }
        let stranger = Redeemer { client: other, ..good };
        let used = CodeNow { is_used: true, ..code };
        assert_eq!(redeem(&used, &stranger, now), Redemption::Refused(code_refused()));
        let text = serde_json::to_string(&terms).unwrap();
        assert_eq!(serde_json::from_str::<CodeTerms>(&text).unwrap(), terms);
    }
}
