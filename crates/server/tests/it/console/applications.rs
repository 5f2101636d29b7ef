//! Connected applications: seen and ended by whoever allowed them, or by an admin; and what signing out ends.

use countersign_core::access::Environment;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{BOB, Scene};
use crate::{
    accounts::person::hidden,
    app::TestApp,
    oauth::{
        client::{Client, kinds},
        flow,
        keys::ClientKey,
    },
};

fn member<'v>(body: &'v Value, name: &str) -> &'v str {
    body[name].as_str().unwrap_or_else(|| panic!("{name} in {body}"))
}

/// a person sees what it allowed and ends it: the tokens are worth nothing from the next request on.
#[tokio::test]
async fn a_person_ends_what_it_allowed() {
    let test = TestApp::start().await;
    let scene = flow::Scene::new(&test, "standard").await;
    let tokens = scene.redeem(&scene.code().await).await;
    assert!(scene.is_taken(&tokens.token()).await);
    let page = scene.person.get(&test, "/account/applications").await.text().await.unwrap();
    for words in ["Contract robot", "Acme", "sandbox", "read envelopes with their people and fields"] {
        assert!(page.contains(words), "{words} in {page}");
    }
    let grant = hidden(&page, "grant");
    let (_, eve) = test.owner("Copper Works", "eve@example.com").await;
    let foreign = eve.form(&test, "/account/applications/end", &[("grant", &grant)]).await;
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "A-12");
    assert!(scene.is_taken(&tokens.token()).await);
    // Without another proof: to take something back is never dangerous.
    test.clock.forward_s(590);
    let page = scene.person.form(&test, "/account/applications/end", &[("grant", &grant)]).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("has no access any more") && page.contains("No program acts for you"), "{page}");
    assert!(!scene.is_taken(&tokens.token()).await);
    let refused = scene.refresh(member(&tokens.body, "refresh_token")).await;
    assert_eq!(refused.error(), (400, "invalid_grant"));
    let told = kinds(&test, &scene.client.tenant).await;
    assert!(told.iter().any(|kind| kind == "grant.ended"), "{told:?}");
    let again = scene.person.form(&test, "/account/applications/end", &[("grant", &grant)]).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    test.finish().await;
}

/// an admin sees and ends what members allowed, on the console and through the API; an auditor only sees it.
#[tokio::test]
async fn an_admin_ends_what_members_allowed() {
    let test = TestApp::start().await;
    let flow = flow::Scene::new(&test, "standard").await;
    let ada = flow.person.elsewhere(&test);
    ada.sign_in(&test).await;
    let scene = Scene { test: &test, organization: flow.organization, ada };
    let page = format!("/console/{}/sandbox/applications", scene.organization);
    let end = format!("{page}/end");
    let first = flow.redeem(&flow.code().await).await;
    let auditor = scene.joined(BOB, "auditor").await;
    let text = auditor.get(&test, &page).await.text().await.unwrap();
    assert!(text.contains("Contract robot") && !text.contains("name=\"grant\""), "{text}");
    let text = scene.ada.get(&test, &page).await.text().await.unwrap();
    let grant = hidden(&text, "grant");
    let refused = auditor.form(&test, &end, &[("grant", &grant)]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(flow.is_taken(&first.token()).await);
    let live = format!("/console/{}/live/applications", scene.organization);
    assert!(scene.see(&scene.ada, "/applications").await.contains("No program acts for a member"));
    let elsewhere = scene.ada.form(&test, &format!("{live}/end"), &[("grant", &grant)]).await;
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND, "A-12: live does not know it");
    scene.ada.form(&test, &end, &[("grant", &grant)]).await;
    assert!(!flow.is_taken(&first.token()).await);

    let second = flow.redeem(&flow.code().await).await;
    let admin = Client::register(&test, scene.organization, "admin").await;
    let token = admin.own_token("admin:grants grants:read").await;
    let user = scene.user("ada@example.com").await;
    let list = admin.api(Method::GET, &format!("/v1/grants?user={user}"), &token).send().await.unwrap();
    let list: Value = list.json().await.unwrap();
    let grants = list["grants"].as_array().unwrap();
    assert_eq!(grants.len(), 1, "the one that was ended is not there: {list}");
    assert_eq!(grants[0]["client_name"], "Contract robot");
    assert_eq!(grants[0]["scope"], "envelopes:read envelopes:status");
    let path = format!("/v1/grants/{}/end", member(&grants[0], "id"));
    for (key, status) in [("one", StatusCode::OK), ("one", StatusCode::OK), ("two", StatusCode::NOT_FOUND)] {
        let asked = admin.api(Method::POST, &path, &token).header("Idempotency-Key", key);
        assert_eq!(asked.send().await.unwrap().status(), status, "{key}");
    }
    assert!(!flow.is_taken(&second.token()).await);
    test.work().await;
    test.finish().await;
}

