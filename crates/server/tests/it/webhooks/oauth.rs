//! Deliveries with a token, between an authorization server and a receiver that takes tokens back.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use countersign_core::webhook::class::Class;
use countersign_store::webhook_rows::DeliveryState;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    House,
    containment::{self, block, release},
    mutual::{made, tested},
    worker::database,
};
use crate::receivers::listen;

const SECRET: &str = "between the two of us";

/// An authorization server, and a receiver that takes its tokens.
#[derive(Default)]
struct Pair {
    /// Who asked for a token, and for what.
    asked: Vec<(String, String)>,
    /// How the authorization server answers instead.
    refuses: Option<(u16, &'static str)>,
    /// Tokens that the receiver does not take.
    taken_back: Vec<String>,
    /// The headers of what came to the receiver.
    came: Vec<HeaderMap>,
    /// Before the next refusal of the receiver it says that it is about to, and waits.
    gate: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
}

type Shared = Arc<Mutex<Pair>>;

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn give(State(pair): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let mut pair = pair.lock().unwrap();
    pair.asked.push((text(&headers, "authorization").to_owned(), body));
    if let Some((status, body)) = pair.refuses {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let token = format!("token-{}", pair.asked.len());
    json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3_600 }).to_string().into_response()
}

/// It repeats what it was sent, as some do.
async fn receive(State(pair): State<Shared>, headers: HeaderMap) -> (StatusCode, String) {
    let (token, is_taken, gate) = {
        let mut pair = pair.lock().unwrap();
        let token = text(&headers, "authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let is_taken = token.starts_with("token-") && !pair.taken_back.contains(&token);
        pair.came.push(headers);
        (token, is_taken, if is_taken { None } else { pair.gate.take() })
    };
    if let Some((reached, go)) = gate {
        reached.send(()).unwrap();
        go.await.unwrap();
    }
    (if is_taken { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, format!("<{token}>"))
}

struct Scene {
    house: House,
    pair: Shared,
    wish: Value,
}

impl Scene {
    async fn start() -> Self {
        let (house, pair) = (House::start(false).await, Shared::default());
        let asked = listen(Router::new().fallback(give).with_state(Arc::clone(&pair))).await;
        let told = listen(Router::new().fallback(receive).with_state(Arc::clone(&pair))).await;
        let wish = json!({
            "url": format!("https://localhost:{told}/hooks"), "description": "The archive",
            "classes": ["envelope"], "scopes": ["envelopes:status"],
            "oauth": {
                "token_url": format!("https://localhost:{asked}/token?of=us"), "client_id": "countersign",
                "client_secret": SECRET, "scope": "hooks:write",
            },
        });
        Self { house, pair, wish }
    }

    fn tokens(&self) -> Vec<String> {
        self.pair
            .lock()
            .unwrap()
            .came
            .iter()
            .map(|headers| text(headers, "authorization").to_owned())
            .collect()
    }

    /// Delivers to a receiver that refuses the token it knows; what happens before it says so.
    async fn refusing_deliver(&self, meanwhile: impl Future<Output = ()>) {
        let (reached, is_reached) = oneshot::channel();
        let (go, goes) = oneshot::channel();
        {
            let mut pair = self.pair.lock().unwrap();
            let known = (1..=pair.asked.len()).map(|number| format!("token-{number}")).collect();
            (pair.taken_back, pair.gate) = (known, Some((reached, goes)));
        }
        let meanwhile = async {
            is_reached.await.unwrap();
            meanwhile.await;
            go.send(()).unwrap();
        };
        tokio::join!(self.house.deliver(), meanwhile);
    }

    fn asked(&self) -> usize {
        self.pair.lock().unwrap().asked.len()
    }
}

/// W-7, L-3: a token is asked for once and used until shortly before its end, by deliveries and tests alike; neither it nor the
/// secret is in an answer, an event, an attempt, or in the clear in the store.
#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_has_a_token_that_is_kept_until_shortly_before_its_end() {
    let scene = Scene::start().await;
    let house = &scene.house;
    let (endpoint, shown) = made(house, &scene.wish).await;
    let host = scene.wish["oauth"]["token_url"].as_str().unwrap().split('/').nth(2).unwrap().to_owned();
    assert_eq!(
        shown["oauth"],
        json!({ "token_host": host, "client_id": "countersign", "scope": "hooks:write" })
    );
    house.sent_envelope().await;
    assert_eq!(house.deliver().await, 2);
    house.app.clock.forward_s(3_560);
    assert_eq!(tested(house, endpoint).await, (true, "<[token]>".to_owned()));
    assert_eq!(scene.tokens(), ["Bearer token-1"; 3]);
    house.app.clock.forward_s(20);
    assert!(tested(house, endpoint).await.0);
    assert_eq!((scene.tokens().pop().unwrap().as_str(), scene.asked()), ("Bearer token-2", 2));
    // base64 of `countersign:between+the+two+of+us` (RFC 6749 §2.3.1).
    let basic = "Basic Y291bnRlcnNpZ246YmV0d2Vlbit0aGUrdHdvK29mK3Vz".to_owned();
    let form = "grant_type=client_credentials&scope=hooks%3Awrite".to_owned();
    assert_eq!(scene.pair.lock().unwrap().asked, vec![(basic.clone(), form); 2]);
    house.app.work().await;
    let mut told =
        vec![shown.to_string(), house.done(endpoint, "", &json!({ "description": "x" })).await.to_string()];
    for row in house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap() {
        told.push(String::from_utf8_lossy(&row.bytes).into_owned());
    }
    for row in house.deliveries(endpoint).await {
        let path = format!("/v1/webhook-endpoints/{endpoint}/deliveries/{}", row.message.message);
        told.push(house.app.get_json(&house.key, &path).await.to_string());
    }
    let row = house.app.app.store.endpoint(&house.tenant, endpoint).await.unwrap().unwrap();
    told.push(String::from_utf8_lossy(&row.settings).into_owned());
    for secret in [SECRET, "token-1", "token-2", "of=us", basic.trim_start_matches("Basic ")] {
        assert!(!told.iter().any(|text| text.contains(secret)), "{secret}");
    }
    assert!(told.len() > 8);
    scene.house.finish().await;
}

/// W-7, W-3: a token that was taken back is forgotten at the 401, another one is asked for, and the message goes out signed anew. A
/// new token that is refused too is not asked for again in the same attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_asked_for_once_more() {
    let scene = Scene::start().await;
    let house = &scene.house;
    let (endpoint, _) = made(house, &scene.wish).await;
    assert!(tested(house, endpoint).await.0);
    scene.pair.lock().unwrap().taken_back.push("token-1".to_owned());
    assert!(tested(house, endpoint).await.0);
    assert_eq!(scene.tokens(), ["Bearer token-1", "Bearer token-1", "Bearer token-2"]);
    let came = scene.pair.lock().unwrap().came.clone();
    let same = |name: &str| text(&came[1], name) == text(&came[2], name);
    assert!(
        same("webhook-id")
            && !same("webhook-timestamp")
            && !same("webhook-attempt-id")
            && !same("webhook-signature")
    );
    let refused: Vec<String> = (1..=9).map(|number| format!("token-{number}")).collect();
    scene.pair.lock().unwrap().taken_back = refused;
    assert!(!tested(house, endpoint).await.0);
    assert_eq!(&scene.tokens()[3..], ["Bearer token-2", "Bearer token-3"]);
    scene.pair.lock().unwrap().taken_back.clear();
    assert!(tested(house, endpoint).await.0);
    assert_eq!((scene.tokens().len(), scene.asked()), (6, 3));
    // The probes of a receiver ask to be refused: no token is forgotten for that, and one is asked for at their beginning.
    house.done(endpoint, "/prove", &Value::Null).await;
    assert_eq!((scene.tokens().len(), scene.asked()), (13, 4));
    scene.house.finish().await;
}

