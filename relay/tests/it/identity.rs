//! Who is on the other side: TLS, client certificates, public keys out of a JWK set, HTTP Message Signatures.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countersign_webhooks::{
    Algorithm, Incoming, Place, SignatureInput, content_digest, message_signature_headers, signed_text, v1a,
};
use ed25519_dalek::{Signer as _, SigningKey};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;

use crate::desk::{KEY_ID, Relay, Sent, configuration, event, forward_to, id, message, now_s, signed, until};
use crate::system::System;

const OTHER_KEY: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vx";

/// A CA, and a certificate of it with its key (PEM).
struct Papers {
    ca: String,
    certificate: String,
    key: String,
}

fn papers(name: &str) -> Papers {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    Papers { ca: ca.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

async fn post(client: &reqwest::Client, relay: &Relay, sent: &Sent) -> u16 {
    let address = relay.url.rsplit(':').next().unwrap();
    let mut request =
        client.post(format!("https://localhost:{address}/in/countersign")).body(sent.body.clone());
    for (name, value) in &sent.headers {
        request = request.header(name, value);
    }
    request.send().await.unwrap().status().as_u16()
}

/// W-7, W-10: over TLS, a sender that needs a client certificate is refused without one, and one of a stranger's CA gets no
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_asked_for_over_tls() {
    let system = System::start().await;
    let (server, client, stranger) = (papers("localhost"), papers("countersign"), papers("countersign"));
    let listen = "tls_certificate_file = \"relay.pem\"\ntls_key_file = \"relay.key\"\nclient_ca_file = \"client-ca.pem\"";
    let text = configuration(listen, "client_certificate = true", &forward_to(&system.url));
    let mut relay = Relay::new(&text);
    for (name, text) in
        [("relay.pem", &server.certificate), ("relay.key", &server.key), ("client-ca.pem", &client.ca)]
    {
        write(relay.folder.path(), name, text);
    }
    relay.start().await;
    let builder = || {
        reqwest::Client::builder()
            .no_proxy()
            .resolve("localhost", ([127, 0, 0, 1], 0).into())
            .tls_certs_only([reqwest::Certificate::from_pem(server.ca.as_bytes()).unwrap()])
    };
    let with = |papers: &Papers| {
        let identity = format!("{}{}", papers.certificate, papers.key);
        builder().identity(reqwest::Identity::from_pem(identity.as_bytes()).unwrap()).build().unwrap()
    };
    assert_eq!(post(&builder().build().unwrap(), &relay, &message()).await, 403);
    assert_eq!(post(&with(&client), &relay, &message()).await, 202);
    let address = relay.url.rsplit(':').next().unwrap();
    let refused = with(&stranger).post(format!("https://localhost:{address}/in/countersign")).send().await;
    assert!(refused.is_err());
    until("the one", || std::future::ready((system.got().len() == 1).then_some(()))).await;
    relay.until_empty().await;
    assert_eq!(relay.stop().await.code(), Some(0));
}

/// A JWK set, and how often it was fetched.
async fn key_server(set: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/whe_1/jwks.json", listener.local_addr().unwrap());
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (set, counted) = (set.clone(), Arc::clone(&counted));
            let service = service_fn(move |request: Request<_>| {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut response = Response::new(Full::new(Bytes::from(set.clone())));
                if !request.uri().path().ends_with("/jwks.json") {
                    *response.status_mut() = hyper::StatusCode::NOT_FOUND;
                }
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (url, count)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn set() -> String {
    let public = URL_SAFE_NO_PAD.encode(key().verifying_key().as_bytes());
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"{KEY_ID}","x":"{public}"}}]}}"#)
}

fn signed_by_public_key() -> Sent {
    let sent = message();
    let time = sent.headers.iter().find(|(name, _)| name == "webhook-timestamp").unwrap().1.parse().unwrap();
    let text = signed_text(&sent.id.parse().unwrap(), time, &sent.body);
    sent.with("webhook-signature", &v1a(&key().sign(&text).to_bytes()))
}

