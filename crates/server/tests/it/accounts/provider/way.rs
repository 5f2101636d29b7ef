//! The way: connecting, coming in, confirming, leaving.

use countersign_core::{level::Level, limits, security::SecurityBody};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use super::{super::person::count, Scene, issuer, signed_in_through};
use crate::oauth::keys::base64url;

/// an account is connected by its owner, comes in through the provider at the mapped level, and the session knows.
#[tokio::test]
async fn a_member_connects_and_comes_in_through_the_provider() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let elsewhere = scene.through().await;
    assert!(elsewhere.is_in(&scene.test).await);
    let sessions = scene.sessions_of_provider().await;
    let [session] = sessions.as_slice() else { panic!("{sessions:?}") };
    assert_eq!(session.authenticated, (Level::Aal2, scene.test.app.now().plus_ms(-5_000 - ms(&scene))));
    let page = elsewhere.get(&scene.test, "/account").await.text().await.unwrap();
    assert!(
        page.contains("with your organization&#39;s sign-in") && !page.contains("Recovery codes"),
        "{page}"
    );
    // Who the server is was proved with its own key, for this issuer alone.
    let (authorization, form) = scene.issuer.seen();
    assert_eq!(authorization, None);
    let claims = claims_of(&form["client_assertion"]);
    assert_eq!(claims["aud"], scene.issuer.url());
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("countersign"), &json!("countersign")));
    let keys = format!("{}/keys", session_path(&scene).await);
    let keys: Value = scene
        .test
        .client
        .get(format!("{}{keys}", scene.test.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert!(keys["keys"][0].get("d").is_none() && keys["keys"][0]["crv"] == "P-256", "{keys}");
    let events = scene.events().await;
    assert_eq!(signed_in_through(&events), 1);
    let linked = |body: &SecurityBody| matches!(body, SecurityBody::FactorAdded { factor, .. } if factor == "provider");
    assert_eq!(count(&events, linked), 1);
    scene.finish().await;
}

/// The fraction of the second in which the test's clock stands: claims have whole seconds.
fn ms(scene: &Scene) -> i64 {
    scene.test.app.now().unix_ms() % 1_000
}

async fn session_path(scene: &Scene) -> String {
    let row = scene.test.app.store.provider(scene.organization).await.unwrap().unwrap();
    format!("/signin/provider/{}", row.provider)
}

fn claims_of(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// what is asked of the provider: PKCE, a state, a nonce, how long ago, and the classes that do.
#[tokio::test]
async fn the_request_asks_for_what_is_checked_later() {
    let scene = Scene::start().await;
    let person = scene.ada.elsewhere(&scene.test);
    let url: Url = scene.begin(&person).await.parse().unwrap();
    let asked: std::collections::HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["scope"], "openid");
    assert_eq!(asked["acr_values"], "silver gold");
    assert_eq!(asked["max_age"], limits::SIGN_IN_S.to_string());
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked[name].len(), base64url(&[0; 32]).len(), "{name}");
    }
    // An address of the domain leads there, too, whether or not anybody has it.
    for typed in ["nobody@example.com", "example.com", " Harbour-Mills"] {
        scene.leave(&person, "/signin/provider", &[("organization", typed)]).await;
    }
    for typed in ["nobody@elsewhere.test", "harbour", ""] {
        let page = person.form(&scene.test, "/signin/provider", &[("organization", typed)]).await;
        assert_eq!(
            (page.status(), page.url().path()),
            (StatusCode::FORBIDDEN, "/signin/provider"),
            "{typed}"
        );
        assert!(page.text().await.unwrap().contains("No organization has a sign-in"), "{typed}");
    }
    scene.finish().await;
}

