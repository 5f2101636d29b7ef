//! The pages of accounts in Chromium, with its virtual authenticator: passkeys, keyboard, 320 px, both schemes, axe clean,
//! nothing in the console.

use countersign_core::limits;
use countersign_server::config::Config;
use countersign_store::testing;
use serde_json::{Value, json};
use thirtyfour::Key as Keyboard;

use super::person::{PASSWORD, code_at};
use crate::{
    app::{Options, TestApp},
    browser::driver::Browser,
};

const ADA: &str = "ada@example.com";

/// A server that is called as the browser calls it: a passkey is bound to name and port.
fn on_localhost(config: &mut Config) {
    let port = testing::free_port().unwrap();
    config.server.listen.set_port(port);
    config.server.public_url = format!("https://localhost:{port}");
}

/// A server on a port of `localhost`.
pub(crate) async fn serve() -> TestApp {
    TestApp::start_with(Options { configure: on_localhost, ..Options::default() }).await
}

pub(crate) async fn start() -> (TestApp, Browser) {
    (serve().await, Browser::start(1280, 900).await)
}

pub(crate) fn url(test: &TestApp, path: &str) -> String {
    format!("{}{path}", test.app.config.server.public_url)
}

/// A platform authenticator, as phones and computers have one.
pub(crate) async fn authenticator(browser: &Browser, verifies: bool) -> String {
    browser.devtools("WebAuthn.enable", json!({})).await;
    let options = json!({ "options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": verifies, "automaticPresenceSimulation": true,
    } });
    let added = browser.devtools("WebAuthn.addVirtualAuthenticator", options).await;
    added["authenticatorId"].as_str().unwrap().to_owned()
}

/// Keeps a picture where one is asked for, to be looked at.
async fn picture(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("CS_TEST_PICTURES") {
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        browser.driver.screenshot(&file).await.unwrap();
    }
}

/// A page is right at the size of a desk and of a small phone, by day and by night.
pub(crate) async fn check(browser: &Browser, page: &str) {
    for (width_px, height_px, size) in [(320, 640, "phone"), (1280, 900, "desk")] {
        browser.resize(width_px, height_px).await;
        for (is_dark, scheme) in [(true, "dark"), (false, "light")] {
            browser.dark(is_dark).await;
            browser.check(&format!("{page} {size} {scheme}")).await;
            picture(browser, &format!("{page}-{size}-{scheme}")).await;
        }
    }
}

/// Opens a page that may be open already but for its fragment.
pub(crate) async fn open(browser: &Browser, url: &str) {
    browser.open("about:blank").await;
    browser.open(url).await;
}

/// Makes an account with a passkey from the printed link.
pub(crate) async fn begin_with_passkey(test: &TestApp, browser: &Browser) {
    let (_, link) = test.init("Harbour Mills", ADA).await;
    open(browser, &link).await;
    browser.until("!document.getElementById('begin').hidden").await;
    assert_eq!(browser.run("return location.hash").await, "", "the secret leaves the address bar");
    check(browser, "welcome").await;
    browser.write("#name", "Ada Lovelace").await;
    browser.click("#with-passkey").await;
    browser.until_at("/account/recovery").await;
}

/// an account with a passkey: made, recovery codes kept, signed out, signed in by the button, proved again.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_in_a_browser_makes_opens_and_confirms() {
    let (test, browser) = start().await;
    authenticator(&browser, true).await;
    begin_with_passkey(&test, &browser).await;
    check(&browser, "recovery-before").await;
    browser.click("main form button").await;
    browser.until("document.querySelectorAll('#recovery-codes code').length === 10").await;
    check(&browser, "recovery-codes").await;
    browser.click("[name=kept]").await;
    browser.click("form[action$=keep] button").await;
    browser.until_at("/account").await;
    browser.until("document.querySelector('.said')").await;
    check(&browser, "account").await;
    browser.click("form[action='/signout'] button").await;
    browser.until_at("/signin").await;

    // The browser may offer the passkey in the address field by itself, and the virtual one answers at once.
    browser
        .until("location.pathname === '/account' || !document.getElementById('passkey-part').hidden")
        .await;
    // It may answer at this very moment, too: then there is no button any more.
    browser.run("document.getElementById('passkey')?.click()").await;
    browser.until_at("/account").await;
    test.clock.forward_s(limits::STEP_UP_S + 1);
    browser.open(&url(&test, "/account/recovery")).await;
    browser.until_at("/signin/again").await;
    check(&browser, "again").await;
    browser.click("#passkey").await;
    browser.until_at("/account/recovery").await;
    browser.quit().await;
    test.work().await;
    test.finish().await;
}

