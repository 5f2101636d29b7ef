//! The page of API keys by HTTP: step-up, the token once, and nobody who may not.

use countersign_core::{access::Environment, id::OrganizationId, limits, scope::Scopes};
use reqwest::StatusCode;

use super::{ok, over, tried};
use crate::{
    accounts::person::{Person, error_of},
    app::TestApp,
};

fn page(organization: OrganizationId, rest: &str) -> String {
    format!("/console/{organization}/sandbox/keys{rest}")
}

/// The token on a page.
fn token_on(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"token\"").unwrap_or_else(|| panic!("no token: {page}"));
    let (_, rest) = rest.split_once("value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

const GOOD: [(&str, &str); 5] = [
    ("label", "Nightly <export>"),
    ("scope", "envelopes:status"),
    ("scope", "sealed:read"),
    ("networks", "127.0.0.0/8\r\n2001:db8::/32"),
    ("days", "30"),
];

async fn make(test: &TestApp, ada: &Person, organization: OrganizationId) -> (String, String) {
    let made = ada.form(test, &page(organization, "/new"), &GOOD).await;
    assert_eq!(
        (made.status(), &made.headers()["cache-control"]),
        (StatusCode::OK, &"no-store".parse().unwrap())
    );
    let text = made.text().await.unwrap();
    let list = ada.get(test, &page(organization, "")).await.text().await.unwrap();
    let (_, rest) = list.split_once(" · key_").unwrap();
    (token_on(&text), format!("key_{}", rest.chars().take(26).collect::<String>()))
}

/// a key is made by somebody who has just proved who it is; its token is on that page alone; then it is rotated,
/// changed and ended.
#[tokio::test]
async fn a_member_makes_rotates_changes_and_ends_a_key() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Acme", "ada@example.com").await;
    test.clock.forward_s(limits::STEP_UP_S + 1);
    assert_eq!(ada.lands_on(&test, &page(organization, "/new")).await, "/signin/again");
    let refused = ada.form(&test, &page(organization, "/new"), &GOOD).await;
    assert_eq!(refused.url().path(), "/signin/again", "a form without a fresh proof does nothing");
    assert!(
        ada.get(&test, &page(organization, "")).await.text().await.unwrap().contains("None in the sandbox")
    );
    ada.confirm(&test).await;

    let (token, key) = make(&test, &ada, organization).await;
    assert_eq!(tried(&test, &token).await, ok());
    let list = ada.get(&test, &page(organization, "")).await.text().await.unwrap();
    for shown in [
        "Nightly &#60;export&#62;",
        "127.0.0.0/8",
        "2001:db8::/32",
        "by Ada Lovelace",
        "from 127.0.0.1",
        "csk_sandbox_",
    ] {
        assert!(list.contains(shown), "{shown}: {list}");
    }
    assert!(!list.contains(&token) && !list.contains("<export>"));
    let one = page(organization, &format!("/{key}"));
    assert!(!ada.get(&test, &one).await.text().await.unwrap().contains(&token));

    let wider =
        [("label", "x"), ("scope", "envelopes:status"), ("scope", "documents:write"), ("networks", "")];
    let refused = ada.form(&test, &format!("{one}/change"), &wider).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(error_of(&refused.text().await.unwrap()).unwrap().contains("documents:write"));
    let narrower = [("label", "Export"), ("scope", "envelopes:status"), ("networks", "127.0.0.1")];
    let changed = ada.form(&test, &format!("{one}/change"), &narrower).await;
    assert_eq!(changed.url().path(), one);
    let text = changed.text().await.unwrap();
    assert!(
        text.contains("<h1>Export") && text.contains("127.0.0.1/32") && !text.contains("sealed:read"),
        "{text}"
    );

    // A form that lacks a field opens nothing.
    for partial in [
        vec![("label", "Export"), ("scope", "envelopes:status")],
        vec![("scope", "envelopes:status"), ("networks", "127.0.0.1")],
    ] {
        let refused = ada.form(&test, &format!("{one}/change"), &partial).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{partial:?}");
        assert!(ada.get(&test, &one).await.text().await.unwrap().contains("127.0.0.1/32"), "{partial:?}");
    }

    let rotated = ada.form(&test, &format!("{one}/rotate"), &[("overlap_s", "86400")]).await;
    let text = rotated.text().await.unwrap();
    let newer = token_on(&text);
    assert!(text.contains("The old key works until"), "{text}");
    assert_eq!((tried(&test, &token).await, tried(&test, &newer).await), (ok(), ok()));
    let again = ada.form(&test, &format!("{one}/rotate"), &[("overlap_s", "0")]).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let unsure = ada.form(&test, &format!("{one}/end"), &[]).await;
    assert_eq!(unsure.status(), StatusCode::UNPROCESSABLE_ENTITY, "one click ends nothing");
    assert!(unsure.text().await.unwrap().contains("Confirm that the key is to end"));
    assert_eq!(tried(&test, &token).await, ok());
    let ended = ada.form(&test, &format!("{one}/end"), &[("sure", "yes")]).await;
    assert!(ended.text().await.unwrap().contains("<span class=\"badge\">ended</span>"));
    assert_eq!((tried(&test, &token).await, tried(&test, &newer).await), (over(), ok()));
    test.work().await;
    test.finish().await;
}