/// a client secret works where a provider knows no keys, and never stands in the database as it is.
#[tokio::test]
async fn a_client_secret_is_sealed_and_sent_to_the_provider_alone() {
    let scene = Scene::start().await;
    scene.set(&[("authentication", "client_secret"), ("client_secret", issuer::SECRET)]).await;
    // Settings without the secret keep it.
    scene.set(&[("authentication", "client_secret")]).await;
    scene.connect(&scene.ada).await;
    let (authorization, form) = scene.issuer.seen();
    assert_eq!(authorization, Some(issuer::basic("countersign")));
    assert!(!form.contains_key("client_assertion"));
    let row = scene.test.app.store.provider(scene.organization).await.unwrap().unwrap();
    let bytes = [row.sealed.as_slice(), row.settings.as_bytes()].concat();
    assert!(!bytes.windows(issuer::SECRET.len()).any(|window| window == issuer::SECRET.as_bytes()));
    let page = scene.ada.get(&scene.test, &scene.path()).await.text().await.unwrap();
    assert!(!page.contains(issuer::SECRET), "the page does not show it");
    scene.finish().await;
}

/// a dangerous act in such a session asks the provider again, lately and surely enough, and the same person.
#[tokio::test]
async fn a_step_up_goes_back_to_the_provider() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let ada = scene.through().await;
    scene.test.clock.forward_s(limits::STEP_UP_S + 10);
    let again = |level: &'static str| {
        let form = [("return_to", "/account"), ("level", level)];
        let (scene, ada) = (&scene, &ada);
        async move { scene.leave(ada, "/signin/provider/again", &form).await }
    };
    // Its own key or password raises no session of the provider.
    let own = [("password", super::super::person::PASSWORD), ("code", "000000"), ("return_to", "/account")];
    assert_eq!(ada.form(&scene.test, "/signin/again", &own).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let url: Url = again("aal2-phr").await.parse().unwrap();
    let asked: std::collections::HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!((&*asked["acr_values"], &*asked["max_age"]), ("gold", "60"));
    for (why, acr, age_s, subject) in [
        ("not surely enough", "silver", 5, "ada-of-the-provider"),
        ("not mapped", "platinum", 5, "ada-of-the-provider"),
        (
            "too long ago",
            "gold",
            limits::PROVIDER_STEP_UP_S + limits::PROVIDER_SKEW_S + 1,
            "ada-of-the-provider",
        ),
        ("in the future", "gold", -limits::PROVIDER_SKEW_S - 1, "ada-of-the-provider"),
        ("somebody else", "gold", 5, "eve-of-the-provider"),
    ] {
        scene.issuer.spoil(move |claims| {
            claims["acr"] = json!(acr);
            claims["auth_time"] = json!(claims["iat"].as_i64().unwrap() - age_s);
            claims["sub"] = json!(subject);
        });
        let page = ada.get(&scene.test, &scene.issuer.let_in(&again("aal2-phr").await)).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "{why}");
        let text = page.text().await.unwrap();
        assert!(text.contains("href=\"/signin/again?return_to=/account\""), "{why}: {text}");
        // The session goes on as it was.
        assert!(ada.is_in(&scene.test).await, "{why}");
        assert_eq!(scene.sessions_of_provider().await[0].authenticated.0, Level::Aal2, "{why}");
    }
    scene.issuer.spoil(|claims| claims["acr"] = json!("gold"));
    let page = ada.get(&scene.test, &scene.issuer.let_in(&again("aal2-phr").await)).await;
    assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/account"));
    let session = &scene.sessions_of_provider().await[0];
    assert_eq!(session.authenticated.0, Level::Aal2Phr);
    assert!(scene.test.app.now().since_ms(session.authenticated.1) < 7_000);
    let events = scene.events().await;
    let raised = |body: &SecurityBody| {
        matches!(body, SecurityBody::SteppedUp { provider: Some(_), level: Level::Aal2Phr, .. })
    };
    assert_eq!(count(&events, raised), 1);
    scene.finish().await;
}

/// a session of one's own is never raised by a provider, which opens less.
#[tokio::test]
async fn a_provider_raises_no_session_of_the_persons_own() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let form = [("return_to", "/account"), ("level", "aal2")];
    let page = scene.ada.form(&scene.test, "/signin/provider/again", &form).await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    scene.finish().await;
}
