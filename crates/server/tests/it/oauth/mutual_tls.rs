//! Mutual TLS (RFC 8705): certificates that authenticate a client, certificates that tokens are bound to, and all that is
//! refused. Clients of others go the whole way in `judges`.

use std::sync::Arc;

use countersign_core::access::Environment;
use reqwest::{Method, StatusCode, header::WWW_AUTHENTICATE, tls::Version};
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion, client::ResolvesClientCert,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    certificates::{Authority, Shown, Wish, authority, old_authority, with_mutual_tls},
    client::{Answered, Client, kinds},
    flow::{REDIRECT, Scene, VERIFIER},
    keys::{ClientKey, proof_claims},
};
use crate::app::{Options, TestApp};

async fn start() -> TestApp {
    TestApp::start_with(Options { configure: with_mutual_tls, ..Options::default() }).await
}

/// A client whose tokens are bound to its certificate.
pub(super) fn registration(members: &Value) -> Value {
    let mut registration = json!({
        "client_name": "Contract robot",
        "profile": "fapi2",
        "grant_types": ["client_credentials"],
        "scope": "envelopes:status admin:clients",
        "tls_client_certificate_bound_access_tokens": true,
    });
    registration.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    registration
}

/// Proved by a certificate of the operator's authority with this subject.
pub(super) fn by_subject(wish: &Wish) -> Value {
    json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": wish.subject() })
}

/// Proved by these certificates and no other.
pub(super) fn by_itself(shown: &[&Shown]) -> Value {
    let keys: Vec<Value> = shown.iter().map(|shown| shown.jwk()).collect();
    json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": keys } })
}

pub(super) async fn register<'a>(test: &'a TestApp, members: &Value) -> Client<'a> {
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("mutual");
    Client::register_with(test, organization, Environment::Sandbox, key, &registration(members)).await
}

impl Client<'_> {
    /// A token request that shows a certificate.
    async fn ask_showing(&self, shown: Option<&Shown>, parameters: &[(&str, &str)]) -> Answered {
        self.ask_at(self.test.mutual_url(), shown, parameters).await
    }

    async fn ask_at(&self, base: &str, shown: Option<&Shown>, parameters: &[(&str, &str)]) -> Answered {
        let id = self.id.to_string();
        let form = [parameters, &[("client_id", id.as_str())]].concat();
        Answered::of(self.test.showing(shown).post(format!("{base}/oauth/token")).form(&form)).await
    }

    pub(super) async fn own_token_showing(&self, shown: &Shown) -> Answered {
        self.ask_showing(Some(shown), OWN).await
    }
}

const OWN: &[(&str, &str)] = &[("grant_type", "client_credentials"), ("scope", "envelopes:status")];

/// Calls the API with a token over a connection that shows a certificate.
async fn call(test: &TestApp, shown: Option<&Shown>, token: &str) -> Answered {
    let url = format!("{}/v1/envelopes", test.mutual_url());
    Answered::of(test.showing(shown).get(url).bearer_auth(token)).await
}