/// what is typed wrong is said, and what was typed is kept.
#[tokio::test]
async fn what_is_wrong_is_said_and_the_rest_is_kept() {
    let test = TestApp::start().await;
    let (organization, ada) = test.owner("Acme", "ada@example.com").await;
    let new = page(organization, "/new");
    // A form that lacks a field makes nothing: without its networks it would open the key to all of them.
    for lacking in ["label", "networks", "days"] {
        let partial: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != lacking).collect();
        assert_eq!(ada.form(&test, &new, &partial).await.status(), StatusCode::BAD_REQUEST, "{lacking}");
    }
    let list = ada.get(&test, &page(organization, "")).await.text().await.unwrap();
    assert!(list.contains("None in the sandbox"), "{list}");
    for (form, part) in [
        (vec![("label", "x"), ("networks", ""), ("days", "30")], "Choose at least one"),
        (
            vec![("label", "x"), ("scope", "sealed:read"), ("networks", "10.1.2.3/8"), ("days", "30")],
            "10.0.0.0/8",
        ),
        (
            vec![("label", "x"), ("scope", "sealed:read"), ("networks", ""), ("days", "91")],
            "between 1 and 90 days",
        ),
        (vec![("label", "x"), ("scope", "admin:keys"), ("networks", ""), ("days", "9")], "register a client"),
        (vec![("label", ""), ("scope", "sealed:read"), ("networks", ""), ("days", "9")], "must not be empty"),
    ] {
        let refused = ada.form(&test, &new, &form).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{part}");
        let text = refused.text().await.unwrap();
        let error = error_of(&text).unwrap();
        assert!(error.contains(part), "{part}: {error}");
        assert!(!form.contains(&("scope", "sealed:read")) || text.contains("value=\"sealed:read\" checked"));
    }
    for odd in [
        vec![("surprise", "1")],
        vec![("label", "x"), ("label", "y")],
        vec![("label", "x"), ("scope", "everything")],
    ] {
        let refused = ada.form(&test, &new, &odd).await.status();
        assert!(refused == StatusCode::BAD_REQUEST, "{odd:?} {refused}");
    }
    test.work().await;
    test.finish().await;
}

/// to others there is no such page, and no such key.
#[tokio::test]
async fn others_find_nothing() {
    let test = TestApp::start().await;
    let (acme, ada) = test.owner("Acme", "ada@example.com").await;
    let (_, key) = make(&test, &ada, acme).await;
    let (other, bob) = test.owner("Other", "bob@example.com").await;
    for path in
        [page(acme, ""), page(acme, "/new"), page(acme, &format!("/{key}")), page(other, &format!("/{key}"))]
    {
        assert_eq!(bob.get(&test, &path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for act in ["change", "rotate", "end"] {
        let form: &[(&str, &str)] = match act {
            "change" => &[("label", "x"), ("scope", "sealed:read"), ("networks", "")],
            "rotate" => &[("overlap_s", "0")],
            _ => &[("sure", "yes")],
        };
        for organization in [acme, other] {
            let refused = bob.form(&test, &page(organization, &format!("/{key}/{act}")), form).await;
            assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{act}");
        }
        let elsewhere = format!("/console/{acme}/live/keys/{key}/{act}");
        assert_eq!(ada.form(&test, &elsewhere, form).await.status(), StatusCode::NOT_FOUND, "{act}");
    }
    let nobody = Person::new(&test, "eve@example.com");
    assert_eq!(nobody.lands_on(&test, &page(acme, "")).await, "/signin");
    let reader = test.key(acme, Environment::Sandbox, Scopes::FOR_KEYS).await;
    assert_eq!(test.get_json(&reader, &format!("/v1/keys/{key}")).await["state"], "active");
    test.work().await;
    test.finish().await;
}
