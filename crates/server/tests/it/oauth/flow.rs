//! The whole way of a person: pushed request, sign-in, consent, code, tokens, refresh.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{access::Environment, digest::Digest, id::OrganizationId, scope::Scopes};
use reqwest::{Response, StatusCode, Url};
use serde_json::{Value, json};

use super::{
    client::{Answered, Client},
    keys::ClientKey,
};
use crate::{accounts::person::Person, app::TestApp};

/// Where the client of these tests lives.
pub(crate) const REDIRECT: &str = "https://client.test/cb";
/// What PKCE compares.
pub(crate) const VERIFIER: &str = "a-verifier-of-the-client-that-is-long-enough-for-pkce";

/// PKCE, S256.
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0)
}

/// A client that sends people: of the profile `fapi2`, or of `standard`, whose refresh tokens rotate.
pub(crate) fn registration(profile: &str, key: &ClientKey, scope: &str) -> Value {
    json!({
        "client_name": "Contract robot",
        "profile": profile,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public("1")] },
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": scope,
        "dpop_bound_access_tokens": true,
        "require_pushed_authorization_requests": true,
    })
}

/// A client that sends people, and somebody who is signed in.
pub(crate) struct Scene<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) person: Person,
    pub(crate) organization: OrganizationId,
}

impl<'a> Scene<'a> {
    pub(crate) async fn new(test: &'a TestApp, profile: &str) -> Self {
        let key = ClientKey::new("robot");
        let scopes = if profile == "fapi2" { Scopes::ALL } else { Scopes::FOR_KEYS };
        let registration = registration(profile, &key, &scopes.to_string());
        Self::with(test, key, &registration).await
    }

    /// The same with a client of another kind.
    pub(crate) async fn with(test: &'a TestApp, key: ClientKey, registration: &Value) -> Self {
        let (organization, person) = test.owner("Acme", "ada@example.com").await;
        let client = Client::register_with(test, organization, Environment::Sandbox, key, registration).await;
        Self { client, person, organization }
    }

    /// The parameters of a good request.
    pub(crate) fn parameters() -> Vec<(String, String)> {
        let challenge = challenge(VERIFIER);
        [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", "envelopes:status envelopes:read"),
            ("state", "state-of-the-client"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Pushes a request; its `request_uri`.
    pub(crate) async fn push(&self, parameters: &[(String, String)]) -> Answered {
        let form = [self.client.form(&[]), parameters.to_vec()].concat();
        Answered::of(self.client.post("/oauth/par", &form)).await
    }

    /// Brings the browser with a request; the path of the page that asks.
    pub(crate) async fn bring(&self, request_uri: &str) -> String {
        let mut path = Url::parse("https://sign.test/oauth/authorize").unwrap();
        let id = self.client.id.to_string();
        path.query_pairs_mut().append_pair("client_id", &id).append_pair("request_uri", request_uri);
        let came =
            self.person.get(self.client.test, &format!("{}?{}", path.path(), path.query().unwrap())).await;
        let page = came.url().path().to_owned();
        assert_eq!(came.status(), StatusCode::OK, "{page}: {:?}", came.text().await);
        page
    }

    /// Decides; where the browser is sent.
    pub(crate) async fn decide(&self, page: &str, decision: &str) -> Url {
        let decided = self.person.form(self.client.test, page, &[("decision", decision)]).await;
        assert_eq!(decided.status(), StatusCode::SEE_OTHER);
        Url::parse(&location(&decided)).unwrap()
    }

    /// A code for a good request.
    pub(crate) async fn code(&self) -> String {
        let pushed = self.push(&Self::parameters()).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.body);
        let page = self.bring(pushed.body["request_uri"].as_str().unwrap()).await;
        let back = self.decide(&page, "agree").await;
        query(&back, "code").unwrap_or_else(|| panic!("{back}"))
    }

    /// Redeems a code rightly.
    pub(crate) async fn redeem(&self, code: &str) -> Answered {
        self.client
            .ask(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", VERIFIER),
            ])
            .await
    }

    /// Uses a refresh token rightly.
    pub(crate) async fn refresh(&self, token: &str) -> Answered {
        self.client.ask(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Whether the API takes an access token.
    pub(crate) async fn is_taken(&self, token: &str) -> bool {
        let response = self.client.api(reqwest::Method::GET, "/v1/envelopes", token).send().await.unwrap();
        response.status() == StatusCode::OK
    }
}

pub(crate) fn location(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

pub(crate) fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn member<'v>(answered: &'v Answered, name: &str) -> &'v str {
    answered.body[name].as_str().unwrap_or_else(|| panic!("{name} in {}", answered.body))
}

/// A-2, A-7: pushed request, consent in plain words, code with `iss` and `state`, tokens; the API knows the person behind.
#[tokio::test]
async fn a_person_agrees_and_the_client_gets_tokens() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "fapi2").await;
    let pushed = scene.push(&Scene::parameters()).await;
    assert_eq!(pushed.body["expires_in"], 90);
    let page = scene.bring(member(&pushed, "request_uri")).await;
    let shown = scene.person.get(&test, &page).await;
    let policy = shown.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("form-action 'self' https://client.test;"), "{policy}");
    let html = shown.text().await.unwrap();
    for words in ["Contract robot", "Acme", "ada@example.com", "read envelopes with their people and fields"]
    {
        assert!(html.contains(words), "{words}");
    }
    let back = scene.decide(&page, "agree").await;
    assert!(back.as_str().starts_with(REDIRECT));
    assert_eq!(query(&back, "state").as_deref(), Some("state-of-the-client"));
    assert_eq!(query(&back, "iss").as_deref(), Some("https://sign.test"));
    let answered = scene.redeem(&query(&back, "code").unwrap()).await;
    let token = answered.token();
    assert!(scene.is_taken(&token).await);
    assert_eq!(answered.body["scope"], "envelopes:read envelopes:status");
    let refreshed = scene.refresh(member(&answered, "refresh_token")).await;
    assert!(scene.is_taken(&refreshed.token()).await);
    assert_eq!(
        refreshed.body.get("refresh_token"),
        None,
        "refresh tokens of FAPI clients do not rotate (ADR 9)"
    );
    test.finish().await;
}

