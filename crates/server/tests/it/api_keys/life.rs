//! The jobs of a key's life: warnings by mail, and its end, each once, whoever runs them.

use countersign_core::{
    access::{Environment, Tenant},
    api_key::Wish,
    id::{ApiKeyId, CorrelationId, OrganizationId, UserId},
    limits,
    network::Networks,
    role::Role,
    scope::{Scope, Scopes},
    secret::Personal,
    security::SecurityActor,
};
use countersign_server::{
    accounts::invitations,
    api_keys::{self, Giver, Rotating},
    security::Circumstances,
};
use countersign_store::{Batch, access_rows::Change, batch::Row};

use super::{DAY_S, told};
use crate::{
    accounts::person::Person,
    app::{Options, TestApp},
};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn operator(test: &TestApp) -> Circumstances {
    Circumstances { actor: SecurityActor::Operator, origin: None, correlation: test.app.new_correlation() }
}

fn sandbox(organization: OrganizationId) -> Tenant {
    Tenant::of_stored_row(organization, Environment::Sandbox)
}

async fn key(test: &TestApp, organization: OrganizationId, label: &str, user: Option<UserId>) -> ApiKeyId {
    let giver = Giver { scopes: Scopes::ALL, user };
    let wish = Wish {
        label: label.to_owned(),
        scopes: Scopes::of(&[Scope::EnvelopesStatus]),
        networks: Networks::default(),
        lifetime_s: limits::API_KEY_S,
    };
    let tenant = sandbox(organization);
    let made = api_keys::create(&test.app, &tenant, &operator(test), giver, &wish, None).await.unwrap();
    made.key.row.key
}

/// A member by invitation; the user's id.
async fn member(test: &TestApp, organization: OrganizationId, email: &str, role: Role) -> UserId {
    let tenant = Tenant::of_stored_row(organization, Environment::Live);
    let circumstances =
        Circumstances { correlation: CorrelationId::new(test.app.now(), [1; 10]), ..operator(test) };
    let address = Personal::new(email.to_owned());
    invitations::send(&test.app, &circumstances, &tenant, &address, role, None).await.unwrap();
    let mailbox = test.mailbox_key(organization).await;
    let link = test.letters(&mailbox, email).await[0]
        .text
        .split_whitespace()
        .find(|word| word.contains('#'))
        .unwrap()
        .to_owned();
    let before: Vec<UserId> = users(test, organization).await;
    Person::new(test, email).welcome(test, &link).await;
    users(test, organization).await.into_iter().find(|user| !before.contains(user)).unwrap()
}

async fn users(test: &TestApp, organization: OrganizationId) -> Vec<UserId> {
    test.app.store.members(organization).await.unwrap().iter().map(|member| member.user).collect()
}

/// The subjects and texts of the mails to an address that speak of this key, oldest first.
async fn warnings(test: &TestApp, organization: OrganizationId, email: &str, key: ApiKeyId) -> Vec<String> {
    let mailbox = test.mailbox_key(organization).await;
    let letters = test.letters(&mailbox, email).await;
    let texts = letters.iter().rev().map(|letter| letter.text.clone());
    texts.filter(|text| text.contains(&key.to_string())).collect()
}

/// whoever made the key is warned 14, 7 and 1 days ahead, and its end is recorded: on the hour, and once each.
#[tokio::test]
async fn who_made_a_key_is_warned_three_times() {
    let test = TestApp::start().await;
    let (organization, _ada) = test.owner("Acme", ADA).await;
    let ada = users(&test, organization).await[0];
    let bob = member(&test, organization, BOB, Role::Admin).await;
    let of_ada = key(&test, organization, "nightly export", Some(ada)).await;
    let of_bob = key(&test, organization, "weekly export", Some(bob)).await;
    let tenant = sandbox(organization);
    let moments = [(76, "key.warned 14"), (7, "key.warned 7"), (6, "key.warned 1"), (1, "key.ended Expired")];
    for (count, (days, due)) in moments.into_iter().enumerate() {
        test.clock.forward_s(days * DAY_S - 1);
        assert_eq!(told(&test, &tenant, of_ada).await.len(), count + 1, "not a second earlier than {due}");
        test.clock.forward_s(1);
        assert_eq!(told(&test, &tenant, of_ada).await.last().unwrap(), due);
        test.work().await;
    }
    let texts = warnings(&test, organization, ADA, of_ada).await;
    assert_eq!(texts.len(), 3);
    assert!(
        texts[0].contains("nightly export")
            && texts[0].contains("Rotate it before")
            && texts[0].contains("not used yet")
    );
    assert!(warnings(&test, organization, BOB, of_ada).await.is_empty());
    assert_eq!(warnings(&test, organization, BOB, of_bob).await.len(), 3);
    let events = told(&test, &tenant, of_ada).await;
    assert_eq!(events, ["key.created", "key.warned 14", "key.warned 7", "key.warned 1", "key.ended Expired"]);
    test.finish().await;
}

