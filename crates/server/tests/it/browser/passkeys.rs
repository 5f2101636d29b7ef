//! Passkeys and access codes as people use them, with Chromium's own virtual authenticator (S-3, E-7).

use countersign_core::envelope::{Body, State, event::Factor};
use countersign_server::{config::Config, jobs};
use countersign_store::testing;
use countersign_verify::{Verdict, Verifier, verify_package};
use serde_json::{Value, json};
use thirtyfour::Key;

use super::{
    ceremony::{adopt, agree, tab_to},
    driver::Browser,
    scene::{Scene, one_signature},
};
use crate::app::Options;

/// A server under the address that the browser has it: passkeys belong to an origin.
fn on_localhost(config: &mut Config) {
    let port = testing::free_port().unwrap();
    config.server.listen.set_port(port);
    config.server.public_url = format!("https://localhost:{port}");
}

/// The same, but it believes to be at another port.
fn on_another_port(config: &mut Config) {
    config.server.public_url = "https://localhost:1".to_owned();
}

async fn scene(configure: fn(&mut Config), factor: Factor, more: Value) -> Scene {
    let mut ada =
        json!({ "name": "Ada Lovelace", "email": "ada@example.com", "role": "signer", "factor": factor });
    ada.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let options = Options { configure, ..Options::default() };
    Scene::sent_from(options, json!([ada]), one_signature()).await
}

impl Browser {
    /// Plugs an authenticator in that says yes by itself, and knows its owner.
    async fn plug_in(&self) -> String {
        self.devtools("WebAuthn.enable", json!({})).await;
        let options = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "automaticPresenceSimulation": true,
        });
        // RSA keys of old authenticators are not taken on purpose.
        self.expect_warning("pubKeyCredParams is missing at least one of the default algorithm identifiers");
        let added = self.devtools("WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
        added["authenticatorId"].as_str().unwrap().to_owned()
    }

    async fn knows_owner(&self, authenticator: &str, is_known: bool) {
        let asked = json!({ "authenticatorId": authenticator, "isUserVerified": is_known });
        self.devtools("WebAuthn.setUserVerified", asked).await;
    }
}

async fn resend(scene: &Scene) {
    let path = format!("/v1/envelopes/{}/resend", scene.envelope);
    let (status, body) = scene.test.post_json(&scene.key, &path, &json!({})).await;
    assert_eq!(status, 200, "{body}");
}

/// From the link to the page that makes a passkey.
async fn to_passkey(browser: &Browser, scene: &Scene) {
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    browser.click("#continue").await;
    browser.until_at("/code").await;
    browser.click("form button").await;
    browser.until("document.getElementById('code')").await;
    browser.write("#code", &scene.code().await).await;
    browser.click("form button.main").await;
    browser.until_at("/passkey").await;
}

/// Makes the passkey and uses it.
async fn make_and_use(browser: &Browser) {
    browser.click("#passkey-go").await;
    browser.until("document.querySelector('h1')?.textContent === 'Use your passkey'").await;
    browser.click("#passkey-go").await;
    browser.until_at("/consent").await;
}

/// From the page that makes a passkey to the open review.
async fn to_review(browser: &Browser) {
    make_and_use(browser).await;
    agree(browser).await;
    super::ceremony::review(browser).await;
}

async fn error_of(browser: &Browser, id: &str) -> String {
    browser.until(&format!("document.getElementById('{id}').textContent")).await;
    browser.text(&format!("#{id}")).await
}

/// S-3, E-7, E-8: a passkey is made after the mailed code, identifies, and signs; the evidence of it is genuine without us.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_makes_a_passkey_and_signs_with_it() {
    let scene = scene(on_localhost, Factor::Passkey, json!({})).await;
    let browser = Browser::start(1280, 900).await;
    browser.plug_in().await;
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    assert!(browser.text("#ready").await.contains("for a passkey"));
    to_passkey(&browser, &scene).await;
    browser.check("make a passkey").await;
    browser.click("#passkey-go").await;
    browser.until("document.querySelector('h1')?.textContent === 'Use your passkey'").await;
    browser.check("use your passkey").await;
    assert!(!scene.types().await.contains(&"disclosure.shown"), "made is not used");
    browser.click("#passkey-go").await;
    browser.until_at("/consent").await;
    agree(&browser).await;
    super::ceremony::review(&browser).await;
    browser.check("review with a passkey").await;
    assert!(browser.text("#review").await.contains("Your passkey signs exactly this"));
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    assert!(browser.text("main").await.contains("your passkey, made after a code mailed to a…@example.com"));
    browser.check("receipt with a passkey").await;

    let opened = scene.opened().await;
    let signed = opened.events.iter().find_map(|recorded| match &recorded.event.body {
        Body::Signed(act) => Some(act.clone()),
        _ => None,
    });
    let act = signed.unwrap();
    assert_eq!(act.assertion.as_ref().unwrap().challenge(), Some(act.challenge()));
    jobs::run_due(&scene.test.app).await.unwrap();
    let State::Completed(..) = scene.state().await else { panic!("not completed") };
    let path = format!("/v1/envelopes/{}/evidence", scene.envelope);
    let package = scene.test.get(&scene.key, &path).await.bytes().await.unwrap();
    let vkey: Verifier = scene.test.app.log.verifier_key().parse().unwrap();
    let report = verify_package(&package, &[vkey]);
    assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
    assert!(report.to_text().contains("signed with their passkey"), "{}", report.to_text());
    browser.quit().await;
    jobs::run_due(&scene.test.app).await.unwrap();
    scene.test.finish_without_worker().await;
}

