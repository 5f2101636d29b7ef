//! Keys in use: from which networks, the last use, and the events of it.

use countersign_core::{
    limits,
    scope::Scopes,
    secret::{PlainToken, TokenKind},
    security::{FailureReason, SecurityActor, SecurityBody},
};
use countersign_server::config::{Config, Network};
use reqwest::Method;
use serde_json::{Value, json};

use super::{DAY_S, Manager, id, ok, token, told, tried};
use crate::{
    app::{Key, Options, TestApp, log_line},
    oauth::client::{Answered, security_events},
};

/// The whole answer, without the id of the request.
async fn answer(test: &TestApp, token: &str, forwarded: Option<&str>) -> (u16, Value, String) {
    let mut asked = test.request(Method::GET, "/v1/envelopes").bearer_auth(token);
    if let Some(forwarded) = forwarded {
        asked = asked.header("X-Forwarded-For", forwarded);
    }
    let mut answered = Answered::of(asked).await;
    if let Some(body) = answered.body.as_object_mut() {
        body.remove("request_id");
    }
    let challenge = answered.headers.get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (answered.status.as_u16(), answered.body, challenge.unwrap_or_default())
}

async fn bound(test: &TestApp, own: &Key, networks: Value) -> (Value, String) {
    let manager = Manager::new(test, own, Scopes::ALL).await;
    let body = json!({ "label": "bound", "scopes": ["envelopes:status"], "networks": networks });
    let made = manager.ask("/v1/keys", &body, "make").await;
    let token = token(&made);
    (made, token)
}

async fn refusals(test: &TestApp, own: &Key, reason: FailureReason) -> usize {
    let events = security_events(test, &own.tenant).await;
    let is = |body: &SecurityBody| matches!(body, SecurityBody::AccessRefused { reason: told, .. } if *told == reason);
    events.iter().filter(|event| is(&event.body)).count()
}

/// from elsewhere a key is answered like one that does not exist; its organization learns of it, once and not each time.
#[tokio::test]
async fn from_another_network_a_key_is_as_if_it_were_not_there() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let (made, key) = bound(&test, &own, json!(["192.0.2.0/24", "2001:db8::/32"])).await;
    let unknown = PlainToken::new(TokenKind::SandboxApiKey, &[9; 32]);
    let stranger = answer(&test, unknown.expose(), None).await;
    assert_eq!(stranger.0, 401);
    for forged in [None, Some("192.0.2.7"), Some("2001:db8::1")] {
        assert_eq!(answer(&test, &key, forged).await, stranger, "{forged:?}");
    }
    // Nor is it told that it has ended.
    test.clock.forward_s(90 * DAY_S);
    assert_eq!(answer(&test, &key, None).await, stranger);
    assert_eq!(refusals(&test, &own, FailureReason::WrongNetwork).await, 2, "once a day");
    assert!(!told(&test, &own.tenant, id(&made)).await.contains(&"key.used".to_owned()));
    test.finish().await;
}

fn behind_a_proxy(config: &mut Config) {
    config.server.trusted_proxies = vec![Network::try_from("127.0.0.1".to_owned()).unwrap()];
}

/// A-9, G-11: the address that counts is the one that the rules for proxies give.
#[tokio::test]
async fn behind_a_proxy_the_client_s_address_counts() {
    let test = TestApp::start_with(Options { configure: behind_a_proxy, ..Options::default() }).await;
    let own = test.sandbox("Acme").await;
    let (made, key) = bound(&test, &own, json!(["192.0.2.0/24", "2001:db8::/32"])).await;
    for (forwarded, status) in [
        (None, 401),
        (Some("192.0.2.7"), 200),
        (Some("192.0.3.7"), 401),
        (Some("192.0.2.7, 192.0.3.7"), 401),
        (Some("192.0.3.7, 192.0.2.7"), 200),
        (Some("2001:db8:7::1"), 200),
        (Some("::ffff:192.0.2.9"), 200),
        (Some("2001:db9::1"), 401),
        (Some("nonsense"), 401),
    ] {
        test.clock.forward_s(1);
        assert_eq!(answer(&test, &key, forwarded).await.0, status, "{forwarded:?}");
    }
    let read = test.get_json(&own, &format!("/v1/keys/{}", id(&made))).await;
    assert_eq!(read["last_used"]["ip"], "192.0.2.9");
    test.finish().await;
}

