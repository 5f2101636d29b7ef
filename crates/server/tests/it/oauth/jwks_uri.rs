//! Clients that publish their keys at a `jwks_uri`: fetched through the guard, kept, and looked at again when a key is new.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use countersign_core::{
    access::Environment,
    scope::{Scope, Scopes},
};
use countersign_server::config::Config;
use futures_util::future::join_all;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{
    certificates::{Authority, Wish, with_mutual_tls},
    client::{Answered, Client, registration},
    keys::ClientKey,
    mutual_tls,
};
use crate::{
    app::{Options, TestApp},
    inward::{Counting, asking, crafted, special},
};

/// The authority of the places where these clients publish their keys.
fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("CA of a client"))
}

fn trusting(config: &mut Config) {
    let file = config.server.data_dir.parent().unwrap().join("egress-ca.pem");
    std::fs::write(&file, authority().pem()).unwrap();
    config.egress.ca_file = Some(file);
    with_mutual_tls(config);
}

fn trusting_and_allowed(config: &mut Config) {
    trusting(config);
    config.egress.allow_hosts = vec!["localhost".to_owned()];
}

async fn start(configure: fn(&mut Config)) -> TestApp {
    TestApp::start_with(Options { configure, ..Options::default() }).await
}

/// Where a client publishes its keys.
struct Place {
    uri: String,
    /// What it answers; nothing good if there is none.
    published: Arc<Mutex<Option<Value>>>,
    fetches: Arc<AtomicUsize>,
}

impl Place {
    async fn open(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("https://localhost:{}/jwks", listener.local_addr().unwrap().port());
        let published = Arc::new(Mutex::new(Some(json!({ "keys": keys }))));
        let place = Self { uri, published, fetches: Arc::default() };
        let (chain, key) = authority().certify(&Wish::dns("localhost")).pem();
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let tls = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
        let (published, fetches) = (Arc::clone(&place.published), Arc::clone(&place.fetches));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = tls.accept(stream).await else { continue };
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await.unwrap());
                }
                assert!(asked.starts_with(b"GET /jwks HTTP/1.1\r\n"));
                fetches.fetch_add(1, Ordering::SeqCst);
                let (status, body) = match &*published.lock().unwrap() {
                    Some(keys) => ("200 OK", keys.to_string()),
                    None => ("503 Service Unavailable", String::new()),
                };
                let head =
                    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        place
    }

    fn publish(&self, keys: Option<&[Value]>) {
        *self.published.lock().unwrap() = keys.map(|keys| json!({ "keys": keys }));
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

async fn register<'a>(test: &'a TestApp, place: &Place) -> Client<'a> {
    register_of(test, place, "Acme").await
}

async fn register_of<'a>(test: &'a TestApp, place: &Place, organization: &str) -> Client<'a> {
    let organization = test.organization(organization).await;
    let key = ClientKey::new("published");
    let mut registration = registration(&key, Scopes::of(&[Scope::EnvelopesStatus]));
    registration.as_object_mut().unwrap().remove("jwks");
    registration["jwks_uri"] = json!(place.uri);
    Client::register_with(test, organization, Environment::Sandbox, key, &registration).await
}

/// Asks for a token with an assertion by this key.
async fn ask(client: &Client<'_>, key: &ClientKey, kid: &str) -> Answered {
    let now = client.test.app.now();
    let id = client.id.to_string();
    let claims = super::keys::assertion_claims(&id, &client.url(""), &client.jti(), now);
    let mut form = client.form(&[("grant_type", "client_credentials"), ("scope", "envelopes:status")]);
    form.retain(|(name, _)| name != "client_assertion");
    form.push(("client_assertion".to_owned(), key.sign(&json!({ "alg": "ES256", "kid": kid }), &claims)));
    let proof = client.dpop.proof(&client.proof_claims());
    Answered::of(client.post("/oauth/token", &form).header("DPoP", proof)).await
}

/// the keys are fetched when they are first needed and kept for five minutes; a new key is found half a minute after the
/// last look, and the old one is no good from then on.
#[tokio::test]
async fn a_client_rotates_the_keys_that_it_publishes() {
    let test = start(trusting_and_allowed).await;
    let (old, new) = (ClientKey::new("published"), ClientKey::new("rotated"));
    let place = Place::open(&[old.public("1")]).await;
    let client = register(&test, &place).await;
    assert_eq!(place.fetches(), 0);
    for _ in 0..3 {
        ask(&client, &old, "1").await.token();
    }
    assert_eq!(place.fetches(), 1);
    place.publish(Some(&[new.public("2")]));
    for _ in 0..3 {
        assert_eq!(ask(&client, &new, "2").await.error(), (401, "invalid_client"), "just looked");
    }
    assert_eq!(place.fetches(), 1);
    test.clock.forward_s(30);
    ask(&client, &old, "1").await.token();
    assert_eq!(place.fetches(), 1, "a key that is known is no reason to look");
    ask(&client, &new, "2").await.token();
    assert_eq!(place.fetches(), 2);
    assert_eq!(ask(&client, &old, "1").await.error(), (401, "invalid_client"));
    test.clock.forward_s(300);
    ask(&client, &new, "2").await.token();
    assert_eq!(place.fetches(), 3, "after five minutes it is looked at in any case");
    test.finish().await;
}

