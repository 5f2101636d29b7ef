//! Whether a registration may be: what a method needs, what a profile asks for, and where people may be sent (A-5, A-6).

use super::{Constraint, GrantType, Method, Registration, TokenFormat};
use crate::{
    access::Environment,
    limits,
    oauth::{jose::JwkSet, redirect, subject::Subject, uri::Uri},
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
};

/// Longest subject of a certificate, in characters.
const SUBJECT_CHARS: usize = 1_000;

fn refuse(pointer: impl Into<String>, sentence: impl Into<String>) -> Refusal {
    Refusal::at(Code::Invalid, pointer, sentence)
}

fn ensure(holds: bool, pointer: &str, sentence: &str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refuse(pointer, sentence)) }
}

/// Whether this may be registered in this environment. The refusal points at what is to be changed.
pub fn check(client: &Registration, environment: Environment) -> Result<(), Refusal> {
    let name = client.client_name.trim();
    let is_line = !name.is_empty()
        && name.chars().count() <= limits::LINE_CHARS
        && name.len() == client.client_name.len()
        && !name.contains(char::is_control);
    ensure(is_line, "/client_name", "a name is one line of 1 to 200 characters, without spaces around it")?;
    check_method(client, environment)?;
    check_keys(client)?;
    check_grants(client)?;
    check_scope(client, environment)?;
    check_binding(client)?;
    check_redirects(client, environment)?;
    check_resource(client)
}

/// Whether whoever may give `giver` may register this, in place of `before` where there is one. Whoever sets the keys or the
/// redirect URIs of a client has its powers, so that one that may do more is not changed, not even to less (A-3, A-13).
pub fn check_given(
    client: &Registration,
    before: Option<&Registration>,
    giver: Scopes,
) -> Result<(), Refusal> {
    let beyond = before.map_or(Scopes::NONE, |before| before.scope.without(giver));
    if !beyond.is_empty() {
        let sentence = format!(
            "this client may do what you may not do yourself: {beyond}; it is changed by somebody who may do all of it"
        );
        return Err(refuse("/scope", sentence));
    }
    let beyond = client.scope.without(giver);
    let sentence = || format!("you cannot give what you may not do yourself: {beyond}");
    if beyond.is_empty() { Ok(()) } else { Err(refuse("/scope", sentence())) }
}

/// Who may do without a key.
fn check_method(client: &Registration, environment: Environment) -> Result<(), Refusal> {
    let at = "/token_endpoint_auth_method";
    match client.token_endpoint_auth_method {
        Method::ClientSecretBasic => {
            ensure(
                environment == Environment::Sandbox,
                at,
                "a client secret is for sandboxes: use private_key_jwt",
            )?;
            ensure(
                !client.is_fapi(),
                at,
                "FAPI 2.0 takes private_key_jwt, tls_client_auth or self_signed_tls_client_auth",
            )
        }
        Method::None => ensure(
            !client.is_fapi(),
            at,
            "FAPI 2.0 takes private_key_jwt, tls_client_auth or self_signed_tls_client_auth",
        ),
        Method::PrivateKeyJwt | Method::TlsClientAuth | Method::SelfSignedTlsClientAuth => Ok(()),
    }
}

