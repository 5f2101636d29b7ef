//! Signing in with a password and a code, and what is not let in.

use countersign_core::limits;
use reqwest::{Method, StatusCode, header};

use super::person::{OTHER_PASSWORD, PASSWORD, Person, code_at, error_of};
use crate::app::{Options, TestApp};

const ADA: &str = "ada@example.com";

/// a password and then a code of the app; the session is of two factors.
#[tokio::test]
async fn a_password_and_a_code_open_a_session() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let elsewhere = ada.elsewhere(&test);
    assert!(!elsewhere.is_in(&test).await);
    elsewhere.sign_in(&test).await;
    assert!(elsewhere.is_in(&test).await);
    let kinds = test.security_kinds(organization).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "user.signed_in").count(), 2);
    test.work().await;
    test.finish().await;
}

/// a right password alone opens nothing where a second factor is enrolled.
#[tokio::test]
async fn a_password_alone_opens_nothing() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let elsewhere = ada.elsewhere(&test);
    let step = elsewhere.password(&test, PASSWORD).await;
    assert_eq!(step.url().path(), "/signin/code");
    for path in ["/account", "/account/codes", "/account/recovery", "/account/password"] {
        assert_eq!(elsewhere.lands_on(&test, path).await, "/signin", "{path}");
    }
    // Half way lasts for ten minutes.
    test.clock.forward_s(limits::SECOND_FACTOR_S);
    let late = elsewhere.type_code(&test, &code_at(&ada.secret, test.app.now())).await;
    assert_eq!(late.url().path(), "/signin");
    assert!(!elsewhere.is_in(&test).await);
    test.work().await;
    test.finish().await;
}

/// A-10, G-7: a code is good once, in its half minute or the one beside it, and never one that is older than the last.
#[tokio::test]
async fn a_code_is_good_once_and_in_its_time() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let tries = |code: String| {
        let (test, ada) = (&test, &ada);
        async move {
            let browser = ada.elsewhere(test);
            browser.password(test, PASSWORD).await;
            browser.type_code(test, &code).await.url().path() == "/account"
        }
    };
    test.clock.forward_s(3_600);
    let now = test.app.now();
    assert!(!tries(code_at(&ada.secret, now.plus_s(-60))).await, "two steps ago");
    test.clock.forward_s(3_600);
    let now = test.app.now();
    let code = code_at(&ada.secret, now);
    let before = code_at(&ada.secret, now.plus_s(-30));
    assert!(tries(code.clone()).await);
    assert!(!tries(code).await, "the same again");
    test.clock.forward_s(3_600);
    assert!(!tries(before).await);
    test.clock.forward_s(3_600);
    let now = test.app.now();
    assert!(tries(code_at(&ada.secret, now.plus_s(30))).await, "a clock that is ahead");
    assert!(!tries(code_at(&ada.secret, now)).await, "older than the last");
    test.work().await;
    test.finish().await;
}

/// unknown, wrong and locked are told in the same words, with the same status.
#[tokio::test]
async fn unknown_wrong_and_locked_are_one_answer() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let ask = |email: &str, password: &str| {
        let person = Person { email: email.to_owned(), ..ada.elsewhere(&test) };
        let (test, password) = (&test, password.to_owned());
        async move {
            let response = person.password(test, &password).await;
            let (status, headers) = (response.status(), response.headers().clone());
            let page = response.text().await.unwrap().replace(&person.email, "");
            assert!(!headers.contains_key(header::SET_COOKIE), "{headers:?}");
            (status, page)
        }
    };
    let unknown = ask("nobody@example.com", OTHER_PASSWORD).await;
    assert_eq!(unknown.0, StatusCode::FORBIDDEN);
    assert!(error_of(&unknown.1).unwrap().contains("too often"), "{}", unknown.1);
    assert_eq!(ask(ADA, OTHER_PASSWORD).await, unknown, "wrong");
    assert_eq!(ask("no address", OTHER_PASSWORD).await, unknown);
    assert_eq!(ask(ADA, "x").await, unknown, "too short to be one");
    for _ in 0..6 {
        assert_eq!(ask(ADA, OTHER_PASSWORD).await, unknown);
    }
    assert_eq!(ask(ADA, PASSWORD).await, unknown, "locked, and the password is right");
    test.work().await;
    test.finish().await;
}

/// after signing in one goes on to a page of this server, and to no other.
#[tokio::test]
async fn signing_in_leads_to_pages_of_this_server_alone() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    for (wished, expected) in [
        ("/account/recovery", "/account/recovery"),
        ("//evil.test/", "/account"),
        ("https://evil.test", "/account"),
        ("/account/../s/x", "/account"),
    ] {
        let browser = ada.elsewhere(&test);
        let asked = browser.get(&test, &format!("/signin?return_to={}", wished.replace(':', "%3A"))).await;
        assert_eq!(asked.status(), StatusCode::OK);
        let form = [("email", ADA), ("password", PASSWORD), ("return_to", wished)];
        browser.form(&test, "/signin", &form).await;
        let page = browser.type_code(&test, &ada.code(&test)).await;
        assert_eq!(page.url().path(), expected, "{wished}");
        assert_eq!(page.url().host_str(), Some("sign.test"));
    }
    let strict = ada.get(&test, "/signin?return_to=/account&surprise=1").await;
    assert_eq!(strict.status(), StatusCode::BAD_REQUEST);
    test.work().await;
    test.finish().await;
}

/// Another site cannot make a browser sign in, sign out or change anything.
#[tokio::test]
async fn another_sites_forms_do_nothing() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    for path in [
        "/signin",
        "/signout",
        "/account/sessions/end",
        "/account/recovery",
        "/reset",
        "/signin/passkey/options",
    ] {
        for site in ["cross-site", "same-site", "none"] {
            let request = ada.http.request(Method::POST, format!("{}{path}", test.url));
            let response = request.header("sec-fetch-site", site).form(&[("x", "y")]).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {site}");
        }
    }
    assert!(ada.is_in(&test).await);
    test.work().await;
    test.finish().await;
}

/// an account whose second factor was lost in the database lets its owner in to add one, and to nothing else.
#[tokio::test]
async fn a_password_without_a_second_factor_opens_the_page_to_add_one_alone() {
    let test = TestApp::start_with(Options::default()).await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let user = test.app.store.members(organization).await.unwrap()[0].user;
    let rows = test.app.store.authenticators(user).await.unwrap();
    let ended = countersign_store::access_rows::AuthenticatorRow {
        ended_at: Some(test.app.now()),
        version: rows[0].version + 1,
        ..rows[0].clone()
    };
    let changes = vec![countersign_store::access_rows::Change::Authenticator(ended)];
    test.app.store.commit(countersign_store::Batch { changes, ..Default::default() }).await.unwrap();

    let mut ada = ada.elsewhere(&test);
    let page = ada.password(&test, PASSWORD).await;
    assert_eq!(page.url().path(), "/account/codes");
    for path in ["/account", "/account/recovery", "/account/password", "/signin/again"] {
        assert_eq!(ada.lands_on(&test, path).await, "/signin", "{path}");
    }
    let page = ada.form(&test, "/account/codes", &[]).await.text().await.unwrap();
    let (_, rest) = page.split_once("id=\"secret-text\">").unwrap();
    rest.split_once('<').unwrap().0.clone_into(&mut ada.secret);
    let state = super::person::hidden(&page, "state");
    let code = ada.code(&test);
    let done = ada.form(&test, "/account/codes/finish", &[("state", &state), ("code", &code)]).await;
    assert_eq!(done.url().path(), "/account");
    test.work().await;
    test.finish().await;
}
