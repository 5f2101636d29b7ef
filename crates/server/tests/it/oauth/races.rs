//! Many at once with one thing that is good once (G-7): on SQLite, and on two processes of the real program over one
//! PostgreSQL. Of twenty exactly one wins, twenty times over, and afterwards no token lives but those that the winners hold.

use std::collections::BTreeSet;

use countersign_core::{
    oauth::{
        challenge::Scheme,
        presented::{self, Shown},
        token::Binding,
    },
    secret::{HashedToken, PlainToken, TokenKind},
};
use countersign_server::http::auth::standing;
use reqwest::{Method, RequestBuilder, StatusCode};
use tokio::task::JoinSet;

use super::{
    client::{Answered, Client},
    flow::{REDIRECT, Scene, VERIFIER, query},
    keys::proof_claims,
};
use crate::{
    accounts::person::PASSWORD,
    app::{Options, TestApp},
    processes::{Process, column},
};

pub(crate) const AT_ONCE: usize = 20;
pub(crate) const ROUNDS: usize = 20;

/// Where it can be raced: on the test app, or on two processes beside it.
pub(crate) async fn servers(test: &TestApp, postgres: bool) -> (Vec<String>, Vec<Process>) {
    let mut processes = Vec::new();
    for number in 0..if postgres { 2 } else { 0 } {
        processes.push(Process::beside(test, number).await);
    }
    let mut urls: Vec<String> = processes.iter().map(|process| process.url.clone()).collect();
    if urls.is_empty() {
        urls.push(test.url.clone());
    }
    (urls, processes)
}

/// Where they race: the test app sets up and looks into the database.
pub(super) struct Course {
    pub(super) test: TestApp,
    urls: Vec<String>,
    _processes: Vec<Process>,
}

impl Course {
    /// One server on SQLite, or two processes over one PostgreSQL.
    pub(super) async fn new(postgres: bool) -> Self {
        let test =
            TestApp::start_with(Options { postgres, clock_goes: postgres, ..Options::default() }).await;
        let (urls, processes) = servers(&test, postgres).await;
        Self { test, urls, _processes: processes }
    }

    /// Where the request of this number goes.
    pub(super) fn url(&self, number: usize, path: &str) -> String {
        format!("{}{path}", self.urls[number % self.urls.len()])
    }

    /// Sends twenty at once.
    async fn race(&self, request: impl Fn(usize) -> RequestBuilder) -> Vec<Answered> {
        let requests: Vec<RequestBuilder> = (0..AT_ONCE).map(request).collect();
        let mut sent = JoinSet::new();
        for request in requests {
            sent.spawn(Answered::of(request));
        }
        let answers = sent.join_all().await;
        assert!(answers.iter().all(|answer| !answer.status.is_server_error()), "{answers:?}");
        answers
    }

    /// Twenty token requests at once, each with what `form` and `proof` make; the answers that are no refusal.
    async fn token_requests(
        &self,
        form: impl Fn() -> Vec<(String, String)>,
        proof: impl Fn() -> String,
    ) -> Vec<Answered> {
        let request = |number| {
            let url = self.url(number, "/oauth/token");
            self.test.client.post(url).form(&form()).header("DPoP", proof())
        };
        let answers = self.race(request).await;
        answers.into_iter().filter(|answer| answer.status == StatusCode::OK).collect()
    }

    /// The access tokens in the database that would be taken now from whoever holds the key.
    pub(super) async fn live_tokens(&self) -> BTreeSet<[u8; 32]> {
        let app = &self.test.app;
        let mut live = BTreeSet::new();
        for hash in column(&self.test, "SELECT hash FROM access_tokens").await {
            let hash: [u8; 32] = hash.try_into().unwrap();
            let view = app.store.access_token(&HashedToken::from_bytes(hash)).await.unwrap().unwrap();
            let standing = standing(&view);
            let (scheme, key) = match view.token.binding {
                Some(Binding::Key(key)) => (Scheme::Dpop, Some(key)),
                _ => (Scheme::Bearer, None),
            };
            let shown = Shown { scheme, environment: standing.environment, key, certificate: None };
            if presented::judge(&standing, &shown, app.now()).is_ok() {
                live.insert(hash);
            }
        }
        live
    }
}