/// W-7, W-12: the attempt whose token was refused is in the record like the one that followed, each under the name that the receiver
/// saw; together they are one try of the schedule.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_token_was_refused_is_shown_like_the_next_one() {
    let scene = Scene::start().await;
    let house = &scene.house;
    let (endpoint, _) = made(house, &scene.wish).await;
    assert!(tested(house, endpoint).await.0);
    scene.pair.lock().unwrap().taken_back.push("token-1".to_owned());
    house.queue(house.tenant, 1).await;
    assert_eq!(house.deliver().await, 1);
    scene.pair.lock().unwrap().taken_back.push("token-2".to_owned());
    assert!(tested(house, endpoint).await.0);
    let came = scene.pair.lock().unwrap().came.clone();
    let name = |at: usize| text(&came[at], "webhook-attempt-id").to_owned();
    for first in [1, 3] {
        let path =
            format!("/v1/webhook-endpoints/{endpoint}/deliveries/{}", text(&came[first], "webhook-id"));
        let shown = house.app.get_json(&house.key, &path).await;
        assert_eq!((&shown["state"], &shown["attempts"]), (&json!("delivered"), &json!(1)), "{shown}");
        let tried = shown["tried"].as_array().unwrap();
        let told: Vec<Value> = tried
            .iter()
            .map(|one| json!([one["id"], one["status"], one["outcome"], one["answer"]]))
            .collect();
        let expected = [
            json!([name(first), 401, "token_refused", "<[token]>"]),
            json!([name(first + 1), 200, "delivered", "<[token]>"]),
        ];
        assert_eq!(told, expected, "{shown}");
        for (one, came) in tried.iter().zip(&came[first..]) {
            assert_eq!(one["signed_s"].to_string(), text(came, "webhook-timestamp"));
        }
    }
    scene.house.finish().await;
}

