//! A session opens the one envelope that it began in: every page, asked with the cookie of another. The list of
//! pages is read from the router's source, so a new one is tested by being there.

use countersign_core::{
    digest::Digest,
    refusal::Code,
    secret::{PlainToken, TokenKind},
};
use countersign_server::http::problem::status_of;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, envelope_of, pdf},
    people::{PUBLIC_URL, link},
};

/// Somebody's session in an envelope.
struct Visit {
    envelope: String,
    document: String,
    secret: String,
    token: String,
    session: String,
    nonce: Digest,
}

async fn visit(test: &TestApp, key: &Key) -> Visit {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(key, &envelope_of(&document)).await;
    test.send(key, &envelope).await;
    test.work().await;
    let link = link(test, key, &envelope, "ada@example.com").await;
    let secret = link.split_once('#').unwrap().1.to_owned();
    let entered = test.request(Method::POST, &format!("/s/{envelope}/session")).header("Origin", PUBLIC_URL);
    let entered = entered.json(&json!({ "secret": secret })).send().await.unwrap();
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    let token = cookie.split([';', '=']).nth(1).unwrap().to_owned();
    let hash = PlainToken::parse(TokenKind::SigningSession, &token).unwrap().hash();
    let row = test.app.store.session(&hash).await.unwrap().unwrap();
    Visit { envelope, document, secret, token, session: row.session.to_string(), nonce: row.nonce }
}

/// Methods and last parts of all addresses below `/s/{envelope}`.
pub(crate) fn routes() -> Vec<(&'static str, &'static str)> {
    let source = include_str!("../../src/signer/mod.rs");
    let mut routes = Vec::new();
    for line in source.lines() {
        let Some((path, handlers)) =
            line.trim().strip_prefix(".route(\"/s/{envelope}").and_then(|rest| rest.split_once('"'))
        else {
            continue;
        };
        routes.extend(["get", "post"].iter().filter(|name| handlers.contains(&format!("{name}("))).map(
            |name| match *name {
                "get" => ("GET", path),
                _ => ("POST", path),
            },
        ));
    }
    routes
}

/// What a page would send there, and whether as a form.
fn body(path: &str, visit: &Visit) -> (Value, bool) {
    let (session, digest) = (&visit.session, Digest::of(b""));
    match path {
        "/open" | "/session" => (json!({ "secret": visit.secret }), false),
        "/resume" => (json!({}), false),
        "/code" | "/totp" => (json!({ "session": session, "code": "000000" }), true),
        "/consent" => (json!({ "session": session, "version": "1", "agree": "yes" }), true),
        "/decline" => (json!({ "session": session, "reason": "No" }), true),
        "/consent/shown" | "/documents/{document}" => (json!({ "session": session }), false),
        "/pages" => {
            let document = &visit.document;
            (json!({ "session": session, "document": document, "sha256": digest, "pages": [1] }), false)
        }
        "/sign" | "/sign/challenge" => {
            let act = json!({
                "session": session, "nonce": visit.nonce, "label": "Sign", "consent_sha256": digest, "documents": [],
                "values": {}, "adopted": null, "time_zone": null,
            });
            (act, false)
        }
        "/access-code" => (json!({ "session": session, "access_code": "000000" }), true),
        "/passkey/register" => {
            let made = json!({ "authenticator_data": "AAAA", "client_data_json": "AAAA" });
            (json!({ "session": session, "registration": made }), false)
        }
        "/passkey/use" => {
            let used = json!({
                "credential": "AAAA", "authenticator_data": "AAAA", "client_data_json": "AAAA", "signature": "AAAA",
            });
            (json!({ "session": session, "assertion": used }), false)
        }
        "/code/send" | "/documents/{document}/original" | "/documents/{document}/sealed" | "/certificate" => {
            (json!({ "session": session }), true)
        }
        other => panic!("say here what {other} takes"),
    }
}

/// Asks for something of `of` with all that `by` has: its cookie under the name of the other, its session, its secret.
async fn ask(test: &TestApp, of: &Visit, by: &Visit, method: &str, path: &str) -> Response {
    let url = format!("/s/{}{}", of.envelope, path.replace("{document}", &of.document));
    let request = test
        .request(method.parse().unwrap(), &url)
        .header("Cookie", format!("__Host-cs-{}={}", of.envelope, by.token))
        .header("Origin", PUBLIC_URL);
    let request = match (method, body_of(method, path, by)) {
        (_, Some((body, true))) => request.form(&body),
        (_, Some((body, false))) => request.json(&body),
        (_, None) => request,
    };
    request.send().await.unwrap()
}

fn body_of(method: &str, path: &str, visit: &Visit) -> Option<(Value, bool)> {
    (method == "POST").then(|| body(path, visit))
}

#[tokio::test]
async fn a_12_no_page_opens_with_the_session_of_another_envelope() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let (own, other) = (visit(&test, &key).await, visit(&test, &key).await);
    let ended = status_of(Code::SessionEnded.kind());
    let routes = routes();
    assert!(routes.len() >= 18, "{routes:?}");
    for (method, path) in routes {
        let name = format!("{method} {path}");
        let strange = ask(&test, &own, &other, method, path).await;
        match path {
            // The same bytes for everybody.
            "" => assert_eq!(strange.status(), StatusCode::OK),
            "/open" | "/session" => assert_eq!(strange.status(), StatusCode::NOT_FOUND, "{name}"),
            "/resume" => {
                assert_eq!(strange.json::<Value>().await.unwrap(), json!({ "next": null }), "{name}");
            }
            _ => assert_eq!(strange.status(), ended, "{name}"),
        }
    }
}

/// What the test above sends is right but for whose it is.
#[tokio::test]
async fn every_page_opens_with_its_own_session() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    for (method, path) in routes() {
        let own = visit(&test, &key).await;
        let answered = ask(&test, &own, &own, method, path).await;
        let (status, text) = (answered.status(), answered.text().await.unwrap());
        let refused = [
            StatusCode::BAD_REQUEST,
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ];
        let is_own = !refused.contains(&status) && !text.contains("\"next\":null");
        assert!(is_own, "{method} {path}: {status} {text}");
    }
}