/// signing out ends the session and what was allowed for its time; what was allowed to go on does, as the person was
/// told. A session that is ended from the list takes along what was allowed in it.
#[tokio::test]
async fn what_was_allowed_to_go_on_survives_a_sign_out_and_no_suspicion() {
    let test = TestApp::start().await;
    let scene = flow::Scene::new(&test, "standard").await;
    let kept = scene.redeem(&scene.code().await).await;
    let online = online_grant(&test, &scene).await;
    assert!(scene.is_taken(&kept.token()).await && online.is_taken().await);
    let elsewhere = scene.person.elsewhere(&test);
    elsewhere.sign_in(&test).await;
    scene.person.form(&test, "/signout", &[]).await;
    assert!(!scene.person.is_in(&test).await);
    assert!(!online.is_taken().await, "it was for the time of the session");
    assert!(scene.is_taken(&kept.token()).await);
    let next = scene.refresh(member(&kept.body, "refresh_token")).await;
    assert!(scene.is_taken(&next.token()).await);
    let page = elsewhere.get(&test, "/account/applications").await.text().await.unwrap();
    assert_eq!(page.matches("name=\"grant\"").count(), 1, "{page}");

    scene.person.sign_in(&test).await;
    let suspected = scene.redeem(&scene.code().await).await;
    let page = elsewhere.get(&test, "/account").await.text().await.unwrap();
    let session = hidden(&page, "session");
    elsewhere.form(&test, "/account/sessions/end", &[("session", &session)]).await;
    assert!(!scene.person.is_in(&test).await);
    assert!(!scene.is_taken(&suspected.token()).await, "whoever ends a session suspects it");
    let refused = scene.refresh(member(&suspected.body, "refresh_token")).await;
    assert_eq!(refused.error(), (400, "invalid_grant"));
    assert!(scene.is_taken(&next.token()).await, "that was allowed in another session");
    let told = kinds(&test, &scene.client.tenant).await;
    assert_eq!(told.iter().filter(|kind| *kind == "grant.ended").count(), 1, "{told:?}");
    test.work().await;
    test.finish().await;
}

/// Access without a refresh token.
struct Online<'a> {
    scene: flow::Scene<'a>,
    token: String,
}

impl Online<'_> {
    async fn is_taken(&self) -> bool {
        self.scene.is_taken(&self.token).await
    }
}

async fn online_grant<'a>(test: &'a TestApp, scene: &flow::Scene<'a>) -> Online<'a> {
    let key = ClientKey::new("online");
    let mut registration = flow::registration("standard", &key, "envelopes:status envelopes:read");
    registration["grant_types"] = serde_json::json!(["authorization_code"]);
    let organization = scene.organization;
    let client = Client::register_with(test, organization, Environment::Sandbox, key, &registration).await;
    let mut person = scene.person.elsewhere(test);
    person.http = scene.person.http.clone();
    let scene = flow::Scene { client, person, organization };
    let answered = scene.redeem(&scene.code().await).await;
    assert_eq!(answered.body.get("refresh_token"), None);
    Online { token: answered.token(), scene }
}
