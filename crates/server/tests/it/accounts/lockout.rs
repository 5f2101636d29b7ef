//! Guessing: strangers are slowed down and stopped, and the owner's known device is not (G-4).

use countersign_core::security::SecurityBody;
use reqwest::StatusCode;

use super::person::{OTHER_PASSWORD, PASSWORD, Person, count};
use crate::app::TestApp;

const ADA: &str = "ada@example.com";

/// G-4: while strangers guess, the owner comes in from a known device; from an unknown one nobody does.
#[tokio::test]
async fn strangers_cannot_lock_the_owner_out_of_a_known_device() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    ada.form(&test, "/signout", &[]).await;
    let stranger = Person::new(&test, ADA);
    for _ in 0..40 {
        test.clock.forward_s(600);
        assert_eq!(stranger.password(&test, OTHER_PASSWORD).await.status(), StatusCode::FORBIDDEN);
    }
    let unknown_device = ada.elsewhere(&test);
    assert_eq!(unknown_device.password(&test, PASSWORD).await.status(), StatusCode::FORBIDDEN, "locked");
    ada.sign_in(&test).await;
    let events = test.security(organization).await;
    assert!(count(&events, |body| matches!(body, SecurityBody::Locked { .. })) >= 1);
    let failed = count(&events, |body| matches!(body, SecurityBody::SignInFailed { .. }));
    assert!((10..=30).contains(&failed), "what was not verified is not told one by one: {failed}");
    // The owner came in: all begin anew.
    unknown_device.sign_in(&test).await;
    test.work().await;
    test.finish().await;
}

/// G-4: a day of guessing by ten thousand addresses verifies thirty passwords and no more.
#[tokio::test]
async fn a_day_of_guessing_verifies_thirty_passwords() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    ada.form(&test, "/signout", &[]).await;
    let stranger = Person::new(&test, ADA);
    for _ in 0..24 * 12 {
        test.clock.forward_s(300);
        stranger.password(&test, OTHER_PASSWORD).await;
    }
    let events = test.security(organization).await;
    let failed = count(&events, |body| matches!(body, SecurityBody::SignInFailed { .. }));
    assert_eq!(failed, 30);
    test.work().await;
    test.finish().await;
}

/// G-4: codes are counted apart from passwords, before they are verified.
#[tokio::test]
async fn codes_are_counted_too() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let thief = ada.elsewhere(&test);
    thief.password(&test, PASSWORD).await;
    for _ in 0..3 {
        assert_eq!(thief.type_code(&test, "000000").await.status(), StatusCode::FORBIDDEN);
    }
    // The fourth comes within the second, and is not verified although it is right.
    let right = super::person::code_at(&ada.secret, test.app.now().plus_s(30));
    assert_eq!(thief.type_code(&test, &right).await.status(), StatusCode::FORBIDDEN);
    test.clock.forward_s(30);
    let right = super::person::code_at(&ada.secret, test.app.now());
    assert_eq!(thief.type_code(&test, &right).await.url().path(), "/account");
    test.work().await;
    test.finish().await;
}

/// G-4: the cookie of a device is good for its own account, and cannot be made.
#[tokio::test]
async fn a_device_is_known_to_its_own_account_alone() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let (_, bob) = test.owner("Copper Works", "bob@example.com").await;
    let stranger = Person::new(&test, ADA);
    for _ in 0..20 {
        stranger.password(&test, OTHER_PASSWORD).await;
    }
    // Bob's browser knows Bob; for Ada it is a stranger's.
    let as_ada = Person { email: ADA.to_owned(), secret: ada.secret.clone(), http: bob.http.clone() };
    assert_eq!(as_ada.password(&test, PASSWORD).await.status(), StatusCode::FORBIDDEN);
    test.work().await;
    test.finish().await;
}
