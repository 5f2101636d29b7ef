//! Who sets a provider, and what is taken.

use countersign_core::{limits, security::SecurityBody};
use countersign_server::config::Config;
use reqwest::StatusCode;

use super::{
    super::person::{Person, count, error_of},
    ADA, Scene, reach_providers, settings, with,
};
use crate::{
    app::{Options, TestApp},
    inward::{Counting, asking, crafted},
};

/// owners and admins set the provider, after a proof of the last minutes; others are told nothing.
#[tokio::test]
async fn a_provider_is_set_by_those_who_may() {
    let scene = Scene::start().await;
    let form = settings(scene.issuer.url());
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (_, stranger) = scene.test.owner("Lantern Works", "eve@example.org").await;
    for path in [scene.path(), format!("{}/remove", scene.path())] {
        assert_eq!(stranger.form(&scene.test, &path, &form).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let nobody = Person::new(&scene.test, ADA);
    assert_eq!(nobody.form(&scene.test, &scene.path(), &form).await.url().path(), "/signin");
    assert_eq!(nobody.lands_on(&scene.test, &scene.path()).await, "/signin");
    scene.test.clock.forward_s(limits::STEP_UP_S + 1);
    for path in [scene.path(), format!("{}/remove", scene.path())] {
        let page = scene.ada.form(&scene.test, &path, &[]).await;
        assert!(page.status().is_client_error() || page.url().path() == "/signin/again", "{path}");
    }
    let page = scene.ada.form(&scene.test, &scene.path(), &form).await;
    assert_eq!(page.url().path(), "/signin/again");
    let set = |body: &SecurityBody| matches!(body, SecurityBody::ProviderSet { .. });
    assert_eq!(count(&scene.events().await, set), 1);
    scene.finish().await;
}

/// wrong settings are told in a sentence each, and change nothing.
#[tokio::test]
async fn wrong_settings_are_told_and_change_nothing() {
    let scene = Scene::start().await;
    let before = scene.test.app.store.provider(scene.organization).await.unwrap();
    let (other, eve) = scene.test.owner("Lantern Works", "eve@example.com").await;
    for (name, value, said) in [
        ("issuer", "http://localhost", "https://"),
        ("issuer", "https://10.0.0.1", "not of the public Internet"),
        ("client_id", "", "client id"),
        ("handle", "Harbour Mills", "small letters"),
        ("domains", "elsewhere.test", "your own address"),
        ("rules", "acr gold", "Each line"),
        ("domains", "gmail.com", "Anybody gets an address"),
        ("rules", "acr gold aal1", "at least one value"),
        ("rules", "acr gold aal2\nacr gold aal2-phr", "twice"),
        ("authentication", "client_secret", "client secret"),
        ("authentication", "none", "Choose"),
    ] {
        let form = with(settings(scene.issuer.url()), &[(name, value)]);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = scene.ada.form(&scene.test, &scene.path(), &form).await;
        let (status, text) = (page.status(), page.text().await.unwrap());
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name} {value}");
        let error = error_of(&text).unwrap_or_default();
        assert!(error.contains(said), "{name} {value}: {error}");
        let marked = text.split('<').find(|tag| tag.contains("aria-invalid=\"true\"")).unwrap_or_default();
        let field = if said == "client secret" { "client_secret" } else { name };
        assert!(marked.contains(&format!("id=\"{field}\"")), "{name} {value}: {marked}");
    }
    // A handle and a domain lead to one organization alone.
    let path = format!("/console/provider/{other}");
    for (others, said) in
        [(vec![("domains", "")], "handle is taken"), (vec![("handle", "lantern")], "another organization")]
    {
        let form = with(settings("https://localhost:2"), &others);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = eve.form(&scene.test, &path, &form).await;
        assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(error_of(&page.text().await.unwrap()).unwrap().contains(said), "{said}");
    }
    assert_eq!(scene.test.app.store.provider(scene.organization).await.unwrap(), before);
    scene.finish().await;
}

/// W-8, A-10: an issuer whose name leads inside is not asked, whatever its name servers say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_leads_the_fetch_of_metadata_inside() {
    let configure = |config: &mut Config| {
        reach_providers(config);
        asking(config);
    };
    let listener = Counting::start();
    let scene = Scene::on(TestApp::start_with(Options { configure, ..Options::default() }).await).await;
    let mut asked = 0;
    for lure in crafted("provider") {
        // The operator of this test allows localhost.
        if lure.name.to_lowercase().contains("localhost") {
            continue;
        }
        let issuer = format!("https://{}:{}", lure.name, listener.port);
        scene.set(&[("issuer", &issuer)]).await;
        let person = Person::new(&scene.test, ADA);
        let page = person.form(&scene.test, "/signin/provider", &[("organization", "harbour-mills")]).await;
        let text = page.text().await.unwrap();
        assert!(text.contains("does not answer"), "{issuer}: {text}");
        asked += 1;
    }
    assert!(asked > 15 && listener.count() == 0, "{asked} {}", listener.count());
    scene.finish().await;
}
