//! The pages of webhooks in Chromium: each at the size of a desk and of phones, by day and by night, axe clean, with nothing in the
//! console; and an endpoint that is made, tested, rotated and ended with a browser.

use countersign_core::{access::Environment, id::OrganizationId, scope::Scopes, webhook::pin::Pin};
use countersign_server::{config::Config, webhooks::work};

use super::{Receiver, trusting};
use crate::{
    accounts::person::Person,
    app::{Options, TestApp, envelope_of, pdf},
    browser::driver::Browser,
    console::browser::{check as check_each_size, on_localhost, sign_in, url},
    oauth::certificates::{Authority, Wish},
};

/// A page is right at each size, and nothing of it is beside a small phone.
async fn check(browser: &Browser, page: &str) {
    check_each_size(browser, page).await;
    browser.resize(320, 640).await;
    let width_px = browser.run("return document.documentElement.scrollWidth - innerWidth").await;
    assert!(width_px.as_i64().unwrap() <= 0, "{page} is {width_px} px wider than a small phone");
    browser.resize(1280, 900).await;
}

fn at_home(config: &mut Config) {
    on_localhost(config);
    trusting(config);
}

/// An owner who is signed in with a browser, at the pages of webhooks of the sandbox.
struct Scene {
    test: TestApp,
    browser: Browser,
    receiver: Receiver,
    organization: OrganizationId,
    webhooks: String,
}

impl Scene {
    async fn start() -> Self {
        let mut test = TestApp::start_with(Options { configure: at_home, ..Options::default() }).await;
        test.url.clone_from(&test.app.config.server.public_url);
        let (organization, link) = test.init("Harbour Mills", "ada@example.com").await;
        let mut ada = Person::new(&test, "ada@example.com");
        ada.welcome(&test, &link).await;
        let (receiver, browser) = (Receiver::start().await, Browser::start(1280, 900).await);
        sign_in(&test, &browser, &ada).await;
        let webhooks = url(&test, &format!("/console/{organization}/sandbox/webhooks"));
        Self { test, browser, receiver, organization, webhooks }
    }

    /// Makes an endpoint on the page of this address, and stands on the page with its secret.
    async fn make(&self, webhooks: &str, name: &str) {
        self.browser.open(&format!("{webhooks}/new")).await;
        self.browser.write("#url", &self.receiver.url).await;
        self.browser.write("#description", name).await;
        self.browser.click("form[action$='/new'] button").await;
        self.browser.until("document.getElementById('secret')").await;
    }

    /// Goes on from the page with a secret to the one of the endpoint: its address.
    async fn copied(&self) -> String {
        self.browser.click("main .button.main").await;
        self.browser.until("/\\/whe_[a-z0-9]+$/.test(location.pathname)").await;
        self.browser.run("return location.href").await.as_str().unwrap().to_owned()
    }

    /// Clicks on the button of a form, and waits for the word about it.
    async fn done(&self, form: &str) {
        self.browser.run("document.querySelector('.said')?.remove()").await;
        self.browser.click(&format!("{form} button")).await;
        self.browser.until("document.querySelector('.said')").await;
    }

    async fn settle(&self) {
        while self.test.work().await + work::deliver_due(&self.test.app).await.unwrap() > 0 {}
    }

    async fn close(self) {
        self.settle().await;
        self.browser.quit().await;
        self.test.finish().await;
    }
}

