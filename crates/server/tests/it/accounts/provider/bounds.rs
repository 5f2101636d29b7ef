//! What a provider opens, and what ends with it.

use countersign_core::{
    access::{Environment, Tenant},
    id::{CorrelationId, OrganizationId},
    role::Role,
    secret::Personal,
    security::{EndReason, SecurityActor, SecurityBody},
};
use countersign_server::{accounts::invitations, security::Circumstances};
use reqwest::StatusCode;
use serde_json::json;

use super::{
    super::person::{PASSWORD, Person, count, secret_of},
    ADA, BOB, Scene, signed_in_through,
};
use crate::app::TestApp;

/// Invites somebody; the link in the mail.
pub(super) async fn invite(test: &TestApp, organization: OrganizationId, email: &str, role: Role) -> String {
    let tenant = Tenant::of_stored_row(organization, Environment::Live);
    let correlation = CorrelationId::new(test.app.now(), [1; 10]);
    let circumstances = Circumstances { actor: SecurityActor::Operator, origin: None, correlation };
    let address = Personal::new(email.to_owned());
    invitations::send(&test.app, &circumstances, &tenant, &address, role, None).await.unwrap();
    let key = test.mailbox_key(organization).await;
    let letters = test.letters(&key, email).await;
    let text = &letters.first().expect("a mail").text;
    text.split_whitespace().find(|word| word.contains("/welcome#csi_")).unwrap().to_owned()
}

/// Goes the way of an invitation through the provider; the page on which one ends up.
pub(super) async fn join(scene: &Scene, person: &Person, link: &str) -> reqwest::Response {
    let form = json!({ "secret": secret_of(link), "name": "Bob Boole" });
    let preview = person.ask(&scene.test, "/welcome/open", &json!({ "secret": secret_of(link) })).await;
    assert_eq!(preview["has_provider"], json!(true));
    let next = person.ask(&scene.test, "/welcome/provider", &form).await;
    person.get(&scene.test, &scene.issuer.let_in(next["next"].as_str().unwrap())).await
}

/// somebody who is invited becomes a member through the provider. The address in the token means nothing.
#[tokio::test]
async fn an_invitation_is_accepted_through_the_provider() {
    let scene = Scene::start().await;
    let link = invite(&scene.test, scene.organization, BOB, Role::Sender).await;
    let bob = Person::new(&scene.test, BOB);
    // Not surely enough: no account is made, and the invitation is still good.
    scene.issuer.spoil(|claims| claims["acr"] = json!("bronze"));
    let page = join(&scene, &bob, &link).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(page.text().await.unwrap().contains("href=\"/welcome\""));
    // The token says that it is Ada's address: it becomes nobody but whom the invitation is for.
    scene.issuer.spoil(|claims| claims["sub"] = json!("bob-of-the-provider"));
    let page = join(&scene, &bob, &link).await;
    assert_eq!(page.url().path(), "/account");
    let text = page.text().await.unwrap();
    assert!(text.contains(BOB) && text.contains("sender") && !text.contains(ADA), "{text}");
    let (status, answer) =
        bob.post(&scene.test, "/welcome/open", &json!({ "secret": secret_of(&link) })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("link_used")));
    // From now on the subject is Bob, at every device.
    let elsewhere = bob.elsewhere(&scene.test);
    scene.come_in(&elsewhere).await;
    let page = elsewhere.get(&scene.test, "/account").await.text().await.unwrap();
    assert!(page.contains(BOB), "{page}");
    assert_eq!(signed_in_through(&scene.events().await), 2);
    scene.finish().await;
}

