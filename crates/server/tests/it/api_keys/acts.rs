//! Keys made, changed, rotated and ended through the API.

use countersign_core::{
    access::Environment,
    limits,
    scope::{Scope, Scopes},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{DAY_S, Manager, id, ok, over, token, told, tried};
use crate::{
    app::TestApp,
    oauth::client::{Answered, Client},
};

fn nightly() -> Value {
    json!({ "label": "nightly export", "scopes": ["envelopes:status", "sealed:read"], "lifetime_s": 30 * DAY_S })
}

/// the token is in the answer that makes the key, and nowhere afterwards: not in lists, not in the same request's answer
/// the second time, not in the database.
#[tokio::test]
async fn a_token_is_shown_once() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let made = manager.post("/v1/keys", Some(&nightly()), "make").await;
    assert_eq!(
        (made.status, &made.headers["cache-control"]),
        (StatusCode::CREATED, &"no-store".parse().unwrap())
    );
    let token = token(&made.body);
    assert!(token.starts_with("csk_sandbox_") && made.body["prefix"] == "csk_sandbox_");
    let path = format!("/v1/keys/{}", id(&made.body));
    assert_eq!(made.headers["location"], path.as_str());
    assert_eq!(tried(&test, &token).await, ok());

    let again = manager.post("/v1/keys", Some(&nightly()), "make").await;
    assert_eq!(
        (again.status, &again.headers["idempotency-replayed"]),
        (StatusCode::CREATED, &"true".parse().unwrap())
    );
    let mut without = made.body.clone();
    without.as_object_mut().unwrap().remove("token");
    assert_eq!(again.body, without, "the same key, without its token");

    let listed = manager.get("/v1/keys").await;
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    let read = manager.get(&path).await;
    assert!(listed["keys"].as_array().unwrap().contains(&read), "{listed}");
    assert_eq!(
        (&read["state"], &read["scopes"], &read["networks"], &read["created_by"]),
        (&json!("active"), &json!(["envelopes:status", "sealed:read"]), &json!([]), &Value::Null)
    );
    assert!(listed.to_string().contains("nightly") && !listed.to_string().contains(&token));

    let tenant = own.tenant;
    assert_eq!(told(&test, &tenant, id(&read)).await, ["key.created", "key.used"]);
    let data = test.app.config.server.data_dir.clone();
    for name in ["countersign.sqlite", "countersign.sqlite-wal"] {
        let bytes = std::fs::read(data.join(name)).unwrap_or_default();
        let secret = token.trim_start_matches("csk_sandbox_").as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
    }
    test.finish().await;
}

