//! Clients on the console: registered with keys, seen, ended.

use countersign_core::access::Environment;
use reqwest::StatusCode;
use serde_json::json;

use super::Scene;
use crate::{accounts::person::error_of, app::TestApp, oauth::keys::ClientKey};

fn jwks(name: &str) -> String {
    json!({ "keys": [ClientKey::new(name).public("1")] }).to_string()
}

/// an owner registers a client with its key, sees it, and ends it; the page says what it may do.
#[tokio::test]
async fn a_client_is_registered_seen_and_ended() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let keys = jwks("robot");
    let form = [
        ("name", "Contract robot"),
        ("acts", "people"),
        ("profile", "fapi2"),
        ("redirect_uris", "https://robot.test/cb\r\nhttps://robot.test/other\r\n"),
        ("keys", "jwks"),
        ("jwks", keys.as_str()),
        ("jwks_uri", ""),
        ("scope", "envelopes:status"),
        ("scope", "admin:members"),
    ];
    let page = scene.ada.form(&test, &scene.sandbox("/clients/new"), &form).await;
    let path = page.url().path().to_owned();
    let text = page.text().await.unwrap();
    assert!(path.contains("/clients/cli_"), "{path}: {text}");
    for words in [
        "Contract robot",
        "The client is registered",
        "FAPI 2.0",
        "private_key_jwt",
        "one key, registered here",
        "https://robot.test/other",
        "invite members, change their roles and remove them",
        "authorization_code, refresh_token",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let list = scene.ada.get(&test, &scene.sandbox("/clients")).await.text().await.unwrap();
    assert!(list.contains("Contract robot"));
    assert!(!scene.see(&scene.ada, "/clients").await.contains("Contract robot"), "A-12: live has others");
    let live = path.replace("/sandbox/", "/live/");
    assert_eq!(scene.ada.get(&test, &live).await.status(), StatusCode::NOT_FOUND);
    let ended = scene.ada.form(&test, &format!("{path}/end"), &[]).await;
    assert!(ended.text().await.unwrap().contains("The client was ended"));
    assert_eq!(scene.ada.get(&test, &path).await.status(), StatusCode::NOT_FOUND);
    let tenant = countersign_core::access::Tenant::of_stored_row(scene.organization, Environment::Sandbox);
    let kinds = crate::oauth::client::kinds(&test, &tenant).await;
    assert_eq!(kinds, ["client.registered", "client.ended"]);
    test.work().await;
    test.finish().await;
}

/// what may not be registered is refused with a sentence, and what was typed is still there.
#[tokio::test]
async fn a_registration_that_may_not_be_is_told_why() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let keys = jwks("robot");
    let private = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "d": "c2VjcmV0", "x": "eA", "y": "eQ" }] })
        .to_string();
    let good = [
        ("name", "Robot"),
        ("acts", "itself"),
        ("profile", "fapi2"),
        ("redirect_uris", ""),
        ("keys", "jwks"),
        ("jwks", keys.as_str()),
        ("jwks_uri", ""),
    ];
    let with = |name: &'static str, value: &str| {
        let mut form: Vec<(&str, String)> = good
            .iter()
            .filter(|(found, _)| *found != name)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        form.push((name, value.to_owned()));
        if name != "scope" {
            form.push(("scope", "envelopes:status".to_owned()));
        }
        form
    };
    for (form, told) in [
        (with("jwks", "no json"), "JWK set"),
        (with("jwks", &private), "private"),
        (with("name", " "), "name"),
        (with("acts", "people"), "redirect"),
        ([with("profile", "standard"), vec![("scope", "admin:keys".to_owned())]].concat(), "fapi2"),
    ] {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = scene.ada.form(&test, &scene.sandbox("/clients/new"), &form).await;
        let status = page.status();
        let text = page.text().await.unwrap();
        assert!(status.is_client_error(), "{told}: {status}");
        let error = error_of(&text).unwrap_or_else(|| panic!("{told}: {text}"));
        assert!(error.to_lowercase().contains(told) || error.contains(told), "{told}: {error}");
        assert!(text.contains("value=\"envelopes:status\" checked"), "{told}: {text}");
    }
    for odd in [("surprise", "1"), ("scope", "no:such"), ("acts", "itself")] {
        let form = [good.as_slice(), &[odd]].concat();
        let page = scene.ada.form(&test, &scene.sandbox("/clients/new"), &form).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{odd:?}");
    }
    let list = scene.ada.get(&test, &scene.sandbox("/clients")).await.text().await.unwrap();
    assert!(list.contains("None yet"), "{list}");
    test.work().await;
    test.finish().await;
}