/// a certificate of the operator's authority, old_authority, with the registered subject or DNS name, valid now, with or without an
/// authority between; nothing else, and all else in the same words.
#[tokio::test]
async fn a_certificate_authenticates_by_its_name_and_its_authority() {
    let test = start().await;
    let (wish, between) = (Wish::of("robot"), authority().under("Between"));
    let named = register(&test, &by_subject(&wish)).await;
    let dns = json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "robot.acme.test" });
    let hosted = Client::register_with(
        &test,
        named.tenant.organization(),
        Environment::Sandbox,
        ClientKey::new("hosted"),
        &registration(&dns),
    )
    .await;
    let host = Wish::dns("robot.acme.test");
    for (client, wish) in [(&named, &wish), (&hosted, &host)] {
        for shown in [authority().certify(wish), between.certify_with_chain(wish)] {
            let answered = client.own_token_showing(&shown).await;
            assert_eq!(answered.body["token_type"], "Bearer", "{}", answered.body);
            assert_eq!(call(&test, Some(&shown), &answered.token()).await.status, StatusCode::OK);
        }
    }
    let good = authority().certify(&wish);
    let mut words = Vec::new();
    for (what, shown) in [
        ("none", None),
        ("another subject", Some(authority().certify(&Wish::of("robot2")))),
        ("by an authority whose time is over", Some(old_authority().certify(&wish))),
        ("expired", Some(authority().certify(&Wish { has_expired: true, ..wish.clone() }))),
        ("a foreign authority", Some(Authority::new("Test CA").certify(&wish))),
        ("no authority", Some(wish.alone())),
        ("the authority between is not there", Some(between.certify(&wish))),
        ("another method", Some(authority().certify(&host))),
    ] {
        let answered = named.ask_showing(shown.as_ref(), OWN).await;
        assert_eq!(answered.error(), (401, "invalid_client"), "{what}: {}", answered.body);
        assert_eq!(answered.headers[WWW_AUTHENTICATE], "Basic realm=\"oauth\"", "RFC 6749 §5.2");
        words.push(answered.body);
    }
    for what in [Wish::dns("other.acme.test"), Wish::dns("x.robot.acme.test"), Wish::of("robot.acme.test")] {
        let answered = hosted.own_token_showing(&authority().certify(&what)).await;
        assert_eq!(answered.error(), (401, "invalid_client"), "{}", what.subject());
        words.push(answered.body);
    }
    let unasked = named.ask_at(&test.url, Some(&good), OWN).await;
    assert_eq!(unasked.error(), (401, "invalid_client"), "the other port asks nobody for a certificate");
    words.push(unasked.body);
    let unknown = [("client_id", "cli_00000000000000000000000000")];
    let form = [OWN, &unknown].concat();
    let asked = test.showing(Some(&good)).post(format!("{}/oauth/token", test.mutual_url())).form(&form);
    let unknown = Answered::of(asked).await;
    assert_eq!(unknown.error(), (401, "invalid_client"));
    assert!(words.iter().all(|body| *body == unknown.body), "nobody learns what was wrong: {words:?}");
    let failed = kinds(&test, &named.tenant).await.iter().filter(|kind| *kind == "client.failed").count();
    assert_eq!(failed, words.len());
    test.finish().await;
}

/// a certificate that is registered itself is as good as the next one that is registered, and no other is, not even one
/// of the same key or of the operator's authority; nor it, when it has expired.
#[tokio::test]
async fn a_registered_certificate_authenticates_itself() {
    let test = start().await;
    let wish = Wish::of("robot");
    let (one, next) = (wish.alone(), wish.alone());
    let expired = Wish { has_expired: true, ..wish.clone() }.alone();
    let client = register(&test, &by_itself(&[&one, &next, &expired])).await;
    for shown in [&one, &next] {
        let token = client.own_token_showing(shown).await.token();
        assert_eq!(call(&test, Some(shown), &token).await.status, StatusCode::OK);
    }
    let of_the_same_key = Wish::of("robot2").alone_with(one.key);
    let of_the_authority = authority().certify(&wish);
    for shown in [Some(&expired), Some(&of_the_same_key), Some(&of_the_authority), None] {
        let answered = client.ask_showing(shown, OWN).await;
        assert_eq!(answered.error(), (401, "invalid_client"), "{}", answered.body);
    }
    test.finish().await;
}