/// whoever reads the mailbox of somebody who has nothing but the provider sets no password by a mailed link.
#[tokio::test]
async fn a_mailbox_alone_opens_no_account_of_a_provider() {
    let scene = Scene::start().await;
    let test = &scene.test;
    let link = invite(test, scene.organization, BOB, Role::Sender).await;
    let bob = Person::new(test, BOB);
    scene.issuer.spoil(|claims| claims["sub"] = json!("bob-of-the-provider"));
    assert_eq!(join(&scene, &bob, &link).await.url().path(), "/account");
    let thief = Person::new(test, BOB);
    thief.form(test, "/reset", &[("email", BOB)]).await;
    let key = test.mailbox_key(scene.organization).await;
    let letters = test.letters(&key, BOB).await;
    let mut words = letters.iter().flat_map(|letter| letter.text.split_whitespace());
    let secret = secret_of(words.find(|word| word.contains("/reset/password#csi_")).expect("a link"));
    for (path, form) in [
        ("/reset/password/open", json!({ "secret": secret })),
        ("/reset/password", json!({ "secret": secret, "password": super::super::person::OTHER_PASSWORD })),
    ] {
        let (status, answer) = thief.post(test, path, &form).await;
        assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!("sign_in_refused")), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("your organization's sign-in"), "{answer}");
    }
    assert!(!thief.is_in(test).await && bob.is_in(test).await);
    let events = scene.events().await;
    assert_eq!(count(&events, |body| matches!(body, SecurityBody::PasswordChanged { .. })), 0);
    scene.finish().await;
}

/// an admin who sets the provider, or whoever runs it, makes no owners in a session that it opened: an owner does
/// so with something of their own.
#[tokio::test]
async fn nobody_makes_owners_through_a_provider() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let through = scene.through().await;
    let invite = format!("/console/{}/live/members/invite", scene.organization);
    let as_owner = [("email", BOB), ("role", "owner")];
    let page = through.form(&scene.test, &invite, &as_owner).await;
    assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let text = page.text().await.unwrap();
    assert!(text.contains("not through the organization"), "{text}");
    let page = through.form(&scene.test, &invite, &[("email", BOB), ("role", "admin")]).await;
    assert_eq!(page.status(), StatusCode::OK, "what an admin may do");
    assert_eq!(scene.ada.form(&scene.test, &invite, &as_owner).await.status(), StatusCode::OK);
    scene.finish().await;
}

/// a step-up by another member, who is connected, too, raises nothing and changes nobody.
#[tokio::test]
async fn another_member_confirms_nothing() {
    let scene = Scene::start().await;
    let link = invite(&scene.test, scene.organization, BOB, Role::Sender).await;
    let bob = Person::new(&scene.test, BOB);
    scene.issuer.spoil(|claims| claims["sub"] = json!("bob-of-the-provider"));
    assert_eq!(join(&scene, &bob, &link).await.url().path(), "/account");
    scene.issuer.spoil(|_| {});
    scene.connect(&scene.ada).await;
    let ada = scene.through().await;
    scene.test.clock.forward_s(countersign_core::limits::STEP_UP_S + 1);
    scene.issuer.spoil(|claims| claims["sub"] = json!("bob-of-the-provider"));
    let address = scene.leave(&ada, "/signin/provider/again", &[("level", "aal2")]).await;
    let page = ada.get(&scene.test, &scene.issuer.let_in(&address)).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(page.text().await.unwrap().contains("sign in there as yourself"));
    let remove = ada.form(&scene.test, &format!("{}/remove", scene.path()), &[]).await;
    assert_eq!(remove.url().path(), "/signin/again", "the session is not fresher than before");
    scene.finish().await;
}

/// an e-mail address in an ID token connects with nobody, verified or not.
#[tokio::test]
async fn nobody_is_connected_by_an_address() {
    let scene = Scene::start().await;
    // The token has Ada's address, and Ada is the owner.
    let stranger = scene.ada.elsewhere(&scene.test);
    let page = scene.come_in(&stranger).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(page.text().await.unwrap().contains("no account here is connected"));
    assert!(!stranger.is_in(&scene.test).await);
    // To connect needs a proof of the last minutes.
    scene.test.clock.forward_s(countersign_core::limits::STEP_UP_S + 1);
    let organization = scene.organization.to_string();
    let form = [("organization", organization.as_str())];
    let page = scene.ada.form(&scene.test, "/account/provider/link", &form).await;
    assert_eq!(page.url().path(), "/signin/again");
    scene.finish().await;
}