/// a key gets what whoever makes it has itself, never an admin scope, and never more later.
#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let has = Scopes::of(&[Scope::AdminKeys, Scope::KeysRead, Scope::DocumentsRead]);
    let manager = Manager::new(&test, &own, has).await;
    let wish = |scopes: Value| json!({ "label": "x", "scopes": scopes });
    let mut number = 0;
    for (scopes, pointer) in [
        (json!(["documents:read", "events:read"]), "/scopes"),
        (json!(["admin:keys"]), "/scopes"),
        (json!(["tokens:introspect"]), "/scopes"),
        (json!(["documents:read", "everything"]), "/scopes/1"),
    ] {
        number += 1;
        let refused = manager.post("/v1/keys", Some(&wish(scopes)), &format!("n{number}")).await;
        assert_eq!(
            (refused.status, &refused.body["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer))
        );
    }
    for (name, value, pointer) in [
        ("lifetime_s", json!(limits::API_KEY_S + 1), "/lifetime_s"),
        ("lifetime_s", json!(0), "/lifetime_s"),
        ("label", json!(""), "/label"),
        ("networks", json!(["10.0.0.0/8", "10.1.2.3/8"]), "/networks/1"),
    ] {
        number += 1;
        let mut body = wish(json!(["documents:read"]));
        body[name] = value;
        let refused = manager.post("/v1/keys", Some(&body), &format!("n{number}")).await;
        assert_eq!(
            (refused.status, &refused.body["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer))
        );
    }
    // A rotation gives a token, too.
    let path = format!("/v1/keys/{}/rotate", own.id);
    let refused = manager.post(&path, Some(&json!({})), "rotate").await;
    assert_eq!(
        (refused.status, &refused.body["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/scopes"))
    );
    let made = manager.ask("/v1/keys", &wish(json!(["documents:read"])), "make").await;
    let path = format!("/v1/keys/{}", id(&made));
    let refused =
        manager.post(&path, Some(&json!({ "scopes": ["documents:read", "events:read"] })), "more").await;
    assert_eq!(
        (refused.status, &refused.body["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/scopes"))
    );
    test.finish().await;
}

/// during the overlap both work, after it the old one is refused; who is second gets told where to go.
#[tokio::test]
async fn a_rotation_overlaps_and_then_ends_the_old_key() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let mut wish = nightly();
    wish["networks"] = json!(["127.0.0.0/8"]);
    let old = manager.ask("/v1/keys", &wish, "make").await;
    let path = format!("/v1/keys/{}", id(&old));
    let rotate = format!("{path}/rotate");
    let long = manager.post(&rotate, Some(&json!({ "overlap_s": 7 * DAY_S + 1 })), "long").await;
    assert_eq!(
        (long.status, &long.body["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/overlap_s"))
    );
    let new = manager.ask(&rotate, &json!({ "overlap_s": 7 * DAY_S }), "rotate").await;
    for same in ["label", "scopes", "networks"] {
        assert_eq!(new[same], old[same]);
    }
    assert_eq!((&new["replaces"], &new["last_used"]), (&old["id"], &Value::Null));
    assert_ne!(token(&new), token(&old));
    let replay = manager.post(&rotate, Some(&json!({ "overlap_s": 7 * DAY_S })), "rotate").await;
    assert!(replay.body["id"] == new["id"] && replay.body.get("token").is_none(), "{}", replay.body);
    let again = manager.post(&rotate, Some(&json!({})), "again").await;
    assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("key_state")));
    assert!(again.body["detail"].as_str().unwrap().contains(new["id"].as_str().unwrap()));
    let read = manager.get(&path).await;
    assert_eq!((&read["state"], &read["replaced_by"]), (&json!("replaced"), &new["id"]));

    test.clock.forward_s(7 * DAY_S - 1);
    assert_eq!((tried(&test, &token(&old)).await, tried(&test, &token(&new)).await), (ok(), ok()));
    test.clock.forward_s(1);
    assert_eq!((tried(&test, &token(&old)).await, tried(&test, &token(&new)).await), (over(), ok()));
    assert_eq!(manager.get(&path).await["state"], "ended");
    test.clock.forward_s(23 * DAY_S - 1);
    assert_eq!(
        tried(&test, &token(&new)).await,
        ok(),
        "the new one lives as long as the old one was to live"
    );
    test.clock.forward_s(1);
    assert_eq!(tried(&test, &token(&new)).await, over());
    let events = told(&test, &own.tenant, id(&old)).await;
    assert_eq!(events.iter().filter(|event| *event == "key.ended Rotated").count(), 1, "{events:?}");
    assert!(events.contains(&"key.rotated".to_owned()), "{events:?}");
    test.finish().await;
}

/// without an overlap the old key ends at once; what has ended is not rotated, changed or ended again.
#[tokio::test]
async fn what_has_ended_stays_so() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let old = manager.ask("/v1/keys", &nightly(), "make").await;
    let path = format!("/v1/keys/{}", id(&old));
    let new = manager.ask(&format!("{path}/rotate"), &json!({ "overlap_s": 0 }), "rotate").await;
    assert_eq!((tried(&test, &token(&old)).await, tried(&test, &token(&new)).await), (over(), ok()));
    let path = format!("/v1/keys/{}", id(&new));
    let ended = manager.post(&format!("{path}/end"), None, "end").await;
    assert_eq!((ended.status, &ended.body["state"]), (StatusCode::OK, &json!("ended")));
    assert!(ended.body["last_used"]["ip"] == "127.0.0.1", "{}", ended.body);
    assert_eq!(tried(&test, &token(&new)).await, over());
    for (what, body) in [("end", None), ("rotate", Some(json!({}))), ("", Some(json!({ "label": "y" })))] {
        let path = if what.is_empty() { path.clone() } else { format!("{path}/{what}") };
        let refused = manager.post(&path, body.as_ref(), &format!("late {what}").replace(' ', "-")).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (StatusCode::CONFLICT, &json!("key_state")),
            "{path}"
        );
    }
    assert_eq!(told(&test, &own.tenant, id(&old)).await, ["key.created", "key.rotated", "key.ended Rotated"]);
    assert_eq!(told(&test, &own.tenant, id(&new)).await, ["key.created", "key.used", "key.ended Ended"]);
    test.finish().await;
}

