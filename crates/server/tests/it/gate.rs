//! Every route, with every credential that must not open it (A-3, A-12, G-8). The list of routes is the table that the
//! router is made of, so a new route is tested by being there.

use countersign_core::{
    access::{Environment, Operation},
    refusal::Code,
    scope::Scopes,
};
use countersign_server::{
    api::{ENDPOINTS, OPEN_PATHS},
    http::gate::{Endpoint, Method, Takes},
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, envelope_of, pdf},
    people::{Human, sign, status},
};

/// What the routes are asked about: ids of one organization's sandbox.
struct Ids {
    document: String,
    envelope: String,
}

async fn ids(test: &TestApp, key: &Key) -> Ids {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(key, &envelope_of(&document)).await;
    Ids { document, envelope }
}

/// The same of an envelope that everybody signed: there every route has something to show.
async fn completed_ids(test: &TestApp, key: &Key) -> Ids {
    let ids = ids(test, key).await;
    test.send(key, &ids.envelope).await;
    sign(test, key, &ids.envelope, &Human::typing("ada@example.com", "Ada Lovelace")).await.unwrap();
    test.work().await;
    assert_eq!(status(test, key, &ids.envelope).await, "completed");
    ids
}

fn path(endpoint: &Endpoint, ids: &Ids) -> String {
    endpoint.path.replace("{document}", &ids.document).replace("{envelope}", &ids.envelope)
}

/// A request that is right in everything but perhaps its credential.
fn request(
    test: &TestApp,
    endpoint: &Endpoint,
    ids: &Ids,
    token: Option<&str>,
    number: &str,
) -> RequestBuilder {
    let path = path(endpoint, ids);
    let mut request = match endpoint.method {
        Method::Get => test.request(reqwest::Method::GET, &path),
        Method::Post => test.request(reqwest::Method::POST, &path).header("Idempotency-Key", number),
    };
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    match endpoint.takes {
        Takes::Nothing => request,
        Takes::Json => {
            let body = if endpoint.operation == Operation::CreateEnvelope {
                envelope_of(&ids.document)
            } else {
                json!({})
            };
            request.json(&body)
        }
        Takes::Pdf => {
            let path = format!("{path}?name=a.pdf");
            let mut request = test.request(reqwest::Method::POST, &path).header("Idempotency-Key", number);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            request.header("Content-Type", "application/pdf").body(pdf(1))
        }
    }
}

/// Status and code of a refusal, whose form is checked (RFC 9457, X-2).
async fn refusal(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status} {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    let code = body["code"].as_str().unwrap().to_owned();
    assert_eq!(body["type"], format!("https://sign.test/docs/errors#{code}"));
    assert_eq!((&body["status"], &body["request_id"]), (&json!(status.as_u16()), &json!(id)));
    (status, code)
}

#[tokio::test]
async fn no_route_opens_without_a_credential_or_with_a_wrong_one() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    let mistyped = {
        let mut token = key.token.clone();
        // Not in the alphabet of tokens.
        token.pop();
        token.push('!');
        token
    };
    let unknown = countersign_core::secret::PlainToken::new(
        countersign_core::secret::TokenKind::SandboxApiKey,
        &[9; 32],
    );
    let wrong = [None, Some(mistyped.as_str()), Some(unknown.expose()), Some("")];
    for endpoint in ENDPOINTS {
        for (number, token) in wrong.iter().enumerate() {
            let request = request(&test, endpoint, &ids, *token, &format!("n{number}"));
            assert_eq!(
                refusal(request).await,
                (StatusCode::UNAUTHORIZED, "unauthenticated".to_owned()),
                "{} {token:?}",
                endpoint.operation.text()
            );
        }
    }
    test.finish_without_worker().await;
}

/// a key with all scopes but the one that a route needs is refused there, and only the one opens it.
#[tokio::test]
async fn every_route_needs_its_own_scope() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let all = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    for endpoint in ENDPOINTS {
        let ids = ids(&test, &all).await;
        let needed = endpoint.operation.scope();
        let others = Scopes::FOR_KEYS.without(Scopes::of(&[needed]));
        let without = test.key(organization, Environment::Sandbox, others).await;
        assert_eq!(
            refusal(request(&test, endpoint, &ids, Some(&without.token), "1")).await,
            (StatusCode::FORBIDDEN, "scope_missing".to_owned()),
            "{}",
            endpoint.operation.text()
        );
        let only = test.key(organization, Environment::Sandbox, &[needed]).await;
        let response = request(&test, endpoint, &ids, Some(&only.token), "1").send().await.unwrap();
        let status = response.status();
        assert!(
            status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN,
            "{} {status}",
            endpoint.operation.text()
        );
    }
    test.finish_without_worker().await;
}

