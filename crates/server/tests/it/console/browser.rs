//! The console in Chromium: each page at the size of a desk and of phones, by day and by night, axe clean, with nothing in the
//! console; and a member invited, changed and removed by keyboard alone.

use countersign_core::access::Environment;
use countersign_server::config::Config;
use countersign_store::testing;
use serde_json::Value;
use thirtyfour::Key as Keyboard;

use super::{ADA, BOB};
use crate::{
    accounts::person::{PASSWORD, Person, code_at},
    app::{Options, TestApp},
    browser::driver::Browser,
    oauth::{client::Client, flow, keys::ClientKey},
};

/// A server that is called as the browser calls it.
pub(crate) fn on_localhost(config: &mut Config) {
    let port = testing::free_port().unwrap();
    config.server.listen.set_port(port);
    config.server.public_url = format!("https://localhost:{port}");
}

async fn start() -> TestApp {
    let mut test = TestApp::start_with(Options { configure: on_localhost, ..Options::default() }).await;
    test.url.clone_from(&test.app.config.server.public_url);
    test
}

pub(crate) fn url(test: &TestApp, path: &str) -> String {
    format!("{}{path}", test.app.config.server.public_url)
}

/// Keeps a picture of the whole page where one is asked for, to be looked at.
async fn picture(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("CS_TEST_PICTURES") else { return };
    let parameters = serde_json::json!({ "captureBeyondViewport": true });
    let shot = browser.devtools("Page.captureScreenshot", parameters).await;
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, shot["data"].as_str().unwrap());
    std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes.unwrap()).unwrap();
}

/// A page is right at the size of a desk and of two phones, by day and by night.
pub(crate) async fn check(browser: &Browser, page: &str) {
    for (width_px, height_px, size) in [(320, 640, "small"), (390, 844, "phone"), (1280, 900, "desk")] {
        browser.resize(width_px, height_px).await;
        for (is_dark, scheme) in [(true, "dark"), (false, "light")] {
            browser.dark(is_dark).await;
            browser.check(&format!("{page} {size} {scheme}")).await;
            picture(browser, &format!("{page}-{size}-{scheme}")).await;
        }
    }
}

/// Signs the browser in as the person, whose account was made without it.
pub(crate) async fn sign_in(test: &TestApp, browser: &Browser, person: &Person) {
    browser.open(&url(test, "/signin")).await;
    browser.write("#email", &person.email).await;
    browser.write("#password", PASSWORD).await;
    browser.click("form[action='/signin'] button.wide").await;
    browser.until_at("/signin/code").await;
    test.clock.forward_s(30);
    browser.write("#code", &code_at(&person.secret, test.app.now())).await;
    browser.click("form[action='/signin/code'] button.wide").await;
    browser.until_at("/account").await;
}

/// A person with an account, made by the pages' own requests.
async fn person(test: &TestApp, link: &str, email: &str) -> Person {
    let mut person = Person::new(test, email);
    person.welcome(test, link).await;
    person
}

/// A-10, S-2: every page of the console, empty and full.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_console_is_fit_to_be_used() {
    let test = start().await;
    let (organization, link) = test.init("Harbour Mills", ADA).await;
    let ada = person(&test, &link, ADA).await;
    let user = countersign_core::secret::Personal::new(ADA.to_owned());
    let user = countersign_server::accounts::people::by_address(&test.app, &user).await.unwrap().unwrap();
    let copper = test.organization("Copper Works").await;
    super::membership(&test, copper, &user, countersign_core::role::Role::Auditor).await;
    let key = ClientKey::new("robot");
    let registration = flow::registration("fapi2", &key, "envelopes:status envelopes:read admin:members");
    let client = Client::register_with(&test, organization, Environment::Sandbox, key, &registration).await;
    let robot = client.id.to_string();
    super::silent_member(&test, organization, countersign_core::role::Role::Reviewer).await;
    let browser = Browser::start(1280, 900).await;
    sign_in(&test, &browser, &ada).await;
    grant(&test, &browser, &client).await;
    check(&browser, "account").await;
    test.work().await;
    browser.open(&url(&test, "/console")).await;
    check(&browser, "organizations").await;
    browser.click("main .button.main").await;
    browser.until("location.pathname.endsWith('/live')").await;
    check(&browser, "home").await;
    let (live, sandbox) =
        (format!("/console/{organization}/live"), format!("/console/{organization}/sandbox"));
    for (path, name) in [
        (format!("{live}/members"), "members"),
        (format!("{live}/clients"), "clients-none"),
        (format!("{sandbox}/clients"), "clients"),
        (format!("{sandbox}/clients/new"), "client-new"),
        (format!("{sandbox}/clients/{robot}"), "client"),
        (format!("{live}/applications"), "applications-none"),
        (format!("{sandbox}/applications"), "applications"),
        (format!("{live}/security"), "security"),
        (format!("{live}/security?kind=key"), "security-none"),
        ("/account/applications".to_owned(), "own-applications"),
    ] {
        browser.open(&url(&test, &path)).await;
        check(&browser, name).await;
    }
    browser.open(&url(&test, &format!("{live}/security"))).await;
    browser.click(".events details summary").await;
    check(&browser, "security-open").await;
    browser.click(".switch summary").await;
    browser.until("document.querySelector('.switch').open").await;
    check(&browser, "switch").await;
    browser.expect_answers(&[404]);
    browser.open(&url(&test, "/console/org_00000000000000000000000000/live")).await;
    check(&browser, "nothing-here").await;
    test.clock.forward_s(countersign_core::limits::STEP_UP_S + 1);
    for (path, name) in [
        (format!("{live}/members"), "members-stale"),
        (format!("{sandbox}/applications"), "applications-stale"),
        (format!("{sandbox}/clients/{robot}"), "client-stale"),
    ] {
        browser.open(&url(&test, &path)).await;
        check(&browser, name).await;
    }
    browser.quit().await;
    test.work().await;
    test.finish().await;
}

