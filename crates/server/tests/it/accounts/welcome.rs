//! Becoming a member: the first owner, invitations, and links that work once.

use countersign_core::{
    access::{Environment, Tenant},
    accounts::ticket::Purpose,
    id::CorrelationId,
    limits,
    role::Role,
    secret::Personal,
    security::SecurityActor,
};
use countersign_server::{
    accounts::{invitations, tickets},
    fault::Failure,
    security::Circumstances,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::person::{PASSWORD, Person, code_at, secret_of};
use crate::app::TestApp;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

async fn invite(test: &TestApp, organization: countersign_core::id::OrganizationId, email: &str, role: Role) {
    let tenant = Tenant::of_stored_row(organization, Environment::Live);
    let circumstances = Circumstances {
        actor: SecurityActor::Operator,
        origin: None,
        correlation: CorrelationId::new(test.app.now(), [1; 10]),
    };
    let email = Personal::new(email.to_owned());
    invitations::send(&test.app, &circumstances, &tenant, &email, role, None).await.unwrap();
}

/// The link in the newest mail to an address.
async fn mailed_link(test: &TestApp, key: &crate::app::Key, email: &str) -> String {
    let letters = test.letters(key, email).await;
    let text = &letters.first().expect("a mail").text;
    let found = text.split_whitespace().find(|word| word.contains("/welcome#csi_"));
    found.unwrap_or_else(|| panic!("no link in {text}")).to_owned()
}

/// the first owner begins with a printed link, with a password and an app, and is signed in then.
#[tokio::test]
async fn the_first_owner_makes_an_account_with_a_password_and_codes() {
    let test = TestApp::start().await;
    let (organization, link) = test.init("Harbour Mills", ADA).await;
    assert!(link.starts_with("https://sign.test/welcome#csi_"), "{link}");
    let mut ada = Person::new(&test, ADA);
    let preview = ada.ask(&test, "/welcome/open", &json!({ "secret": secret_of(&link) })).await;
    assert_eq!((&preview["organization"], &preview["role"]), (&json!("Harbour Mills"), &json!("owner")));
    assert_eq!((&preview["email"], &preview["has_account"]), (&json!(ADA), &json!(false)));
    assert!(!ada.is_in(&test).await, "looking opens nothing");
    ada.welcome(&test, &link).await;
    let page = ada.get(&test, "/account").await.text().await.unwrap();
    assert!(page.contains("Harbour Mills") && page.contains("owner") && page.contains(ADA), "{page}");
    let kinds = test.security_kinds(organization).await;
    assert_eq!(kinds, ["member.invited", "member.joined", "factor.added", "user.signed_in"]);
    test.work().await;
    test.finish().await;
}

/// fetching the page, as mail scanners do, and looking at what a link leads to use nothing up.
#[tokio::test]
async fn a_link_is_not_used_up_by_those_who_look() {
    let test = TestApp::start().await;
    let (_, link) = test.init("Harbour Mills", ADA).await;
    let secret = secret_of(&link);
    let scanner = Person::new(&test, ADA);
    for _ in 0..3 {
        for method in [Method::GET, Method::HEAD] {
            let url = format!("{}/welcome", test.url);
            assert_eq!(scanner.http.request(method, url).send().await.unwrap().status(), StatusCode::OK);
        }
        scanner.ask(&test, "/welcome/open", &json!({ "secret": secret })).await;
        let begun = json!({ "secret": secret, "name": "Scanner", "password": PASSWORD });
        scanner.ask(&test, "/welcome/codes", &begun).await;
    }
    let mut ada = Person::new(&test, ADA);
    ada.welcome(&test, &link).await;
    let (status, answer) = scanner.post(&test, "/welcome/open", &json!({ "secret": secret })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("link_used")));
    test.work().await;
    test.finish().await;
}

/// the link of the first owner lives for 15 minutes, and a second one is refused once there is an owner.
#[tokio::test]
async fn the_first_owners_link_ends_with_its_time_and_with_an_owner() {
    let test = TestApp::start().await;
    let (organization, first) = test.init("Harbour Mills", ADA).await;
    let (_, second) = test.init("Harbour Mills", BOB).await;
    test.clock.forward_s(limits::FIRST_OWNER_S);
    let mut ada = Person::new(&test, ADA);
    let (status, answer) = ada.post(&test, "/welcome/open", &json!({ "secret": secret_of(&first) })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("link_expired")));
    let (_, link) = test.init("Harbour Mills", ADA).await;
    let (_, another) = test.init(&organization.to_string(), BOB).await;
    ada.welcome(&test, &link).await;
    let refused = tickets::first_owner(&test.app, "Harbour Mills", BOB).await;
    let Err(Failure::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert!(refusal.sentence.contains("has members already"), "{}", refusal.sentence);
    // Of several links that were open, one made the owner.
    for late in [second, another] {
        let bob = Person::new(&test, BOB);
        let begun = json!({ "secret": secret_of(&late), "name": "Bob Boole", "password": PASSWORD });
        let (status, codes) = bob.post(&test, "/welcome/codes", &begun).await;
        if status == StatusCode::OK {
            let code = code_at(codes["text"].as_str().unwrap(), test.app.now());
            let finish = json!({ "secret": secret_of(&late), "state": codes["state"], "code": code });
            let (status, _) = bob.post(&test, "/welcome/codes/finish", &finish).await;
            assert_eq!(status, StatusCode::GONE);
        }
        assert!(!bob.is_in(&test).await);
    }
    test.work().await;
    test.finish().await;
}