/// name, networks and fewer scopes, from the next use on.
#[tokio::test]
async fn a_change_holds_from_the_next_use_on() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let made = manager.ask("/v1/keys", &nightly(), "make").await;
    let path = format!("/v1/keys/{}", id(&made));
    let edit = json!({ "label": "weekly export", "networks": ["127.0.0.1", "10.0.0.0/8"] });
    let changed = manager.ask(&path, &edit, "name").await;
    assert_eq!(changed["networks"], json!(["10.0.0.0/8", "127.0.0.1/32"]));
    assert_eq!((&changed["label"], &changed["scopes"]), (&json!("weekly export"), &made["scopes"]));
    assert_eq!(tried(&test, &token(&made)).await, ok());
    manager.ask(&path, &json!({ "scopes": ["sealed:read"] }), "fewer").await;
    assert_eq!(tried(&test, &token(&made)).await, (403, "scope_missing".to_owned()));
    let back = manager.post(&path, Some(&json!({ "scopes": ["envelopes:status"] })), "back").await;
    assert_eq!(back.status, StatusCode::UNPROCESSABLE_ENTITY, "what was taken away does not come back");
    let events = told(&test, &own.tenant, id(&made)).await;
    assert_eq!(events, ["key.created", "key.changed 2", "key.used", "key.changed 2"]);
    test.finish().await;
}

/// of many who rotate one key at the same time, one gets a new key.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_rotations_wins() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let made = manager.ask("/v1/keys", &nightly(), "make").await;
    let path = format!("/v1/keys/{}/rotate", id(&made));
    let body = json!({});
    let numbers: Vec<String> = (0..8).map(|number| format!("race-{number}")).collect();
    let rotations = numbers.iter().map(|number| manager.post(&path, Some(&body), number));
    let answered = futures_util::future::join_all(rotations).await;
    let won = answered.iter().filter(|answered| answered.status == StatusCode::CREATED).count();
    let lost = answered.iter().filter(|answered| answered.status == StatusCode::CONFLICT).count();
    assert_eq!((won, lost), (1, 7));
    let listed = manager.get("/v1/keys").await;
    let heirs = listed["keys"].as_array().unwrap().iter().filter(|key| key["replaces"] == made["id"]);
    assert_eq!(heirs.count(), 1);
    test.finish().await;
}

/// keys of another environment are not there, and pages of a list are all of it.
#[tokio::test]
async fn a_list_has_the_keys_of_its_environment_alone() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let other = test.sandbox("Other").await;
    for _ in 0..4 {
        test.key(own.tenant.organization(), Environment::Sandbox, Scopes::of(&[Scope::KeysRead])).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/keys?limit=2".to_owned());
    loop {
        let page = test.get_json(&own, &path).await;
        seen.extend(page["keys"].as_array().unwrap().iter().map(id));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/keys?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|newer, older| newer > older) && !seen.contains(&other.id));
    test.finish().await;
}

/// no key manages keys, and a client needs the admin scope for it.
#[tokio::test]
async fn a_key_makes_no_keys() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let (status, problem) = test.post_json(&own, "/v1/keys", &nightly()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("scope_missing")));
    let client = Client::register(&test, own.tenant.organization(), "reader").await;
    let token = client.own_token("keys:read").await;
    let request =
        client.api(Method::POST, "/v1/keys", &token).header("Idempotency-Key", "1").json(&nightly());
    assert_eq!(Answered::of(request).await.status, StatusCode::FORBIDDEN);
    test.finish().await;
}

/// a key whose successor has ended, and which still works, is rotated again; as long as the successor works it is not.
#[tokio::test]
async fn a_key_whose_successor_has_ended_is_rotated_again() {
    let test = TestApp::start().await;
    let own = test.sandbox("Acme").await;
    let manager = Manager::new(&test, &own, Scopes::ALL).await;
    let old = manager.ask("/v1/keys", &nightly(), "make").await;
    let rotate = format!("/v1/keys/{}/rotate", id(&old));
    let how = json!({ "overlap_s": 3 * DAY_S });
    let first = manager.ask(&rotate, &how, "first").await;
    let refused = manager.post(&rotate, Some(&how), "too-early").await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("key_state")));
    let ended = manager.post(&format!("/v1/keys/{}/end", id(&first)), None, "end").await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    let path = format!("/v1/keys/{}", id(&old));
    assert_eq!(manager.get(&path).await["state"], "active", "it works, and nothing stands in its place");
    let second = manager.ask(&rotate, &how, "second").await;
    let read = manager.get(&path).await;
    assert_eq!((&read["state"], &read["replaced_by"]), (&json!("replaced"), &second["id"]));
    assert_eq!(tried(&test, &token(&old)).await, ok());
    assert_eq!((tried(&test, &token(&first)).await, tried(&test, &token(&second)).await), (over(), ok()));
    // Once all is over, the record says what took its place.
    test.clock.forward_s(4 * DAY_S);
    let read = manager.get(&path).await;
    assert_eq!((&read["state"], &read["replaced_by"]), (&json!("ended"), &second["id"]));
    test.work().await;
    test.finish().await;
}