/// the last use is known to the minute, with address and agent; a new agent is known at once.
#[tokio::test]
async fn the_last_use_is_known_to_the_minute() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let (made, key) = bound(&test, &own, json!([])).await;
    let path = format!("/v1/keys/{}", id(&made));
    let last = async || test.get_json(&own, &path).await["last_used"].clone();
    assert_eq!(last().await, Value::Null);
    let begin = test.app.now();
    assert_eq!(tried(&test, &key).await, ok());
    assert_eq!(last().await, json!({ "at": begin, "ip": "127.0.0.1", "user_agent": null }));
    test.clock.forward_s(limits::API_KEY_NOTED_S - 1);
    assert_eq!(tried(&test, &key).await, ok());
    assert_eq!(last().await["at"], json!(begin), "not again within a minute");
    test.clock.forward_s(1);
    assert_eq!(tried(&test, &key).await, ok());
    assert_eq!(last().await["at"], json!(test.app.now()));
    test.clock.forward_s(1);
    let agent = "report-robot/2.0";
    let asked = test.request(Method::GET, "/v1/envelopes").bearer_auth(&key).header("User-Agent", agent);
    assert_eq!(asked.send().await.unwrap().status(), 200);
    assert_eq!(last().await["user_agent"], agent);
    assert_eq!(told(&test, &own.tenant, id(&made)).await, ["key.created", "key.used", "key.used"]);
    // A use that is refused for want of a scope is one, too.
    test.clock.forward_s(DAY_S);
    assert_eq!(
        test.request(Method::GET, "/v1/clients").bearer_auth(&key).send().await.unwrap().status(),
        403
    );
    assert_eq!(last().await["at"], json!(test.app.now()));
    assert_eq!(told(&test, &own.tenant, id(&made)).await.len(), 4, "and again after a day");
    test.finish().await;
}

/// L-4: that a key is still used after its end is worth to know, once.
#[tokio::test]
async fn the_use_of_a_key_that_has_ended_is_told_once() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let (_, key) = bound(&test, &own, json!([])).await;
    test.clock.forward_s(90 * DAY_S);
    for _ in 0..3 {
        assert_eq!(tried(&test, &key).await, super::over());
    }
    assert_eq!(refusals(&test, &own, FailureReason::Expired).await, 1);
    test.finish().await;
}

/// A-9, L-1, L-4: the record says which key was refused, in the event and in the line of the request; the caller is not told.
#[tokio::test]
async fn the_record_names_a_key_that_is_refused() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let (elsewhere, elsewhere_token) = bound(&test, &own, json!(["192.0.2.0/24"])).await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let ended =
        manager.ask("/v1/keys", &json!({ "label": "old", "scopes": ["envelopes:status"] }), "old").await;
    let ended_token = token(&ended);
    test.clock.forward_s(90 * DAY_S);
    let unknown = PlainToken::new(TokenKind::SandboxApiKey, &[9; 32]);
    for (token, key) in [
        (elsewhere_token.as_str(), json!(id(&elsewhere).to_string())),
        (ended_token.as_str(), json!(id(&ended).to_string())),
        (unknown.expose(), Value::Null),
    ] {
        let asked = test.request(Method::GET, "/v1/envelopes").bearer_auth(token);
        let answered = Answered::of(asked).await;
        assert_eq!(answered.status, 401);
        let line = log_line(&answered.headers);
        assert_eq!(line["client_id"], key, "{line}");
        assert!(!answered.body.to_string().contains("key_0"), "{}", answered.body);
    }
    let events = security_events(&test, &own.tenant).await;
    let refused = events.iter().filter_map(|event| match &event.body {
        SecurityBody::AccessRefused { reason, key, .. } => Some((event.actor, *reason, *key)),
        _ => None,
    });
    let expected = [(FailureReason::WrongNetwork, &elsewhere), (FailureReason::Expired, &ended)];
    let expected = expected.map(|(reason, key)| (SecurityActor::Unknown, reason, Some(id(key))));
    assert_eq!(refused.collect::<Vec<_>>(), expected);
    test.finish().await;
}