/// what is another organization's, or another environment's, is answered as if it did not exist.
#[tokio::test]
async fn every_route_about_a_thing_of_somebody_else_answers_404() {
    // Routes without an id show or change only what is the caller's. This list may only shrink.
    let exceptions = ["upload_document", "create_envelope", "list_envelopes", "list_mailbox"];
    let live = |config: &mut countersign_server::config::Config| {
        config.mail.smtp_host = Some("mail.test".to_owned());
        config.mail.from = "sign@sign.test".to_owned();
    };
    let test = TestApp::start_with(crate::app::Options { configure: live, ..Default::default() }).await;
    let organization = test.organization("Acme").await;
    let own = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let ids = completed_ids(&test, &own).await;
    for endpoint in ENDPOINTS {
        let answered = request(&test, endpoint, &ids, Some(&own.token), "own").send().await.unwrap().status();
        let name = endpoint.operation.text();
        match endpoint.method {
            Method::Get => assert_eq!(answered, StatusCode::OK, "its owner may {name}"),
            Method::Post => assert_ne!(answered, StatusCode::NOT_FOUND, "its owner may {name}"),
        }
    }
    let other = test.sandbox("Other").await;
    let live = test.key(organization, Environment::Live, Scopes::FOR_KEYS).await;
    for stranger in [&other, &live] {
        for endpoint in ENDPOINTS {
            if exceptions.contains(&endpoint.operation.text()) {
                continue;
            }
            assert_eq!(
                refusal(request(&test, endpoint, &ids, Some(&stranger.token), "1")).await,
                (StatusCode::NOT_FOUND, "not_found".to_owned()),
                "{}",
                endpoint.operation.text()
            );
        }
        let list = test.get_json(stranger, "/v1/envelopes").await;
        assert_eq!(list, json!({ "envelopes": [], "next_cursor": null }));
        let body = envelope_of(&ids.document);
        let (status, problem) = test.post_json(stranger, "/v1/envelopes", &body).await;
        assert_eq!(
            (status, &problem["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("/documents/0/id"))
        );
    }
    assert_eq!(test.get(&live, "/v1/mailbox").await.status(), StatusCode::NOT_FOUND, "live has no mailbox");
    test.finish_without_worker().await;
}

/// a key ends when it says.
#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    test.clock.forward_s(90 * 24 * 3_600);
    for endpoint in ENDPOINTS {
        let answered = refusal(request(&test, endpoint, &ids, Some(&key.token), "1")).await;
        assert_eq!(answered, (StatusCode::UNAUTHORIZED, Code::KeyExpired.text().to_owned()));
    }
    test.finish_without_worker().await;
}

/// G-8: what is not declared is refused, always in the same form.
#[tokio::test]
async fn undeclared_methods_parameters_types_and_fields_are_refused() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    for endpoint in ENDPOINTS {
        let path = path(endpoint, &ids);
        let allowed: Vec<&str> = ENDPOINTS
            .iter()
            .filter(|other| other.path == endpoint.path)
            .map(|other| other.method.text())
            .collect();
        let allowed = allowed.join(", ");
        for method in
            [reqwest::Method::PUT, reqwest::Method::PATCH, reqwest::Method::DELETE, reqwest::Method::OPTIONS]
        {
            let request = test.request(method, &path).bearer_auth(&key.token);
            let response = request.try_clone().unwrap().send().await.unwrap();
            assert_eq!(response.headers()["allow"], allowed, "{path}");
            assert_eq!(refusal(request).await.1, "method_not_allowed", "{path}");
        }
        // A HEAD would read like a GET, and leave the traces of one.
        let head = test.request(reqwest::Method::HEAD, &path).bearer_auth(&key.token).send().await.unwrap();
        assert_eq!(
            (head.status(), head.headers()["allow"].to_str().unwrap()),
            (StatusCode::METHOD_NOT_ALLOWED, allowed.as_str()),
            "{path}"
        );
        let odd = |query: &str| {
            let request = match endpoint.method {
                Method::Get => test.request(reqwest::Method::GET, &format!("{path}?{query}")),
                Method::Post => test.request(reqwest::Method::POST, &format!("{path}?{query}")),
            };
            request.bearer_auth(&key.token)
        };
        assert_eq!(refusal(odd("surprise=1")).await.1, "unknown_parameter", "{path}");
        let picky = request(&test, endpoint, &ids, Some(&key.token), "picky").header("Accept", "text/html");
        assert_eq!(refusal(picky).await, (StatusCode::NOT_ACCEPTABLE, "not_acceptable".to_owned()), "{path}");
        let typed = odd("").header("Content-Type", "text/plain").body("x");
        assert_eq!(refusal(typed).await.1, "unsupported_media_type", "{path}");
    }
    for path in OPEN_PATHS {
        let path = path.replace("{*path}", "0/000");
        let odd = test.request(reqwest::Method::GET, &format!("{path}?surprise=1"));
        assert_eq!(refusal(odd).await.1, "unknown_parameter", "{path}");
    }
    let mut body = envelope_of(&ids.document);
    body["surprise"] = json!(true);
    let (status, problem) = test.post_json(&key, "/v1/envelopes", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("malformed")));
    let unknown = test.request(reqwest::Method::GET, "/v1/surprise").bearer_auth(&key.token);
    assert_eq!(refusal(unknown).await.1, "not_found");
    test.finish_without_worker().await;
}