/// W-12, S-2: an endpoint is made, tested, activated, told and ended in a browser.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_managed_in_a_browser() {
    let scene = Scene::start().await;
    let (test, browser, webhooks) = (&scene.test, &scene.browser, &scene.webhooks);
    browser.open(webhooks).await;
    check(browser, "webhooks-none").await;
    browser.open(&format!("{webhooks}/new")).await;
    check(browser, "webhook-new").await;
    browser.write("#url", "https://127.0.0.1/hooks").await;
    browser.write("#description", "The archive").await;
    browser.expect_answers(&[422]);
    browser.click("form[action$='/new'] button").await;
    browser.until("document.getElementById('form-error')").await;
    check(browser, "webhook-new-wrong").await;
    scene.make(webhooks, "The archive").await;
    check(browser, "webhook-secret").await;
    browser.click("[data-copy] button").await;
    browser.until("document.querySelector('[data-copy] [role=status]').textContent !== ''").await;
    let page = scene.copied().await;
    check(browser, "webhook-inactive").await;
    scene.done("form[action$='/test']").await;
    browser.click("section details summary").await;
    check(browser, "webhook-tested").await;
    browser.open(&page).await;
    scene.done("form[action$='/activate']").await;
    scene.receiver.answers(&[(503, Some("a while"))]);
    let key = test.key(scene.organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let document = test.upload(&key, "Contract.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    scene.settle().await;
    browser.open(&format!("{page}/deliveries")).await;
    scene.done("form[action$='/recover']").await;
    scene.settle().await;
    browser.open(&format!("{page}/deliveries")).await;
    assert!(browser.text("main").await.contains("The last time there was nothing to send"));
    check(browser, "webhook-deliveries").await;
    browser.open(&format!("{page}/deliveries?state=due")).await;
    browser.click(".lines li .line-acts a").await;
    browser.until("document.getElementById('attempts-title')").await;
    assert!(browser.text("main").await.contains("Retry-After: a while"));
    check(browser, "webhook-delivery").await;
    browser.open(&page).await;
    check(browser, "webhook-active").await;
    browser.click("form[action$='/end'] [name=sure]").await;
    scene.done("form[action$='/end']").await;
    assert_eq!(browser.text("h1 .badge").await, "Ended");
    check(browser, "webhook-ended").await;
    browser.open(webhooks).await;
    check(browser, "webhooks").await;
    browser.open(&format!("{webhooks}/events")).await;
    browser.click("[id='envelope.sent'] details:last-child summary").await;
    check(browser, "webhook-events").await;
    scene.make(&webhooks.replace("/sandbox/", "/live/"), "Live").await;
    scene.copied().await;
    browser.find("#proof-title").await;
    check(browser, "webhook-live").await;
    scene.close().await;
}

/// W-2, S-2: the next step of a rotation is the one that the page leads to; deliveries are blocked.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_in_a_browser() {
    let scene = Scene::start().await;
    let browser = &scene.browser;
    scene.make(&scene.webhooks, "The archive").await;
    let page = scene.copied().await;
    browser.click("form[action$='/keys/stage'] button").await;
    browser.until("document.getElementById('secret')").await;
    check(browser, "webhook-next-secret").await;
    scene.copied().await;
    check(browser, "webhook-staged").await;
    scene.done("form[action$='/keys/join']").await;
    check(browser, "webhook-dual").await;
    scene.done(".next form[action$='/test']").await;
    browser.open(&page).await;
    check(browser, "webhook-promote").await;
    scene.done("form[action$='/keys/promote']").await;
    browser.click(".timeline details summary").await;
    check(browser, "webhook-retiring").await;
    scene.done("form[action$='/block']").await;
    check(browser, "webhook-blocked").await;
    scene.done("form[action$='/release']").await;
    scene.close().await;
}

/// W-7, S-2: a client certificate, pins and credentials are set in a browser, and what is wrong is found at its field.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_asks_for_besides_is_set_in_a_browser() {
    let scene = Scene::start().await;
    let browser = &scene.browser;
    scene.make(&scene.webhooks, "The archive").await;
    let page = scene.copied().await;
    // One that ends so soon that the page says so.
    let ends_s = scene.test.app.now().plus_s(20 * 24 * 3_600).unix_ms() / 1_000;
    let wish = Wish { ends_s: Some(ends_s.try_into().unwrap()), ..Wish::of("us") };
    let (chain, key) = Authority::new("CA of partners").certify(&wish).pem();
    let change = format!("{page}/change");
    browser.open(&change).await;
    check(browser, "webhook-change").await;
    for part in 1..=3 {
        browser.click(&format!(".part:nth-of-type({part}) > summary")).await;
    }
    check(browser, "webhook-change-open").await;
    browser.write("#certificate_chain", &chain).await;
    browser.write("#pins", "sha256/nothing").await;
    browser.expect_answers(&[422]);
    browser.click("form[action$='/change'] button").await;
    browser.until("document.getElementById('certificate_key-wrong')").await;
    check(browser, "webhook-change-wrong").await;
    browser.click("#form-error a").await;
    browser.until("document.activeElement.id === 'certificate_key' || document.querySelector('#certificate_key:target')").await;
    browser.write("#certificate_key", &key).await;
    browser.run("document.getElementById('pins').value = ''").await;
    browser.write("#pins", &Pin::of(b"a key").to_string()).await;
    browser.click(".part:nth-of-type(3) > summary").await;
    browser.write("#oauth_token_url", "https://localhost/token").await;
    browser.write("#oauth_client_id", "harbour-mills").await;
    browser.write("#oauth_client_secret", "between us").await;
    scene.done("form[action$='/change']").await;
    check(browser, "webhook-with-channel").await;
    browser.open(&change).await;
    check(browser, "webhook-change-set").await;
    scene.close().await;
}
