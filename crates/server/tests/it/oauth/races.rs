//! Many at once with one thing that is good once (G-7): on SQLite, and on two servers over one PostgreSQL. Of twenty exactly
//! one wins, twenty times over, and no token is left that hangs on nothing.

use countersign_core::{access::Environment, scope::Scopes};
use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::{
    client::{Answered, Client, registration},
    flow::{REDIRECT, Scene, VERIFIER},
    keys::ClientKey,
};
use crate::app::{Options, TestApp};

const AT_ONCE: usize = 20;
const ROUNDS: usize = 20;

/// One server on SQLite, or two over one PostgreSQL.
async fn servers(postgres: bool) -> Vec<TestApp> {
    let one = TestApp::start_with(Options { postgres, ..Options::default() }).await;
    if !postgres {
        return vec![one];
    }
    let other = one.beside(2).await;
    vec![one, other]
}

/// A request: method, path, form and headers.
type Sent = (reqwest::Method, String, Vec<(String, String)>, Vec<(&'static str, String)>);

/// Sends the same requests to all servers in turn, all at once; how many won.
async fn winners(servers: &[TestApp], requests: Vec<Sent>) -> usize {
    let mut sent = JoinSet::new();
    for (number, (method, path, form, headers)) in requests.into_iter().enumerate() {
        let server = &servers[number % servers.len()];
        let mut request = server.request(method, &path);
        if !form.is_empty() {
            request = request.form(&form);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        sent.spawn(async move { Answered::of(request).await.status });
    }
    let answers = sent.join_all().await;
    assert!(answers.iter().all(|status| !status.is_server_error()), "{answers:?}");
    answers.iter().filter(|status| status.is_success()).count()
}

/// A-6, G-7: one client assertion.
async fn of_one_assertion_one_use_wins(postgres: bool) {
    let servers = servers(postgres).await;
    let organization = servers[0].organization("Acme").await;
    let client = Client::register(&servers[0], organization, "one").await;
    for _ in 0..ROUNDS {
        let form = client.form(&[("grant_type", "client_credentials"), ("scope", "envelopes:status")]);
        let request = || {
            let proof = client.dpop.proof(&client.proof_claims());
            (reqwest::Method::POST, "/oauth/token".to_owned(), form.clone(), vec![("DPoP", proof)])
        };
        let requests = (0..AT_ONCE).map(|_| request()).collect();
        assert_eq!(winners(&servers, requests).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_assertion_one_use_wins() {
    of_one_assertion_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_of_one_assertion_one_use_wins() {
    of_one_assertion_one_use_wins(true).await;
}

/// A-5, G-7: one DPoP proof, at the API.
async fn of_one_proof_one_use_wins(postgres: bool) {
    let servers = servers(postgres).await;
    let organization = servers[0].organization("Acme").await;
    let client = Client::register(&servers[0], organization, "one").await;
    let token = client.own_token("envelopes:status").await;
    for _ in 0..ROUNDS {
        let nonce = client.nonce();
        let claims = super::keys::proof_claims(
            "GET",
            &client.url("/v1/envelopes"),
            &client.jti(),
            servers[0].app.now(),
            Some(&nonce),
            Some(&token),
        );
        let headers = vec![("Authorization", format!("DPoP {token}")), ("DPoP", client.dpop.proof(&claims))];
        let requests = (0..AT_ONCE)
            .map(|_| (reqwest::Method::GET, "/v1/envelopes".to_owned(), Vec::new(), headers.clone()))
            .collect();
        assert_eq!(winners(&servers, requests).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_proof_one_use_wins() {
    of_one_proof_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_of_one_proof_one_use_wins() {
    of_one_proof_one_use_wins(true).await;
}

/// A-2, G-7: one authorization code. The losers end what the winner got: a code that comes twice was stolen.
async fn of_one_code_one_use_wins(postgres: bool) {
    let servers = servers(postgres).await;
    let scene = Scene::new(&servers[0], "standard").await;
    for _ in 0..ROUNDS {
        let code = scene.code().await;
        let request = || {
            let form = scene.client.form(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", VERIFIER),
            ]);
            let proof = scene.client.dpop.proof(&scene.client.proof_claims());
            (reqwest::Method::POST, "/oauth/token".to_owned(), form, vec![("DPoP", proof)])
        };
        let requests = (0..AT_ONCE).map(|_| request()).collect();
        assert_eq!(winners(&servers, requests).await, 1);
    }
    let grants = servers[0].app.store.grants(&scene.client.tenant, None, None, None, 1_000).await.unwrap();
    assert_eq!(grants.len(), ROUNDS);
    assert!(grants.iter().all(|grant| grant.ended_at.is_some()), "no token is left that works");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_code_one_use_wins() {
    of_one_code_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_of_one_code_one_use_wins() {
    of_one_code_one_use_wins(true).await;
}

/// one refresh token. The others come at the same moment, prove who they are, and end nothing: the winner's tokens work.
async fn of_one_refresh_token_one_use_wins(postgres: bool) {
    let servers = servers(postgres).await;
    let scene = Scene::new(&servers[0], "standard").await;
    let mut refresh =
        scene.redeem(&scene.code().await).await.body["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..ROUNDS {
        let mut sent = JoinSet::new();
        for number in 0..AT_ONCE {
            let form = scene.client.form(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
            let proof = scene.client.dpop.proof(&scene.client.proof_claims());
            let server = &servers[number % servers.len()];
            let request =
                server.request(reqwest::Method::POST, "/oauth/token").form(&form).header("DPoP", proof);
            sent.spawn(Answered::of(request));
        }
        let answers = sent.join_all().await;
        let won: Vec<&Answered> =
            answers.iter().filter(|answered| answered.status == StatusCode::OK).collect();
        let [winner] = won.as_slice() else { panic!("{} won", won.len()) };
        assert!(scene.is_taken(&winner.token()).await);
        refresh = winner.body["refresh_token"].as_str().unwrap().to_owned();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_refresh_token_one_use_wins() {
    of_one_refresh_token_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_of_one_refresh_token_one_use_wins() {
    of_one_refresh_token_one_use_wins(true).await;
}

/// A-7, G-7: one pushed request, decided by twenty clicks at once: one grant.
async fn of_one_pushed_request_one_decision_wins(postgres: bool) {
    let servers = servers(postgres).await;
    let test = &servers[0];
    let scene = Scene::new(test, "standard").await;
    for _ in 0..ROUNDS {
        let pushed = scene.push(&Scene::parameters()).await;
        let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
        let clicks = (0..AT_ONCE).map(|number| {
            scene.person.form(&servers[number % servers.len()], &page, &[("decision", "agree")])
        });
        let answers = futures_util::future::join_all(clicks).await;
        let won = answers.iter().filter(|answer| answer.status() == StatusCode::SEE_OTHER).count();
        assert_eq!(won, 1);
    }
    let grants = test.app.store.grants(&scene.client.tenant, None, None, None, 1_000).await.unwrap();
    assert_eq!(grants.len(), ROUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_pushed_request_one_decision_wins() {
    of_one_pushed_request_one_decision_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_of_one_pushed_request_one_decision_wins() {
    of_one_pushed_request_one_decision_wins(true).await;
}

/// a client of `client_secret_basic` is for sandboxes, and its secret is its own.
#[tokio::test]
async fn a_secret_is_for_a_sandbox_and_shown_once() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("none");
    let mut with_secret = registration(&key, Scopes::parse("envelopes:status").unwrap());
    with_secret["profile"] = "standard".into();
    with_secret["token_endpoint_auth_method"] = "client_secret_basic".into();
    with_secret.as_object_mut().unwrap().remove("jwks");
    let client = Client::register_with(&test, organization, Environment::Sandbox, key, &with_secret).await;
    let ask = async |secret: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];
        let request = test.request(reqwest::Method::POST, "/oauth/token").form(&form);
        let proof = client.dpop.proof(&client.proof_claims());
        Answered::of(request.basic_auth(client.id, Some(secret)).header("DPoP", proof)).await
    };
    let secret = client.secret.clone().unwrap();
    assert!(secret.starts_with("csx_sandbox_"));
    assert_eq!(ask(&secret).await.status, StatusCode::OK);
    let other = countersign_core::secret::PlainToken::new(
        countersign_core::secret::TokenKind::ClientSecret,
        &[9; 32],
    );
    assert_eq!(ask(other.expose()).await.error(), (401, "invalid_client"));
    assert_eq!(ask("x").await.error(), (401, "invalid_client"));
    test.finish().await;
}
