//! Strangers: what they learn about which clients there are, which is nothing, and how far what is malformed comes, which is
//! not to the store.

use countersign_core::id::ClientId;
use countersign_store::testing::{self, proxy::Proxy};
use reqwest::{Method, StatusCode, Url};
use serde_json::json;

use super::{
    client::{Answered, Client},
    flow::{REDIRECT, Scene},
};
use crate::app::{Options, TestApp};

/// an unknown client, a known one with another redirect URI and one that ended are told in the same words, and nobody's
/// browser is sent anywhere.
#[tokio::test]
async fn an_unknown_client_and_an_unknown_destination_are_told_alike() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let known = scene.client.id.to_string();
    let unknown = ClientId::from_bytes([9; 16]).to_string();
    let mut told = Vec::new();
    for (client, redirect_uri) in
        [(&unknown, REDIRECT), (&unknown, "https://evil.test/"), (&known, "https://evil.test/")]
    {
        let mut url = Url::parse(&format!("{}/oauth/authorize", test.url)).unwrap();
        url.query_pairs_mut()
            .extend_pairs(Scene::parameters().into_iter().filter(|(name, _)| name != "redirect_uri"))
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("client_id", client);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let answer = scene.person.get(&test, &path).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = answer.text().await.unwrap();
        assert!(page.contains("The application that sent you here asked wrongly: no client"), "{page}");
        // Each request has an id of its own.
        told.push(page.lines().filter(|line| !line.contains("req_")).collect::<Vec<_>>().join("\n"));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    test.finish().await;
}

/// with the database gone, what is malformed is still refused for what it is; only what is well formed has
/// to wait for the database.
#[tokio::test]
async fn what_is_malformed_never_reaches_the_store() {
    let cluster = testing::cluster().unwrap();
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let url = cluster.database().await.unwrap();
    let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.port()));
    let options = Options { postgres: true, database_url: Some(through), ..Options::default() };
    let test = TestApp::start_with(options).await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let nowhere = testing::free_port().unwrap();
    proxy.lead_to(nowhere);
    proxy.cut();

    let own = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];
    let good = client.ask(&own).await;
    assert_eq!(good.error(), (503, "temporarily_unavailable"), "the database is gone");

    let with = |name: &str, value: &str| {
        let mut form = client.form(&own);
        form.retain(|(found, _)| found != name);
        form.push((name.to_owned(), value.to_owned()));
        form
    };
    let twice = [client.form(&own), vec![("scope".to_owned(), "envelopes:read".to_owned())]].concat();
    let two_credentials = [client.form(&own), vec![("client_secret".to_owned(), "x".to_owned())]].concat();
    for (path, form, code) in [
        ("/oauth/token", with("grant_type", "password"), (400, "unsupported_grant_type")),
        ("/oauth/token", with("client_assertion", "a.b.c"), (401, "invalid_client")),
        ("/oauth/token", with("client_assertion_type", "jwt"), (401, "invalid_client")),
        ("/oauth/token", twice.clone(), (400, "invalid_request")),
        ("/oauth/token", two_credentials.clone(), (401, "invalid_client")),
        ("/oauth/par", twice.clone(), (400, "invalid_request")),
        ("/oauth/par", two_credentials.clone(), (401, "invalid_client")),
        ("/oauth/introspect", client.form(&[]), (400, "invalid_request")),
        ("/oauth/introspect", with("client_assertion", "a.b.c"), (400, "invalid_request")),
        ("/oauth/revoke", client.form(&[]), (400, "invalid_request")),
    ] {
        let answered = Answered::of(client.post(path, &form)).await;
        assert_eq!(answered.error(), code, "{path} {form:?} {}", answered.body);
    }
    let bad_proof = client.post("/oauth/token", &client.form(&own)).header("DPoP", "a.b.c");
    assert_eq!(Answered::of(bad_proof).await.error(), (400, "invalid_dpop_proof"));

    for query in ["", "client_id=cli_x", "client_id=a&client_id=b", "request_uri=x", "response_type=code"] {
        let answer = test.client.get(format!("{}/oauth/authorize?{query}", test.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }

    let envelopes = |name: &'static str, value: String| {
        let request = test.request(Method::GET, "/v1/envelopes");
        async move { request.header(name, value).send().await.unwrap().status() }
    };
    let token = "cst_sandbox_0000000000000000000000000000000000000000000000000";
    for credential in ["Bearer x", "Bearer cs_sandbox_short", "Basic YTpi", "DPoP x", "Bearer", ""] {
        let status = envelopes("authorization", credential.to_owned()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{credential}");
    }
    assert_eq!(envelopes("authorization", format!("DPoP {token}")).await, StatusCode::UNAUTHORIZED);
    let json = test.request(Method::POST, "/oauth/token").json(&json!({ "grant_type": "x" }));
    assert_eq!(Answered::of(json).await.error(), (400, "invalid_request"));
    proxy.lead_to(cluster.port());
    test.finish().await;
}
