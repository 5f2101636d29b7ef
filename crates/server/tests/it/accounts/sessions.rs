//! Sessions: how long they last, that they can be seen and ended, and the proof before something dangerous.

use countersign_core::limits;
use reqwest::StatusCode;

use super::person::{PASSWORD, hidden};
use crate::app::TestApp;

const ADA: &str = "ada@example.com";

/// a session ends after half an hour without activity, and after twelve hours in any case.
#[tokio::test]
async fn a_session_ends_when_idle_and_after_twelve_hours() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    test.clock.forward_s(limits::SIGN_IN_IDLE_S - 1);
    assert!(ada.is_in(&test).await);
    test.clock.forward_s(limits::SIGN_IN_IDLE_S - 1);
    assert!(ada.is_in(&test).await, "each visit moves the end");
    test.clock.forward_s(limits::SIGN_IN_IDLE_S);
    assert!(!ada.is_in(&test).await);

    ada.sign_in(&test).await;
    let step_s = limits::SIGN_IN_IDLE_S / 2;
    for _ in 0..limits::SIGN_IN_S / step_s - 1 {
        test.clock.forward_s(step_s);
        assert!(ada.is_in(&test).await);
    }
    test.clock.forward_s(step_s);
    assert!(!ada.is_in(&test).await, "twelve hours are over, however much was done");
    test.work().await;
    test.finish().await;
}

/// a step-up sets another cookie, and the one of before opens nothing.
#[tokio::test]
async fn each_proof_sets_another_cookie() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let post = |path: &str, cookies: &str, form: &[(&str, &str)]| {
        // This client follows no ways and keeps no cookies.
        let request = test.client.post(format!("{}{path}", test.url)).header("sec-fetch-site", "same-origin");
        request.header("cookie", cookies).form(form).send()
    };
    let is_in = |cookie: String| {
        let request = test.client.get(format!("{}/account", test.url)).header("cookie", cookie);
        async move { request.send().await.unwrap().status() == StatusCode::OK }
    };
    let half_way = post("/signin", "", &[("email", ADA), ("password", PASSWORD)]).await.unwrap();
    let half_way = cookies_of(&half_way);
    let code = ada.code(&test);
    let first = cookies_of(&post("/signin/code", &half_way, &[("code", &code)]).await.unwrap());
    assert!(is_in(first.clone()).await, "{first}");
    let code = ada.code(&test);
    let form = [("password", PASSWORD), ("code", code.as_str())];
    let second = cookies_of(&post("/signin/again", &first, &form).await.unwrap());
    assert_ne!(first, second);
    assert!(is_in(second).await);
    assert!(!is_in(first).await, "the cookie of before opens nothing");
    assert!(!is_in(half_way).await);
    test.work().await;
    test.finish().await;
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies_of(response: &reqwest::Response) -> String {
    let values = response.headers().get_all("set-cookie").iter();
    let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
    for value in &values {
        for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(value.starts_with("__Host-") && value.contains(part), "{value}");
        }
    }
    let set = values
        .iter()
        .filter(|value| !value.contains("Max-Age=0"))
        .map(|value| value.split_once(';').unwrap().0);
    set.collect::<Vec<_>>().join("; ")
}

/// sessions are listed with device and address, and can be ended one by one, or all.
#[tokio::test]
async fn sessions_are_listed_and_can_be_ended() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let (second, third) = (ada.elsewhere(&test), ada.elsewhere(&test));
    second.sign_in(&test).await;
    third.sign_in(&test).await;
    let page = ada.get(&test, "/account").await.text().await.unwrap();
    assert_eq!(page.matches("From 127.0.0.1, with password and one-time code").count(), 3, "{page}");
    let one = hidden(&page, "session");
    let page = ada.form(&test, "/account/sessions/end", &[("session", &one)]).await;
    assert_eq!(page.status(), StatusCode::OK);
    let ended = [second.is_in(&test).await, third.is_in(&test).await];
    assert_eq!(ended.iter().filter(|is_in| !**is_in).count(), 1, "{ended:?}");
    let again = ada.form(&test, "/account/sessions/end", &[("session", &one)]).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);

    ada.form(&test, "/account/sessions/end", &[]).await;
    assert!(!second.is_in(&test).await && !third.is_in(&test).await && ada.is_in(&test).await);
    let out = ada.form(&test, "/signout", &[]).await;
    assert_eq!(out.url().path(), "/signin");
    assert!(!ada.is_in(&test).await);
    let kinds = test.security_kinds(organization).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "user.signed_out").count(), 3);
    test.work().await;
    test.finish().await;
}

/// the session of another user is not found.
#[tokio::test]
async fn nobody_ends_the_session_of_another() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let (_, bob) = test.owner("Copper Works", "bob@example.com").await;
    let other = bob.elsewhere(&test);
    other.sign_in(&test).await;
    let page = bob.get(&test, "/account").await.text().await.unwrap();
    let session = hidden(&page, "session");
    let answer = ada.form(&test, "/account/sessions/end", &[("session", &session)]).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(other.is_in(&test).await);
    test.work().await;
    test.finish().await;
}

/// what is dangerous asks for a proof of the last ten minutes, and is done after it.
#[tokio::test]
async fn a_dangerous_act_asks_for_a_fresh_proof() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    test.clock.forward_s(limits::STEP_UP_S + 1);
    for path in ["/account/password", "/account/codes", "/account/recovery"] {
        assert_eq!(ada.lands_on(&test, path).await, "/signin/again", "{path}");
    }
    for path in ["/account/recovery", "/account/sessions/end", "/account/password/remove"] {
        let answer = ada.form(&test, path, &[]).await;
        assert_eq!(answer.url().path(), "/signin/again", "{path}");
    }
    let changed = ada.form(&test, "/account/password", &[("password", super::person::OTHER_PASSWORD)]).await;
    assert_eq!(changed.url().path(), "/signin/again");
    let (status, answer) = ada.post(&test, "/account/passkeys/options", &serde_json::json!({})).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("step_up_required")));

    let wrong = [("password", "not this one at all"), ("code", "000000"), ("return_to", "/account")];
    assert_eq!(ada.form(&test, "/signin/again", &wrong).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ada.lands_on(&test, "/account/recovery").await, "/signin/again");
    ada.confirm(&test).await;
    assert_eq!(ada.lands_on(&test, "/account/recovery").await, "/account/recovery");
    let kinds = test.security_kinds(organization).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "user.stepped_up").count(), 1, "{kinds:?}");
    test.work().await;
    test.finish().await;
}
