//! Changing what opens an account: the old one ends, everything else ends, and its owner is told.

use countersign_core::security::SecurityBody;
use reqwest::StatusCode;

use super::person::{OTHER_PASSWORD, PASSWORD, Person, code_at, count, error_of, hidden, shown_codes};
use crate::app::TestApp;

const ADA: &str = "ada@example.com";

/// another password ends all other sessions, and is told by mail and event; this session goes on.
#[tokio::test]
async fn another_password_ends_all_other_sessions() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    let other = ada.elsewhere(&test);
    other.sign_in(&test).await;
    let before = test.app.store.members(organization).await.unwrap()[0].user;
    let valid_from = test.app.store.user(before).await.unwrap().unwrap().valid_from;
    for (wrong, said) in
        [("short", "at least 12"), ("passwordpassword", "list"), ("harbour mills 1", "organization")]
    {
        let answer = ada.form(&test, "/account/password", &[("password", wrong)]).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = answer.text().await.unwrap();
        assert!(error_of(&page).unwrap().contains(said), "{page}");
    }
    let done = ada.form(&test, "/account/password", &[("password", OTHER_PASSWORD)]).await;
    assert_eq!(done.url().path(), "/account");
    assert!(done.text().await.unwrap().contains("The password was changed"));
    assert!(ada.is_in(&test).await && !other.is_in(&test).await);
    let user = test.app.store.user(before).await.unwrap().unwrap();
    assert!(user.valid_from > valid_from, "grants of before have ended");
    assert_eq!(other.password(&test, PASSWORD).await.status(), StatusCode::FORBIDDEN);
    let events = test.security(organization).await;
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::PasswordChanged { .. })), 1);
    let subject = test.letters(&key, ADA).await[0].header("Subject").to_owned();
    assert!(subject.contains("Your password was changed"), "{subject}");
    test.work().await;
    test.finish().await;
}

/// another app takes the place of the one before, whose codes are worth nothing then.
#[tokio::test]
async fn another_app_takes_the_place_of_the_one_before() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let page = ada.form(&test, "/account/codes", &[]).await.text().await.unwrap();
    let (_, rest) = page.split_once("id=\"secret-text\">").unwrap();
    let secret = rest.split_once('<').unwrap().0.to_owned();
    let state = hidden(&page, "state");
    test.clock.forward_s(60);
    let wrong = ada.form(&test, "/account/codes/finish", &[("state", &state), ("code", "000000")]).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let code = code_at(&secret, test.app.now());
    let done = ada.form(&test, "/account/codes/finish", &[("state", &state), ("code", &code)]).await;
    assert_eq!(done.url().path(), "/account");
    test.clock.forward_s(60);
    let browser = ada.elsewhere(&test);
    browser.password(&test, PASSWORD).await;
    let old = code_at(&ada.secret, test.app.now());
    assert_eq!(browser.type_code(&test, &old).await.status(), StatusCode::FORBIDDEN);
    let new = code_at(&secret, test.app.now());
    assert_eq!(browser.type_code(&test, &new).await.url().path(), "/account");
    let events = test.security(organization).await;
    let is_totp = |factor: &str| factor == "totp";
    assert_eq!(
        count(&events, |body| matches!(body, SecurityBody::FactorAdded { factor, .. } if is_totp(factor))),
        2
    );
    assert_eq!(
        count(&events, |body| matches!(body, SecurityBody::FactorRemoved { factor, .. } if is_totp(factor))),
        1
    );
    test.work().await;
    test.finish().await;
}

/// recovery codes are shown once, good once each, and replaced as a set; a set that nobody kept is worth nothing.
#[tokio::test]
async fn recovery_codes_are_good_once_and_replaced_as_a_set() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    let first = ada.recovery_codes(&test).await;
    let unkept = ada.form(&test, "/account/recovery", &[]).await.text().await.unwrap();
    let unkept = shown_codes(&unkept);
    let state = "x";
    let forged = ada.form(&test, "/account/recovery/keep", &[("state", state), ("kept", "yes")]).await;
    assert_eq!(forged.url().path(), "/account/recovery");
    let tries = |code: String| {
        let (test, browser) = (&test, ada.elsewhere(&test));
        async move {
            test.clock.forward_s(3_600);
            assert_eq!(browser.password(test, PASSWORD).await.url().path(), "/signin/code");
            let answer = browser.type_code(test, &code).await;
            answer.url().path() == "/account"
        }
    };
    assert!(!tries(unkept[0].clone()).await);
    assert!(tries(first[0].clone()).await);
    assert!(!tries(first[0].clone()).await, "each works once");
    assert!(tries(format!(" {} ", first[1].replace('-', " ").to_uppercase())).await);
    let subject = test.letters(&key, ADA).await[0].header("Subject").to_owned();
    assert!(subject.contains("A recovery code was used"), "{subject}");
    ada.sign_in(&test).await;
    let page = ada.get(&test, "/account").await.text().await.unwrap();
    assert!(page.contains("8 of 10 are left"), "{page}");
    let second = ada.recovery_codes(&test).await;
    assert!(!tries(first[2].clone()).await, "the set of before is worth nothing");
    assert!(tries(second[0].clone()).await);
    test.work().await;
    test.finish().await;
}

/// the last way in cannot be turned off, and a password is not without codes.
#[tokio::test]
async fn the_last_way_in_stays() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let answer = ada.form(&test, "/account/password/remove", &[]).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(ada.is_in(&test).await);
    let stranger = Person::new(&test, ADA);
    assert_eq!(stranger.form(&test, "/account/password/remove", &[]).await.url().path(), "/signin");
    test.work().await;
    test.finish().await;
}

/// D-2: neither name nor address, password, secret nor code of an account is in the database as it is.
#[tokio::test]
async fn the_database_has_no_plain_text_of_an_account() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let codes = ada.recovery_codes(&test).await;
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(test.folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            stored.extend(std::fs::read(path).unwrap());
        }
    }
    let secret = ada.secret.replace(' ', "");
    for plain in [
        ADA,
        "Ada Lovelace",
        PASSWORD,
        &secret,
        &codes[0],
        &codes[0].replace('-', ""),
        "argon2id",
        "127.0.0.1",
    ] {
        let found = stored.windows(plain.len()).any(|window| window.eq_ignore_ascii_case(plain.as_bytes()));
        assert!(!found, "{plain}");
    }
    assert!(stored.windows(13).any(|window| window == b"Harbour Mills"), "the search finds what is there");
    test.work().await;
    test.finish().await;
}