/// many requests at once, with good keys and with unknown ones, are one fetch.
#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_fetch_once() {
    let test = start(trusting_and_allowed).await;
    let key = ClientKey::new("published");
    let place = Place::open(&[key.public("1")]).await;
    let client = register(&test, &place).await;
    let answers = join_all((0..20).map(|_| ask(&client, &key, "1"))).await;
    assert!(answers.iter().all(|answered| answered.status == 200));
    assert_eq!(place.fetches(), 1);
    test.clock.forward_s(30);
    let answers = join_all((0..20).map(|_| ask(&client, &key, "9"))).await;
    assert!(answers.iter().all(|answered| answered.error() == (401, "invalid_client")));
    assert_eq!(place.fetches(), 2);
    ask(&client, &key, "1").await.token();
    test.finish().await;
}

/// where the place does not answer, what is known is believed for an hour and no longer; it is asked twice a minute at
/// most.
#[tokio::test]
async fn keys_that_cannot_be_fetched_any_more_are_none_after_an_hour() {
    let test = start(trusting_and_allowed).await;
    let key = ClientKey::new("published");
    let place = Place::open(&[key.public("1")]).await;
    let client = register(&test, &place).await;
    ask(&client, &key, "1").await.token();
    place.publish(None);
    test.clock.forward_s(3_599);
    for _ in 0..2 {
        ask(&client, &key, "1").await.token();
    }
    assert_eq!(place.fetches(), 2);
    test.clock.forward_s(1);
    assert_eq!(ask(&client, &key, "1").await.error(), (401, "invalid_client"));
    assert_eq!(place.fetches(), 2, "just tried");
    test.clock.forward_s(30);
    assert_eq!(ask(&client, &key, "1").await.error(), (401, "invalid_client"));
    assert_eq!(place.fetches(), 3);
    place.publish(Some(&[key.public("1")]));
    test.clock.forward_s(30);
    ask(&client, &key, "1").await.token();
    test.finish().await;
}

/// W-8: a place in the operator's own network is not asked, unless the operator allows it; nor is one whose certificate is of
/// an authority that nobody named.
#[tokio::test]
async fn a_place_that_is_not_allowed_is_not_asked() {
    let key = ClientKey::new("published");
    for configure in
        [trusting, |config: &mut Config| config.egress.allow_hosts = vec!["localhost".to_owned()]]
    {
        let test = start(configure).await;
        let place = Place::open(&[key.public("1")]).await;
        let client = register(&test, &place).await;
        assert_eq!(ask(&client, &key, "1").await.error(), (401, "invalid_client"));
        assert_eq!(place.fetches(), 0);
        test.finish().await;
    }
}

/// W-8: no name leads the fetch of keys inside, whatever its name servers say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_leads_the_fetch_of_keys_inside() {
    let (listener, test) = (Counting::start(), start(asking).await);
    let key = ClientKey::new("published");
    for lure in crafted("jwks").into_iter().chain(special("jwks")) {
        let uri = format!("https://{}:{}/jwks", lure.name, listener.port);
        let place = Place { uri, published: Arc::default(), fetches: Arc::default() };
        let client = register_of(&test, &place, &lure.name).await;
        assert_eq!(ask(&client, &key, "1").await.error(), (401, "invalid_client"), "{}", lure.name);
    }
    assert_eq!(listener.count(), 0);
    test.finish().await;
}

/// certificates of `self_signed_tls_client_auth` are published, too, and a renewed one is found in the same way.
#[tokio::test]
async fn a_client_renews_the_certificate_that_it_publishes() {
    let test = start(trusting_and_allowed).await;
    let (old, new) = (Wish::of("robot").alone(), Wish::of("robot").alone());
    let place = Place::open(&[old.jwk()]).await;
    let members =
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks_uri": place.uri });
    let client = mutual_tls::register(&test, &members).await;
    client.own_token_showing(&old).await.token();
    place.publish(Some(&[new.jwk()]));
    assert_eq!(client.own_token_showing(&new).await.error(), (401, "invalid_client"));
    test.clock.forward_s(30);
    client.own_token_showing(&new).await.token();
    assert_eq!(client.own_token_showing(&old).await.error(), (401, "invalid_client"));
    assert_eq!(place.fetches(), 2);
    test.finish().await;
}