/// G-9: every answer has its security headers, also those of errors.
#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let test = TestApp::start().await;
    for path in OPEN_PATHS.iter().chain(&["/nowhere", "/v1/envelopes"]) {
        let response = test.request(reqwest::Method::GET, path).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers["strict-transport-security"].to_str().unwrap().starts_with("max-age=63072000"));
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
    test.finish().await;
}

/// G-8: a cursor is what a page before gave, and no number that the database could not take.
#[tokio::test]
async fn a_cursor_that_no_page_gave_is_refused() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let ids = ids(&test, &key).await;
    let lists: Vec<_> = ENDPOINTS.iter().filter(|endpoint| endpoint.query.contains(&"cursor")).collect();
    assert_eq!(lists.len(), 3);
    for endpoint in lists {
        let path = path(endpoint, &ids);
        for (name, values) in [
            ("cursor", ["9999999999999999999", "18446744073709551616", "-1", "+1", "", "x"]),
            ("limit", ["9999999999999999999", "18446744073709551616", "-1", "0", "101", "x"]),
        ] {
            for value in values {
                let asked = test.request(reqwest::Method::GET, &path).query(&[(name, value)]);
                let answered = refusal(asked.bearer_auth(&key.token)).await;
                assert_eq!(
                    answered,
                    (StatusCode::BAD_REQUEST, "malformed".to_owned()),
                    "{path} {name} {value}"
                );
            }
        }
    }
    test.finish_without_worker().await;
}

/// C2SP tlog-tiles: a full tile is the same for ever and may be kept; what still grows may not.
#[tokio::test]
async fn only_what_never_changes_of_the_log_may_be_cached() {
    use countersign_store::rows::TileRow;
    let test = TestApp::start().await;
    let tile = TileRow { level: 0, index: 0, bytes: vec![7; 256 * 32] };
    test.app.store.publish_checkpoint(0, &[], &[tile], "a checkpoint").await.unwrap();
    let immutable = "public, max-age=31536000, immutable";
    for (path, caching) in [
        ("/log/tile/0/000", immutable),
        ("/log/tile/0/000.p/5", "no-store"),
        ("/log/tile/0/001", "no-store"),
        ("/log/checkpoint", "no-store"),
        ("/log/key", "no-store"),
    ] {
        let response = test.request(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], caching, "{path} {}", response.status());
    }
}

/// L-2: a correlation id is ours; one that a client sends is ignored.
#[tokio::test]
async fn a_request_id_of_the_client_is_ignored() {
    let test = TestApp::start().await;
    let mine = "cor_00000000000000000000000000";
    let request = test.request(reqwest::Method::GET, "/health").header("X-Request-Id", mine);
    let response = request.send().await.unwrap();
    assert_ne!(response.headers()["x-request-id"], mine);
    test.finish().await;
}
