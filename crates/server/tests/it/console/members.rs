//! Members: invited, given another role, removed; and what each role may do to the others.

use std::sync::Arc;

use countersign_core::{access::Environment, role::Role, scope::Scopes};
use countersign_server::{accounts::members, security::Circumstances};
use reqwest::StatusCode;
use serde_json::json;

use super::{ADA, BOB, Scene, in_person, silent_member};
use crate::{
    accounts::person::{Person, error_of, hidden, secret_of},
    app::{Options, TestApp},
    oauth::flow,
};

/// somebody is invited by mail, joins with the role, gets another one, and is removed; each is a security event.
#[tokio::test]
async fn a_member_is_invited_changed_and_removed_on_the_console() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let bob = scene.joined(BOB, "sender").await;
    let list = scene.see(&scene.ada, "/members").await;
    assert!(list.contains("2 members") && list.contains(BOB) && !list.contains("Open invitations"), "{list}");
    let id = scene.user(BOB).await;
    let form = [("role", "auditor")];
    let page = scene.ada.form(&test, &scene.page(&format!("/members/{id}/role")), &form).await;
    let text = page.text().await.unwrap();
    assert!(text.contains("The role was changed"), "{text}");
    assert_eq!(scene.role(BOB).await, Some(Role::Auditor));
    assert!(scene.see(&bob, "").await.contains("Security events"), "the next page knows the new role");
    assert!(bob.is_in(&test).await);
    let page = scene.ada.form(&test, &scene.page(&format!("/members/{id}/remove")), &[]).await;
    assert!(page.text().await.unwrap().contains("The member was removed"));
    assert!(!bob.is_in(&test).await, "who is a member nowhere has no session");
    assert_eq!(scene.role(BOB).await, None);
    let kinds = test.security_kinds(scene.organization).await;
    let told: Vec<&str> =
        kinds.iter().map(String::as_str).filter(|kind| kind.starts_with("member.")).collect();
    let all = [
        "member.invited",
        "member.joined",
        "member.invited",
        "member.joined",
        "member.changed",
        "member.removed",
    ];
    assert_eq!(told, all);
    test.work().await;
    test.finish().await;
}

/// a change of role and a removal act on the next request of the tokens that the member gave, and the refresh token is
/// worth nothing; after a new invitation the old access stays dead.
#[tokio::test]
async fn tokens_lose_what_their_member_loses_at_once() {
    let test = TestApp::start().await;
    let client = flow::Scene::new(&test, "fapi2").await;
    let scene = Scene { test: &test, organization: client.organization, ada: client.person.elsewhere(&test) };
    scene.ada.sign_in(&test).await;
    let bob = scene.joined(BOB, "owner").await;
    let mut parameters = flow::Scene::parameters();
    for (name, value) in &mut parameters {
        if name == "scope" {
            *value = "members:read".to_owned();
        }
    }
    let given = async || {
        let pushed = client.push(&parameters).await;
        let page = client.bring(pushed.body["request_uri"].as_str().unwrap()).await;
        let back = client.decide(&page, "agree").await;
        client.redeem(&flow::query(&back, "code").unwrap()).await
    };
    let tokens = given().await;
    let refresh = tokens.body["refresh_token"].as_str().unwrap().to_owned();
    let ask = async |token: &str| {
        client.client.api(reqwest::Method::GET, "/v1/members", token).send().await.unwrap().status()
    };
    assert_eq!(ask(&tokens.token()).await, StatusCode::OK);
    let ada = scene.user(ADA).await;
    let path = |act: &str| scene.page(&format!("/members/{ada}/{act}"));
    bob.form(&test, &path("role"), &[("role", "reviewer")]).await;
    assert_eq!(scene.role(ADA).await, Some(Role::Reviewer));
    assert_eq!(ask(&tokens.token()).await, StatusCode::FORBIDDEN, "the role allows it no more");
    bob.form(&test, &path("remove"), &[]).await;
    assert_eq!(scene.role(ADA).await, None);
    assert_eq!(ask(&tokens.token()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(client.refresh(&refresh).await.error(), (400, "invalid_grant"));
    assert!(!client.person.is_in(&test).await && !scene.ada.is_in(&test).await, "both sessions have ended");
    let grants = test.app.store.grants(&client.client.tenant, None, Some(ada), None, 10).await.unwrap();
    assert!(grants.iter().all(|grant| grant.ended_at.is_some()), "ended in the same commit");

    let (status, page) = scene.invite(&bob, ADA, "owner").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let link = scene.mailed_link(ADA).await;
    let again = scene.ada.elsewhere(&test);
    again.sign_in(&test).await;
    again.ask(&test, "/welcome/join", &json!({ "secret": secret_of(&link) })).await;
    assert_eq!(scene.role(ADA).await, Some(Role::Owner));
    assert_eq!(ask(&tokens.token()).await, StatusCode::UNAUTHORIZED, "what was before stays ended");
    test.work().await;
    test.finish().await;
}

/// who is a member elsewhere keeps the session there.
#[tokio::test]
async fn a_removal_leaves_other_organizations_alone() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let (other, bob) = test.owner("Copper Works", BOB).await;
    scene.invite(&scene.ada, BOB, "reviewer").await;
    let link = scene.mailed_link(BOB).await;
    bob.ask(&test, "/welcome/join", &json!({ "secret": secret_of(&link) })).await;
    assert!(bob.get(&test, "/console").await.text().await.unwrap().contains("Harbour Mills"));
    scene.see(&bob, "").await;
    let id = scene.user(BOB).await;
    scene.ada.form(&test, &scene.page(&format!("/members/{id}/remove")), &[]).await;
    assert!(bob.is_in(&test).await);
    assert_eq!(bob.get(&test, &scene.page("")).await.status(), StatusCode::NOT_FOUND);
    let own = format!("/console/{other}/live");
    assert_eq!(bob.get(&test, &own).await.status(), StatusCode::OK);
    test.work().await;
    test.finish().await;
}

/// the last owner neither leaves nor gets another role, and is told what to do.
#[tokio::test]
async fn the_last_owner_stays() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let ada = scene.user(ADA).await;
    for (act, form) in [("role", [("role", "admin")].as_slice()), ("remove", &[])] {
        let page = scene.ada.form(&test, &scene.page(&format!("/members/{ada}/{act}")), form).await;
        assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY, "{act}");
        let error = error_of(&page.text().await.unwrap()).unwrap();
        assert!(error.contains("last owner") && error.contains("make somebody else"), "{error}");
    }
    let organization = scene.organization.to_string();
    let leave = [("organization", organization.as_str())];
    let left = scene.ada.form(&test, "/account/organizations/leave", &leave).await;
    assert_eq!(left.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(scene.role(ADA).await, Some(Role::Owner));
    let bob = scene.joined(BOB, "owner").await;
    let page = scene.ada.form(&test, &scene.page(&format!("/members/{ada}/remove")), &[]).await;
    assert_ne!(page.url().path(), scene.page("/members"), "there is nothing more to see there");
    assert_eq!((scene.role(ADA).await, scene.role(BOB).await), (None, Some(Role::Owner)));
    assert!(bob.is_in(&test).await);
    test.work().await;
    test.finish().await;
}