/// a session of a provider opens its organization and no other, and changes nothing of the person's own.
#[tokio::test]
async fn a_session_of_a_provider_opens_its_organization_alone() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let other = scene.test.organization("Lantern Works").await;
    let link = invite(&scene.test, other, ADA, Role::Admin).await;
    let ada = scene.through().await;
    // It accepts no invitation of another organization.
    let (status, _) = ada.post(&scene.test, "/welcome/join", &json!({ "secret": secret_of(&link) })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    scene.ada.ask(&scene.test, "/welcome/join", &json!({ "secret": secret_of(&link) })).await;
    let own = scene.ada.get(&scene.test, "/account").await.text().await.unwrap();
    assert!(own.contains("Lantern Works") && own.contains("Harbour Mills"));
    let through = ada.get(&scene.test, "/account").await.text().await.unwrap();
    assert!(!through.contains("Lantern Works") && through.contains("Harbour Mills"), "{through}");
    assert_eq!(through.matches("name=\"session\"").count(), 0, "other sessions are not shown");
    let foreign = format!("/console/provider/{other}");
    assert_eq!(ada.get(&scene.test, &foreign).await.status(), StatusCode::NOT_FOUND);
    // Nothing of the person's own.
    for (path, form) in [
        ("/account/password", vec![("password", super::super::person::OTHER_PASSWORD)]),
        ("/account/password/remove", vec![]),
    ] {
        let page = ada.form(&scene.test, path, &form).await;
        assert!(page.status().is_client_error(), "{path}: {}", page.status());
    }
    let connection =
        scene.test.app.store.authenticators(scene.sessions_of_provider().await[0].user).await.unwrap();
    let connection = connection.iter().find(|row| row.kind == "provider").unwrap().authenticator.to_string();
    let form = [("connection", connection.as_str())];
    let page = ada.form(&scene.test, "/account/provider/unlink", &form).await;
    assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let elsewhere = scene.ada.elsewhere(&scene.test);
    elsewhere.sign_in(&scene.test).await;
    let all = ada.form(&scene.test, "/account/sessions/end", &[]).await;
    assert_eq!(all.url().path(), "/account");
    assert!(elsewhere.is_in(&scene.test).await, "sessions of the person's own are not ended from there");
    scene.finish().await;
}

/// a provider that is removed ends its sessions and its connections at once; one that comes back knows nobody.
#[tokio::test]
async fn a_provider_that_is_removed_ends_what_it_opened() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let (through, another) = (scene.through().await, scene.ada.elsewhere(&scene.test));
    let back = scene.issuer.let_in(&scene.begin(&another).await);
    let page = scene.ada.form(&scene.test, &format!("{}/remove", scene.path()), &[]).await;
    assert!(page.text().await.unwrap().contains("The provider was removed"));
    assert!(!through.is_in(&scene.test).await);
    assert!(scene.ada.is_in(&scene.test).await);
    assert!(scene.sessions_of_provider().await.is_empty());
    // Somebody who was on the way is not let in any more, nor does anybody leave.
    assert_eq!(another.get(&scene.test, &back).await.status(), StatusCode::FORBIDDEN);
    let form = [("organization", "harbour-mills")];
    assert_eq!(another.form(&scene.test, "/signin/provider", &form).await.status(), StatusCode::FORBIDDEN);
    let events = scene.events().await;
    let ended = |body: &SecurityBody| {
        matches!(body, SecurityBody::SignedOut { reason: EndReason::ProviderRemoved, .. })
    };
    let unlinked = |body: &SecurityBody| matches!(body, SecurityBody::FactorRemoved { factor, .. } if factor == "provider");
    let removed = |body: &SecurityBody| matches!(body, SecurityBody::ProviderRemoved { .. });
    assert_eq!((count(&events, ended), count(&events, unlinked), count(&events, removed)), (1, 1, 1));
    // The same issuer again is another provider: who was connected connects again.
    scene.set(&[]).await;
    assert_eq!(scene.come_in(&another).await.status(), StatusCode::FORBIDDEN);
    scene.connect(&scene.ada).await;
    scene.come_in(&another).await;
    assert!(another.is_in(&scene.test).await);
    // And so is another issuer, with the session of before.
    scene.set(&[("issuer", "https://localhost:1/other")]).await;
    assert!(!another.is_in(&scene.test).await);
    scene.finish().await;
}

