//! Members through the API: with their own scopes, in live alone, and never more than the client has.

use countersign_core::{
    access::Environment,
    role::Role,
    scope::{Scope, Scopes},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{BOB, silent_member};
use crate::{
    app::{Options, TestApp},
    oauth::{
        client::{Client, kinds, registration},
        keys::ClientKey,
    },
};

fn with_mail(config: &mut countersign_server::config::Config) {
    config.mail.smtp_host = Some("mail.test".to_owned());
    config.mail.from = "sign@sign.test".to_owned();
}

async fn client(
    test: &TestApp,
    organization: countersign_core::id::OrganizationId,
    environment: Environment,
    scopes: Scopes,
) -> Client<'_> {
    let key = ClientKey::new("members");
    let known = registration(&key, scopes);
    Client::register_with(test, organization, environment, key, &known).await
}

async fn post(
    client: &Client<'_>,
    token: &str,
    path: &str,
    key: &str,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let request = client.api(Method::POST, path, token).header("Idempotency-Key", key);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn get(client: &Client<'_>, token: &str, path: &str) -> Value {
    let response = client.api(Method::GET, path, token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

/// A-13, G-6: a client of live with the admin scope invites, changes and removes, each request once.
#[tokio::test]
async fn a_client_of_live_manages_members() {
    let test = TestApp::start_with(Options { configure: with_mail, ..Options::default() }).await;
    let organization = test.organization("Acme").await;
    let owner = silent_member(&test, organization, Role::Owner).await;
    let member = silent_member(&test, organization, Role::Reviewer).await;
    let all = Scopes::ALL.and(Environment::Live.ceiling());
    let client = client(&test, organization, Environment::Live, all).await;
    let token = client.own_token("admin:members members:read").await;
    let wish = json!({ "email": BOB, "role": "sender" });
    let first = post(&client, &token, "/v1/invitations", "one", Some(wish.clone())).await;
    assert_eq!((first.0, &first.1["role"]), (StatusCode::CREATED, &json!("sender")), "{}", first.1);
    let again = post(&client, &token, "/v1/invitations", "one", Some(wish)).await;
    assert_eq!(first, again, "the same request invites once");
    let open = get(&client, &token, "/v1/invitations").await;
    assert_eq!(open["invitations"], json!([first.1]));
    let id = first.1["id"].as_str().unwrap();
    let sent = post(&client, &token, &format!("/v1/invitations/{id}/resend"), "two", None).await;
    assert_eq!(sent.0, StatusCode::OK);
    assert_ne!(sent.1["id"], first.1["id"]);
    let id = sent.1["id"].as_str().unwrap();
    let cancelled = post(&client, &token, &format!("/v1/invitations/{id}/cancel"), "three", None).await;
    assert_eq!(cancelled.0, StatusCode::OK);
    assert_eq!(get(&client, &token, "/v1/invitations").await["invitations"], json!([]));

    let path = format!("/v1/members/{}", member.user);
    let changed = post(&client, &token, &path, "four", Some(json!({ "role": "auditor" }))).await;
    assert_eq!((changed.0, &changed.1["role"]), (StatusCode::OK, &json!("auditor")));
    let page = get(&client, &token, "/v1/members?limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = get(&client, &token, &format!("/v1/members?limit=1&cursor={cursor}")).await;
    assert_eq!(rest["next_cursor"], Value::Null);
    let mut read = [&page, &rest].map(|page| page["members"][0]["id"].as_str().unwrap().to_owned());
    read.sort();
    let mut all = [owner.user.to_string(), member.user.to_string()];
    all.sort();
    assert_eq!(read, all);
    let removed = post(&client, &token, &format!("{path}/remove"), "five", None).await;
    assert_eq!(removed.0, StatusCode::OK);
    assert_eq!(post(&client, &token, &format!("{path}/remove"), "six", None).await.0, StatusCode::NOT_FOUND);
    let told = kinds(&test, &client.tenant).await;
    let told: Vec<&str> =
        told.iter().map(String::as_str).filter(|kind| kind.starts_with("member.")).collect();
    let expected = [
        "member.invited",
        "member.invitation_cancelled",
        "member.invited",
        "member.invitation_cancelled",
        "member.changed",
        "member.removed",
    ];
    assert_eq!(told, expected);
    test.finish_without_worker().await;
}

/// a client gives no role that may do more than itself, makes no owner, touches none, and does nothing from a sandbox.
#[tokio::test]
async fn a_client_gives_no_more_than_it_has() {
    let test = TestApp::start_with(Options { configure: with_mail, ..Options::default() }).await;
    let organization = test.organization("Acme").await;
    let owner = silent_member(&test, organization, Role::Owner).await;
    let member = silent_member(&test, organization, Role::Reviewer).await;
    let reviewer = Role::Reviewer.ceiling(Environment::Live).or(Scopes::of(&[Scope::AdminMembers]));
    let all = Scopes::ALL.and(Environment::Live.ceiling());
    for (environment, scopes, role, may) in [
        (Environment::Live, all, "owner", false),
        (Environment::Live, all, "admin", true),
        (Environment::Live, reviewer, "reviewer", true),
        (Environment::Live, reviewer, "sender", false),
        (Environment::Live, reviewer, "admin", false),
        (Environment::Sandbox, Scopes::ALL, "reviewer", false),
    ] {
        let client = client(&test, organization, environment, scopes).await;
        let token = client.own_token("admin:members").await;
        let wish = json!({ "email": format!("{role}@example.com"), "role": role });
        let (status, answer) = post(&client, &token, "/v1/invitations", "one", Some(wish)).await;
        let expected = if may { StatusCode::CREATED } else { StatusCode::UNPROCESSABLE_ENTITY };
        assert_eq!(status, expected, "{environment:?} {role}: {answer}");
        if !may {
            assert_eq!(answer["pointer"], "/role");
        }
        let path = format!("/v1/members/{}", member.user);
        let (status, _) = post(&client, &token, &path, "two", Some(json!({ "role": role }))).await;
        assert_eq!(status == StatusCode::OK, may, "{environment:?} {role}");
        if may {
            post(&client, &token, &path, "three", Some(json!({ "role": "reviewer" }))).await;
        }
        let path = format!("/v1/members/{}/remove", owner.user);
        let (status, _) = post(&client, &token, &path, "four", None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "owners are ended by owners, in person");
    }
    test.finish_without_worker().await;
}
