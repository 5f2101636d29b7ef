//! Many at once with one thing that is good once, on SQLite, and on two processes of the real program over one PostgreSQL: a
//! response of a provider, and a name that leads to one.

use countersign_core::id::OrganizationId;
use futures_util::future::join_all;
use reqwest::StatusCode;

use super::{super::person::Person, Scene, address_of, reach_providers, settings, with};
use crate::{
    app::{Options, TestApp},
    oauth::races::{AT_ONCE, ROUNDS, servers},
};

async fn start(postgres: bool) -> Scene {
    let options =
        Options { postgres, clock_goes: postgres, configure: reach_providers, ..Options::default() };
    Scene::on(TestApp::start_with(options).await).await
}

/// Begins to sign in at a server: the cookie of the way, and the path with which the provider sends back.
async fn begin(scene: &Scene, url: &str) -> (String, String) {
    let request = scene.test.client.post(format!("{url}/signin/provider"));
    let request = request.header("sec-fetch-site", "same-origin").form(&[("organization", "harbour-mills")]);
    let page = request.send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (status, text) = (page.status(), page.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{text}");
    (cookie, scene.issuer.let_in(&address_of(&text)))
}

/// A-10, G-7: one response, twenty times at once: one session, twenty times over.
async fn of_one_response_one_use_wins(postgres: bool) {
    let scene = start(postgres).await;
    scene.connect(&scene.ada).await;
    let (urls, _processes) = servers(&scene.test, postgres).await;
    for round in 0..ROUNDS {
        let (cookie, back) = begin(&scene, &urls[round % urls.len()]).await;
        let come_back = |number: usize| {
            let request = scene.test.client.get(format!("{}{back}", urls[number % urls.len()]));
            request.header("Cookie", &cookie).send()
        };
        let answers = join_all((0..AT_ONCE).map(come_back)).await;
        let statuses: Vec<StatusCode> = answers.into_iter().map(|answer| answer.unwrap().status()).collect();
        let count = |status| statuses.iter().filter(|other| **other == status).count();
        let all = (count(StatusCode::SEE_OTHER), count(StatusCode::FORBIDDEN));
        assert_eq!(all, (1, AT_ONCE - 1), "{statuses:?}");
        assert_eq!(scene.sessions_of_provider().await.len(), round + 1);
    }
    assert!(scene.failures().await.is_empty(), "losing a race is no failure of the provider");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_response_one_use_wins() {
    of_one_response_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_response_one_use_wins() {
    of_one_response_one_use_wins(true).await;
}

/// Sets the provider of an organization with this handle at a server; whether it was set.
async fn name(person: &Person, url: &str, organization: OrganizationId, handle: &str) -> bool {
    let form = with(settings("https://localhost:2"), &[("handle", handle), ("domains", "")]);
    let request = person.http.post(format!("{url}/console/provider/{organization}"));
    let page = request.header("sec-fetch-site", "same-origin").form(&form).send().await.unwrap();
    let (status, text) = (page.status(), page.text().await.unwrap());
    assert!([StatusCode::OK, StatusCode::UNPROCESSABLE_ENTITY].contains(&status), "{status}: {text}");
    assert_eq!(status == StatusCode::OK, !text.contains("handle is taken"), "{text}");
    status == StatusCode::OK
}

/// one handle, claimed by two organizations at once: it leads to one of them.
async fn of_two_organizations_one_gets_a_name(postgres: bool) {
    let scene = start(postgres).await;
    let (other, eve) = scene.test.owner("Lantern Works", "eve@example.org").await;
    let (urls, _processes) = servers(&scene.test, postgres).await;
    let last = urls.last().unwrap();
    for round in 0..ROUNDS {
        let handle = format!("same-{round}");
        let (ours, theirs) = tokio::join!(
            name(&scene.ada, &urls[0], scene.organization, &handle),
            name(&eve, last, other, &handle)
        );
        assert!(ours != theirs, "{ours} {theirs}");
        let winner = if ours { scene.organization } else { other };
        let led = scene.test.app.store.provider_by_name(&handle).await.unwrap().unwrap();
        assert_eq!(led.organization, winner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_two_organizations_one_gets_a_name() {
    of_two_organizations_one_gets_a_name(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_two_organizations_one_gets_a_name() {
    of_two_organizations_one_gets_a_name(true).await;
}