/// everybody may leave, whatever the role, and needs a fresh proof for it.
#[tokio::test]
async fn a_member_of_any_role_leaves() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let bob = scene.joined(BOB, "reviewer").await;
    let organization = scene.organization.to_string();
    let leave = [("organization", organization.as_str())];
    test.clock.forward_s(601);
    let asked = bob.form(&test, "/account/organizations/leave", &leave).await;
    assert_eq!(asked.url().path(), "/signin/again");
    bob.confirm(&test).await;
    bob.form(&test, "/account/organizations/leave", &leave).await;
    assert_eq!(scene.role(BOB).await, None);
    test.work().await;
    test.finish().await;
}

/// A-3, G-7: of two owners who end each other at the same moment one remains, 20 rounds on each database.
async fn owners_who_end_each_other(options: Options) {
    let test = Arc::new(TestApp::start_with(options).await);
    for round in 0..20 {
        let organization = test.organization(&format!("Round {round}")).await;
        let one = silent_member(&test, organization, Role::Owner).await;
        let other = silent_member(&test, organization, Role::Owner).await;
        let end = |by: &countersign_store::access_rows::MemberRow, whom| {
            let (test, principal) = (Arc::clone(&test), in_person(&test, by));
            let circumstances = Circumstances {
                actor: countersign_core::security::SecurityActor::Operator,
                origin: None,
                correlation: test.app.new_correlation(),
            };
            tokio::spawn(async move {
                if round % 2 == 0 {
                    members::remove(&test.app, &principal, &circumstances, whom, None).await.is_ok()
                } else {
                    let role = Role::Sender;
                    members::change(&test.app, &principal, &circumstances, whom, role, None).await.is_ok()
                }
            })
        };
        let (first, second) = (end(&one, other.user), end(&other, one.user));
        let won = [first.await.unwrap(), second.await.unwrap()];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {won:?}");
        let rows = test.app.store.members(organization).await.unwrap();
        let owners = rows.iter().filter(|row| row.ended_at.is_none() && row.role == Role::Owner);
        assert_eq!(owners.count(), 1);
    }
    test.work().await;
    Arc::into_inner(test).unwrap().finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_who_end_each_other_leave_one_on_sqlite() {
    owners_who_end_each_other(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_who_end_each_other_leave_one_on_postgres() {
    owners_who_end_each_other(Options { postgres: true, ..Options::default() }).await;
}

/// an admin does everything but what concerns owners; the others change nobody, and see who may.
#[tokio::test]
async fn nobody_gives_a_role_above_its_own() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let admin = scene.joined("admin@example.com", "admin").await;
    let (status, page) = scene.invite(&admin, "x@example.com", "owner").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(error_of(&page).unwrap().contains("Only an owner"), "{page}");
    assert!(!scene.see(&admin, "/members").await.contains("value=\"owner\""), "it is not offered, either");
    let owner = scene.user(ADA).await;
    for (act, form) in [("role", [("role", "sender")].as_slice()), ("remove", &[])] {
        let page = admin.form(&test, &scene.page(&format!("/members/{owner}/{act}")), form).await;
        assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY, "{act}");
    }
    assert!(scene.see(&admin, &format!("/members/{owner}")).await.contains("Only an owner"));
    // An invitation that one may not take back is not replaced, either.
    assert_eq!(scene.invite(&scene.ada, BOB, "owner").await.0, StatusCode::OK);
    let link = scene.mailed_link(BOB).await;
    let (status, page) = scene.invite(&admin, BOB, "reviewer").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(error_of(&page).unwrap().contains("Only an owner"), "{page}");
    let (status, _) =
        Person::new(&test, BOB).post(&test, "/welcome/open", &json!({ "secret": secret_of(&link) })).await;
    assert_eq!(status, StatusCode::OK, "the owner's invitation is still good");
    let own = scene.user("admin@example.com").await;
    let page = admin.form(&test, &scene.page(&format!("/members/{own}/role")), &[("role", "owner")]).await;
    assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(scene.role("admin@example.com").await, Some(Role::Admin));

    let auditor = scene.joined("auditor@example.com", "auditor").await;
    let page = scene.see(&auditor, "/members").await;
    assert!(page.contains(ADA) && !page.contains("<form method=\"post\" action=\"/console"), "{page}");
    assert_eq!(scene.invite(&auditor, "x@example.com", "reviewer").await.0, StatusCode::FORBIDDEN);
    let sender = scene.joined("sender@example.com", "sender").await;
    assert_eq!(sender.get(&test, &scene.page("/members")).await.status(), StatusCode::FORBIDDEN);
    let home = scene.see(&sender, "").await;
    assert!(!home.contains(">Members<") && !home.contains(">Clients<"), "no way leads there: {home}");
    assert_eq!(scene.role(ADA).await, Some(Role::Owner));
    test.work().await;
    test.finish().await;
}

/// an invitation is sent again with another link, or taken back: the links of before open nothing. A second one for
/// the same address takes the place of the first.
#[tokio::test]
async fn an_invitation_is_sent_again_or_taken_back() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let opens = async |link: &str| {
        let stranger = Person::new(&test, BOB);
        stranger.post(&test, "/welcome/open", &json!({ "secret": secret_of(link) })).await.0
    };
    scene.invite(&scene.ada, BOB, "sender").await;
    let first = scene.mailed_link(BOB).await;
    let list = scene.see(&scene.ada, "/members").await;
    assert!(list.contains("Open invitations") && list.contains(BOB), "{list}");
    let id = hidden(&list, "invitation");
    let path = |act: &str| scene.page(&format!("/members/invitations/{act}"));
    let page = scene.ada.form(&test, &path("resend"), &[("invitation", &id)]).await;
    assert_eq!(page.status(), StatusCode::OK);
    let second = scene.mailed_link(BOB).await;
    assert_eq!((opens(&first).await, opens(&second).await), (StatusCode::GONE, StatusCode::OK));
    let again = scene.ada.form(&test, &path("resend"), &[("invitation", &id)]).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND, "it has ended");

    scene.invite(&scene.ada, "BOB@example.com", "reviewer").await;
    let list = scene.see(&scene.ada, "/members").await;
    assert_eq!(list.matches("Send again").count(), 1, "one for each address: {list}");
    let key = test.mailbox_key(scene.organization).await;
    let third = test.letters(&key, "BOB@example.com").await;
    let third = third[0].text.split_whitespace().find(|word| word.contains("#csi_")).unwrap().to_owned();
    assert_eq!((opens(&second).await, opens(&third).await), (StatusCode::GONE, StatusCode::OK));

    let id = hidden(&list, "invitation");
    let (other, eve) = test.owner("Copper Works", "eve@example.com").await;
    let foreign = format!("/console/{other}/live/members/invitations/cancel");
    let refused = eve.form(&test, &foreign, &[("invitation", &id)]).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND, "A-12");
    scene.ada.form(&test, &path("cancel"), &[("invitation", &id)]).await;
    assert_eq!(opens(&third).await, StatusCode::GONE);
    let kinds = test.security_kinds(scene.organization).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "member.invitation_cancelled").count(), 3, "{kinds:?}");
    test.work().await;
    test.finish().await;
}

/// nobody is invited where one is no member, and a role is one of the known ones.
#[tokio::test]
async fn what_is_no_role_or_no_address_is_refused() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let (status, page) = scene.invite(&scene.ada, "nonsense", "sender").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(error_of(&page).is_some() && page.contains("value=\"nonsense\""), "{page}");
    let (status, _) = scene.invite(&scene.ada, ADA, "sender").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a member already");
    assert_eq!(scene.invite(&scene.ada, BOB, "emperor").await.0, StatusCode::BAD_REQUEST);
    let key = test.key(scene.organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let members = test.get_json(&key, "/v1/members").await;
    assert_eq!(members["members"].as_array().unwrap().len(), 1);
    test.finish_without_worker().await;
}