/// W-1: public keys come out of the JWK set, which is fetched once, whatever strangers name; without it the sender is asked to wait.
#[tokio::test(flavor = "multi_thread")]
async fn public_keys_come_out_of_the_jwk_set() {
    let system = System::start().await;
    let (url, fetched) = key_server(set()).await;
    let with = |url: &str| {
        let text =
            configuration("", &format!("accept = \"v1a\"\njwks_url = \"{url}\""), &forward_to(&system.url));
        text.replace("keys = ", "keys = [] #")
    };
    let relay = Relay::start_with(&with(&url)).await;
    for _ in 0..5 {
        assert_eq!(relay.post(&signed_by_public_key()).await, 202);
        assert_eq!(relay.post(&signed_by_public_key().with("webhook-key-id", OTHER_KEY)).await, 401);
        assert_eq!(relay.post(&message()).await, 401, "a secret is not taken");
    }
    assert_eq!(fetched.load(Ordering::Relaxed), 1);
    relay.until_empty().await;
    assert_eq!(system.got().len(), 5);
    let lost = Relay::start_with(&with("http://127.0.0.1:9/")).await;
    let response = lost.post_to("countersign", &signed_by_public_key()).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (503, true));
    for url in ["http://127.0.0.1:9/", &url.replace("jwks.json", "missing")] {
        let lost = Relay::start_with(&with(url)).await;
        assert_eq!(lost.post(&signed_by_public_key()).await, 503);
        let why = if url.ends_with("missing") { "answered with status 404" } else { "Connection refused" };
        let said = lost.said();
        // The line of the fetch, and that of the message.
        assert_eq!(said.lines().filter(|line| line.contains(why)).count(), 2, "{said}");
    }
}

/// W-1: a set without keys was fetched all the same: what its endpoint signs is refused, and the log says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_jwk_set_without_keys_is_one_and_the_log_says_so() {
    let (url, fetched) = key_server(r#"{"keys":[]}"#.to_owned()).await;
    let more = format!("accept = \"v1a\"\njwks_url = \"{url}\"");
    let text = configuration("", &more, &forward_to("http://127.0.0.1:9/"));
    let relay = Relay::start_with(&text.replace("keys = ", "keys = [] #")).await;
    for _ in 0..2 {
        assert_eq!(relay.post(&signed_by_public_key()).await, 401);
    }
    assert_eq!((fetched.load(Ordering::Relaxed), relay.counted("received", "unknown_key").await), (1, 2));
    let said = relay.said();
    assert!(said.contains("the JWK set has no key that can be used here"), "{said}");
    assert!(said.contains("the JWK set was fetched; ") && !said.contains("not fetched"), "{said}");
}

/// W-1: an HTTP Message Signature covers the URL that the endpoint is registered with.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_signature_is_of_one_url() {
    let system = System::start().await;
    let public = STANDARD.encode(key().verifying_key().as_bytes());
    let more = "accept = \"message-signature\"\nurl = \"https://hooks.example.com/in/countersign\"";
    let text = configuration("", more, &forward_to(&system.url));
    let text = text.replace("secret_env = \"CS_SECRET\"", &format!("public_key = \"whpk_{public}\""));
    let relay = Relay::start_with(&text).await;
    for (url, status) in
        [("https://hooks.example.com/in/countersign", 202), ("https://hooks.example.com/in/other", 401)]
    {
        assert_eq!(relay.post(&with_message_signature(url)).await, status, "{url}");
    }
    assert_eq!(relay.post(&signed(&id("msg"), now_s(), &event("env_1", 1))).await, 400, "it has none");
    relay.until_empty().await;
    assert_eq!(system.got().len(), 1);
}

/// A message with an HTTP Message Signature for a URL.
fn with_message_signature(url: &str) -> Sent {
    let sent = message().with("correlation-id", &id("cor"));
    let sent = sent.clone().with("content-digest", &content_digest(&sent.body));
    let of = |name: &str| sent.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let (key_id, attempt_id) = (KEY_ID.parse().unwrap(), of("webhook-attempt-id").parse().unwrap());
    let time_s = of("webhook-timestamp").parse().unwrap();
    let input = SignatureInput::new(time_s, &key_id, Algorithm::Ed25519, &attempt_id, false);
    let headers = sent.headers.iter().map(|(name, value)| (name, value));
    let incoming = Incoming::new("POST", Place::of_url(url).unwrap(), headers, &sent.body);
    let signature = key().sign(input.base(&incoming).unwrap().as_bytes()).to_bytes();
    let (inputs, signatures) = message_signature_headers((&input, &signature), None);
    sent.clone().with("signature-input", &inputs).with("signature", &signatures)
}