/// A-7: a request is decided once, by the browser that came with it first; reloading the page changes nothing.
#[tokio::test]
async fn a_request_belongs_to_one_browser_and_is_decided_once() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "fapi2").await;
    let pushed = scene.push(&Scene::parameters()).await;
    let request_uri = member(&pushed, "request_uri").to_owned();
    let page = scene.bring(&request_uri).await;
    assert_eq!(scene.bring(&request_uri).await, page, "a reload");
    let stranger = scene.person.elsewhere(&test);
    assert_eq!(stranger.get(&test, &page).await.status(), StatusCode::NOT_FOUND);
    let back = scene.decide(&page, "refuse").await;
    assert_eq!(query(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&back, "iss").as_deref(), Some("https://sign.test"));
    assert_eq!(query(&back, "code"), None);
    let again = scene.person.form(&test, &page, &[("decision", "agree")]).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    // Nobody comes in time.
    let late = scene.push(&Scene::parameters()).await;
    test.clock.forward_s(90);
    let path = format!(
        "/oauth/authorize?client_id={}&request_uri={}",
        scene.client.id,
        member(&late, "request_uri").replace(':', "%3A")
    );
    assert_eq!(scene.person.get(&test, &path).await.status(), StatusCode::NOT_FOUND);
    test.finish().await;
}

/// A-2: a code is for its client, its redirect URI and its verifier, for a minute, and once; a second use ends what the first
/// one gave.
#[tokio::test]
async fn a_code_is_good_once_for_whom_it_was_given() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "fapi2").await;
    let good =
        [("grant_type", "authorization_code"), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    let code = scene.code().await;
    for (name, value) in [
        ("redirect_uri", "https://client.test/cb/"),
        ("code_verifier", "another-verifier-of-the-client-that-is-long-enough"),
        ("code", "csc_0000"),
    ] {
        let mut form: Vec<(&str, &str)> = good.to_vec();
        form.push(("code", &code));
        form.retain(|(found, _)| *found != name);
        form.push((name, value));
        assert_eq!(scene.client.ask(&form).await.error(), (400, "invalid_grant"), "{name}");
    }
    let other = Client::register_with(
        &test,
        scene.organization,
        Environment::Sandbox,
        ClientKey::new("other"),
        &registration("fapi2", &ClientKey::new("other"), "envelopes:status"),
    )
    .await;
    let form = [good.as_slice(), &[("code", code.as_str())]].concat();
    assert_eq!(other.ask(&form).await.error(), (400, "invalid_grant"), "of another client");
    let answered = scene.redeem(&code).await;
    let token = answered.token();
    assert!(scene.is_taken(&token).await);
    assert_eq!(scene.redeem(&code).await.error(), (400, "invalid_grant"));
    assert!(!scene.is_taken(&token).await, "the grant has ended");
    assert_eq!(scene.refresh(member(&answered, "refresh_token")).await.error(), (400, "invalid_grant"));
    let late = scene.code().await;
    test.clock.forward_s(60);
    assert_eq!(scene.redeem(&late).await.error(), (400, "invalid_grant"));
    test.finish().await;
}