/// where nobody made it, or whoever did is gone, owners and admins are warned, and nobody else.
#[tokio::test]
async fn without_its_maker_owners_and_admins_are_warned() {
    let test = TestApp::start().await;
    let (organization, _ada) = test.owner("Acme", ADA).await;
    let bob = member(&test, organization, BOB, Role::Admin).await;
    let eve = member(&test, organization, "eve@example.com", Role::Developer).await;
    let nobodys = key(&test, organization, "from the command line", None).await;
    let eves = key(&test, organization, "of somebody who left", Some(eve)).await;
    let row = test.app.store.member(organization, eve).await.unwrap().unwrap();
    let left = countersign_store::access_rows::MemberRow {
        ended_at: Some(test.app.now()),
        version: row.version + 1,
        ..row
    };
    let batch = Batch { changes: vec![Change::Member(left)], ..Batch::default() };
    test.app.store.commit(batch).await.unwrap();
    test.clock.forward_s(76 * DAY_S);
    for key in [nobodys, eves] {
        for (email, count) in [(ADA, 1), (BOB, 1), ("eve@example.com", 0)] {
            assert_eq!(warnings(&test, organization, email, key).await.len(), count, "{email}");
        }
    }
    assert_ne!(bob, eve);
    test.finish().await;
}

/// a key that was ended or rotated is not warned of as if it lived on.
#[tokio::test]
async fn what_ended_early_is_not_warned_of() {
    let test = TestApp::start().await;
    let (organization, _ada) = test.owner("Acme", ADA).await;
    let ada = users(&test, organization).await[0];
    let ended = key(&test, organization, "ended", Some(ada)).await;
    let rotated = key(&test, organization, "rotated", Some(ada)).await;
    let tenant = sandbox(organization);
    api_keys::end(&test.app, &tenant, &operator(&test), ended, None).await.unwrap();
    let how = Rotating { overlap_s: limits::API_KEY_OVERLAP_S, lifetime_s: None };
    let circumstances = operator(&test);
    api_keys::rotate(&test.app, &tenant, &circumstances, Giver::OPERATOR, rotated, how, None).await.unwrap();
    for _ in 0..95 {
        test.clock.forward_s(DAY_S);
        test.work().await;
    }
    assert!(warnings(&test, organization, ADA, ended).await.is_empty());
    assert_eq!(told(&test, &tenant, ended).await, ["key.created", "key.ended Ended"]);
    let events = told(&test, &tenant, rotated).await;
    assert_eq!(events, ["key.created", "key.rotated", "key.warned 1", "key.ended Rotated"]);
    let texts = warnings(&test, organization, ADA, rotated).await;
    assert!(texts.len() == 1 && texts[0].contains("It was rotated"), "{texts:?}");
    test.finish().await;
}

/// two servers over one database warn once, and record the end once.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_warn_once() {
    let test = TestApp::start_with(Options { postgres: true, ..Options::default() }).await;
    let other = test.beside(2).await;
    let (organization, _ada) = test.owner("Acme", ADA).await;
    let ada = users(&test, organization).await[0];
    let mut keys = Vec::new();
    for number in 0..5 {
        keys.push(key(&test, organization, &format!("key {number}"), Some(ada)).await);
    }
    for days in [76, 7, 6, 1] {
        test.clock.forward_s(days * DAY_S);
        for _ in 0..3 {
            tokio::join!(test.work(), other.work());
        }
    }
    for key in keys {
        let events = told(&test, &sandbox(organization), key).await;
        assert_eq!(
            events,
            ["key.created", "key.warned 14", "key.warned 7", "key.warned 1", "key.ended Expired"]
        );
        assert_eq!(warnings(&test, organization, ADA, key).await.len(), 3);
    }
    other.finish_without_worker().await;
    test.finish_without_worker().await;
}

/// a key of before there was such a job is watched from the next start on.
#[tokio::test]
async fn a_key_of_before_is_watched_too() {
    let test = TestApp::start().await;
    let (organization, _ada) = test.owner("Acme", ADA).await;
    let known = key(&test, organization, "known", None).await;
    let row = test.app.store.api_key_by_id(known).await.unwrap().unwrap();
    let old = ApiKeyId::new(test.app.now(), [7; 10]);
    let hash = countersign_core::secret::HashedToken::from_bytes([7; 32]);
    let row = countersign_store::rows::ApiKeyRow { key: old, hash, label: "of before".to_owned(), ..row };
    test.app.store.commit(Batch { rows: vec![Row::ApiKey(row)], ..Batch::default() }).await.unwrap();
    let test = test.restart().await;
    test.clock.forward_s(90 * DAY_S);
    test.work().await;
    assert_eq!(told(&test, &sandbox(organization), old).await, ["key.ended Expired"]);
    assert_eq!(told(&test, &sandbox(organization), known).await, ["key.created", "key.ended Expired"]);
    test.finish().await;
}
