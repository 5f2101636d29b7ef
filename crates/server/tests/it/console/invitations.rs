//! Invitations are mailed so many times in a day, and no more.

use std::sync::Arc;

use countersign_core::{
    access::{Environment, Tenant},
    id::OrganizationId,
    limits,
    refusal::{Code, Refusal},
    role::Role,
    secret::Personal,
    security::SecurityActor,
};
use countersign_server::{
    accounts::{invitations, undelivered},
    app::App,
    fault::Failure,
    security::Circumstances,
};
use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::{BOB, Scene};
use crate::{
    accounts::person::{error_of, hidden},
    app::{Options, TestApp},
};

const MOST: usize = limits::INVITATIONS_OF_ADDRESS_A_DAY;

async fn invite(app: &App, organization: OrganizationId, address: &str) -> Result<(), Refusal> {
    let tenant = Tenant::of_stored_row(organization, Environment::Live);
    let correlation = app.new_correlation();
    let circumstances = Circumstances { actor: SecurityActor::Operator, origin: None, correlation };
    let address = Personal::new(address.to_owned());
    match invitations::send(app, &circumstances, &tenant, &address, Role::Sender, None).await {
        Ok(_) => Ok(()),
        Err(Failure::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    }
}

async fn mailed(test: &TestApp, organization: OrganizationId) -> usize {
    test.work().await;
    undelivered::last(&test.app, organization, None, 1_000).await.unwrap().len()
}

/// whoever may invite makes the server mail an address five times in a day, however it is done: invited again, sent again,
/// or taken back in between. The sixth is refused with what to do; other addresses are not held up, and the next day is new.
#[tokio::test]
async fn an_address_is_mailed_a_few_invitations_in_a_day() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let path = |act: &str| scene.page(&format!("/members/invitations/{act}"));
    let open = async || hidden(&scene.see(&scene.ada, "/members").await, "invitation");
    scene.invite(&scene.ada, BOB, "sender").await;
    for number in 1..MOST {
        test.work().await;
        let id = open().await;
        if number % 2 == 0 {
            scene.ada.form(&test, &path("resend"), &[("invitation", &id)]).await;
        } else {
            scene.ada.form(&test, &path("cancel"), &[("invitation", &id)]).await;
            let (status, page) = scene.invite(&scene.ada, "BOB@example.com", "sender").await;
            assert_eq!(status, StatusCode::OK, "{page}");
        }
    }
    let id = open().await;
    let (status, page) = scene.invite(&scene.ada, BOB, "reviewer").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(error_of(&page).unwrap().contains("tomorrow (UTC)"), "{page}");
    let again = scene.ada.form(&test, &path("resend"), &[("invitation", &id)]).await;
    assert_eq!(again.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(open().await, id, "what is open stays so");
    assert_eq!(mailed(&test, scene.organization).await, MOST);
    assert_eq!(scene.invite(&scene.ada, "carl@example.com", "sender").await.0, StatusCode::OK);

    test.clock.forward_s(24 * 3_600);
    scene.ada.sign_in(&test).await;
    let (status, page) = scene.invite(&scene.ada, BOB, "reviewer").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    test.work().await;
    test.finish().await;
}

/// an organization mails so many invitations in a day, and none of them is another organization's.
#[tokio::test]
async fn an_organization_mails_so_many_invitations_in_a_day() {
    let test = TestApp::start().await;
    let (acme, other) = (test.organization("Acme").await, test.organization("Other").await);
    for number in 0..limits::INVITATIONS_A_DAY {
        invite(&test.app, acme, &format!("person-{number}@example.com")).await.unwrap();
    }
    // It would take the place of an open one, and be mailed, too.
    let refused = invite(&test.app, acme, "person-7@example.com").await.unwrap_err();
    assert_eq!(refused.code, Code::TooMany);
    assert!(refused.sentence.contains("your organization") && refused.sentence.contains("tomorrow (UTC)"));
    invite(&test.app, other, "person-7@example.com").await.unwrap();
    assert_eq!(mailed(&test, acme).await, limits::INVITATIONS_A_DAY);
    test.finish().await;
}

/// also of many who invite at the same moment, on two servers over one database.
async fn of_many_at_once_a_few_are_mailed(postgres: bool) {
    let test = Arc::new(TestApp::start_with(Options { postgres, ..Options::default() }).await);
    let organization = test.organization("Acme").await;
    let servers = [Arc::clone(&test), Arc::new(test.beside(77).await)];
    let mut inviting = JoinSet::new();
    for number in 0..12 {
        let server = Arc::clone(&servers[number % servers.len()]);
        inviting.spawn(async move { invite(&server.app, organization, BOB).await });
    }
    let answers = inviting.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), MOST, "{answers:?}");
    let is_told =
        |answer: &Result<(), Refusal>| answer.as_ref().is_err_and(|refusal| refusal.code == Code::TooMany);
    assert_eq!(answers.iter().filter(|answer| is_told(answer)).count(), 12 - MOST, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_many_invitations_at_once_a_few_are_mailed() {
    of_many_at_once_a_few_are_mailed(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_of_many_invitations_at_once_a_few_are_mailed() {
    of_many_at_once_a_few_are_mailed(true).await;
}