/// a stolen bound token is worth nothing with another certificate, with none, on the port that asks for none, or with a
/// DPoP proof; introspection says what it is bound to, and the organization learns of each try.
#[tokio::test]
async fn a_token_is_good_with_its_certificate_alone() {
    let test = start().await;
    let wish = Wish::of("robot");
    let client = register(&test, &by_subject(&wish)).await;
    let shown = authority().certify(&wish);
    let token = client.own_token_showing(&shown).await.token();
    for _ in 0..3 {
        assert_eq!(call(&test, Some(&shown), &token).await.status, StatusCode::OK);
    }
    let old =
        test.showing_by(Some(&shown), Version::TLS_1_2).get(format!("{}/v1/envelopes", test.mutual_url()));
    assert_eq!(Answered::of(old.bearer_auth(&token)).await.status, StatusCode::OK);
    let metadata = "https://sign.test/.well-known/oauth-protected-resource";
    let renewed = authority().certify(&wish);
    let own_port = test.showing(Some(&shown)).get(format!("{}/v1/envelopes", test.url)).bearer_auth(&token);
    for (what, stolen) in [
        ("the same subject", call(&test, Some(&renewed), &token).await),
        ("no authority", call(&test, Some(&wish.alone()), &token).await),
        ("no certificate", call(&test, None, &token).await),
        ("a port that asks for none", Answered::of(own_port).await),
    ] {
        assert_eq!(stolen.status, StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(stolen.body["code"], "token_invalid");
        let challenges: Vec<_> = stolen.headers.get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges.len(), 1, "{challenges:?}");
        let challenge = challenges[0].to_str().unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{challenge}");
        assert!(challenge.ends_with(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
    }
    let url = format!("{}/v1/envelopes", test.mutual_url());
    let nonce = client.nonce();
    let claims = proof_claims("GET", &url, &client.jti(), test.app.now(), Some(&nonce), Some(&token));
    let proved = test.showing(Some(&shown)).get(&url).header("DPoP", client.dpop.proof(&claims));
    let proved = Answered::of(proved.header("Authorization", format!("DPoP {token}"))).await;
    assert_eq!(proved.status, StatusCode::UNAUTHORIZED, "no binding stands in for another (RFC 9449 §7.1)");
    let refused = kinds(&test, &client.tenant).await.iter().filter(|kind| *kind == "access.refused").count();
    assert_eq!(refused, 5);

    let asker = json!({ "grant_types": [], "scope": "", "resource": "https://archive.test/api" });
    let mut asker = asker.as_object().unwrap().clone();
    let asker_wish = Wish::of("archive");
    asker.extend(by_subject(&asker_wish).as_object().unwrap().clone());
    let organization = client.tenant.organization();
    let asker = Client::register_with(
        &test,
        organization,
        Environment::Sandbox,
        ClientKey::new("archive"),
        &registration(&Value::Object(asker)),
    )
    .await;
    let parameters = [OWN, &[("resource", "https://archive.test/api")]].concat();
    let for_it = client.ask_showing(Some(&shown), &parameters).await.token();
    let ask = async |shown: &Shown, token: &str| {
        let form = [("token", token), ("client_id", &asker.id.to_string())];
        let url = format!("{}/oauth/introspect", test.mutual_url());
        Answered::of(test.showing(Some(shown)).post(url).form(&form)).await
    };
    let said = ask(&authority().certify(&asker_wish), &for_it).await;
    assert_eq!(said.body["active"], true, "{}", said.body);
    assert_eq!(said.body["cnf"], json!({ "x5t#S256": shown.thumbprint() }), "RFC 8705 §3.2");
    assert_eq!(ask(&shown, &for_it).await.error(), (401, "invalid_client"));
    test.finish().await;
}

/// a client with a renewed certificate of its subject goes on: what it refreshes is bound to the new one, and what was
/// bound to the old one stays so.
#[tokio::test]
async fn a_refresh_binds_to_the_certificate_that_is_shown() {
    let test = start().await;
    let wish = Wish::of("robot");
    let code = json!({
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "require_pushed_authorization_requests": true,
        "scope": "envelopes:status envelopes:read",
    });
    let mut members = by_subject(&wish);
    members.as_object_mut().unwrap().extend(code.as_object().unwrap().clone());
    let key = ClientKey::new("mutual");
    let scene = Scene::with(&test, key, &registration(&members)).await;
    let (old, renewed) = (authority().certify(&wish), authority().certify(&wish));
    let id = scene.client.id.to_string();
    let mut form = Scene::parameters();
    form.push(("client_id".to_owned(), id));
    let push = test.showing(Some(&old)).post(format!("{}/oauth/par", test.mutual_url())).form(&form);
    let pushed = Answered::of(push).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.body);
    let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
    let back = scene.decide(&page, "agree").await;
    let code = super::flow::query(&back, "code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let foreign = authority().certify(&Wish::of("robot2"));
    assert_eq!(scene.client.ask_showing(Some(&foreign), &redeem).await.error(), (401, "invalid_client"));
    let first = scene.client.ask_showing(Some(&old), &redeem).await;
    let refresh_token = first.body["refresh_token"].as_str().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    for shown in [None, Some(&foreign)] {
        assert_eq!(scene.client.ask_showing(shown, &refresh).await.error(), (401, "invalid_client"));
    }
    let second = scene.client.ask_showing(Some(&renewed), &refresh).await;
    for (answered, shown, other) in [(&first, &old, &renewed), (&second, &renewed, &old)] {
        assert_eq!(call(&test, Some(shown), &answered.token()).await.status, StatusCode::OK);
        assert_eq!(call(&test, Some(other), &answered.token()).await.status, StatusCode::UNAUTHORIZED);
    }
    test.finish().await;
}

/// a client that proves itself by a key can bind its tokens to a certificate, whoever signed that; without one it gets
/// nothing.
#[tokio::test]
async fn a_key_authenticates_and_a_certificate_binds() {
    let test = start().await;
    let key = ClientKey::new("mutual");
    let members =
        json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key.public("1")] } });
    let client = register(&test, &members).await;
    let ask = async |shown: Option<&Shown>| {
        let url = format!("{}/oauth/token", test.mutual_url());
        Answered::of(test.showing(shown).post(url).form(&client.form(OWN))).await
    };
    assert_eq!(ask(None).await.error(), (400, "invalid_request"));
    let shown = Wish::of("anything").alone();
    let token = ask(Some(&shown)).await.token();
    assert_eq!(call(&test, Some(&shown), &token).await.status, StatusCode::OK);
    assert_eq!(call(&test, None, &token).await.status, StatusCode::UNAUTHORIZED);
    let other = test.showing(None).request(Method::GET, format!("{}/v1/envelopes", test.url));
    assert_eq!(Answered::of(other.bearer_auth(&token)).await.status, StatusCode::UNAUTHORIZED);
    test.finish().await;
}