/// What a method needs is there, and nothing that it does not use.
fn check_keys(client: &Registration) -> Result<(), Refusal> {
    let method = client.token_endpoint_auth_method;
    let uses_keys = matches!(method, Method::PrivateKeyJwt | Method::SelfSignedTlsClientAuth);
    match (&client.jwks, &client.jwks_uri) {
        (Some(_), Some(_)) => return Err(refuse("/jwks_uri", "give jwks or jwks_uri, not both")),
        (Some(_), _) if !uses_keys => {
            return Err(refuse("/jwks", "this method uses no keys: leave jwks out"));
        }
        (_, Some(_)) if !uses_keys => {
            return Err(refuse("/jwks_uri", "this method uses no keys: leave jwks_uri out"));
        }
        (None, None) if uses_keys => return Err(refuse("/jwks", "this method needs jwks or jwks_uri")),
        (Some(keys), None) => check_set(keys, method)?,
        (None, Some(uri)) => {
            let fits = Uri::parse(uri)
                .is_ok_and(|uri| uri.is("https") && uri.authority.is_some() && uri.fragment.is_none());
            ensure(fits, "/jwks_uri", "jwks_uri is an https URL without a fragment")?;
        }
        (None, None) => {}
    }
    let (subject, dns) = (&client.tls_client_auth_subject_dn, &client.tls_client_auth_san_dns);
    if method != Method::TlsClientAuth {
        ensure(subject.is_none(), "/tls_client_auth_subject_dn", "this is for tls_client_auth only")?;
        return ensure(dns.is_none(), "/tls_client_auth_san_dns", "this is for tls_client_auth only");
    }
    match (subject, dns) {
        (Some(subject), None) => {
            let at = "/tls_client_auth_subject_dn";
            ensure(subject.chars().count() <= SUBJECT_CHARS, at, "a subject has 1,000 characters at most")?;
            Subject::parse(subject).map(drop).map_err(|wrong| refuse(at, wrong.to_string()))
        }
        (None, Some(name)) => ensure(
            is_dns_name(name),
            "/tls_client_auth_san_dns",
            "a DNS name is in lower case and has no wildcard",
        ),
        _ => Err(refuse(
            "/tls_client_auth_subject_dn",
            "tls_client_auth needs exactly one of tls_client_auth_subject_dn and tls_client_auth_san_dns",
        )),
    }
}

fn check_set(keys: &JwkSet, method: Method) -> Result<(), Refusal> {
    let sentence =
        "there is no public key in it that we can use: P-256, Ed25519, or RSA of 2048 to 4096 bits for PS256";
    ensure(!keys.keys().is_empty(), "/jwks", sentence)?;
    let have_certificates = keys.keys().iter().all(|key| key.certificate().is_some());
    let needs_certificates = method == Method::SelfSignedTlsClientAuth;
    ensure(
        have_certificates || !needs_certificates,
        "/jwks",
        "each key needs its certificate in x5c (RFC 8705 section 2.2.2)",
    )?;
    let have_names = keys.keys().len() == 1 || keys.keys().iter().all(|key| key.kid.is_some());
    ensure(have_names || needs_certificates, "/jwks", "where there are several keys, each needs a kid")
}

fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

/// Grants fit each other and the method.
fn check_grants(client: &Registration) -> Result<(), Refusal> {
    let at = "/grant_types";
    let has = |grant_type| client.may_use(grant_type);
    for (index, grant_type) in client.grant_types.iter().enumerate() {
        let is_first = client.grant_types.iter().position(|other| other == grant_type) == Some(index);
        ensure(is_first, at, "a grant type stands there twice")?;
    }
    let is_idle = client.grant_types.is_empty();
    ensure(
        !is_idle || client.resource.is_some(),
        at,
        "name a grant type: a client without one does nothing",
    )?;
    ensure(
        has(GrantType::AuthorizationCode) || !has(GrantType::RefreshToken),
        at,
        "refresh tokens come with authorization codes only: add authorization_code",
    )?;
    if !client.is_public() {
        return Ok(());
    }
    ensure(
        !has(GrantType::ClientCredentials),
        at,
        "a client that proves to nobody who it is cannot act for itself: leave client_credentials out",
    )?;
    ensure(
        !has(GrantType::RefreshToken) || client.constraint() != Constraint::Free,
        at,
        "a public client has refresh tokens only if they are bound: set dpop_bound_access_tokens (RFC 9700 section 2.2.2)",
    )
}