/// where the authenticator does not verify its user, nothing opens.
#[tokio::test(flavor = "multi_thread")]
async fn without_verification_a_browser_opens_nothing() {
    let (test, browser) = start().await;
    let id = authenticator(&browser, true).await;
    begin_with_passkey(&test, &browser).await;
    let off = json!({ "authenticatorId": id, "isUserVerified": false });
    browser.devtools("WebAuthn.setUserVerified", off).await;
    browser.open(&url(&test, "/account")).await;
    browser.click("form[action='/signout'] button").await;
    browser.until_at("/signin").await;
    browser.until("!document.getElementById('passkey-part').hidden").await;
    browser.click("#passkey").await;
    browser.until("document.getElementById('passkey-error').textContent !== ''").await;
    assert_eq!(browser.run("return location.pathname").await, "/signin");
    browser.quit().await;
    test.work().await;
    test.finish().await;
}

/// A-10, S-2: the whole way with password and codes by keyboard alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_password_by_keyboard_alone() {
    let (test, browser) = start().await;
    let (_, link) = test.init("Harbour Mills", ADA).await;
    open(&browser, &link).await;
    browser.until("!document.getElementById('begin').hidden").await;
    focus(&browser, "name").await;
    browser.keys("Ada Lovelace").await;
    focus(&browser, "password").await;
    browser.keys(PASSWORD).await;
    browser.keys(Keyboard::Tab).await;
    browser.keys(Keyboard::Space).await;
    assert_eq!(
        browser.run("return document.getElementById('password').type").await,
        "text",
        "it can be shown"
    );
    focus(&browser, "with-password").await;
    browser.keys(Keyboard::Enter).await;
    browser.until("!document.getElementById('codes').hidden").await;
    check(&browser, "codes").await;
    let secret = browser.run("return document.getElementById('qr-text').textContent").await;
    let secret = secret.as_str().unwrap().to_owned();
    focus(&browser, "first-code").await;
    browser.keys(code_at(&secret, test.app.now()).as_str()).await;
    browser.keys(Keyboard::Enter).await;
    browser.until_at("/account/recovery").await;
    browser.open(&url(&test, "/account")).await;
    browser.click("form[action='/signout'] button").await;
    browser.until_at("/signin").await;
    check(&browser, "sign-in").await;

    focus(&browser, "email").await;
    browser.keys(ADA).await;
    focus(&browser, "password").await;
    browser.keys("not this one at all").await;
    browser.expect_answers(&[403]);
    browser.keys(Keyboard::Enter).await;
    browser.until("document.getElementById('form-error')").await;
    check(&browser, "sign-in-refused").await;
    focus(&browser, "password").await;
    browser.keys(PASSWORD).await;
    browser.keys(Keyboard::Enter).await;
    browser.until_at("/signin/code").await;
    check(&browser, "second-step").await;
    test.clock.forward_s(30);
    browser.keys(code_at(&secret, test.app.now()).as_str()).await;
    browser.keys(Keyboard::Enter).await;
    browser.until_at("/account").await;
    for (path, name) in
        [("/account/password", "password"), ("/account/codes", "codes-change"), ("/reset", "reset")]
    {
        browser.open(&url(&test, path)).await;
        check(&browser, name).await;
    }
    browser.quit().await;
    test.work().await;
    test.finish().await;
}

/// Goes with the tabulator to an element, as somebody without a mouse does.
pub(crate) async fn focus(browser: &Browser, id: &str) {
    let is_there = format!("return document.activeElement?.id === '{id}'");
    for _ in 0..40 {
        if browser.run(&is_there).await == Value::Bool(true) {
            return;
        }
        browser.keys(Keyboard::Tab).await;
    }
    panic!("no way to #{id} with the tabulator");
}

/// A link that is damaged says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_link_says_so() {
    let (test, browser) = start().await;
    browser.expect_answers(&[404]);
    for (path, name) in [("/welcome#csi_damaged", "welcome-problem"), ("/reset/password#x", "reset-problem")]
    {
        open(&browser, &url(&test, path)).await;
        browser.until("!document.getElementById('problem').hidden").await;
        check(&browser, name).await;
    }
    browser.quit().await;
    test.finish().await;
}
