//! The bounds of HTTP (G-8): bodies, headers, time and requests at once.

use std::time::Duration;

use countersign_core::limits;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::app::{Options, TestApp, envelope_of, heavy_pdf, pdf};

#[tokio::test]
async fn a_body_over_its_limit_is_refused_before_all_of_it_is_read() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let large = test.post(&key, "/v1/envelopes").header("Content-Type", "application/json");
    let response = large.body(vec![b' '; limits::BODY_BYTES + 1]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "too_large");
    let mut upload = pdf(1);
    upload.resize(limits::UPLOAD_BYTES + 1, b'\n');
    let large = test.post(&key, "/v1/documents?name=a.pdf").header("Content-Type", "application/pdf");
    let response = large.body(upload).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    test.finish_without_worker().await;
}

/// Nobody who has no session makes the server read much.
#[tokio::test]
async fn the_forms_of_signers_pages_are_small() {
    let test = TestApp::start().await;
    let session = "ses_00000000000000000000000000";
    let answer = async |path: &str, kind: &str, body: String| {
        let request = test.request(Method::POST, &format!("/s/{ENVELOPE}{path}"));
        let request = request.header("Origin", "https://sign.test").header("Content-Type", kind);
        request.body(body).send().await.unwrap().status()
    };
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    let padded = |bytes: usize| format!("{{\"session\":\"{session}\"}}{}", " ".repeat(bytes));
    for path in ["/open", "/session", "/consent/shown", "/pages"] {
        let large = answer(path, json, padded(limits::FORM_BYTES)).await;
        assert_eq!(large, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    for path in ["/code", "/code/send", "/consent", "/certificate"] {
        let large =
            answer(path, form, format!("session={session}&x={}", "x".repeat(limits::FORM_BYTES))).await;
        assert_eq!(large, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    let longest = "%F0%9F%96%8B".repeat(limits::TEXT_CHARS);
    let longest = format!("session={session}&reason={longest}");
    assert_eq!(
        answer("/decline", form, longest.clone()).await,
        StatusCode::UNAUTHORIZED,
        "it has no session"
    );
    let larger = format!("{longest}{}", "x".repeat(limits::FORM_BYTES));
    assert_eq!(answer("/decline", form, larger).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        answer("/sign", json, padded(limits::FORM_BYTES)).await,
        StatusCode::BAD_REQUEST,
        "it is read"
    );
    test.finish().await;
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let test = TestApp::start().await;
    let mut many = test.request(Method::GET, "/health");
    for number in 0..=limits::HEADER_COUNT {
        many = many.header(format!("x-{number}"), "1");
    }
    assert_eq!(many.send().await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let large = test.request(Method::GET, "/health").header("x-large", "y".repeat(limits::HEADER_BYTES));
    assert_eq!(large.send().await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    test.finish_without_worker().await;
}

/// A request that holds its place, because its body does not come to an end, makes the next one too many.
#[tokio::test]
async fn one_request_too_many_is_answered_503_with_retry_after() {
    let options = Options { configure: |config| config.server.requests = 1, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let body = reqwest::Body::wrap(EndlessBody);
    let slow =
        test.post(&key, "/v1/documents?name=a.pdf").header("Content-Type", "application/pdf").body(body);
    let slow = tokio::spawn(slow.send());
    let refused = loop {
        let response = test.request(Method::GET, "/v1/openapi.json").send().await.unwrap();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            break response;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    for probe in ["/health", "/ready"] {
        assert_eq!(
            test.request(Method::GET, probe).send().await.unwrap().status(),
            StatusCode::OK,
            "{probe}"
        );
    }
    slow.abort();
    test.finish_without_worker().await;
}

const ENVELOPE: &str = "env_00000000000000000000000000";

/// A form of a signer's page that never ends, from an address that a proxy on this machine names.
fn endless_form(
    test: &TestApp,
    client: &reqwest::Client,
    address: usize,
) -> tokio::task::JoinHandle<StatusCode> {
    let form = client
        .post(format!("{}/s/{ENVELOPE}/open", test.url))
        .header("X-Forwarded-For", format!("198.51.100.{address}"))
        .header("Origin", "https://sign.test")
        .header("Content-Type", "application/json")
        .body(reqwest::Body::wrap(EndlessBody));
    tokio::spawn(async move { form.send().await.unwrap().status() })
}

fn behind_a_proxy() -> Options {
    let configure = |config: &mut countersign_server::config::Config| {
        config.server.trusted_proxies = vec!["127.0.0.1".to_owned().try_into().unwrap()];
        // No form ends by itself while a test looks, however busy the machine is.
        config.server.request_s = 600;
    };
    Options { configure, ..Options::default() }
}

/// However many strangers ask whether the server is ready, nobody waits for them: the last answer is given again.
#[tokio::test]
async fn a_crowd_at_the_probe_gets_the_last_answer_and_nobody_waits() {
    let test = TestApp::start().await;
    let ready = async || test.request(Method::GET, "/ready").send().await.unwrap().status();
    let count = u32::try_from(test.app.probes.turns.available_permits()).unwrap();
    let crowd = test.app.probes.turns.acquire_many(count).await.unwrap();
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE, "nobody has looked yet");
    drop(crowd);
    assert_eq!(ready().await, StatusCode::OK);
    let crowd = test.app.probes.turns.acquire_many(count).await.unwrap();
    assert_eq!(ready().await, StatusCode::OK);
    drop(crowd);
    test.finish_without_worker().await;
}

/// G-8: a signer's request is in work until it is answered, and takes a place until then.
#[tokio::test]
async fn a_signer_s_request_keeps_its_place_until_it_is_answered() {
    let options = Options { configure: |config| config.server.requests = 1, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"][0]["factor"] = "link".into();
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    test.work().await;
    let link = crate::people::link(&test, &key, &envelope, "ada@example.com").await;
    let (base, secret) = link.split_once('#').unwrap();
    let beside =
        rusqlite::Connection::open(test.app.config.server.data_dir.join("countersign.sqlite")).unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stuck = test.browser().post(format!("{base}/session")).header("Sec-Fetch-Site", "same-origin");
    let stuck = tokio::spawn(stuck.json(&serde_json::json!({ "secret": secret })).send());
    let mut answers = Vec::new();
    while !stuck.is_finished() && answers.last() != Some(&StatusCode::SERVICE_UNAVAILABLE) {
        let other = test.request(Method::GET, "/v1/openapi.json").send().await.unwrap();
        answers.push(other.status());
    }
    assert_eq!(answers.last(), Some(&StatusCode::SERVICE_UNAVAILABLE), "{}", answers.len());
    beside.execute_batch("ROLLBACK").unwrap();
    assert_eq!(stuck.await.unwrap().unwrap().status(), StatusCode::OK);
    test.finish().await;
}

/// G-8: to begin a form and not to end it costs a stranger nothing, so it must not cost others their places.
#[tokio::test]
async fn strangers_whose_forms_never_end_keep_nobody_from_working() {
    let test = TestApp::start_with(behind_a_proxy()).await;
    let key = test.sandbox("Acme").await;
    let mut forms = Vec::new();
    for number in 0..6 {
        // A connection of its own, which answers when it has all that was sent before.
        let client = test.browser();
        forms.extend((0..100).map(|form| endless_form(&test, &client, (number * 100 + form) / 50)));
        let alive = client.get(format!("{}/health", test.url)).send().await.unwrap();
        assert_eq!(alive.status(), StatusCode::OK);
    }
    assert!(forms.len() > limits::CONCURRENT_REQUESTS);
    assert_eq!(test.request(Method::GET, "/health").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(test.request(Method::GET, "/ready").send().await.unwrap().status(), StatusCode::OK);
    test.upload(&key, "lease.pdf", pdf(1)).await;
    assert_eq!(test.get(&key, "/v1/envelopes").await.status(), StatusCode::OK);
    let page = test.request(Method::GET, &format!("/s/{ENVELOPE}")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(forms.iter().all(|form| !form.is_finished()), "all of them are still on their way");
    forms.iter().for_each(tokio::task::JoinHandle::abort);
    test.finish_without_worker().await;
}

/// The same from one address: it has its share of forms, and others have theirs.
#[tokio::test]
async fn one_address_has_so_many_forms_on_their_way_and_no_more() {
    let test = TestApp::start_with(behind_a_proxy()).await;
    let client = test.browser();
    let mut forms: Vec<_> =
        (0..=limits::FORMS_PER_ADDRESS).map(|_| endless_form(&test, &client, 1)).collect();
    let other = endless_form(&test, &client, 2);
    while !forms.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    let refused = forms.iter().position(tokio::task::JoinHandle::is_finished).unwrap();
    assert_eq!(forms.remove(refused).await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(forms.iter().all(|form| !form.is_finished()) && !other.is_finished());
    forms.iter().chain([&other]).for_each(tokio::task::JoinHandle::abort);
    test.finish_without_worker().await;
}

/// A form gets a third of the time that a request has, so that it is over before the request is.
#[tokio::test]
async fn a_form_that_does_not_arrive_is_answered_408_in_a_third_of_the_time() {
    let options = Options { configure: |config| config.server.request_s = 3, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let form = test.request(Method::POST, &format!("/s/{ENVELOPE}/open"));
    let form = form.header("Origin", "https://sign.test").header("Content-Type", "application/json");
    let response = form.body(reqwest::Body::wrap(EndlessBody)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    let problem: Value = response.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("within 1000 ms"), "{problem}");
    test.finish_without_worker().await;
}

/// A body that never sends a byte and never ends.
struct EndlessBody;

impl hyper::body::Body for EndlessBody {
    type Data = hyper::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

/// Plain text on the TLS port, and a handshake that never ends, harm nobody else.
#[tokio::test]
async fn a_client_that_does_not_speak_tls_does_not_hold_up_others() {
    let test = TestApp::start().await;
    let address = test.url.replace("https://sign.test", "127.0.0.1");
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let mut plain = tokio::net::TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(9), plain.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it is told off at once");
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(test.request(Method::GET, "/health").send().await.unwrap().status(), StatusCode::OK);
    test.finish_without_worker().await;
}

/// A TLS connection of which a test sends and reads every byte itself.
async fn connection(
    test: &TestApp,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(test.app.config.development_ca_file()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream =
        tokio::net::TcpStream::connect(test.url.replace("https://sign.test", "127.0.0.1")).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect(ServerName::try_from("sign.test").unwrap(), stream).await.unwrap()
}

/// Waits until the server ends a connection.
async fn cut(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(9), stream.read_to_end(&mut heard)).await;
    assert!(ended.is_ok(), "the connection is still open");
}

fn impatient() -> Options {
    Options { configure: |config| config.server.idle_s = 1, ..Options::default() }
}

/// Sends `bytes` one by one, a hundred milliseconds apart, until the other end no longer takes them.
async fn drip(mut to: impl tokio::io::AsyncWrite + Unpin, bytes: impl Iterator<Item = u8>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for byte in bytes {
        ticks.tick().await;
        if to.write_all(&[byte]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// A client that keeps a request going byte by byte gets no more time than any other.
#[tokio::test]
async fn a_body_that_drips_is_answered_408_in_time() {
    let options = Options { configure: |config| config.server.request_s = 1, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let head = format!(
        "POST /v1/documents?name=a.pdf HTTP/1.1\r\nHost: sign.test\r\nAuthorization: Bearer {}\r\n\
         Idempotency-Key: drip\r\nContent-Type: application/pdf\r\nContent-Length: 100000\r\n\r\n",
        key.token
    );
    let (mut read, mut write) = tokio::io::split(connection(&test, b"http/1.1").await);
    write.write_all(head.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(drip(write, std::iter::repeat(b'%')));
    let mut answer = Vec::new();
    // What ends the connection after the answer is the client's affair.
    let ended = tokio::time::timeout(Duration::from_secs(9), read.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 ") && ended.is_ok(), "{answer} {ended:?}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("\"request_timeout\"") && body.contains("within 1 seconds"), "{body}");
    dripping.abort();
    test.finish().await;
}

/// Headers that never end are no request yet, however busily they come.
#[tokio::test]
async fn headers_that_drip_and_never_end_are_cut() {
    let test = TestApp::start_with(impatient()).await;
    let (mut read, mut write) = tokio::io::split(connection(&test, b"http/1.1").await);
    write.write_all(b"GET /health HTTP/1.1\r\nHost: sign.test\r\n").await.unwrap();
    let dripping = tokio::spawn(drip(write, b"x-y: z\r\n".iter().copied().cycle()));
    cut(&mut read).await;
    dripping.abort();
    let (mut read, mut write) = tokio::io::split(connection(&test, b"h2").await);
    // The preface, and a HEADERS frame of the first stream without END_HEADERS (RFC 9113 §6.2).
    write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    write.write_all(b"\0\0\x01\x01\0\0\0\0\x01\x82").await.unwrap();
    // Empty CONTINUATION frames of it, without an end either.
    let dripping = tokio::spawn(drip(write, b"\0\0\0\x09\0\0\0\0\x01".iter().copied().cycle()));
    cut(&mut read).await;
    dripping.abort();
    test.finish().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut() {
    let test = TestApp::start_with(impatient()).await;
    for protocol in [b"http/1.1".as_slice(), b"h2"] {
        cut(&mut connection(&test, protocol).await).await;
    }
    test.finish_without_worker().await;
}

/// HTTP/2 has pings of its own, which tell nothing about whether anybody wants anything.
#[tokio::test]
async fn a_connection_without_requests_is_cut() {
    let test = TestApp::start_with(impatient()).await;
    let mut h2 = connection(&test, b"h2").await;
    // The preface with empty settings (RFC 9113 §3.4).
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    cut(&mut h2).await;
    let mut h1 = connection(&test, b"http/1.1").await;
    h1.write_all(b"GET /health HTTP/1.1\r\nHost: sign.test\r\n\r\n").await.unwrap();
    cut(&mut h1).await;
    test.finish_without_worker().await;
}

/// Whoever asks for a large document and does not take it holds the only place, until it is cut.
#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut() {
    let options = Options {
        configure: |config| (config.server.idle_s, config.server.connections) = (1, 1),
        ..Options::default()
    };
    let test = TestApp::start_with(options).await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "large.pdf", heavy_pdf(1, 20 * 1024 * 1024)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    let path = format!("/v1/envelopes/{envelope}/documents/{document}/original");
    assert_eq!(
        test.get(&key, &path).await.bytes().await.unwrap().len(),
        heavy_pdf(1, 20 * 1024 * 1024).len()
    );
    let mut stalled = connection(&test, b"http/1.1").await;
    let asked =
        format!("GET {path} HTTP/1.1\r\nHost: sign.test\r\nAuthorization: Bearer {}\r\n\r\n", key.token);
    stalled.write_all(asked.as_bytes()).await.unwrap();
    let mut beginning = [0; 12];
    stalled.read_exact(&mut beginning).await.unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200");
    let next =
        tokio::time::timeout(Duration::from_secs(20), test.request(Method::GET, "/health").send()).await;
    assert_eq!(next.expect("the place is still held").unwrap().status(), StatusCode::OK);
    test.finish_without_worker().await;
}