/// who disconnects ends the sessions that the provider opened; the subject can be connected again.
#[tokio::test]
async fn a_person_disconnects_and_connects_again() {
    let scene = Scene::start().await;
    scene.connect(&scene.ada).await;
    let through = scene.through().await;
    let page = scene.ada.get(&scene.test, "/account").await.text().await.unwrap();
    let connection = super::super::person::hidden(&page, "connection");
    let page = scene.ada.form(&scene.test, "/account/provider/unlink", &[("connection", &connection)]).await;
    assert!(page.text().await.unwrap().contains("is disconnected"));
    assert!(!through.is_in(&scene.test).await);
    assert_eq!(scene.come_in(&through).await.status(), StatusCode::FORBIDDEN);
    scene.connect(&scene.ada).await;
    scene.through().await;
    scene.finish().await;
}

/// where members must use the provider, their own sessions open the organization no more; owners always keep their
/// way in.
#[tokio::test]
async fn members_who_must_use_the_provider_come_in_no_other_way() {
    let scene = Scene::start().await;
    let link = invite(&scene.test, scene.organization, BOB, Role::Admin).await;
    let mut bob = Person::new(&scene.test, BOB);
    bob.welcome(&scene.test, &link).await;
    assert_eq!(bob.get(&scene.test, &scene.path()).await.status(), StatusCode::OK);
    scene.set(&[("required", "yes")]).await;
    assert_eq!(bob.get(&scene.test, &scene.path()).await.status(), StatusCode::NOT_FOUND);
    let page = bob.get(&scene.test, "/account").await.text().await.unwrap();
    assert!(page.contains("You are a member of none."), "{page}");
    // The owner's own session does what it did.
    assert_eq!(scene.ada.get(&scene.test, &scene.path()).await.status(), StatusCode::OK);
    let elsewhere = scene.ada.elsewhere(&scene.test);
    elsewhere.sign_in(&scene.test).await;
    // Bob connects his account in his own session, and comes in through the provider.
    scene.issuer.spoil(|claims| claims["sub"] = json!("bob-of-the-provider"));
    scene.connect(&bob).await;
    let through = bob.elsewhere(&scene.test);
    scene.come_in(&through).await;
    assert_eq!(through.get(&scene.test, &scene.path()).await.status(), StatusCode::OK);
    scene.set(&[]).await;
    assert_eq!(bob.get(&scene.test, &scene.path()).await.status(), StatusCode::OK);
    scene.finish().await;
}

/// an account that has nothing but the provider gets a password by mail when the provider is gone, and codes with it.
#[tokio::test]
async fn nobody_is_locked_out_when_a_provider_goes() {
    let scene = Scene::start().await;
    let link = invite(&scene.test, scene.organization, BOB, Role::Sender).await;
    let bob = Person::new(&scene.test, BOB);
    scene.issuer.spoil(|claims| claims["sub"] = json!("bob-of-the-provider"));
    assert_eq!(join(&scene, &bob, &link).await.url().path(), "/account");
    scene.ada.form(&scene.test, &format!("{}/remove", scene.path()), &[]).await;
    assert!(!bob.is_in(&scene.test).await);
    bob.form(&scene.test, "/reset", &[("email", BOB)]).await;
    let key = scene.test.mailbox_key(scene.organization).await;
    let letters = scene.test.letters(&key, BOB).await;
    let text = &letters.first().expect("a mail").text;
    let link = text.split_whitespace().find(|word| word.contains("/reset/password#")).unwrap();
    let form = json!({ "secret": secret_of(link), "password": PASSWORD });
    let (status, next) = bob.post(&scene.test, "/reset/password", &form).await;
    assert_eq!((status, &next["next"]), (StatusCode::OK, &json!("/account/codes")), "{next}");
    scene.finish().await;
}