/// Scopes fit the environment and the profile.
fn check_scope(client: &Registration, environment: Environment) -> Result<(), Refusal> {
    let at = "/scope";
    let wanted = client.scope;
    ensure(!wanted.is_empty() || client.grant_types.is_empty(), at, "name the scopes that it may ask for")?;
    let beyond = wanted.without(environment.ceiling());
    let sentence =
        format!("there is no {beyond} in {}: it is for the sandbox only, leave it out", environment.text());
    ensure(beyond.is_empty(), at, &sentence)?;
    ensure(
        !wanted.has_admin() || client.is_fapi(),
        at,
        "admin scopes are for clients of the FAPI 2.0 profile: register it with \"profile\": \"fapi2\", or leave them out",
    )?;
    let asks = !wanted.and(Scopes::of(&[Scope::TokensIntrospect])).is_empty();
    ensure(
        !asks || client.token_endpoint_auth_method.has_key(),
        at,
        "tokens:introspect needs private_key_jwt or mutual TLS",
    )
}

/// One way to bind tokens, and what FAPI 2.0 asks for.
fn check_binding(client: &Registration) -> Result<(), Refusal> {
    let both = client.dpop_bound_access_tokens && client.tls_client_certificate_bound_access_tokens;
    ensure(
        !both,
        "/tls_client_certificate_bound_access_tokens",
        "bind tokens to a DPoP key or to a certificate, not to both",
    )?;
    if !client.is_fapi() {
        return Ok(());
    }
    ensure(
        client.constraint() != Constraint::Free,
        "/dpop_bound_access_tokens",
        "FAPI 2.0 binds tokens: set dpop_bound_access_tokens or tls_client_certificate_bound_access_tokens",
    )?;
    ensure(
        client.require_pushed_authorization_requests || !client.may_use(GrantType::AuthorizationCode),
        "/require_pushed_authorization_requests",
        "FAPI 2.0 pushes authorization requests: set it to true",
    )
}

/// Where people may be sent.
fn check_redirects(client: &Registration, environment: Environment) -> Result<(), Refusal> {
    let at = "/redirect_uris";
    let sends_people = client.may_use(GrantType::AuthorizationCode);
    let uris = &client.redirect_uris;
    ensure(!uris.is_empty() || !sends_people, at, "authorization_code needs at least one redirect URI")?;
    ensure(uris.is_empty() || sends_people, at, "redirect URIs are for authorization_code only")?;
    ensure(uris.len() <= limits::REDIRECT_URIS, at, "there are too many redirect URIs: 20 at most")?;
    for (index, uri) in uris.iter().enumerate() {
        let pointer = format!("{at}/{index}");
        let is_local_fine = client.is_public() || environment == Environment::Sandbox;
        redirect::check(uri, client.is_public(), is_local_fine)
            .map_err(|wrong| refuse(pointer.clone(), wrong.to_string()))?;
        let is_first = uris.iter().position(|other| other == uri) == Some(index);
        ensure(is_first, &pointer, "this redirect URI stands there twice")?;
    }
    Ok(())
}

