//! Signing keys and nonces change under load, and nobody notices (D-3): clients go on to ask and to verify, each with the keys
//! that it may keep, while the clock passes every step of several rotations.

use std::{cell::RefCell, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{access::Environment, limits, time::Time};
use futures_util::future::{join, join_all};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde_json::{Value, json};

use super::{
    client::{Answered, Client},
    flow::{REDIRECT, Scene, VERIFIER, query, registration},
    keys::{ClientKey, proof_claims},
};
use crate::app::{Options, TestApp};

const ARCHIVE: &str = "https://archive.example/api";
const ROTATIONS: i64 = 3;
const VERIFIERS: usize = 4;
/// A wave of requests begins at each of so many steps before, on and after a change.
const STEPS: i64 = 6;
const STEP_S: i64 = 10;

/// Somebody who verifies what the server signed, with the keys that it fetched as long as it may keep them.
#[derive(Default)]
struct Judge {
    keys: BTreeMap<String, Value>,
    kept_until: Option<Time>,
    verified: usize,
    kids: Vec<String>,
}

/// The servers, of which each request meets the next.
struct Servers<'a> {
    all: &'a [TestApp],
    asked: RefCell<usize>,
}

impl<'a> Servers<'a> {
    fn next(&self) -> &'a TestApp {
        *self.asked.borrow_mut() += 1;
        &self.all[*self.asked.borrow() % self.all.len()]
    }
}

impl Judge {
    async fn fetch(&mut self, server: &TestApp) {
        let asked = server.app.now();
        let answered = Answered::of(server.request(reqwest::Method::GET, "/oauth/jwks")).await;
        let caching = answered.headers["cache-control"].to_str().unwrap();
        let seconds: i64 = caching.strip_prefix("public, max-age=").unwrap().parse().unwrap();
        assert_eq!(seconds, limits::JWKS_KEPT_S);
        self.kept_until = Some(asked.plus_s(seconds));
        let keys = answered.body["keys"].as_array().unwrap().iter();
        self.keys = keys.map(|key| (key["kid"].as_str().unwrap().to_owned(), key.clone())).collect();
    }

    /// Verifies a token with a key that is at hand, and gives its claims. No key has to be looked for: each was published
    /// long before.
    async fn verify(&mut self, server: &TestApp, token: &str) -> Value {
        if self.kept_until.is_none_or(|until| until <= server.app.now()) {
            self.fetch(server).await;
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { panic!("{token}") };
        let header_value: Value = serde_json::from_slice(&decode(header)).unwrap();
        let kid = header_value["kid"].as_str().unwrap().to_owned();
        let key = self.keys.get(&kid).unwrap_or_else(|| panic!("{kid} is not among {:?}", self.keys.keys()));
        assert_eq!((&header_value["alg"], &key["crv"]), (&json!("ES256"), &json!("P-256")));
        let coordinate = |name: &str| decode(key[name].as_str().unwrap());
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let signature = Signature::from_slice(&decode(signature)).unwrap();
        let signed = format!("{header}.{claims}");
        VerifyingKey::from_sec1_bytes(&point).unwrap().verify(signed.as_bytes(), &signature).unwrap();
        self.verified += 1;
        if !self.kids.contains(&kid) {
            self.kids.push(kid);
        }
        serde_json::from_slice(&decode(claims)).unwrap()
    }
}

/// A program with a nonce: it uses the one of the last answer, and asks a second time if the server wants another.
struct Program<'a> {
    client: &'a Client<'a>,
    nonce: String,
    retried: usize,
    last: Option<String>,
    judge: Judge,
}

impl Program<'_> {
    /// A signed token for the archive.
    async fn token(&mut self, servers: &Servers<'_>) -> String {
        for _ in 0..2 {
            let (server, client) = (servers.next(), self.client);
            let url = client.url("/oauth/token");
            let nonce = Some(self.nonce.as_str()).filter(|nonce| !nonce.is_empty());
            let claims = proof_claims("POST", &url, &client.jti(), server.app.now(), nonce, None);
            let form = client.form(&[
                ("grant_type", "client_credentials"),
                ("scope", "envelopes:status"),
                ("resource", ARCHIVE),
            ]);
            let request = server.request(reqwest::Method::POST, "/oauth/token").form(&form);
            let answered = Answered::of(request.header("DPoP", client.dpop.proof(&claims))).await;
            answered.headers["dpop-nonce"].to_str().unwrap().clone_into(&mut self.nonce);
            if answered.error() == (400, "use_dpop_nonce") {
                self.retried += 1;
                continue;
            }
            return answered.token();
        }
        panic!("the nonce of the last answer is not good")
    }

    /// What a signed introspection says of a token.
    async fn introspect(&mut self, servers: &Servers<'_>, archive: &Client<'_>, token: &str) -> Value {
        let server = servers.next();
        let form = archive.form(&[("token", token)]);
        let request = server.request(reqwest::Method::POST, "/oauth/introspect").form(&form);
        let answered = Answered::of(request.header("Accept", "application/token-introspection+jwt")).await;
        let signed = answered.body.as_str().unwrap_or_else(|| panic!("{}", answered.body)).to_owned();
        self.judge.verify(servers.next(), &signed).await
    }

    /// Asks for a token and verifies it, and the one of the wave before once more; asks about it, and verifies the answer.
    async fn work(&mut self, servers: &Servers<'_>, archive: &Client<'_>) {
        let token = self.token(servers).await;
        let claims = self.judge.verify(servers.next(), &token).await;
        assert_eq!(claims["aud"], ARCHIVE);
        let said = self.introspect(servers, archive, &token).await;
        assert_eq!(said["token_introspection"]["active"], true, "{said}");
        if let Some(last) = self.last.replace(token) {
            self.judge.verify(servers.next(), &last).await;
        }
    }
}

