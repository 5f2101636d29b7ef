//! Receivers whose key is pinned.

use std::process::Command;

use axum::Router;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::{digest::Digest, webhook::pin::NotAPin};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use super::{
    House,
    mutual::{made, tested},
};
use crate::{
    oauth::certificates::{Authority, Shown, Wish},
    receivers::{authority, listen_showing},
};

fn pin(shown: &Shown) -> String {
    format!("sha256/{}", STANDARD.encode(Digest::of(&shown.key.subject_public_key_info()).0))
}

fn wish(url: &str, pins: &[&str]) -> Value {
    json!({
        "url": url, "description": "The archive", "classes": ["envelope"], "scopes": ["envelopes:status"], "pins": pins,
    })
}

async fn listening(shown: &Shown) -> String {
    let port = listen_showing(Router::new().fallback(async || {}), shown).await;
    format!("https://localhost:{port}/hooks")
}

/// W-7: a receiver with one of the pinned keys is sent to; one with another key is not, and the attempt says which it has; a pin
/// makes up for no authority.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_has_one_of_the_pinned_keys() {
    let house = House::start(false).await;
    let host = Wish::dns("localhost");
    let (first, second) = (authority().certify(&host), authority().certify(&host));
    let url = listening(&first).await;
    let (endpoint, shown) = made(&house, &wish(&url, &[&pin(&second), &pin(&first), &pin(&second)])).await;
    let mut pins = vec![pin(&first), pin(&second)];
    pins.sort_by_key(|pin| STANDARD.decode(pin.trim_start_matches("sha256/")).unwrap());
    assert_eq!(shown["pins"], json!(pins));
    assert!(tested(&house, endpoint).await.0, "one of two");
    house.done(endpoint, "", &json!({ "pins": [pin(&second)] })).await;
    let (is_accepted, answer) = tested(&house, endpoint).await;
    assert!(
        !is_accepted && answer.contains("none of the pinned ones") && answer.contains(&pin(&first)),
        "{answer}"
    );
    // A connection that was made without the pin is not taken.
    let any = house.done(endpoint, "", &json!({ "pins": [] })).await;
    assert_eq!(any["pins"], json!([]));
    assert!(tested(&house, endpoint).await.0);
    house.done(endpoint, "", &json!({ "pins": [pin(&second)] })).await;
    assert!(!tested(&house, endpoint).await.0);
    // It moves to the other key.
    let moved = json!({ "url": listening(&second).await });
    assert_eq!(house.done(endpoint, "", &moved).await["pins"], json!([pin(&second)]));
    assert!(tested(&house, endpoint).await.0);
    let stranger = Authority::new("nobody's CA").certify(&host);
    let elsewhere = json!({ "url": listening(&stranger).await, "pins": [pin(&stranger)] });
    house.done(endpoint, "", &elsewhere).await;
    let (is_accepted, answer) = tested(&house, endpoint).await;
    assert!(!is_accepted && answer.contains("not trusted"), "{answer}");
    house.finish().await;
}

/// W-7: the pin that the guide makes with openssl is ours, and refusals tell the same way.
#[test]
fn the_pin_of_the_guide_is_ours() {
    let guide = include_str!("../../../../../docs/webhooks/endpoints.md");
    let (_, command) = guide.split_once("prints of the receiver's certificate: `").unwrap();
    let (command, _) = command.split_once('`').unwrap();
    assert!(NotAPin.to_string().contains(command));
    let folder = tempfile::tempdir().unwrap();
    let shown = authority().certify(&Wish::dns("localhost"));
    let (chain, _) = shown.files(folder.path(), "server");
    assert!(chain.ends_with("server.pem"));
    let done = Command::new("sh").args(["-c", command]).current_dir(folder.path()).output().unwrap();
    assert_eq!(format!("sha256/{}", String::from_utf8(done.stdout).unwrap().trim()), pin(&shown));
}

/// W-7: what is no pin is refused with the way to one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_pin_is_refused() {
    let house = House::start(false).await;
    let right = pin(&authority().certify(&Wish::dns("localhost")));
    let many: Vec<String> =
        (0..9_u8).map(|number| format!("sha256/{}", STANDARD.encode([number; 32]))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (pins, pointer, word) in [
        (&[right.as_str(), right.trim_start_matches("sha256/")][..], "/pins/1", "openssl"),
        (&["sha256/AAAA"], "/pins/0", "44 letters"),
        (&many, "/pins", "at most 8"),
    ] {
        let wish = wish(&house.receiver.url, pins);
        let (status, problem) = house.app.post_json(&house.key, "/v1/webhook-endpoints", &wish).await;
        assert_eq!((status.as_u16(), &problem["pointer"]), (422, &json!(pointer)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    house.finish().await;
}
