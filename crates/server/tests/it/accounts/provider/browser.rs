//! The way through a provider in Chromium: each page at the size of a desk and of phones, by day and by night, axe clean.

use countersign_core::{limits, role::Role};
use countersign_server::config::Config;

use super::{
    ADA, BOB, RULES, Scene,
    bounds::invite,
    issuer::{How, Issuer},
    reach_providers,
};
use crate::{
    accounts::browser::open,
    app::{Options, TestApp},
    browser::driver::Browser,
    console::browser::{check, on_localhost, sign_in, url},
};

fn on_localhost_with_providers(config: &mut Config) {
    on_localhost(config);
    reach_providers(config);
}

/// Presses what leads to the provider, looks at the page in between, and lets the person in there: the way back.
async fn go_there(scene: &Scene, browser: &Browser, button: &str, name: &str) -> String {
    browser.click(button).await;
    browser.until("document.getElementById('leave')").await;
    check(browser, name).await;
    let address = browser.run("return document.getElementById('leave').href").await;
    url(&scene.test, &scene.issuer.let_in(address.as_str().unwrap()))
}

/// A-10, S-2: setting a provider, connecting, coming in, confirming, and everything that goes wrong on the way.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_way_through_a_provider_is_fit_to_be_used() {
    let options = Options { configure: on_localhost_with_providers, ..Options::default() };
    let mut test = TestApp::start_with(options).await;
    test.url.clone_from(&test.app.config.server.public_url);
    let (organization, ada) = test.owner("Harbour Mills", ADA).await;
    let issuer = Issuer::start(test.clock.clone()).await;
    let scene = Scene { test, organization, ada, issuer };
    let test = &scene.test;
    let browser = Browser::start(1280, 900).await;
    sign_in(test, &browser, &scene.ada).await;
    browser.open(&url(test, &scene.path())).await;
    check(&browser, "provider-none").await;
    for (field, text) in [
        ("#issuer", scene.issuer.url()),
        ("#client_id", "countersign"),
        ("#handle", "harbour-mills"),
        ("#domains", "example.com"),
        ("#rules", "acr gold"),
    ] {
        browser.write(field, text).await;
    }
    browser.expect_answers(&[403, 422, 503]);
    browser.click("main form .button.main").await;
    browser.until("document.getElementById('form-error')").await;
    check(&browser, "provider-wrong").await;
    browser.write("#rules", RULES).await;
    browser.click("main form .button.main").await;
    browser.until("document.querySelector('.said')?.textContent.includes('provider is set')").await;
    check(&browser, "provider-set").await;

    browser.open(&url(test, "/account")).await;
    check(&browser, "account-connect").await;
    let back = go_there(&scene, &browser, "form[action='/account/provider/link'] button", "leave").await;
    browser.open(&back).await;
    browser.until_at("/account").await;
    check(&browser, "account-connected").await;
    browser.open(&back).await;
    browser.until("document.getElementById('form-error')").await;
    check(&browser, "provider-problem").await;

    browser.open(&url(test, "/account")).await;
    browser.click("form[action='/signout'] button").await;
    browser.until_at("/signin").await;
    browser.click("#organization-part summary").await;
    check(&browser, "signin-organization").await;
    browser.write("#organization", "lantern").await;
    browser.click("#organization-part button").await;
    browser.until("document.getElementById('form-error')").await;
    assert_eq!(browser.run("return document.getElementById('organization').value").await, "lantern");
    check(&browser, "signin-organization-unknown").await;
    browser.write("#organization", ADA).await;
    let back = go_there(&scene, &browser, "#organization-part button", "leave-again").await;
    browser.open(&back).await;
    browser.until_at("/account").await;
    check(&browser, "account-through").await;

    test.clock.forward_s(limits::STEP_UP_S + 1);
    scene.issuer.answer_like(How::Broken);
    browser.open(&url(test, "/signin/again?return_to=/account&level=aal2")).await;
    check(&browser, "again-through").await;
    browser.click("form[action='/signin/provider/again'] button").await;
    browser.until("document.getElementById('form-error')").await;
    check(&browser, "provider-silent").await;

    let link = invite(test, scene.organization, BOB, Role::Sender).await;
    browser.driver.delete_all_cookies().await.unwrap();
    open(&browser, &link).await;
    browser.until("!document.getElementById('begin').hidden").await;
    check(&browser, "welcome-provider").await;
    browser.quit().await;
    scene.finish().await;
}