/// A person signs in, and its client verifies the ID token.
async fn sign_in(scene: &Scene<'_>, servers: &Servers<'_>, judge: &mut Judge) {
    scene.person.sign_in(scene.client.test).await;
    let mut parameters = Scene::parameters();
    parameters.retain(|(name, _)| name != "scope");
    parameters.push(("scope".to_owned(), "openid envelopes:status".to_owned()));
    let pushed = scene.push(&parameters).await;
    let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
    let code = query(&scene.decide(&page, "agree").await, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let answered = scene.client.ask(&form).await;
    let id_token = answered.body["id_token"].as_str().unwrap_or_else(|| panic!("{}", answered.body));
    let claims = judge.verify(servers.next(), id_token).await;
    assert_eq!(claims["aud"], scene.client.id.to_string());
}

async fn keys_rotate_under_load(postgres: bool) {
    let one = TestApp::start_with(Options { postgres, ..Options::default() }).await;
    let all = if postgres {
        let other = one.beside(2).await;
        vec![one, other]
    } else {
        vec![one]
    };
    let (test, servers) = (&all[0], Servers { all: &all, asked: RefCell::new(0) });
    let scene = Scene::new(test, "standard").await;
    let key = ClientKey::new("archive");
    let mut archive = registration("standard", &key, "tokens:introspect");
    archive["grant_types"] = json!([]);
    archive["redirect_uris"] = json!([]);
    archive["resource"] = json!(ARCHIVE);
    archive["resource_token_format"] = json!("jwt");
    archive["require_pushed_authorization_requests"] = json!(false);
    let archive = Client::register_with(test, scene.organization, Environment::Sandbox, key, &archive).await;
    let mut clients = Vec::new();
    for number in 0..VERIFIERS {
        clients.push(Client::register(test, scene.organization, &format!("program {number}")).await);
    }
    let program =
        |client| Program { client, nonce: String::new(), retried: 0, last: None, judge: Judge::default() };
    let mut programs: Vec<Program<'_>> = clients.iter().map(program).collect();
    let mut person = Judge::default();
    // The first key is made when somebody asks for the first time.
    join_all(programs.iter_mut().map(|program| program.work(&servers, &archive))).await;
    let begin = test.app.now();
    let (mut waves, mut changed) = (0, 0);
    for rotation in 1..=ROTATIONS {
        let active_s = rotation * limits::SIGNING_KEY_ACTIVE_S;
        // The next key is published; it signs; the last one goes.
        for change_s in
            [active_s - limits::SIGNING_KEY_PUBLISHED_S, active_s, active_s + limits::SIGNING_KEY_GRACE_S]
        {
            let before = begin.plus_s(change_s - STEPS / 2 * STEP_S);
            let until_s = |to: Time| to.since_ms(test.app.now()) / 1_000;
            test.clock.forward_s(until_s(before) - 3_600);
            sign_in(&scene, &servers, &mut person).await;
            // The keys that are fetched now are kept until after the change.
            test.clock.forward_s(until_s(before) - limits::JWKS_KEPT_S / 2);
            join_all(programs.iter_mut().map(|program| program.work(&servers, &archive))).await;
            test.clock.forward_s(until_s(before));
            for _ in 0..STEPS {
                let load = join_all(programs.iter_mut().map(|program| program.work(&servers, &archive)));
                let time = async {
                    for _ in 0..STEP_S {
                        tokio::task::yield_now().await;
                        test.clock.forward_s(1);
                    }
                };
                join(load, time).await;
                waves += 1;
            }
            changed += 1;
        }
        sign_in(&scene, &servers, &mut person).await;
    }
    assert_eq!((changed, waves), (3 * ROTATIONS, 3 * ROTATIONS * STEPS));
    for program in &programs {
        // The first key, and one more after each rotation.
        assert_eq!(
            i64::try_from(program.judge.kids.len()).unwrap(),
            ROTATIONS + 1,
            "{:?}",
            program.judge.kids
        );
        assert!(i64::try_from(program.judge.verified).unwrap() > 2 * waves);
        assert!(program.retried >= 3 * 3, "nonces changed, too: {}", program.retried);
    }
    assert!(person.verified > 0);
}

/// D-3, A-7: on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_keys_rotate_under_load() {
    Box::pin(keys_rotate_under_load(false)).await;
}

/// D-3, A-7: two servers share a PostgreSQL, and both make what is due.
#[tokio::test(flavor = "multi_thread")]
async fn on_two_servers_keys_rotate_under_load() {
    Box::pin(keys_rotate_under_load(true)).await;
}