/// A-4: refresh tokens rotate. One that was used and comes again after its time ends the grant, the access tokens and the
/// session within the same request.
#[tokio::test]
async fn a_stolen_refresh_token_ends_everything_that_hangs_on_its_grant() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let first = scene.redeem(&scene.code().await).await;
    let second = scene.refresh(member(&first, "refresh_token")).await;
    let third = scene.refresh(member(&second, "refresh_token")).await;
    assert_ne!(member(&first, "refresh_token"), member(&third, "refresh_token"));
    assert!(scene.is_taken(&third.token()).await && scene.person.is_in(&test).await);
    let stolen = scene.refresh(member(&first, "refresh_token")).await;
    assert_eq!(stolen.error(), (400, "invalid_grant"));
    for answered in [&first, &second, &third] {
        assert!(!scene.is_taken(&answered.token()).await);
    }
    assert_eq!(scene.refresh(member(&third, "refresh_token")).await.error(), (400, "invalid_grant"));
    assert!(!scene.person.is_in(&test).await, "the session has ended, too");
    let told = super::client::kinds(&test, &scene.client.tenant).await;
    for kind in ["token.refresh_reused", "grant.ended", "user.signed_out"] {
        assert!(told.iter().any(|one| one == kind), "{kind} in {told:?}");
    }
    let key = test.mailbox_key(scene.organization).await;
    let letters = test.letters(&key, "ada@example.com").await;
    let subject = letters.first().unwrap().header("Subject").to_owned();
    assert!(subject.contains("Access that you gave was ended"), "{subject}");
    test.finish().await;
}

/// A-4: a client whose response was lost tries again with the old token: within a minute, and not at the same moment. The
/// tokens that it never got are worth nothing.
#[tokio::test]
async fn a_lost_response_is_no_theft() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let first = scene.redeem(&scene.code().await).await;
    let old = member(&first, "refresh_token").to_owned();
    let lost = scene.refresh(&old).await;
    assert_eq!(scene.refresh(&old).await.error(), (400, "invalid_grant"), "at the same moment");
    assert!(scene.is_taken(&lost.token()).await, "which ends nothing");
    test.clock.forward_s(30);
    let retried = scene.refresh(&old).await;
    assert!(scene.is_taken(&retried.token()).await);
    assert!(!scene.is_taken(&lost.token()).await, "nobody has it");
    let next = scene.refresh(member(&retried, "refresh_token")).await;
    assert!(scene.is_taken(&next.token()).await);
    test.clock.forward_s(61);
    assert_eq!(scene.refresh(member(&retried, "refresh_token")).await.error(), (400, "invalid_grant"));
    assert_eq!(
        scene.refresh(member(&next, "refresh_token")).await.error(),
        (400, "invalid_grant"),
        "a theft"
    );
    // The mail about the theft.
    test.work().await;
    test.finish().await;
}

/// A-7, A-12: a token with authorization details reaches what they name and nothing else, and what is good once is good once.
#[tokio::test]
async fn a_token_is_kept_to_its_details() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let document = test.upload(&key, "a.pdf", crate::app::pdf(1)).await;
    let named = test.create(&key, &crate::app::envelope_of(&document)).await;
    let other = test.create(&key, &crate::app::envelope_of(&document)).await;
    let ask = async |details: Value| {
        let answered = client
            .ask(&[
                ("grant_type", "client_credentials"),
                ("scope", "envelopes:read envelopes:void"),
                ("authorization_details", &details.to_string()),
            ])
            .await;
        answered.token()
    };
    let read = async |token: &str, envelope: &str| {
        let path = format!("/v1/envelopes/{envelope}");
        client.api(reqwest::Method::GET, &path, token).send().await.unwrap().status()
    };
    let token = ask(json!([{ "type": "envelope", "actions": ["read"], "envelopes": [named] }])).await;
    assert_eq!(read(&token, &named).await, StatusCode::OK);
    assert_eq!(read(&token, &other).await, StatusCode::NOT_FOUND);
    let void = client.api(reqwest::Method::POST, &format!("/v1/envelopes/{named}/void"), &token);
    let void = void.header("Idempotency-Key", "void").json(&json!({}));
    assert_eq!(void.send().await.unwrap().status(), StatusCode::NOT_FOUND, "another action");
    let once =
        ask(json!([{ "type": "envelope", "actions": ["read"], "envelopes": [named], "single_use": true }]))
            .await;
    assert_eq!(read(&once, &named).await, StatusCode::OK);
    assert_eq!(read(&once, &named).await, StatusCode::NOT_FOUND, "G-7: it was good once");
    let beyond = client
        .ask(&[
            ("grant_type", "client_credentials"),
            ("scope", "envelopes:read"),
            ("authorization_details", r#"[{"type":"envelope","actions":["void"]}]"#),
        ])
        .await;
    assert_eq!(beyond.error(), (400, "invalid_authorization_details"));
    test.finish().await;
}