/// M-3, W-2, W-7: what is blocked, moved or signed by a revoked key is not sent again with another token; what has another name, or is
/// of another class than what is blocked, is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_after_a_401_if_it_was_stopped_meanwhile() {
    let scene = Scene::start().await;
    let house = &scene.house;
    for (way, is_sent_again) in [
        ("", true),
        ("renamed", true),
        ("security", true),
        ("moved", false),
        ("/block", false),
        ("everywhere", false),
        ("/revoke", false),
        ("/end", false),
    ] {
        let (endpoint, shown) = made(house, &scene.wish).await;
        assert!(tested(house, endpoint).await.0);
        house.queue(house.tenant, 1).await;
        let before = scene.tokens().len();
        let security = containment::key(Some(house.tenant), Some(Class::Security));
        let meanwhile = async {
            match way {
                "renamed" => drop(house.done(endpoint, "", &json!({ "description": "x" })).await),
                "moved" => {
                    let url = format!("{}/elsewhere", scene.wish["url"].as_str().unwrap());
                    house.done(endpoint, "", &json!({ "url": url })).await;
                }
                "security" => block(house, security).await,
                "/block" => drop(house.done(endpoint, way, &json!({ "reason": "incident" })).await),
                "/end" => drop(house.done(endpoint, way, &Value::Null).await),
                "everywhere" => block(house, containment::key(None, None)).await,
                "/revoke" => {
                    let path = format!("/keys/{}{way}", shown["keys"][0]["id"].as_str().unwrap());
                    house.done(endpoint, &path, &Value::Null).await;
                }
                _ => {}
            }
        };
        scene.refusing_deliver(meanwhile).await;
        assert_eq!(scene.tokens().len() - before, if is_sent_again { 2 } else { 1 }, "{way}");
        match way {
            "everywhere" => release(house, containment::key(None, None)).await,
            "security" => release(house, security).await,
            _ => {}
        }
        house.app.post(&house.key, &format!("/v1/webhook-endpoints/{endpoint}/end")).send().await.unwrap();
        scene.pair.lock().unwrap().taken_back.clear();
        house.settle().await;
    }
    scene.house.finish().await;
}