/// The browser's person agrees to what the client asks for.
async fn grant(test: &TestApp, browser: &Browser, client: &Client<'_>) {
    let form = [client.form(&[]), flow::Scene::parameters()].concat();
    let pushed = crate::oauth::client::Answered::of(client.post("/oauth/par", &form)).await;
    let request_uri = pushed.body["request_uri"].as_str().unwrap().replace(':', "%3A");
    let path = format!("/oauth/authorize?client_id={}&request_uri={request_uri}", client.id);
    browser.open(&url(test, &path)).await;
    check(browser, "consent").await;
    let back = browser.run("return document.querySelector('form').action").await;
    let back = back.as_str().unwrap().to_owned();
    let script = format!(
        "const done = arguments[0]; fetch('{back}', {{ method: 'POST', redirect: 'manual', \
         headers: {{ 'content-type': 'application/x-www-form-urlencoded' }}, body: 'decision=agree' }}) \
         .then(() => done(true));"
    );
    browser.driver.execute_async(script.as_str(), Vec::new()).await.unwrap();
    browser.open(&url(test, "/account")).await;
}

/// Goes with the tabulator to what has this text, as somebody without a mouse does.
async fn focus(browser: &Browser, text: &str) {
    let is_there = format!(
        "const one = document.activeElement; const label = one?.labels?.[0]?.textContent ?? '';
         return (one?.textContent ?? '').trim() === '{text}' || label.trim() === '{text}' || one?.value === '{text}'"
    );
    for _ in 0..60 {
        if browser.run(&is_there).await == Value::Bool(true) {
            return;
        }
        browser.keys(Keyboard::Tab).await;
    }
    panic!("no way to {text} with the tabulator");
}

/// A-3, S-2: somebody is invited, given another role and removed by keyboard alone.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_managed_by_keyboard_alone() {
    let test = start().await;
    let (organization, link) = test.init("Harbour Mills", ADA).await;
    let ada = person(&test, &link, ADA).await;
    let browser = Browser::start(1280, 900).await;
    sign_in(&test, &browser, &ada).await;
    browser.open(&url(&test, "/console")).await;
    browser.until("location.pathname.endsWith('/live')").await;
    focus(&browser, "Members").await;
    browser.keys(Keyboard::Enter).await;
    browser.until_at("/members").await;
    focus(&browser, "E-mail address").await;
    browser.keys(BOB).await;
    browser.keys(Keyboard::Tab).await;
    browser.keys(Keyboard::Down).await;
    assert_eq!(browser.run("return document.activeElement.value").await, "reviewer");
    browser.keys(Keyboard::Enter).await;
    browser.until("document.querySelector('.said')?.textContent.includes('countersign mails')").await;
    check(&browser, "members-invited").await;

    let mailbox = test.mailbox_key(organization).await;
    let letters = test.letters(&mailbox, BOB).await;
    let link = letters[0].text.split_whitespace().find(|word| word.contains("/welcome#csi_")).unwrap();
    person(&test, link, BOB).await;
    browser.open(&url(&test, &format!("/console/{organization}/live/members"))).await;
    let name = "Change Ada Lovelace";
    focus(&browser, name).await;
    browser.keys(Keyboard::Tab).await;
    browser.keys(Keyboard::Enter).await;
    browser.until("location.pathname.includes('/members/usr_')").await;
    check(&browser, "member").await;
    focus(&browser, "reviewer").await;
    browser.keys(Keyboard::Down).await;
    browser.keys(Keyboard::Enter).await;
    browser.until("document.querySelector('.said')?.textContent.includes('role was changed')").await;
    assert!(browser.text(".lines").await.contains("auditor"));
    focus(&browser, name).await;
    browser.keys(Keyboard::Tab).await;
    browser.keys(Keyboard::Enter).await;
    browser.until("location.pathname.includes('/members/usr_')").await;
    focus(&browser, "Remove Ada Lovelace").await;
    browser.keys(Keyboard::Enter).await;
    browser.until("document.querySelector('.said')?.textContent.includes('was removed')").await;
    assert!(!browser.text(".lines").await.contains(BOB));
    browser.quit().await;
    test.work().await;
    test.finish().await;
}
