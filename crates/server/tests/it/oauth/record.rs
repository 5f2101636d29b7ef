//! What the record says of those who are refused, and what keeps them from being refused: the newest nonce.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::{
    limits,
    oauth::error::OAuthError,
    secret::{PlainToken, TokenKind},
    security::{FailureReason, SecurityActor, SecurityBody},
};
use countersign_server::{clients, security::Circumstances};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    client::{Answered, Client, security_events},
    keys::{ClientKey, assertion_claims, proof_claims},
};
use crate::app::{TestApp, log_line};

/// A-9, L-1, L-4: an access token that is known and refused stands in the record with its client and grant, and in the line of
/// the request; the caller is told no more than before.
#[tokio::test]
async fn the_record_names_the_client_of_a_token_that_is_refused() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let token = client.own_token("envelopes:status").await;
    let thief = ClientKey::new("thief");
    let (url, path) = (client.url("/v1/envelopes"), "/v1/envelopes");
    let claims =
        || proof_claims("GET", &url, &client.jti(), test.app.now(), Some(&client.nonce()), Some(&token));
    let get = |proof: &str| {
        let request = test.request(Method::GET, path).header("Authorization", format!("DPoP {token}"));
        request.header("DPoP", proof)
    };
    let once = client.dpop.proof(&claims());
    assert_eq!(get(&once).send().await.unwrap().status(), StatusCode::OK);
    let of_the_thief = thief.proof(&claims());
    let late = client.dpop.proof(&claims());
    let mut answers = vec![Answered::of(get(&once)).await, Answered::of(get(&of_the_thief)).await];
    let correlation = test.app.new_correlation();
    let operator = Circumstances { actor: SecurityActor::Operator, origin: None, correlation };
    clients::end(&test.app, &client.tenant, &operator, client.id, None).await.unwrap();
    answers.push(Answered::of(get(&late)).await);
    for answered in answers {
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED);
        assert!(!answered.body.to_string().contains(&client.id.to_string()), "{}", answered.body);
        let line = log_line(&answered.headers);
        assert_eq!(line["client_id"], json!(client.id.to_string()), "{line}");
    }
    let events = security_events(&test, &client.tenant).await;
    let issued = events.iter().find_map(|event| match &event.body {
        SecurityBody::TokenIssued { grant, .. } => Some(*grant),
        _ => None,
    });
    let refused = events.iter().filter_map(|event| match &event.body {
        SecurityBody::AccessRefused { reason, key: None, client, grant, .. } => {
            Some((event.actor, *reason, *client, *grant))
        }
        _ => None,
    });
    let expected = [FailureReason::Replayed, FailureReason::WrongBinding, FailureReason::Ended];
    let expected = expected.map(|reason| (SecurityActor::Unknown, reason, Some(client.id), issued));
    assert_eq!(refused.collect::<Vec<_>>(), expected);
    test.finish().await;
}

/// A-5, RFC 9449 §8.2: who proves with a nonce that is good and not the newest gets the newest along with what was asked for,
/// so that no request is lost when the old one ends; nobody is told what it knows.
#[tokio::test]
async fn a_success_brings_the_newest_nonce_to_who_has_an_older_one() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let token = client.own_token("envelopes:status").await;
    let old = client.nonce();
    let get = async |nonce: &str| {
        let url = client.url("/v1/envelopes");
        let claims = proof_claims("GET", &url, &client.jti(), test.app.now(), Some(nonce), Some(&token));
        let request =
            test.request(Method::GET, "/v1/envelopes").header("Authorization", format!("DPoP {token}"));
        let answered = Answered::of(request.header("DPoP", client.dpop.proof(&claims))).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        answered.headers.get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned())
    };
    assert_eq!(get(&old).await, None, "it is the newest");
    test.clock.forward_s(limits::DPOP_NONCE_S);
    let newest = get(&old).await.expect("the next nonce");
    assert_ne!(newest, old);
    assert_eq!(get(&newest).await, None);
    // With a minute between two requests, none is lost.
    let mut nonce = newest;
    for _ in 0..5 {
        test.clock.forward_s(limits::DPOP_NONCE_S);
        nonce = get(&nonce).await.expect("the next nonce");
    }
    // The token endpoint gives it with every answer, to who has none yet, too.
    let proof =
        proof_claims("POST", &client.url("/oauth/token"), &client.jti(), test.app.now(), Some(&nonce), None);
    test.clock.forward_s(limits::DPOP_NONCE_S);
    let form = client.form(&[("grant_type", "client_credentials"), ("scope", "envelopes:status")]);
    let asked = client.post("/oauth/token", &form).header("DPoP", client.dpop.proof(&proof));
    let answered = Answered::of(asked).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    assert_eq!(answered.headers["dpop-nonce"].to_str().unwrap(), client.nonce());
    test.finish().await;
}