/// W-12, W-7: where something of ours breaks after a 401, what went out is in the record all the same, and is tried again at its time.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_recorded_whatever_breaks_after_its_401() {
    let scene = Scene::start().await;
    let (house, database) = (&scene.house, database(&scene.house));
    let (endpoint, _) = made(house, &scene.wish).await;
    assert!(tested(house, endpoint).await.0);
    let settings = house.app.app.store.endpoint(&house.tenant, endpoint).await.unwrap().unwrap().settings;
    let set = |settings: &[u8]| {
        let values = rusqlite::params![settings, endpoint.as_bytes()];
        let sql = "UPDATE endpoints SET settings = ?1 WHERE endpoint = ?2";
        assert_eq!(database.execute(sql, values).unwrap(), 1);
    };
    house.queue(house.tenant, 1).await;
    let before = scene.tokens().len();
    scene.refusing_deliver(async { set(b"no seal") }).await;
    set(&settings);
    let name = text(&scene.pair.lock().unwrap().came[before], "webhook-attempt-id").to_owned();
    let row = house.deliveries(endpoint).await.into_iter().find(|row| row.message.seq > 0).unwrap();
    let message = row.message.message;
    let tried = house.app.app.store.attempts(&house.tenant, endpoint, message).await.unwrap();
    let tried: Vec<_> =
        tried.iter().map(|one| (one.attempt.to_string(), one.status, one.outcome.as_str())).collect();
    assert_eq!(tried, [(name, Some(401), "again")]);
    assert_eq!((row.state, row.attempt_count), (DeliveryState::Due, 1));
    house.app.clock.forward_s(60);
    house.deliver().await;
    let states = house.states(endpoint).await;
    assert!(states.iter().all(|state| *state == DeliveryState::Delivered), "{states:?}");
    scene.house.finish().await;
}

/// W-7: where no token can be had nothing is sent, the attempt says why, and the authorization server is not run over.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_sent_and_the_attempt_says_why() {
    let scene = Scene::start().await;
    let house = &scene.house;
    let (endpoint, _) = made(house, &scene.wish).await;
    scene.pair.lock().unwrap().refuses = Some((503, "between the two of us"));
    house.sent_envelope().await;
    assert_eq!(house.deliver().await, 2);
    assert_eq!((scene.tokens().len(), scene.asked()), (0, 1), "one question for both");
    for (answer, word) in [
        (
            (401, r#"{"error":"invalid_client","error_description":"between the two of us"}"#),
            "401 (invalid_client): check `client_id`",
        ),
        ((400, r#"{"error":"invalid_scope"}"#), "400 (invalid_scope): check `scope`"),
        ((200, "<html>"), "200 without a token"),
        ((200, r#"{"access_token":"x","token_type":"mac"}"#), "no bearer token"),
        ((200, r#"{"access_token":"x\r\ny: z","token_type":"Bearer"}"#), "cannot be sent"),
        ((302, ""), "answered 302"),
    ] {
        house.app.clock.forward_s(5);
        scene.pair.lock().unwrap().refuses = Some(answer);
        let (is_accepted, said) = tested(house, endpoint).await;
        assert!(!is_accepted && said.contains(word) && said.contains("no token could be had"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    assert_eq!(scene.tokens().len(), 0);
    scene.pair.lock().unwrap().refuses = None;
    house.app.clock.forward_s(6);
    assert_eq!(house.deliver().await, 2, "tried again by the schedule");
    let states: Vec<DeliveryState> = house
        .deliveries(endpoint)
        .await
        .iter()
        .filter(|row| row.message.seq > 0)
        .map(|row| row.state)
        .collect();
    assert_eq!(states, [DeliveryState::Delivered; 2]);
    house.done(endpoint, "", &json!({ "oauth": null })).await;
    let (is_accepted, said) = tested(house, endpoint).await;
    assert_eq!((is_accepted, said.as_str()), (false, "<>"), "it is taken away");
    scene.house.finish().await;
}

/// W-7, W-8: tokens are asked for in no place where nothing may be sent to.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_a_token_is_refused() {
    let scene = Scene::start().await;
    for (member, value, word) in [
        ("token_url", "http://localhost/token", "a token URL is https"),
        ("token_url", "https://127.0.0.1/token", "not of the public Internet"),
        ("token_url", "https://169.254.169.254/latest", "not of the public Internet"),
        ("client_id", "", "1 to"),
        ("scope", "a  b", "one space"),
    ] {
        let mut wish = scene.wish.clone();
        wish["oauth"][member] = json!(value);
        let (status, problem) =
            scene.house.app.post_json(&scene.house.key, "/v1/webhook-endpoints", &wish).await;
        assert_eq!(
            (status.as_u16(), &problem["pointer"]),
            (422, &json!(format!("/oauth/{member}"))),
            "{problem}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    scene.house.finish().await;
}
