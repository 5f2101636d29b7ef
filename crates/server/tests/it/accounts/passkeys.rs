//! Passkeys through HTTPS, with one in software that also lies (A-10, G-7).

use countersign_core::{limits, security::SecurityBody};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    person::{PASSWORD, Person, count, secret_of},
    soft_key::SoftKey,
};
use crate::app::TestApp;

const ADA: &str = "ada@example.com";

fn with(mut form: Value, more: Value) -> Value {
    form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    form
}

/// An owner with a passkey and nothing else.
async fn owner(test: &TestApp) -> (countersign_core::id::OrganizationId, Person, SoftKey) {
    let (organization, link) = test.init("Harbour Mills", ADA).await;
    let (ada, mut key) = (Person::new(test, ADA), SoftKey::new(7));
    let secret = secret_of(&link);
    let asked = ada.ask(test, "/welcome/passkey/options", &json!({ "secret": secret, "name": "Ada" })).await;
    let made = registered(test, &mut key, &asked);
    ada.ask(test, "/welcome/passkey", &with(made, json!({ "secret": secret, "label": "Test key" }))).await;
    (organization, ada, key)
}

/// The options ask for what they should; the answer of the key.
fn registered(_: &TestApp, key: &mut SoftKey, asked: &Value) -> Value {
    let options = &asked["options"]["publicKey"];
    assert_eq!(options["rp"]["id"], "sign.test");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    key.make(asked)
}

async fn sign_in(test: &TestApp, person: &Person, key: &mut SoftKey) -> (StatusCode, Value) {
    let asked = person.ask(test, "/signin/passkey/options", &json!({})).await;
    person.post(test, "/signin/passkey", &key.answer(&asked)).await
}

/// an account with a passkey alone, which signs in and proves again.
#[tokio::test]
async fn a_passkey_makes_an_account_and_opens_it() {
    let test = TestApp::start().await;
    let (organization, ada, mut key) = owner(&test).await;
    assert!(ada.is_in(&test).await);
    let browser = ada.elsewhere(&test);
    let (status, answer) = sign_in(&test, &browser, &mut key).await;
    assert_eq!((status, answer["next"].as_str()), (StatusCode::OK, Some("/account")), "{answer}");
    assert!(browser.is_in(&test).await);
    test.clock.forward_s(limits::STEP_UP_S + 1);
    let again = "/signin/again?return_to=/account/recovery&level=aal2-phr";
    assert_eq!(browser.get(&test, again).await.status(), StatusCode::OK);
    assert_eq!(browser.lands_on(&test, "/account/recovery").await, "/signin/again");
    let asked = browser.ask(&test, "/signin/passkey/options", &json!({})).await;
    let form = with(key.answer(&asked), json!({ "return_to": "/account/recovery" }));
    let answer = browser.ask(&test, "/signin/again/passkey", &form).await;
    assert_eq!(answer["next"], "/account/recovery");
    assert_eq!(browser.lands_on(&test, "/account/recovery").await, "/account/recovery");
    let events = test.security(organization).await;
    let phr = countersign_core::level::Level::Aal2Phr;
    assert_eq!(
        count(&events, |body| matches!(body, SecurityBody::SignedIn { level, .. } if *level == phr)),
        2
    );
    assert_eq!(
        count(&events, |body| matches!(body, SecurityBody::SteppedUp { level, .. } if *level == phr)),
        1
    );
    test.work().await;
    test.finish().await;
}

/// without verification of the user, and for another origin, a passkey opens nothing and is not taken.
#[tokio::test]
async fn a_passkey_verifies_its_user_and_its_origin() {
    let test = TestApp::start().await;
    let (_, ada, mut key) = owner(&test).await;
    let browser = ada.elsewhere(&test);
    key.verifies = false;
    assert_eq!(sign_in(&test, &browser, &mut key).await.0, StatusCode::FORBIDDEN);
    key.verifies = true;
    key.origin = "https://sign.test.evil.example".to_owned();
    assert_eq!(sign_in(&test, &browser, &mut key).await.0, StatusCode::FORBIDDEN);
    key.origin = "https://sign.test".to_owned();
    let mut unverified = SoftKey::new(8);
    unverified.verifies = false;
    let asked = ada.ask(&test, "/account/passkeys/options", &json!({})).await;
    let form = with(unverified.make(&asked), json!({ "label": "No" }));
    assert_eq!(ada.post(&test, "/account/passkeys", &form).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let mut stranger = SoftKey::new(9);
    assert_eq!(sign_in(&test, &browser, &mut stranger).await.0, StatusCode::FORBIDDEN);
    assert!(!browser.is_in(&test).await);
    assert_eq!(sign_in(&test, &browser, &mut key).await.0, StatusCode::OK);
    test.work().await;
    test.finish().await;
}

/// G-7: a challenge is good once and for five minutes, and only in the step that it was made for.
#[tokio::test]
async fn a_challenge_is_good_once_and_in_its_time() {
    let test = TestApp::start().await;
    let (_, ada, mut key) = owner(&test).await;
    let browser = ada.elsewhere(&test);
    let asked = browser.ask(&test, "/signin/passkey/options", &json!({})).await;
    let answer = key.answer(&asked);
    assert_eq!(browser.post(&test, "/signin/passkey", &answer).await.0, StatusCode::OK);
    let thief = Person::new(&test, ADA);
    assert_eq!(thief.post(&test, "/signin/passkey", &answer).await.0, StatusCode::FORBIDDEN, "replayed");
    assert!(!thief.is_in(&test).await);

    let (_, ada, mut key) = {
        let (organization, link) = test.init("Copper Works", "bob@example.com").await;
        let (bob, mut key) = (Person::new(&test, "bob@example.com"), SoftKey::new(5));
        let secret = secret_of(&link);
        let asked =
            bob.ask(&test, "/welcome/passkey/options", &json!({ "secret": secret, "name": "Bob" })).await;
        let made = key.make(&asked);
        bob.ask(&test, "/welcome/passkey", &with(made, json!({ "secret": secret, "label": "Key" }))).await;
        (organization, bob, key)
    };
    let asked = ada.ask(&test, "/signin/passkey/options", &json!({})).await;
    test.clock.forward_s(limits::CHALLENGE_S);
    let (status, answer) = thief.post(&test, "/signin/passkey", &key.answer(&asked)).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::GONE, Some("link_expired")));
    let registration = ada.ask(&test, "/account/passkeys/options", &json!({})).await;
    let mixed = json!({ "options": asked["options"], "state": registration["state"] });
    assert_eq!(thief.post(&test, "/signin/passkey", &key.answer(&mixed)).await.0, StatusCode::GONE);
    test.work().await;
    test.finish().await;
}

