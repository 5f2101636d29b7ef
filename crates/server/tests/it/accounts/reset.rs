//! Resetting a password: a mailed link, and the second factor beside it.

use countersign_core::{limits, security::SecurityBody};
use reqwest::StatusCode;
use serde_json::json;

use super::person::{OTHER_PASSWORD, PASSWORD, Person, count, secret_of};
use crate::app::{Key, TestApp};

const ADA: &str = "ada@example.com";

/// Asks for a link, and takes it from the mailbox.
async fn link(test: &TestApp, key: &Key, person: &Person) -> String {
    let asked = person.form(test, "/reset", &[("email", &person.email)]).await;
    assert_eq!(asked.status(), StatusCode::OK);
    let letters = test.letters(key, &person.email).await;
    let words = letters.iter().flat_map(|letter| letter.text.split_whitespace());
    let found = words.into_iter().find(|word| word.contains("/reset/password#csi_"));
    secret_of(found.expect("a mail with a link"))
}

/// the mailed link alone resets nothing; with a code of the app it does, and everything else ends.
#[tokio::test]
async fn a_mailed_link_alone_resets_nothing() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    let thief = Person::new(&test, ADA);
    let secret = link(&test, &key, &thief).await;
    let preview = thief.ask(&test, "/reset/password/open", &json!({ "secret": secret })).await;
    assert_eq!(preview["needs_second"], true);
    for more in [json!({}), json!({ "code": "000000" }), json!({ "code": "0000-0000-0000-0000" })] {
        let mut form = json!({ "secret": secret, "password": OTHER_PASSWORD });
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = thief.post(&test, "/reset/password", &form).await;
        assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!("sign_in_refused")), "{answer}");
    }
    assert!(ada.is_in(&test).await && !thief.is_in(&test).await);

    let other = ada.elsewhere(&test);
    let form = json!({ "secret": secret, "password": OTHER_PASSWORD, "code": ada.code(&test) });
    assert_eq!(other.ask(&test, "/reset/password", &form).await["next"], "/account");
    assert!(other.is_in(&test).await);
    assert!(!ada.is_in(&test).await, "every session of before has ended");
    assert_eq!(ada.elsewhere(&test).password(&test, PASSWORD).await.status(), StatusCode::FORBIDDEN);
    test.clock.forward_s(10);
    let step = ada.elsewhere(&test).password(&test, OTHER_PASSWORD).await;
    assert_eq!(step.url().path(), "/signin/code");
    let (status, _) = other.post(&test, "/reset/password/open", &json!({ "secret": secret })).await;
    assert_eq!(status, StatusCode::GONE, "a link works once");
    let letters = test.letters(&key, ADA).await;
    assert!(letters[0].header("Subject").contains("Your password was reset"), "{:?}", letters[0]);
    assert!(!letters[0].text.contains("http"), "a notice has no link");
    let events = test.security(organization).await;
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::PasswordChanged { .. })), 1);
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::ResetAsked { .. })), 1);
    assert!(count(&events, |body| matches!(body, SecurityBody::SignedOut { .. })) >= 1);
    test.work().await;
    test.finish().await;
}

/// a recovery code stands for the app that is lost, once.
#[tokio::test]
async fn a_recovery_code_resets_with_the_link() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    let codes = ada.recovery_codes(&test).await;
    let browser = Person::new(&test, ADA);
    let secret = link(&test, &key, &browser).await;
    let form = json!({ "secret": secret, "password": OTHER_PASSWORD, "code": codes[3].to_uppercase() });
    browser.ask(&test, "/reset/password", &form).await;
    assert!(browser.is_in(&test).await);
    let again = Person::new(&test, ADA);
    let step = again.password(&test, OTHER_PASSWORD).await;
    assert_eq!(step.url().path(), "/signin/code");
    assert_eq!(again.type_code(&test, &codes[3]).await.status(), StatusCode::FORBIDDEN, "used up");
    assert_eq!(again.type_code(&test, &codes[4]).await.url().path(), "/account");
    test.work().await;
    test.finish().await;
}

/// an unknown address is told the same, and gets no mail; nobody's mailbox is filled.
#[tokio::test]
async fn asking_for_a_link_tells_nothing() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    let mut answers = Vec::new();
    for email in ["nobody@example.com", "no address", ADA, ADA, ADA, ADA, ADA, ADA] {
        let answer = ada.form(&test, "/reset", &[("email", email)]).await;
        answers.push((answer.status(), answer.text().await.unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(test.letters(&key, "nobody@example.com").await.is_empty());
    assert_eq!(test.letters(&key, ADA).await.len(), limits::RESETS_OPEN);
    test.work().await;
    test.finish().await;
}

/// a link to reset ends after 15 minutes, and is good for nothing else.
#[tokio::test]
async fn a_link_to_reset_ends_with_its_time() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    let secret = link(&test, &key, &ada).await;
    let (status, _) = ada.post(&test, "/welcome/open", &json!({ "secret": secret })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    test.clock.forward_s(limits::RESET_S);
    let (status, answer) = ada.post(&test, "/reset/password/open", &json!({ "secret": secret })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("link_expired")));
    test.work().await;
    test.finish().await;
}