fn hash_of(answered: &Answered) -> [u8; 32] {
    *PlainToken::parse(TokenKind::SandboxAccessToken, &answered.token()).unwrap().hash().as_bytes()
}

/// The one who won.
fn one(won: Vec<Answered>) -> Answered {
    let count = won.len();
    won.into_iter().next().filter(|_| count == 1).unwrap_or_else(|| panic!("{count} won"))
}

const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];

/// A-6, G-7: one client assertion.
async fn of_one_assertion_one_use_wins(postgres: bool) {
    let course = Course::new(postgres).await;
    let organization = course.test.organization("Acme").await;
    let client = Client::register(&course.test, organization, "one").await;
    let mut held = BTreeSet::new();
    for _ in 0..ROUNDS {
        let form = client.form(&OWN);
        let won = course.token_requests(|| form.clone(), || client.dpop.proof(&client.proof_claims())).await;
        held.insert(hash_of(&one(won)));
    }
    assert_eq!(course.live_tokens().await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_assertion_one_use_wins() {
    of_one_assertion_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_assertion_one_use_wins() {
    of_one_assertion_one_use_wins(true).await;
}

/// A-5, G-7: one DPoP proof, at the token endpoint and at the API.
async fn of_one_proof_one_use_wins(postgres: bool) {
    let course = Course::new(postgres).await;
    let test = &course.test;
    let organization = test.organization("Acme").await;
    let client = Client::register(test, organization, "one").await;
    let mut held = BTreeSet::new();
    for _ in 0..ROUNDS {
        let proof = client.dpop.proof(&client.proof_claims());
        let winner = one(course.token_requests(|| client.form(&OWN), || proof.clone()).await);
        held.insert(hash_of(&winner));
        let (token, nonce) = (winner.token(), client.nonce());
        let (url, now) = (client.url("/v1/envelopes"), test.app.now());
        let claims = proof_claims("GET", &url, &client.jti(), now, Some(&nonce), Some(&token));
        let (credentials, proof) = (format!("DPoP {token}"), client.dpop.proof(&claims));
        let get = |number| {
            let request = test.client.get(course.url(number, "/v1/envelopes"));
            request.header("Authorization", &credentials).header("DPoP", &proof)
        };
        let answers = course.race(get).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    }
    assert_eq!(course.live_tokens().await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_proof_one_use_wins() {
    of_one_proof_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_proof_one_use_wins() {
    of_one_proof_one_use_wins(true).await;
}

/// A-2, G-7: one authorization code. The losers end what the winner got: a code that comes twice was stolen.
async fn of_one_code_one_use_wins(postgres: bool) {
    let course = Course::new(postgres).await;
    let scene = Scene::new(&course.test, "standard").await;
    let client = &scene.client;
    for _ in 0..ROUNDS {
        let code = scene.code().await;
        let form = || {
            client.form(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", VERIFIER),
            ])
        };
        one(course.token_requests(form, || client.dpop.proof(&client.proof_claims())).await);
    }
    let grants = course.test.app.store.grants(&client.tenant, None, None, None, 1_000).await.unwrap();
    assert_eq!(grants.len(), ROUNDS);
    assert!(grants.iter().all(|grant| grant.ended_at.is_some()));
    assert_eq!(course.live_tokens().await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_code_one_use_wins() {
    of_one_code_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_code_one_use_wins() {
    of_one_code_one_use_wins(true).await;
}

/// one refresh token. The others come at the same moment, prove who they are, and end nothing. Whoever comes more than
/// a second later counts as the retry of a lost response (ADR 9) and takes over what the first one got: either way one holds
/// the token that lives.
async fn of_one_refresh_token_one_use_wins(postgres: bool) {
    let course = Course::new(postgres).await;
    let scene = Scene::new(&course.test, "standard").await;
    let client = &scene.client;
    let first = scene.redeem(&scene.code().await).await;
    let mut held = BTreeSet::from([hash_of(&first)]);
    let mut refresh = first.body["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..ROUNDS {
        let form = || client.form(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
        let won = course.token_requests(form, || client.dpop.proof(&client.proof_claims())).await;
        assert!(postgres || won.len() == 1, "this clock stands still: {} won", won.len());
        let live = course.live_tokens().await;
        let winner = one(won.into_iter().filter(|answer| live.contains(&hash_of(answer))).collect());
        held.insert(hash_of(&winner));
        assert_eq!(live, held);
        assert!(scene.is_taken(&winner.token()).await);
        winner.body["refresh_token"].as_str().unwrap().clone_into(&mut refresh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_refresh_token_one_use_wins() {
    of_one_refresh_token_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_refresh_token_one_use_wins() {
    of_one_refresh_token_one_use_wins(true).await;
}

/// A-7, G-7: one pushed request, decided by twenty clicks at once: one code, one grant.
async fn of_one_pushed_request_one_decision_wins(postgres: bool) {
    let course = Course::new(postgres).await;
    let scene = Scene::new(&course.test, "standard").await;
    let mut held = BTreeSet::new();
    for _ in 0..ROUNDS {
        let pushed = scene.push(&Scene::parameters()).await;
        let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
        let click = |number| {
            let request = scene.person.http.post(course.url(number, &page));
            request.header("sec-fetch-site", "same-origin").form(&[("decision", "agree")])
        };
        let answers = course.race(click).await;
        let won = answers.into_iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).collect();
        let back = one(won).headers["location"].to_str().unwrap().parse().unwrap();
        held.insert(hash_of(&scene.redeem(&query(&back, "code").unwrap()).await));
    }
    let store = &course.test.app.store;
    let grants = store.grants(&scene.client.tenant, None, None, None, 1_000).await.unwrap();
    assert_eq!(grants.len(), ROUNDS);
    assert_eq!(course.live_tokens().await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_pushed_request_one_decision_wins() {
    of_one_pushed_request_one_decision_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_pushed_request_one_decision_wins() {
    of_one_pushed_request_one_decision_wins(true).await;
}

/// A-10, G-7: one recovery code, of twenty who know the password, too: one session. Past the counters of tries, the same is
/// in `accounts::races`.
async fn of_one_recovery_code_one_use_wins(postgres: bool) {
    let course = Course::new(postgres).await;
    let test = &course.test;
    let (organization, ada) = test.owner("Harbour Mills", "ada@example.com").await;
    let user = test.app.store.members(organization).await.unwrap()[0].user;
    let sessions = async || {
        let rows = test.app.store.sign_ins(user).await.unwrap();
        rows.iter().filter(|row| row.ended_at.is_none()).count()
    };
    let post = |number: usize, path: &str, form: &[(&str, &str)]| {
        let request = test.client.request(Method::POST, course.url(number, path)).form(form);
        request.header("sec-fetch-site", "same-origin")
    };
    let mut codes = Vec::new();
    for round in 0..ROUNDS {
        if codes.is_empty() {
            codes = ada.recovery_codes(test).await;
        }
        let code = codes.pop().unwrap();
        test.set_failures(&ada.email, "{}").await;
        let password = [("email", ada.email.as_str()), ("password", PASSWORD)];
        let half_way = Answered::of(post(round, "/signin", &password)).await;
        assert_eq!(half_way.status, StatusCode::SEE_OTHER, "{}", half_way.body);
        let cookies = half_way.headers.get_all("set-cookie").iter();
        let cookies: Vec<_> = cookies.map(|one| one.to_str().unwrap().split(';').next().unwrap()).collect();
        let cookies = cookies.join("; ");
        let before = sessions().await;
        let typed = |number| post(number, "/signin/code", &[("code", &code)]).header("Cookie", &cookies);
        let answers = course.race(typed).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count(), 1);
        assert_eq!(sessions().await, before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_of_one_recovery_code_one_use_wins() {
    of_one_recovery_code_one_use_wins(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_processes_of_one_recovery_code_one_use_wins() {
    of_one_recovery_code_one_use_wins(true).await;
}
