//! Answers that are not taken.

use countersign_core::limits;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Scene, issuer::How};

type Spoil = Box<dyn Fn(&mut Value) + Send + Sync>;

/// A-10, G-7: an ID token that does not fit in any one way opens nothing, and the organization reads why.
#[tokio::test]
async fn an_answer_that_does_not_fit_opens_nothing() {
    let scene = Scene::start().await;
    scene.set(&[("authentication", "client_secret"), ("client_secret", super::issuer::SECRET)]).await;
    scene.connect(&scene.ada).await;
    let person = scene.ada.elsewhere(&scene.test);
    let remove =
        |name: &'static str| move |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(name));
    let cases: Vec<(&str, How, Spoil)> = vec![
        ("issuer", How::Well, Box::new(|claims| claims["iss"] = json!("https://evil.test"))),
        ("audience", How::Well, Box::new(|claims| claims["aud"] = json!("another"))),
        ("audience", How::Well, Box::new(|claims| claims["aud"] = json!(["countersign", "another"]))),
        ("audience", How::Well, Box::new(remove("aud"))),
        ("audience", How::Well, Box::new(|claims| claims["azp"] = json!("another"))),
        ("nonce", How::Well, Box::new(|claims| claims["nonce"] = json!("another"))),
        ("nonce", How::Well, Box::new(remove("nonce"))),
        ("expired", How::Well, Box::new(|claims| claims["exp"] = claims["iat"].clone())),
        ("", How::Well, Box::new(remove("exp"))),
        ("iat", How::Well, Box::new(|claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() - 120))),
        ("auth_time", How::Well, Box::new(remove("auth_time"))),
        (
            "auth_time",
            How::Well,
            Box::new(|claims| {
                let long = limits::SIGN_IN_S + limits::PROVIDER_SKEW_S + 1;
                claims["auth_time"] = json!(claims["iat"].as_i64().unwrap() - long);
            }),
        ),
        ("level", How::Well, Box::new(|claims| claims["acr"] = json!("platinum"))),
        ("level", How::Well, Box::new(|claims| claims["acr"] = json!("bronze"))),
        ("level", How::Well, Box::new(remove("acr"))),
        ("", How::Unsigned, Box::new(|_| {})),
        ("algorithm", How::Hs256, Box::new(|_| {})),
        ("signature", How::OtherKey, Box::new(|_| {})),
        ("not_connected", How::Well, Box::new(|claims| claims["sub"] = json!("somebody-else"))),
    ];
    let count = cases.len();
    for (why, how, spoil) in cases {
        scene.issuer.answer_like(how);
        scene.issuer.spoil(spoil);
        let page = scene.come_in(&person).await;
        let (status, text) = (page.status(), page.text().await.unwrap());
        assert_eq!(status, StatusCode::FORBIDDEN, "{why} {how:?}: {text}");
        assert!(text.contains("You are not signed in yet"), "{text}");
        assert!(!person.is_in(&scene.test).await, "{why} {how:?}");
        let failures = scene.failures().await;
        let last = failures.last().unwrap();
        assert!(last.contains(why), "{why} {how:?}: {last}");
    }
    assert_eq!(scene.failures().await.len(), count);
    assert!(scene.sessions_of_provider().await.is_empty());
    // And nothing stays behind: the next right answer opens.
    scene.issuer.answer_like(How::Well);
    scene.issuer.spoil(|_| {});
    scene.come_in(&person).await;
    assert!(person.is_in(&scene.test).await);
    scene.finish().await;
}

/// L-4, A-10: what a provider or a stranger writes reaches no event: errors are told by their registered codes.
#[tokio::test]
async fn what_a_provider_writes_is_no_reason() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let person = scene.ada.elsewhere(&scene.test);
    for (error, told) in [
        ("access_denied", "access_denied"),
        ("login_required", "login_required"),
        ("call-0123456", "other"),
        ("not_connected", "other"),
    ] {
        let back = scene.issuer.let_in(&scene.begin(&person).await);
        let back = back.replace("code=code", &format!("error={error}&error_description=call-0123456&x=code"));
        assert_eq!(person.get(&scene.test, &back).await.status(), StatusCode::FORBIDDEN, "{error}");
        assert_eq!(scene.failures().await.last(), Some(&told), "{error}");
    }
    for (how, told) in
        [(How::Refuses("invalid_grant"), "invalid_grant"), (How::Refuses("call-0123456"), "other")]
    {
        scene.issuer.answer_like(how);
        assert_eq!(scene.come_in(&person).await.status(), StatusCode::FORBIDDEN, "{how:?}");
        assert_eq!(scene.failures().await.last(), Some(&told), "{how:?}");
    }
    let events = serde_json::to_string(&scene.events().await).unwrap();
    assert!(!events.contains("0123456"), "{events}");
    scene.finish().await;
}