/// G-9: the pages of passkeys on a narrow phone in the dark, with the keyboard alone.
#[tokio::test(flavor = "multi_thread")]
async fn passkeys_work_on_a_phone_in_the_dark_with_the_keyboard_alone() {
    let scene = scene(on_localhost, Factor::Passkey, json!({})).await;
    let browser = Browser::start(320, 640).await;
    browser.dark(true).await;
    browser.plug_in().await;
    to_passkey(&browser, &scene).await;
    browser.check("make a passkey, 320 px, dark").await;
    tab_to(&browser, "#passkey-go").await;
    browser.keys(Key::Enter + "").await;
    browser.until("document.querySelector('h1')?.textContent === 'Use your passkey'").await;
    browser.check("use your passkey, 320 px, dark").await;
    tab_to(&browser, "#passkey-go").await;
    browser.keys(Key::Enter + "").await;
    browser.until_at("/consent").await;
    agree(&browser).await;
    super::ceremony::review(&browser).await;
    browser.check("review with a passkey, 320 px, dark").await;
    tab_to(&browser, "#act").await;
    browser.keys(Key::Enter + "").await;
    browser.until_at("/receipt").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// S-3: an authenticator that does not check its owner is refused, by the browser that is asked to, and by the server if
/// the browser was not; both in words.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_does_not_check_its_owner_is_refused_in_words() {
    let scene = scene(on_localhost, Factor::Passkey, json!({})).await;
    let browser = Browser::start(1280, 900).await;
    let authenticator = browser.plug_in().await;
    to_passkey(&browser, &scene).await;
    browser.click("#passkey-go").await;
    browser.until("document.querySelector('h1')?.textContent === 'Use your passkey'").await;
    browser.knows_owner(&authenticator, false).await;
    browser.click("#passkey-go").await;
    assert!(error_of(&browser, "passkey-error").await.contains("Nothing was confirmed"));
    browser.check("passkey refused by the browser").await;
    browser
        .run(
            "const real = navigator.credentials.get.bind(navigator.credentials);
             navigator.credentials.get = ({ publicKey }) =>
               real({ publicKey: { ...publicKey, userVerification: 'discouraged' } });",
        )
        .await;
    browser.expect_answers(&[403]);
    browser.click("#passkey-go").await;
    browser
        .until(
            "document.getElementById('passkey-error').textContent.includes('did not check that it is you')",
        )
        .await;
    browser.check("passkey refused by the server").await;
    browser.knows_owner(&authenticator, true).await;
    browser.driver.refresh().await.unwrap();
    browser.click("#passkey-go").await;
    browser.until_at("/consent").await;
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// S-3: a passkey made on a page of another origin is refused in words, and not recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_of_another_origin_is_refused_in_words() {
    let scene = scene(on_another_port, Factor::Passkey, json!({})).await;
    let browser = Browser::start(1280, 900).await;
    browser.plug_in().await;
    to_passkey(&browser, &scene).await;
    browser.expect_answers(&[403]);
    browser.click("#passkey-go").await;
    assert!(error_of(&browser, "passkey-error").await.contains("on another site than this one"));
    assert_eq!(scene.count("passkey.registered").await, 0);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// E-7: an answer that the passkey gave for something else does not sign, and the page says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_answer_of_the_passkey_does_not_sign() {
    let scene = scene(on_localhost, Factor::Passkey, json!({})).await;
    let browser = Browser::start(1280, 900).await;
    browser.plug_in().await;
    to_passkey(&browser, &scene).await;
    to_review(&browser).await;
    // The first answer is kept, its request is lost; then another mark is adopted, and the first answer given again.
    browser
        .run(
            "const get = navigator.credentials.get.bind(navigator.credentials);
             navigator.credentials.get = async (asked) => (window.kept ??= await get(asked));
             const real = window.fetch;
             window.fetch = async (path, options) => {
               if (!String(path).endsWith('/sign')) return real(path, options);
               window.fetch = real;
               throw new TypeError('the line was cut');
             };",
        )
        .await;
    browser.click("#act").await;
    assert!(error_of(&browser, "review-error").await.contains("did not answer"));
    browser.click("#to-reader").await;
    browser.until("!document.getElementById('reader').hidden").await;
    browser.click(".field button").await;
    browser.until("document.getElementById('adopt').open").await;
    browser.write("#typed-name", "A. Lovelace").await;
    adopt(&browser).await;
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
    browser.expect_answers(&[403]);
    browser.click("#act").await;
    assert!(error_of(&browser, "review-error").await.contains("what it signed has changed since"));
    assert_eq!(scene.count("recipient.signed").await, 0);
    browser.check("review, answer refused").await;
    browser.run("window.kept = undefined").await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// E-7: a copy of the passkey, whose counter is behind, is recorded and locks the link; a newer link begins afresh.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_passkey_locks_the_link() {
    let scene = scene(on_localhost, Factor::Passkey, json!({})).await;
    let browser = Browser::start(1280, 900).await;
    let authenticator = browser.plug_in().await;
    to_passkey(&browser, &scene).await;
    to_review(&browser).await;
    let asked = json!({ "authenticatorId": authenticator });
    let held = browser.devtools("WebAuthn.getCredentials", asked.clone()).await;
    let mut credential = held["credentials"][0].clone();
    browser.devtools("WebAuthn.clearCredentials", asked).await;
    credential["signCount"] = json!(0);
    let copy = json!({ "authenticatorId": authenticator, "credential": credential });
    browser.devtools("WebAuthn.addCredential", copy).await;
    browser.expect_answers(&[403]);
    browser.click("#act").await;
    browser.until("document.querySelector('h1')?.textContent === 'This link is locked'").await;
    browser.check("locked after a copied passkey").await;
    let types = scene.types().await;
    assert_eq!(types[types.len() - 2..], ["passkey.cloned", "factor.locked"]);
    assert_eq!(scene.count("recipient.signed").await, 0);

    resend(&scene).await;
    to_passkey(&browser, &scene).await;
    make_and_use(&browser).await;
    agree(&browser).await;
    // What was filled in is kept in this tab.
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    assert_eq!(scene.count("passkey.registered").await, 2);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// S-3: a later session is opened by the same passkey, without a mailed code.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_session_asks_for_the_same_passkey() {
    let scene = scene(on_localhost, Factor::Passkey, json!({})).await;
    let browser = Browser::start(1280, 900).await;
    browser.plug_in().await;
    to_passkey(&browser, &scene).await;
    make_and_use(&browser).await;
    // The page is left before its session is over: what it would tell after that is refused.
    browser.open("about:blank").await;
    resend(&scene).await;
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    assert!(browser.text("#ready").await.contains("the passkey that you made for this request"));
    browser.click("#continue").await;
    browser.until_at("/passkey").await;
    assert!(browser.text("main").await.contains("Unlock the passkey that you made"));
    browser.click("#passkey-go").await;
    browser.until_at("/consent").await;
    assert_eq!(scene.codes().await.len(), 1);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// S-3, S-4: the access code of the sender, wrong and right, on a narrow phone and on a desktop in the dark.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_types_the_access_code_of_the_sender() {
    let code = "Mill & wheel 7";
    let scene = scene(|_| {}, Factor::AccessCode, json!({ "access_code": code })).await;
    let browser = Browser::start(320, 640).await;
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    assert!(browser.text("#ready").await.contains("the access code that the sender told you"));
    browser.click("#continue").await;
    browser.until_at("/access-code").await;
    browser.check("access code, 320 px").await;
    browser.write("#access-code", "mill & wheel 7").await;
    browser.keys(Key::Enter + "").await;
    browser.until("document.getElementById('code-error')").await;
    assert_eq!(browser.text("#code-hint").await, "4 tries left.");
    browser.resize(1280, 900).await;
    browser.dark(true).await;
    browser.check("access code, wrong, dark").await;
    browser.write("#access-code", &format!(" {code} ")).await;
    browser.keys(Key::Enter + "").await;
    browser.until_at("/consent").await;
    agree(&browser).await;
    super::ceremony::review(&browser).await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    assert!(browser.text("main").await.contains("and the access code from the sender"));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}