/// Shows a certificate, whosever it is, and signs with a key, whosever that is.
#[derive(Debug)]
struct Pretending(Arc<CertifiedKey>);

impl ResolvesClientCert for Pretending {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// How much the server answers to somebody who shows this certificate and has this key.
async fn answered_bytes(
    test: &TestApp,
    certificate: &Shown,
    key: &Shown,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<usize> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(key.key.serialize_der()).into();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = Arc::new(CertifiedKey::new(vec![certificate.der()], key));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(test.app.config.development_ca_file()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_root_certificates(roots).with_client_cert_resolver(Arc::new(Pretending(shown)));
    let stream = TcpStream::connect(test.app.config.oauth.mtls_listen.unwrap()).await?;
    let name = ServerName::try_from("mtls.sign.test").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: mtls.sign.test\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await
}

/// certificates are no secret: whoever shows one without its key gets no connection, in either version of TLS.
#[tokio::test]
async fn a_certificate_without_its_key_opens_nothing() {
    let test = start().await;
    let (shown, other) = (authority().certify(&Wish::of("robot")), authority().certify(&Wish::of("robot")));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        assert!(answered_bytes(&test, &shown, &shown, version).await.unwrap() > 0);
        let refused = answered_bytes(&test, &shown, &other, version).await.unwrap_err().to_string();
        assert!(refused.contains("DecryptError"), "{refused}");
    }
    test.finish().await;
}