/// nobody is left half way: before the first code is right there is no account.
#[tokio::test]
async fn there_is_no_account_before_all_of_it_is_right() {
    let test = TestApp::start().await;
    let (_, link) = test.init("Harbour Mills", ADA).await;
    let secret = secret_of(&link);
    let ada = Person::new(&test, ADA);
    for (name, password, said) in [
        ("", PASSWORD, "name"),
        ("Ada", "short", "at least 12"),
        ("Ada", "passwordpassword", "list"),
        ("Ada", "harbour mills", "your organization"),
        ("Ada", "aaaaaaaaaaaaaaaa", "easy to guess"),
    ] {
        let begun = json!({ "secret": secret, "name": name, "password": password });
        let (status, answer) = ada.post(&test, "/welcome/codes", &begun).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        let told = format!("{} {}", answer["pointer"], answer["detail"]);
        assert!(told.contains(said), "{told} has no {said}");
    }
    let begun = json!({ "secret": secret, "name": "Ada", "password": PASSWORD });
    let codes = ada.ask(&test, "/welcome/codes", &begun).await;
    let address = codes["address"].as_str().unwrap();
    // the app lists it under the host, or those of two servers look the same.
    assert!(address.starts_with("otpauth://totp/Countersign%20sign.test:"), "{codes}");
    assert!(address.contains("issuer=Countersign%20sign.test"), "{codes}");
    let wrong = json!({ "secret": secret, "state": codes["state"], "code": "000000" });
    let (status, _) = ada.post(&test, "/welcome/codes/finish", &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let forged = json!({ "secret": secret, "state": "AAAA", "code": "000000" });
    assert_eq!(ada.post(&test, "/welcome/codes/finish", &forged).await.0, StatusCode::GONE);
    assert_eq!(ada.password(&test, PASSWORD).await.status(), StatusCode::FORBIDDEN);
    assert!(!ada.is_in(&test).await);
    test.work().await;
    test.finish().await;
}

/// an invitation is mailed, bound to its address, good once, and for three days.
#[tokio::test]
async fn an_invitation_makes_a_member_of_its_address_once() {
    let test = TestApp::start().await;
    let (organization, _) = test.owner("Harbour Mills", ADA).await;
    let key = test.mailbox_key(organization).await;
    invite(&test, organization, BOB, Role::Sender).await;
    let link = mailed_link(&test, &key, BOB).await;
    test.clock.forward_s(limits::INVITATION_S - 120);
    let mut bob = Person::new(&test, BOB);
    bob.welcome(&test, &link).await;
    let page = bob.get(&test, "/account").await.text().await.unwrap();
    assert!(page.contains("sender"), "{page}");
    let again = Person::new(&test, BOB);
    let (status, _) = again.post(&test, "/welcome/open", &json!({ "secret": secret_of(&link) })).await;
    assert_eq!(status, StatusCode::GONE);

    invite(&test, organization, "late@example.com", Role::Sender).await;
    let late = mailed_link(&test, &key, "late@example.com").await;
    test.clock.forward_s(Purpose::Invitation.lifetime_s());
    let (status, answer) = again.post(&test, "/welcome/open", &json!({ "secret": secret_of(&late) })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("link_expired")));
    test.work().await;
    test.finish().await;
}

/// who has an account joins with it, in a session of that account and of no other.
#[tokio::test]
async fn who_has_an_account_joins_by_signing_in() {
    let test = TestApp::start().await;
    let (mills, ada) = test.owner("Harbour Mills", ADA).await;
    let (_, bob) = test.owner("Copper Works", BOB).await;
    let key = test.mailbox_key(mills).await;
    invite(&test, mills, BOB, Role::Auditor).await;
    let link = mailed_link(&test, &key, BOB).await;
    let key_of_link = json!({ "secret": secret_of(&link) });

    // A new account for the same address is not made, and another's session joins nothing.
    let begun = json!({ "secret": secret_of(&link), "name": "Bob", "password": PASSWORD });
    let (status, _) = bob.post(&test, "/welcome/codes", &begun).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = ada.post(&test, "/welcome/join", &key_of_link).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let stranger = Person::new(&test, BOB);
    assert_eq!(stranger.post(&test, "/welcome/join", &key_of_link).await.0, StatusCode::UNAUTHORIZED);

    let preview = bob.ask(&test, "/welcome/open", &key_of_link).await;
    assert_eq!((&preview["has_account"], &preview["is_signed_in"]), (&json!(true), &json!(true)));
    assert_eq!(bob.ask(&test, "/welcome/join", &key_of_link).await["next"], "/account");
    let page = bob.get(&test, "/account").await.text().await.unwrap();
    assert!(
        page.contains("Harbour Mills") && page.contains("auditor") && page.contains("Copper Works"),
        "{page}"
    );
    assert_eq!(bob.post(&test, "/welcome/join", &key_of_link).await.0, StatusCode::GONE);
    test.work().await;
    test.finish().await;
}

/// `countersign init` prints the link while the server runs, and refuses in words where there is an owner.
#[tokio::test]
async fn the_command_line_prints_the_link_of_the_first_owner() {
    let test = TestApp::start().await;
    let init = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["init", "--organization", "Harbour Mills", "--email", ADA])
            .env("COUNTERSIGN_SERVER__DATA_DIR", test.folder.path().join("data"))
            .env("COUNTERSIGN_SERVER__PUBLIC_URL", "https://sign.test")
            .output()
            .unwrap()
    };
    let said = init();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let link = String::from_utf8(said.stdout).unwrap();
    let mut ada = Person::new(&test, ADA);
    ada.welcome(&test, link.trim()).await;
    let refused = init();
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(sentence.contains("Harbour Mills has members already"), "{sentence}");
    test.work().await;
    test.finish().await;
}