/// L-4, A-6: the organization learns why its client did not prove who it is, and the caller is told what it was told before.
#[tokio::test]
async fn the_record_says_why_a_client_failed() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let (issuer, stranger) = (test.app.config.server.public_url.clone(), ClientKey::new("stranger"));
    let seconds = test.app.now().unix_ms() / 1_000;
    let with = |member: &str, value: Value| {
        let mut claims = assertion_claims(&client.id.to_string(), &issuer, &client.jti(), test.app.now());
        claims[member] = value;
        claims
    };
    let header = json!({ "alg": "ES256", "kid": "1" });
    let used = client.assertion();
    let secret = PlainToken::new(TokenKind::ClientSecret, &[7; 32]);
    let basic =
        ("Authorization", format!("Basic {}", STANDARD.encode(format!("{}:{}", client.id, secret.expose()))));
    let audience = client.key.sign(&header, &with("aud", json!("https://other.test")));
    let expired = client.key.sign(&header, &with("exp", json!(seconds - 1)));
    let future = client.key.sign(&header, &with("iat", json!(seconds + 60)));
    let signature = stranger.sign(&header, &with("iat", json!(seconds)));
    let malformed = client.key.sign(&header, &with("jti", json!("short")));
    let ask = async |assertion: Option<&str>| {
        let mut form = client.form(&[("grant_type", "client_credentials"), ("scope", "envelopes:status")]);
        form.retain(|(name, _)| {
            !name.starts_with("client_assertion") || (assertion.is_some() && name.ends_with("type"))
        });
        form.extend(assertion.map(|text| ("client_assertion".to_owned(), text.to_owned())));
        let mut request = client.post("/oauth/token", &form);
        if assertion.is_none() {
            request = request.header(basic.0, &basic.1);
        }
        Answered::of(request.header("DPoP", client.dpop.proof(&client.proof_claims()))).await
    };
    assert_eq!(ask(Some(&used)).await.status, StatusCode::OK);
    for (assertion, reason, unproven) in [
        (Some(audience.as_str()), FailureReason::WrongAudience, false),
        (Some(&expired), FailureReason::Expired, false),
        (Some(&future), FailureReason::WrongTime, false),
        (Some(&signature), FailureReason::WrongSignature, true),
        (Some(&malformed), FailureReason::Malformed, false),
        (Some(&used), FailureReason::Replayed, false),
        (None, FailureReason::WrongMethod, true),
    ] {
        let answered = ask(assertion).await;
        assert_eq!(answered.error(), (401, "invalid_client"), "{reason:?}");
        let words = answered.body["error_description"].as_str().unwrap();
        let unknown = OAuthError::unproven_client().description;
        assert_eq!(words == unknown, unproven, "A-11: {reason:?}: {words}");
        let events = security_events(&test, &client.tenant).await;
        let told = match events.last().map(|event| &event.body) {
            Some(SecurityBody::ClientFailed { client, reason }) => Some((*client, *reason)),
            _ => None,
        };
        assert_eq!(told, Some((client.id, reason)));
    }
    test.finish().await;
}
