//! What may be registered, and what not and where.

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
        (with(fapi(), &[("jwks", Value::Null), ("jwks_uri", json!("http://ledger.test/jwks"))]), "/jwks_uri"),
        (with(fapi(), &[("jwks", Value::Null), ("jwks_uri", json!("https://ledger.test/#x"))]), "/jwks_uri"),
        (with(fapi(), &[("token_endpoint_auth_method", json!("self_signed_tls_client_auth"))]), "/jwks"),
        (with(fapi(), &[("tls_client_auth_san_dns", json!("a.test"))]), "/tls_client_auth_san_dns"),
        (with(public(), &[("jwks", jwks.clone())]), "/jwks"),
        (with(mutual(), &[("tls_client_auth_san_dns", json!("*.archive.test"))]), "/tls_client_auth_san_dns"),
        (with(mutual(), &[("tls_client_auth_san_dns", Value::Null)]), "/tls_client_auth_subject_dn"),
        (with(mutual(), &[("tls_client_auth_subject_dn", json!("CN=a"))]), "/tls_client_auth_subject_dn"),
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
    let mut shown = Certificate {
        thumbprint: Digest::of(b"der"),
        subject_dn: "CN=archive",
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