/// a counter that does not grow is a copy: it opens nothing, is told by event and mail, and ends the passkey.
#[tokio::test]
async fn a_copied_passkey_is_refused_and_ended() {
    let test = TestApp::start().await;
    let (organization, ada, mut key) = owner(&test).await;
    let mailbox = test.mailbox_key(organization).await;
    let mut copy = key.clone();
    let browser = ada.elsewhere(&test);
    assert_eq!(sign_in(&test, &browser, &mut key).await.0, StatusCode::OK);
    let thief = Person::new(&test, ADA);
    assert_eq!(sign_in(&test, &thief, &mut copy).await.0, StatusCode::FORBIDDEN, "the same count again");
    assert!(!thief.is_in(&test).await);
    let events = test.security(organization).await;
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::FactorCloned { .. })), 1);
    let subject = test.letters(&mailbox, ADA).await[0].header("Subject").to_owned();
    assert!(subject.contains("copied"), "{subject}");
    key.counter += 10;
    assert_eq!(sign_in(&test, &thief, &mut key).await.0, StatusCode::FORBIDDEN, "it is not taken any more");
    test.work().await;
    test.finish().await;
}

/// passkeys are added, named and removed, but not the last way in; each change ends other sessions.
#[tokio::test]
async fn passkeys_are_added_named_and_removed() {
    let test = TestApp::start().await;
    let (organization, ada, mut first) = owner(&test).await;
    let other = ada.elsewhere(&test);
    assert_eq!(sign_in(&test, &other, &mut first).await.0, StatusCode::OK);
    let page = ada.get(&test, "/account").await.text().await.unwrap();
    assert!(page.contains("Test key") && !page.contains("/account/passkeys/remove"), "{page}");
    let id = super::person::hidden(&page, "passkey");
    let refused = ada.form(&test, "/account/passkeys/remove", &[("passkey", &id)]).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);

    let mut second = SoftKey::new(8);
    let asked = ada.ask(&test, "/account/passkeys/options", &json!({})).await;
    let excluded = &asked["options"]["publicKey"]["excludeCredentials"];
    assert_eq!(excluded.as_array().map(Vec::len), Some(1), "{excluded}");
    let form = with(second.make(&asked), json!({ "label": "Second key" }));
    ada.ask(&test, "/account/passkeys", &form).await;
    assert_eq!(
        ada.post(&test, "/account/passkeys", &form).await.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "replayed"
    );
    assert!(!other.is_in(&test).await && ada.is_in(&test).await);
    let renamed =
        ada.form(&test, "/account/passkeys/rename", &[("passkey", &id), ("label", "Old key")]).await;
    assert!(renamed.text().await.unwrap().contains("Old key"));
    ada.form(&test, "/account/passkeys/remove", &[("passkey", &id)]).await;
    assert_eq!(sign_in(&test, &other, &mut first).await.0, StatusCode::FORBIDDEN);
    assert_eq!(sign_in(&test, &other, &mut second).await.0, StatusCode::OK);
    let events = test.security(organization).await;
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::FactorAdded { .. })), 2);
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::FactorRemoved { .. })), 1);

    // Another user's passkey is not found.
    let (_, bob) = test.owner("Copper Works", "bob@example.com").await;
    let stolen = bob.form(&test, "/account/passkeys/rename", &[("passkey", &id), ("label", "Mine")]).await;
    assert_eq!(stolen.status(), StatusCode::NOT_FOUND);
    test.work().await;
    test.finish().await;
}

/// where a passkey is enrolled, a password alone opens nothing, and the passkey does.
#[tokio::test]
async fn a_passkey_beside_a_password() {
    let test = TestApp::start().await;
    let (_, ada) = test.owner("Harbour Mills", ADA).await;
    let mut key = SoftKey::new(3);
    let asked = ada.ask(&test, "/account/passkeys/options", &json!({})).await;
    ada.ask(&test, "/account/passkeys", &with(key.make(&asked), json!({ "label": "Key" }))).await;
    let browser = ada.elsewhere(&test);
    assert_eq!(browser.password(&test, PASSWORD).await.url().path(), "/signin/code");
    assert!(!browser.is_in(&test).await);
    assert_eq!(sign_in(&test, &browser, &mut key).await.0, StatusCode::OK);
    // With a passkey, password and codes can be turned off.
    let off = browser.form(&test, "/account/password/remove", &[]).await;
    assert_eq!(off.status(), StatusCode::OK);
    assert!(off.text().await.unwrap().contains("Off: you sign in with a passkey alone"));
    assert_eq!(ada.elsewhere(&test).password(&test, PASSWORD).await.status(), StatusCode::FORBIDDEN);
    test.work().await;
    test.finish().await;
}
