//! The whole way with a provider that nobody here wrote: npm `oidc-provider`, in Node, over TLS on the loopback address. It
//! checks every request of ours against its standards.

use std::{path::Path, process::Stdio};

use countersign_core::{level::Level, limits};
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{super::person::Person, AUTHORITY, address_of, reach_providers, settings, with};
use crate::{
    app::{Options, TestApp},
    oauth::judges::place,
};

/// The program, and a browser for its own pages.
struct Provider {
    _child: Child,
    /// Read to its end, so that the program can go on writing.
    _lines: Lines<BufReader<ChildStdout>>,
    url: String,
    browser: Client,
}

impl Provider {
    async fn start(test: &TestApp, port: u16, client: &Value) -> Self {
        let copy = test.folder.path().join("provider");
        std::fs::create_dir(&copy).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/provider/provider.mjs");
        std::fs::copy(source, copy.join("provider.mjs")).unwrap();
        let modules = place("CS_TEST_NODE_MODULES", "node/node_modules");
        std::os::unix::fs::symlink(modules, copy.join("node_modules")).unwrap();
        let input = json!({
            "port": port,
            "certificate": AUTHORITY.file("certificate.pem"),
            "key": AUTHORITY.file("key.pem"),
            "client": client,
        });
        let mut child = Command::new("node")
            .arg(copy.join("provider.mjs"))
            .arg(input.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the provider starts");
        assert_eq!(line, "serving");
        Self { _child: child, _lines: lines, url: format!("https://localhost:{port}"), browser: browser() }
    }

    /// Who signs in from now on, with which class, and how far its clock is ahead.
    async fn control(&self, account: &str, acr: &str, offset_s: i64) {
        let url = format!("{}/control?account={account}&acr={acr}&offset_s={offset_s}", self.url);
        assert_eq!(self.browser.get(url).send().await.unwrap().status(), StatusCode::OK);
    }

    /// Goes where a page of ours leads to; the path with which one is sent back, and how often one signed in on the way.
    async fn let_in(&self, address: &str) -> (String, u64) {
        let before = self.count().await;
        let response = self.browser.get(address).send().await.unwrap();
        let (status, url) = (response.status(), response.url().clone());
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let Some(location) = location else { panic!("{status} {url}: {}", response.text().await.unwrap()) };
        let back: Url = location.parse().unwrap();
        assert_eq!(back.host_str(), Some("sign.test"), "{back}");
        (format!("{}?{}", back.path(), back.query().unwrap()), self.count().await - before)
    }

    async fn count(&self) -> u64 {
        let text =
            self.browser.get(format!("{}/count", self.url)).send().await.unwrap().text().await.unwrap();
        text.parse().unwrap()
    }
}

async fn leave(test: &TestApp, person: &Person, path: &str, form: &[(&str, &str)]) -> String {
    let page = person.form(test, path, form).await;
    let (status, text) = (page.status(), page.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{text}");
    address_of(&text)
}

/// connecting, coming in, and a step-up that raises the level, with `private_key_jwt`, PKCE, `iss`, `max_age` and
/// `acr_values`.
#[tokio::test]
async fn oidc_provider_lets_members_in_and_steps_up() {
    let options = Options { configure: reach_providers, clock_goes: true, ..Options::default() };
    let test = TestApp::start_with(options).await;
    let (organization, ada) = test.owner("Harbour Mills", super::ADA).await;
    let port = countersign_store::testing::free_port().unwrap();
    let form = with(settings(&format!("https://localhost:{port}")), &[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = ada.form(&test, &format!("/console/provider/{organization}"), &form).await;
    let text = page.text().await.unwrap();
    assert!(text.contains("The provider is set."), "{text}");
    // What its administrator registers is what the page shows.
    let id = test.app.store.provider(organization).await.unwrap().unwrap().provider;
    let redirect_uri = format!("https://sign.test/signin/provider/{id}/callback");
    let jwks_uri = format!("https://sign.test/signin/provider/{id}/keys");
    assert!(text.contains(&redirect_uri) && text.contains(&jwks_uri), "{text}");
    let jwks = test.client.get(jwks_uri.replace("https://sign.test", &test.url)).send().await.unwrap();
    let client = json!({
        "client_id": "countersign",
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": jwks.json::<Value>().await.unwrap(),
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    });
    let provider = Provider::start(&test, port, &client).await;

    let organization_text = organization.to_string();
    provider.control("ada-at-work", "silver", 0).await;
    let form = [("organization", organization_text.as_str())];
    let (back, _) = provider.let_in(&leave(&test, &ada, "/account/provider/link", &form).await).await;
    assert!(back.contains("iss="), "RFC 9207: {back}");
    let page = ada.get(&test, &back).await;
    let (path, text) = (page.url().path().to_owned(), page.text().await.unwrap());
    assert_eq!(path, "/account", "{text}");

    let person = ada.elsewhere(&test);
    let form = [("organization", super::ADA)];
    let (back, _) = provider.let_in(&leave(&test, &person, "/signin/provider", &form).await).await;
    assert_eq!(person.get(&test, &back).await.url().path(), "/account");
    let sessions = test.app.store.sign_ins(member(&test, organization).await).await.unwrap();
    let session = sessions.iter().find(|row| row.provider == Some(id)).unwrap().clone();
    assert_eq!(session.authenticated.0, Level::Aal2);

    // Eleven minutes later a dangerous act asks again: the provider has its person sign in anew, with the better class.
    test.clock.forward_s(limits::STEP_UP_S + 60);
    provider.control("ada-at-work", "gold", limits::STEP_UP_S + 60).await;
    let asked = person.get(&test, &format!("/console/provider/{organization}")).await;
    assert_eq!(asked.status(), StatusCode::OK);
    let refused = person.form(&test, &format!("/console/provider/{organization}/remove"), &[]).await;
    assert_eq!(refused.url().path(), "/signin/again");
    let form = [("return_to", "/account"), ("level", "aal2-phr")];
    let (back, sign_ins) =
        provider.let_in(&leave(&test, &person, "/signin/provider/again", &form).await).await;
    assert_eq!(sign_ins, 1, "max_age has the person sign in again");
    assert_eq!(person.get(&test, &back).await.url().path(), "/account");
    let sessions = test.app.store.sign_ins(session.user).await.unwrap();
    let raised = sessions.iter().find(|row| row.sign_in == session.sign_in).unwrap();
    assert_eq!(raised.authenticated.0, Level::Aal2Phr);
    let age_ms = test.app.now().since_ms(raised.authenticated.1);
    assert!((0..60_000).contains(&age_ms), "{age_ms} ms since the step-up");

    // Somebody else at the provider is nobody here.
    provider.control("eve-at-work", "gold", limits::STEP_UP_S + 60).await;
    let eve = ada.elsewhere(&test);
    let fresh = Provider { browser: browser(), ..provider };
    let form = [("organization", "harbour-mills")];
    let (back, _) = fresh.let_in(&leave(&test, &eve, "/signin/provider", &form).await).await;
    assert_eq!(eve.get(&test, &back).await.status(), StatusCode::FORBIDDEN);
    assert!(!eve.is_in(&test).await);

    // Removed by somebody who has just proved who it is: the session is over.
    let removed = person.form(&test, &format!("/console/provider/{organization}/remove"), &[]).await;
    assert_eq!(removed.url().path(), "/signin");
    assert!(!person.is_in(&test).await);
    test.work().await;
    test.finish().await;
}

/// A browser of its own, which stops where the way leads back to us.
fn browser() -> Client {
    let ca = std::fs::read(AUTHORITY.file("ca.pem")).unwrap();
    Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
        .cookie_store(true)
        .redirect(Policy::custom(|attempt| match attempt.url().host_str() {
            Some("localhost") => attempt.follow(),
            _ => attempt.stop(),
        }))
        .no_proxy()
        .build()
        .unwrap()
}

async fn member(
    test: &TestApp,
    organization: countersign_core::id::OrganizationId,
) -> countersign_core::id::UserId {
    test.app.store.members(organization).await.unwrap()[0].user
}
