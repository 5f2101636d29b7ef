//! Every page of the console, with everybody and every request that it must refuse.

use countersign_core::limits;
use reqwest::StatusCode;

use super::{BOB, Scene};
use crate::{accounts::person::Person, app::TestApp, console::ADA, oauth::client::Client};

/// Pages that are looked at, and who sees them besides owners and admins: `a` auditors, `d` developers (of the sandbox),
/// `s` senders.
const PAGES: &[(&str, &str)] = &[
    ("", "ads"),
    ("/members", "a"),
    ("/members/{member}", ""),
    ("/clients", "ad"),
    ("/clients/new", ""),
    ("/clients/{client}", "ad"),
    ("/applications", "ad"),
    ("/security", "a"),
    ("/security/export", "a"),
];

/// Forms, each dangerous, and for owners and admins alone.
const FORMS: &[&str] = &[
    "/members/invite",
    "/members/invitations/resend",
    "/members/invitations/cancel",
    "/members/{member}/role",
    "/members/{member}/remove",
    "/clients/new",
    "/clients/{client}/end",
    "/applications/end",
];

/// G-8: the lists above are the router's: a page that is not in them is not tested, and fails here.
#[test]
fn every_page_of_the_console_is_in_these_lists() {
    let source = include_str!("../../../src/console/mod.rs");
    let (_, routes) = source.split_once("fn desk_routes()").unwrap();
    let (routes, _) = routes.split_once("\n}\n").unwrap();
    for route in routes.split(".route(\"").skip(1) {
        let (path, methods) = route.split_once('"').unwrap();
        let path = if path == "/" { "" } else { path };
        assert_eq!(methods.contains("get("), PAGES.iter().any(|(page, _)| *page == path), "{path}");
        assert_eq!(methods.contains("post("), FORMS.contains(&path), "{path}");
    }
}

struct Ids {
    member: String,
    client: String,
    invitation: String,
    grant: String,
}

async fn ids(scene: &Scene<'_>) -> Ids {
    scene.joined(BOB, "reviewer").await;
    scene.invite(&scene.ada, "eve@example.com", "reviewer").await;
    let list = scene.see(&scene.ada, "/members").await;
    let invitation = crate::accounts::person::hidden(&list, "invitation");
    let client = Client::register(scene.test, scene.organization, "robot").await.id.to_string();
    let member = scene.user(BOB).await.to_string();
    let grant = countersign_core::id::GrantId::from_bytes([7; 16]).to_string();
    Ids { member, client, invitation, grant }
}

fn new_client(keys: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("name", "Robot"),
        ("acts", "itself"),
        ("profile", "fapi2"),
        ("redirect_uris", ""),
        ("keys", "jwks"),
        ("jwks", keys),
        ("jwks_uri", ""),
    ]
}

impl Ids {
    fn path(&self, path: &str) -> String {
        path.replace("{member}", &self.member).replace("{client}", &self.client)
    }

    fn form(&self, path: &str) -> Vec<(&'static str, &str)> {
        match path {
            "/members/invite" => vec![("email", "x@example.com"), ("role", "reviewer")],
            "/members/{member}/role" => vec![("role", "auditor")],
            "/clients/new" => new_client("{}"),
            "/applications/end" => vec![("grant", &self.grant)],
            path if path.starts_with("/members/invitations/") => vec![("invitation", &self.invitation)],
            _ => vec![],
        }
    }
}

/// What must not change, whatever is refused.
async fn state(scene: &Scene<'_>) -> String {
    let store = &scene.test.app.store;
    let tenant = countersign_core::access::Tenant::of_stored_row(
        scene.organization,
        countersign_core::access::Environment::Sandbox,
    );
    format!(
        "{:?}{:?}{:?}",
        store.members(scene.organization).await.unwrap(),
        store.tickets(scene.organization).await.unwrap(),
        store.clients(&tenant, None, 10).await.unwrap()
    )
}

/// G-9: without a session, from another organization, from another site, with another role, without a fresh
/// proof and with an unknown query, no page of the console shows or changes anything.
#[tokio::test]
async fn every_page_refuses_whoever_may_not() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let ids = ids(&scene).await;
    let (_, eve) = test.owner("Copper Works", "mallory@example.com").await;
    let nobody = Person::new(&test, ADA);
    let before = state(&scene).await;
    for (page, _) in PAGES {
        let path = ids.path(page);
        let address = scene.sandbox(&path);
        assert_eq!(scene.ada.get(&test, &address).await.status(), StatusCode::OK, "{page}");
        assert_eq!(nobody.lands_on(&test, &address).await, "/signin", "{page}");
        assert_eq!(eve.get(&test, &address).await.status(), StatusCode::NOT_FOUND, "{page}");
        let odd = scene.ada.get(&test, &format!("{address}?surprise=1")).await;
        assert_eq!(odd.status(), StatusCode::BAD_REQUEST, "{page}");
        let elsewhere = address.replace("/sandbox", "/moon");
        assert_eq!(scene.ada.get(&test, &elsewhere).await.status(), StatusCode::NOT_FOUND, "{page}");
    }
    for path in FORMS {
        let form = ids.form(path);
        let address = scene.sandbox(&ids.path(path));
        assert_eq!(nobody.form(&test, &address, &form).await.url().path(), "/signin", "{path}");
        assert_eq!(eve.form(&test, &address, &form).await.status(), StatusCode::NOT_FOUND, "{path}");
        let url = format!("{}{address}", test.url);
        for site in ["cross-site", "same-site", "none"] {
            let request = scene.ada.http.post(&url).header("sec-fetch-site", site).form(&form);
            assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path} {site}");
        }
        let request = scene.ada.http.post(&url).header("origin", "https://evil.test").form(&form);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
        let odd = [form, vec![("surprise", "1")]].concat();
        let refused = scene.ada.form(&test, &address, &odd).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    for (letter, role) in [('s', "sender"), ('a', "auditor"), ('d', "developer")] {
        let email = format!("{role}@example.com");
        let person = scene.joined(&email, role).await;
        let before = state(&scene).await;
        for (page, who) in PAGES {
            let status = person.get(&test, &scene.sandbox(&ids.path(page))).await.status();
            let expected = if who.contains(letter) { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(status, expected, "{role} {page}");
        }
        for path in FORMS {
            let refused = person.form(&test, &scene.sandbox(&ids.path(path)), &ids.form(path)).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{role} {path}");
        }
        assert_eq!(state(&scene).await, before, "{role}");
    }
    let now = state(&scene).await;
    test.clock.forward_s(limits::STEP_UP_S + 1);
    for path in FORMS {
        let asked = scene.ada.form(&test, &scene.sandbox(&ids.path(path)), &ids.form(path)).await;
        assert_eq!(asked.url().path(), "/signin/again", "{path}");
    }
    assert_eq!(scene.ada.lands_on(&test, &scene.sandbox("/clients/new")).await, "/signin/again");
    assert_eq!(state(&scene).await, now, "without a fresh proof nothing changed");
    assert!(before.len() < now.len());
    test.work().await;
    test.finish().await;
}
