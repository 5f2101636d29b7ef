//! What strangers cost a provider and the organization: they need no account to begin, nor to come back with an error.

use countersign_core::{limits, security::SecurityBody};
use futures_util::future::join_all;
use reqwest::StatusCode;

use super::{super::person::count, Scene, issuer::How};
use crate::app::logged;

/// What is done to a response.
type Spoil = fn(&str) -> String;

const FORM: [(&str, &str); 1] = [("organization", "harbour-mills")];

/// however many begin, the provider is asked once a minute; one that is down, every ten seconds.
#[tokio::test]
async fn whoever_begins_makes_the_server_ask_a_provider_once_a_minute() {
    let scene = Scene::start().await;
    let person = scene.ada.elsewhere(&scene.test);
    let begin = || person.form(&scene.test, "/signin/provider", &FORM);
    let begun = join_all((0..20).map(|_| begin())).await;
    assert!(begun.iter().all(|page| page.status() == StatusCode::OK));
    assert_eq!(scene.issuer.lookups(), 1);
    scene.test.clock.forward_s(59);
    scene.begin(&person).await;
    assert_eq!(scene.issuer.lookups(), 1);
    scene.issuer.answer_like(How::Broken);
    scene.test.clock.forward_s(1);
    for lookups in 2..4 {
        let begun = join_all((0..20).map(|_| begin())).await;
        assert!(begun.iter().all(|page| page.status() == StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(scene.issuer.lookups(), lookups, "what is a minute old is not believed any more");
        scene.test.clock.forward_s(10);
    }
    scene.issuer.answer_like(How::Well);
    scene.begin(&person).await;
    assert_eq!(scene.issuer.lookups(), 4);
    scene.finish().await;
}

/// an answer that can be refused as it stands costs the provider nothing.
#[tokio::test]
async fn a_response_is_judged_before_anything_is_asked() {
    let scene = Scene::start().await;
    let person = scene.ada.elsewhere(&scene.test);
    let spoilt: [(Spoil, Option<&str>); 6] = [
        (|back| back.replace("state=", "state=x"), None),
        (|back| back.replace("iss=https", "iss=http"), Some("issuer")),
        (|back| back.split("&iss=").next().unwrap().to_owned(), Some("issuer")),
        (|back| back.replace("code=code", "error=access_denied&x=code"), Some("access_denied")),
        (|back| back.replace("iss=https", "error=access_denied&iss=http"), Some("issuer")),
        (|back| back.replace("code=code", "x=code"), Some("no_code")),
    ];
    for (spoil, reason) in spoilt {
        let (back, before) = (scene.issuer.let_in(&scene.begin(&person).await), scene.failures().await.len());
        let lookups = scene.issuer.lookups();
        scene.test.clock.forward_s(60);
        let page = person.get(&scene.test, &spoil(&back)).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "{reason:?}");
        assert_eq!(scene.failures().await.get(before), reason.as_ref());
        assert_eq!(scene.issuer.lookups(), lookups, "{reason:?}");
    }
    scene.finish().await;
}

/// a provider that changed its key is asked again at once, but every ten seconds at most.
#[tokio::test]
async fn a_new_key_of_a_provider_is_found_and_not_looked_for_too_often() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let person = scene.ada.elsewhere(&scene.test);
    assert_eq!(scene.issuer.lookups(), 1);
    scene.issuer.rename_key("2");
    assert_eq!(scene.come_in(&person).await.status(), StatusCode::FORBIDDEN, "it was asked a moment ago");
    assert_eq!(scene.failures().await, ["signature"]);
    assert_eq!(scene.issuer.lookups(), 1);
    scene.test.clock.forward_s(10);
    assert_eq!(scene.come_in(&person).await.url().path(), "/account");
    assert_eq!(scene.issuer.lookups(), 2);
    // One whose tokens name a key that it does not publish.
    scene.issuer.answer_like(How::UnknownKey);
    for lookups in [2, 3] {
        for _ in 0..3 {
            assert_eq!(scene.come_in(&person).await.status(), StatusCode::FORBIDDEN);
            assert_eq!(scene.failures().await.last(), Some(&"signature"));
            assert_eq!(scene.issuer.lookups(), lookups);
        }
        scene.test.clock.forward_s(10);
    }
    scene.finish().await;
}

/// A-10, L-4: strangers cannot fill the stream of an organization. What is left out is counted in `pace.rs`, and a line of
/// the log each.
#[tokio::test]
async fn failures_are_told_at_a_pace() {
    let scene = Scene::start().await;
    let person = scene.ada.elsewhere(&scene.test);
    let most = usize::try_from(limits::PROVIDER_FAILURES.get()).unwrap();
    let begun = join_all((0..most + 3).map(|_| async {
        let person = person.elsewhere(&scene.test);
        let back = scene.issuer.let_in(&scene.begin(&person).await);
        person.get(&scene.test, &back.replace("code=code", "error=access_denied&x=code")).await.status()
    }));
    assert!(begun.await.iter().all(|status| *status == StatusCode::FORBIDDEN));
    assert_eq!(scene.failures().await.len(), most);
    let is_whole = |body: &SecurityBody| matches!(body, SecurityBody::ProviderFailed { left_out: None, .. });
    assert_eq!(count(&scene.events().await, is_whole), most);
    let id = scene.test.app.store.provider(scene.organization).await.unwrap().unwrap().provider.to_string();
    let is_line = |line: &&String| line.contains("\"left_out\"") && line.contains(&id);
    assert_eq!(logged().iter().filter(is_line).count(), 3);
    scene.finish().await;
}