/// A resource server proves with a key who it is (A-8).
fn check_resource(client: &Registration) -> Result<(), Refusal> {
    let Some(resource) = &client.resource else {
        let sentence = "this says what tokens for a resource look like: name the resource";
        return ensure(
            client.resource_token_format == TokenFormat::Opaque,
            "/resource_token_format",
            sentence,
        );
    };
    let fits = Uri::parse(resource).is_ok_and(|uri| {
        uri.is("https") && uri.authority.is_some() && uri.fragment.is_none() && uri.query.is_none()
    });
    ensure(fits, "/resource", "a resource is an https URL without query and fragment (RFC 8707 section 2)")?;
    ensure(
        client.token_endpoint_auth_method.has_key(),
        "/token_endpoint_auth_method",
        "a resource server needs private_key_jwt or mutual TLS to ask about tokens",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{digest::Digest, oauth::client::Certificate};

    fn fapi() -> Value {
        json!({
            "client_name": "Ledger",
            "profile": "fapi2",
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] },
            "redirect_uris": ["https://ledger.test/callback"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "scope": "admin:clients envelopes:read",
            "dpop_bound_access_tokens": true,
            "require_pushed_authorization_requests": true,
        })
    }

    fn public() -> Value {
        json!({
            "client_name": "Desk",
            "token_endpoint_auth_method": "none",
            "redirect_uris": ["http://127.0.0.1/callback", "com.example.desk:/callback"],
            "grant_types": ["authorization_code"],
            "scope": "envelopes:read",
        })
    }

    fn secret() -> Value {
        json!({
            "client_name": "Trial",
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["client_credentials"],
            "scope": "envelopes:read",
        })
    }

    fn mutual() -> Value {
        json!({
            "client_name": "Archive",
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_san_dns": "archive.test",
            "grant_types": [],
            "scope": "",
            "resource": "https://archive.test/api",
        })
    }

    fn with(mut value: Value, members: &[(&str, Value)]) -> Value {
        for (name, to) in members {
            if to.is_null() {
                value.as_object_mut().unwrap().remove(*name);
            } else {
                value[*name] = to.clone();
            }
        }
        value
    }

    fn judge(value: &Value, environment: Environment) -> Result<(), String> {
        let client = Registration::parse(value.to_string().as_bytes()).unwrap();
        check(&client, environment).map_err(|refusal| refusal.pointer.unwrap())
    }

    #[test]
    fn each_kind_of_client_can_be_registered() {
        for value in [fapi(), public(), mutual()] {
            assert_eq!(judge(&value, Environment::Live), Ok(()), "{value}");
            assert_eq!(judge(&value, Environment::Sandbox), Ok(()), "{value}");
        }
        assert_eq!(judge(&secret(), Environment::Sandbox), Ok(()));
    }

    /// A-5: an admin client without a bound token, a key or a pushed request cannot be registered.
    #[test]
    fn admin_clients_keep_to_fapi() {
        for (members, pointer) in [
            (vec![("profile", json!("standard"))], "/scope"),
            (vec![("dpop_bound_access_tokens", json!(false))], "/dpop_bound_access_tokens"),
            (
                vec![("require_pushed_authorization_requests", Value::Null)],
                "/require_pushed_authorization_requests",
            ),
            (
                vec![("token_endpoint_auth_method", json!("client_secret_basic")), ("jwks", Value::Null)],
                "/token_endpoint_auth_method",
            ),
            (
                vec![("token_endpoint_auth_method", json!("none")), ("jwks", Value::Null)],
                "/token_endpoint_auth_method",
            ),
            (
                vec![("tls_client_certificate_bound_access_tokens", json!(true))],
                "/tls_client_certificate_bound_access_tokens",
            ),
        ] {
            assert_eq!(
                judge(&with(fapi(), &members), Environment::Sandbox),
                Err(pointer.to_owned()),
                "{members:?}"
            );
        }
        let certificate = [
            ("dpop_bound_access_tokens", json!(false)),
            ("tls_client_certificate_bound_access_tokens", json!(true)),
        ];
        assert_eq!(judge(&with(fapi(), &certificate), Environment::Live), Ok(()));
    }

    /// A-6: no secret in live, nor for admin scopes.
    #[test]
    fn secrets_are_for_sandboxes() {
        let at = Err("/token_endpoint_auth_method".to_owned());
        assert_eq!(judge(&secret(), Environment::Live), at);
        assert_eq!(judge(&with(secret(), &[("profile", json!("fapi2"))]), Environment::Sandbox), at);
        let admin = with(secret(), &[("scope", json!("admin:keys"))]);
        assert_eq!(judge(&admin, Environment::Sandbox), Err("/scope".to_owned()));
        let asking = with(secret(), &[("scope", json!("tokens:introspect"))]);
        assert_eq!(judge(&asking, Environment::Sandbox), Err("/scope".to_owned()));
    }

    /// A-3: a scope that cannot be registered is refused in words that say what to do.
    #[test]
    fn a_refused_scope_says_what_to_do() {
        let said = |value: &Value, environment| {
            let registration = Registration::parse(value.to_string().as_bytes()).unwrap();
            check_scope(&registration, environment).unwrap_err().sentence
        };
        let admin = said(&with(secret(), &[("scope", json!("admin:keys"))]), Environment::Sandbox);
        assert!(admin.contains("\"profile\": \"fapi2\""), "{admin}");
        let mailbox = said(&with(fapi(), &[("scope", json!("mailbox:read"))]), Environment::Live);
        assert!(mailbox.contains("mailbox:read") && mailbox.contains("sandbox only"), "{mailbox}");
    }

    /// A-4: an application on somebody's machine has bound refresh tokens or none, and no power of its own.
    #[test]
    fn public_clients_have_codes_only() {
        let refresh = ("grant_types", json!(["authorization_code", "refresh_token"]));
        let bound = ("dpop_bound_access_tokens", json!(true));
        assert_eq!(
            judge(&with(public(), std::slice::from_ref(&refresh)), Environment::Live),
            Err("/grant_types".to_owned())
        );
        assert_eq!(judge(&with(public(), &[refresh, bound]), Environment::Live), Ok(()));
        let own = ("grant_types", json!(["authorization_code", "client_credentials"]));
        assert_eq!(judge(&with(public(), &[own]), Environment::Live), Err("/grant_types".to_owned()));
    }

    #[test]
    fn grants_fit_each_other() {
        for grant_types in
            [json!([]), json!(["refresh_token"]), json!(["client_credentials", "client_credentials"])]
        {
            let value = with(fapi(), &[("grant_types", grant_types), ("redirect_uris", Value::Null)]);
            assert_eq!(judge(&value, Environment::Live), Err("/grant_types".to_owned()));
        }
        let none = with(fapi(), &[("redirect_uris", json!([]))]);
        assert_eq!(judge(&none, Environment::Live), Err("/redirect_uris".to_owned()));
        let some = with(secret(), &[("redirect_uris", json!(["https://a.test/"]))]);
        assert_eq!(judge(&some, Environment::Sandbox), Err("/redirect_uris".to_owned()));
    }

    #[test]
    fn a_method_has_what_it_needs_and_nothing_else() {
        let jwks = fapi()["jwks"].clone();
        let key = jwks["keys"][0].clone();
        let mut nameless = key.clone();
        nameless.as_object_mut().unwrap().remove("kid");
        for (value, pointer) in [
            (with(fapi(), &[("jwks", Value::Null)]), "/jwks"),
            (with(fapi(), &[("jwks", json!({ "keys": [] }))]), "/jwks"),
            (with(fapi(), &[("jwks", json!({ "keys": [key, nameless] }))]), "/jwks"),
            (with(fapi(), &[("jwks_uri", json!("https://ledger.test/jwks"))]), "/jwks_uri"),
            (
                with(fapi(), &[("jwks", Value::Null), ("jwks_uri", json!("http://ledger.test/jwks"))]),
                "/jwks_uri",
            ),
            (
                with(fapi(), &[("jwks", Value::Null), ("jwks_uri", json!("https://ledger.test/#x"))]),
                "/jwks_uri",
            ),
            (with(fapi(), &[("token_endpoint_auth_method", json!("self_signed_tls_client_auth"))]), "/jwks"),
            (with(fapi(), &[("tls_client_auth_san_dns", json!("a.test"))]), "/tls_client_auth_san_dns"),
            (with(public(), &[("jwks", jwks.clone())]), "/jwks"),
            (
                with(mutual(), &[("tls_client_auth_san_dns", json!("*.archive.test"))]),
                "/tls_client_auth_san_dns",
            ),
            (with(mutual(), &[("tls_client_auth_san_dns", Value::Null)]), "/tls_client_auth_subject_dn"),
            (with(mutual(), &[("tls_client_auth_subject_dn", json!("CN=a"))]), "/tls_client_auth_subject_dn"),
            (
                with(
                    mutual(),
                    &[
                        ("tls_client_auth_san_dns", Value::Null),
                        ("tls_client_auth_subject_dn", json!("CN = a")),
                    ],
                ),
                "/tls_client_auth_subject_dn",
            ),
            (with(mutual(), &[("resource", json!("http://archive.test"))]), "/resource"),
            (with(public(), &[("resource", json!("https://archive.test"))]), "/token_endpoint_auth_method"),
            (with(fapi(), &[("client_name", json!(" Ledger"))]), "/client_name"),
            (with(fapi(), &[("client_name", json!("Led\nger"))]), "/client_name"),
            (with(fapi(), &[("scope", json!("mailbox:read"))]), "/scope"),
        ] {
            assert_eq!(judge(&value, Environment::Live), Err(pointer.to_owned()), "{value}");
        }
    }

    /// G-7: what is not known is not ignored, and no private key is stored.
    #[test]
    fn a_registration_is_read_strictly() {
        let text = fapi().to_string();
        let parse = |text: &str| Registration::parse(text.as_bytes());
        assert!(parse(&with(fapi(), &[("response_types", json!(["token"]))]).to_string()).is_err());
        assert!(parse(&with(fapi(), &[("grant_types", json!(["password"]))]).to_string()).is_err());
        assert!(parse(&with(fapi(), &[("grant_types", json!(["implicit"]))]).to_string()).is_err());
        assert!(parse(&text.replacen('{', r#"{"client_name":"Other","#, 1)).is_err());
        assert!(parse(&text.replace("\"kid\"", "\"d\":\"AA\",\"kid\"")).is_err());
        assert!(parse("[]").is_err());
        let client = parse(&text).unwrap();
        let stored = crate::canonical::to_vec(&client).unwrap();
        assert_eq!(Registration::parse(&stored).unwrap(), client);
    }

    /// A-6: a certificate is the client's by its name, if an authority stands behind it, or as it is registered.
    #[test]
    fn a_certificate_is_matched_as_registered() {
        let client = Registration::parse(mutual().to_string().as_bytes()).unwrap();
        let names = ["archive.test".to_owned()];
        let subject = Subject::parse("CN=archive+OU=a,O=Acme").unwrap();
        let mut shown = Certificate {
            thumbprint: Digest::of(b"der"),
            subject: Some(&subject),
            dns_names: &names,
            is_trusted: true,
        };
        let none = JwkSet::default();
        assert!(client.is_certificate_of(&shown, &none));
        shown.is_trusted = false;
        assert!(!client.is_certificate_of(&shown, &none));
        shown.is_trusted = true;
        shown.dns_names = &[];
        assert!(!client.is_certificate_of(&shown, &none));

        let mut named = client.clone();
        named.tls_client_auth_san_dns = None;
        for (written, is_its) in [("OU=a+cn=archive,2.5.4.10=Acme", true), ("CN=archive+OU=a,O=acme", false)]
        {
            named.tls_client_auth_subject_dn = Some(written.to_owned());
            assert_eq!(named.is_certificate_of(&shown, &none), is_its, "{written}");
        }
        shown.subject = None;
        assert!(!named.is_certificate_of(&shown, &none));

        let mut key = fapi()["jwks"]["keys"][0].clone();
        key["x5c"] = json!(["ZGVy"]);
        let set = JwkSet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
        let mut own = client;
        own.token_endpoint_auth_method = Method::SelfSignedTlsClientAuth;
        shown.is_trusted = false;
        assert!(own.is_certificate_of(&shown, &set));
        shown.thumbprint = Digest::of(b"other");
        assert!(!own.is_certificate_of(&shown, &set));
        own.token_endpoint_auth_method = Method::PrivateKeyJwt;
        shown.thumbprint = Digest::of(b"der");
        assert!(!own.is_certificate_of(&shown, &set));
    }
}
