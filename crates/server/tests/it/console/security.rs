//! Security events as the organization reads them: filtered, in pages, with their places; and the chain in a file.

use countersign_core::{access::Environment, scope::Scope, scope::Scopes, security::Tail};
use reqwest::StatusCode;
use serde_json::Value;

use super::{ADA, Scene};
use crate::app::{Key, Options, TestApp};

fn with_mail(config: &mut countersign_server::config::Config) {
    config.mail.smtp_host = Some("mail.test".to_owned());
    config.mail.from = "sign@sign.test".to_owned();
}

async fn live_key(test: &TestApp, scene: &Scene<'_>) -> Key {
    test.key(scene.organization, Environment::Live, Scopes::of(&[Scope::SecurityRead])).await
}

fn types(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// L-4, A-13: the events are read in pages, newest first, each with its place, and filtered by kind, actor and time.
#[tokio::test]
async fn security_events_are_read_in_pages_and_filtered() {
    let test = TestApp::start_with(Options { configure: with_mail, ..Options::default() }).await;
    let scene = Scene::new(&test).await;
    let ada = scene.user(ADA).await;
    let until = test.app.now();
    test.clock.forward_s(60);
    scene.ada.elsewhere(&test).password(&test, "not this one at all").await;
    scene.ada.confirm(&test).await;
    take_in(&test).await;
    let key = live_key(&test, &scene).await;
    let all = test.get_json(&key, "/v1/security-events").await;
    let newest_first = [
        "user.stepped_up",
        "user.failed",
        "user.signed_in",
        "factor.added",
        "member.joined",
        "member.invited",
    ];
    assert_eq!(types(&all), newest_first);
    let first = &all["events"][0];
    assert_eq!((&first["seq"], &first["ip"]), (&6.into(), &"127.0.0.1".into()));
    assert!(first["correlation"].as_str().unwrap().starts_with("cor_"));
    assert_eq!(first["chained"]["event"]["actor"]["user"], ada.to_string());
    for (query, expected) in [
        ("kind=user", newest_first[..3].to_vec()),
        ("kind=user.failed", vec!["user.failed"]),
        ("kind=use", vec![]),
        ("actor=unknown", vec!["user.failed"]),
        ("actor=operator", vec!["member.invited"]),
        (&format!("actor={ada}&kind=factor"), vec!["factor.added"]),
        (&format!("from={}", until.plus_s(1)), newest_first[..2].to_vec()),
        (&format!("until={}", until.plus_s(1)), newest_first[2..].to_vec()),
    ] {
        let found = test.get_json(&key, &format!("/v1/security-events?{query}")).await;
        assert_eq!(types(&found), expected, "{query}");
    }
    let mut cursor = String::new();
    let mut read = Vec::new();
    for _ in 0..3 {
        let page = test.get_json(&key, &format!("/v1/security-events?limit=2{cursor}")).await;
        read.extend(types(&page));
        let next = page["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
        cursor = next.unwrap_or_default();
    }
    assert_eq!((read, cursor), (newest_first.map(str::to_owned).to_vec(), String::new()));
    for wrong in ["kind=A", "actor=usr-1", "from=yesterday", "until=2026-13-01T00:00:00Z"] {
        let refused = test.get(&key, &format!("/v1/security-events?{wrong}")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    test.finish_without_worker().await;
}

/// another organization, and the sandbox, see their own events alone; without the scope nobody sees any.
#[tokio::test]
async fn security_events_are_the_organizations_own() {
    let test = TestApp::start_with(Options { configure: with_mail, ..Options::default() }).await;
    let scene = Scene::new(&test).await;
    let (other, _) = test.owner("Copper Works", "eve@example.com").await;
    take_in(&test).await;
    let eve = test.key(other, Environment::Live, Scopes::of(&[Scope::SecurityRead])).await;
    let hers = test.get_json(&eve, "/v1/security-events").await.to_string();
    assert!(!hers.contains(&scene.organization.to_string()) && hers.contains(&other.to_string()));
    let sandbox =
        test.key(scene.organization, Environment::Sandbox, Scopes::of(&[Scope::SecurityRead])).await;
    assert_eq!(types(&test.get_json(&sandbox, "/v1/security-events").await), Vec::<String>::new());
    let without = Scopes::FOR_KEYS.without(Scopes::of(&[Scope::SecurityRead]));
    let none = test.key(scene.organization, Environment::Live, without).await;
    assert_eq!(test.get(&none, "/v1/security-events").await.status(), StatusCode::FORBIDDEN);
    test.finish_without_worker().await;
}

/// L-4: the page says what happened, to whom, from where, and at which place; the file is the chain, to be followed by
/// anybody.
#[tokio::test]
async fn the_page_tells_and_the_file_is_the_chain() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    scene.ada.confirm(&test).await;
    test.work().await;
    let page = scene.see(&scene.ada, "/security").await;
    for words in
        ["Confirmed who it is", "Signed in", "Ada Lovelace, from 127.0.0.1", "place in the chain", "cor_"]
    {
        assert!(page.contains(words), "{words} in {page}");
    }
    let page = scene.see(&scene.ada, "/security?kind=member&actor=&from=2020-01-01&until=").await;
    assert!(page.contains("Somebody became a member") && !page.contains("Signed in"), "{page}");
    let page = scene.see(&scene.ada, "/security?until=2020-01-01").await;
    assert!(page.contains("No event here"));
    for wrong in ["/security?from=x", "/security?surprise=1", "/security?kind=%3Cb%3E"] {
        let refused = scene.ada.get(&test, &scene.page(wrong)).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    let file = scene.ada.get(&test, &scene.page("/security/export?from=1")).await;
    let named = file.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(named.starts_with("attachment;"), "{named}");
    let file = file.text().await.unwrap();
    let mut tail = Tail::after(scene.organization, Environment::Live, None);
    let events: Vec<_> = file.lines().map(|line| tail.follow(line.as_bytes()).unwrap()).collect();
    assert_eq!(events.len(), 5, "{file}");
    assert!(!file.contains("127.0.0.1") && !file.contains("Ada"), "nobody is named in it");
    test.finish().await;
}

/// Lets the log take in what waits, without the other jobs.
async fn take_in(test: &TestApp) {
    while test.app.log.sequence().await.unwrap() > 0 {}
}