/// A-10, G-7: a response is good once, in the browser that began, for the provider that it is of, and in its time.
#[tokio::test]
async fn a_response_is_good_once_and_in_the_browser_that_began() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let (ada, other) = (scene.ada.elsewhere(&scene.test), scene.ada.elsewhere(&scene.test));
    let refused = |person, back: String| {
        let scene = &scene;
        async move {
            let page: reqwest::Response = super::Person::get(person, &scene.test, &back).await;
            assert_eq!(page.status(), StatusCode::FORBIDDEN, "{back}");
            assert!(page.text().await.unwrap().contains("You are not signed in yet"));
        }
    };
    // Of another browser: somebody who gives away a link that signs in as him.
    let back = scene.issuer.let_in(&scene.begin(&ada).await);
    refused(&other, back.clone()).await;
    scene.begin(&other).await;
    refused(&other, back.clone()).await;
    assert!(!other.is_in(&scene.test).await);
    // A look alone (RFC 9110 §9.3.2) uses nothing up.
    let looked = ada.http.head(format!("{}{back}", scene.test.url)).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::NO_CONTENT);
    // What is spoilt on the way, each with a request of its own: the state, the issuer (RFC 9207), a parameter twice.
    let spoilt: [fn(&str) -> String; 5] = [
        |back| back.replace("state=", "state=x"),
        |back| back.replace("iss=https", "iss=http"),
        |back| back.split("&iss=").next().unwrap().to_owned(),
        |back| format!("{back}&code=again"),
        |back| back.replace("code=code", "error=access_denied&x=code"),
    ];
    for spoil in spoilt {
        let back = scene.issuer.let_in(&scene.begin(&ada).await);
        refused(&ada, spoil(&back)).await;
    }
    // Where the metadata does not promise it, a response may leave its issuer out.
    scene.issuer.name_issuer(false);
    scene.test.clock.forward_s(60);
    let back = scene.issuer.let_in(&scene.begin(&ada).await);
    let page = ada.get(&scene.test, back.split("&iss=").next().unwrap()).await;
    assert_eq!(page.url().path(), "/account");
    scene.issuer.name_issuer(true);
    scene.test.clock.forward_s(60);
    // Twenty times at once: one opens a session.
    let back = scene.issuer.let_in(&scene.begin(&ada).await);
    let all = futures_util::future::join_all((0..20).map(|_| ada.get(&scene.test, &back))).await;
    assert_eq!(all.iter().filter(|page| page.status() == StatusCode::OK).count(), 1);
    assert_eq!(scene.sessions_of_provider().await.len(), 2);
    // Too late.
    let back = scene.issuer.let_in(&scene.begin(&other).await);
    scene.test.clock.forward_s(limits::PROVIDER_S);
    refused(&other, back).await;
    scene.finish().await;
}

/// an answer to a request of one provider is none of another's.
#[tokio::test]
async fn a_response_of_one_provider_is_not_taken_for_anothers() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let person = scene.ada.elsewhere(&scene.test);
    let back = scene.issuer.let_in(&scene.begin(&person).await);
    let own = scene.test.app.store.provider(scene.organization).await.unwrap().unwrap().provider.to_string();
    let other = countersign_core::id::ProviderId::from_bytes([7; 16]).to_string();
    let page = person.get(&scene.test, &back.replace(&own, &other)).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(!person.is_in(&scene.test).await);
    scene.finish().await;
}

/// a provider that is down, slow or sends too much is told in words, and nothing is lost.
#[tokio::test]
async fn a_provider_that_does_not_answer_costs_nothing_but_time() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let person = scene.ada.elsewhere(&scene.test);
    for how in [How::Broken, How::Never, How::Huge] {
        let back = scene.issuer.let_in(&scene.begin(&person).await);
        scene.issuer.answer_like(how);
        scene.test.clock.forward_s(60);
        let form = [("organization", "harbour-mills"), ("return_to", "/account/recovery")];
        let gone = person.form(&scene.test, "/signin/provider", &form).await;
        assert_eq!(gone.status(), StatusCode::SERVICE_UNAVAILABLE, "{how:?}");
        let text = gone.text().await.unwrap();
        assert!(
            text.contains("does not answer") && text.contains("/signin?return_to=/account/recovery"),
            "{text}"
        );
        assert_eq!(person.get(&scene.test, &back).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{how:?}");
        assert_eq!(scene.failures().await.last(), Some(&"unreachable"), "{how:?}");
        scene.issuer.answer_like(How::Well);
        scene.test.clock.forward_s(10);
    }
    // Or only the token endpoint does not.
    let back = scene.issuer.let_in(&scene.begin(&person).await);
    scene.issuer.answer_like(How::Broken);
    assert_eq!(person.get(&scene.test, &back).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(scene.failures().await.last(), Some(&"token_response"));
    scene.issuer.answer_like(How::Well);
    assert!(scene.ada.is_in(&scene.test).await, "other sessions go on");
    scene.come_in(&person).await;
    assert!(person.is_in(&scene.test).await);
    scene.finish().await;
}
