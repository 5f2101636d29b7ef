//! The page of API keys in Chromium: by keyboard alone, on a phone and at a desk, by day and by night, axe clean.

use countersign_core::secret::{PlainToken, TokenKind};
use thirtyfour::Key as Keyboard;

use crate::accounts::browser::{authenticator, begin_with_passkey, check, focus, start, url};

/// A-9, S-2: a key is made, rotated and ended by keyboard alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_and_rotated_by_keyboard_alone() {
    let (test, browser) = start().await;
    authenticator(&browser, true).await;
    begin_with_passkey(&test, &browser).await;
    let organization = test.app.store.organizations().await.unwrap()[0].organization;
    let keys = url(&test, &format!("/console/{organization}/sandbox/keys"));
    browser.open(&keys).await;
    check(&browser, "keys-none").await;
    browser.open(&format!("{keys}/new")).await;
    check(&browser, "key-new").await;
    focus(&browser, "label").await;
    browser.keys("Nightly export").await;
    for _ in 0..7 {
        browser.keys(Keyboard::Tab).await;
    }
    browser.keys(Keyboard::Space).await;
    assert_eq!(browser.run("return document.querySelectorAll('[name=scope]:checked').length").await, 1);
    let chosen = browser.run("return document.querySelector('[name=scope]:checked').value").await;
    assert_eq!(chosen, "envelopes:status");
    focus(&browser, "networks").await;
    browser.keys("127.0.0.1").await;
    focus(&browser, "days").await;
    browser.keys(Keyboard::Enter).await;
    browser.until("document.getElementById('token')").await;
    check(&browser, "key-token").await;
    let token = browser.run("return document.getElementById('token').value").await;
    let token = PlainToken::parse(TokenKind::SandboxApiKey, token.as_str().unwrap()).unwrap();
    assert!(test.app.store.api_key(&token.hash()).await.unwrap().is_some(), "the whole key is on the page");
    browser.open(&keys).await;
    check(&browser, "keys").await;
    browser.click(".lines a.button").await;
    browser.until("document.getElementById('overlap')").await;
    check(&browser, "key").await;
    focus(&browser, "overlap").await;
    browser.keys(Keyboard::Tab).await;
    browser.keys(Keyboard::Enter).await;
    browser.until("document.getElementById('token')").await;
    check(&browser, "key-rotated").await;
    browser.open(&keys).await;
    assert_eq!(browser.run("return document.querySelectorAll('.lines li').length").await, 2);
    browser.click(".lines li:last-child a.button").await;
    browser.until("document.querySelector('form[action$=\"/end\"]')").await;
    browser.click("form[action$='/end'] input[name=sure]").await;
    browser.click("form[action$='/end'] button").await;
    browser.until("document.querySelector('h1 .badge')?.textContent === 'ended'").await;
    check(&browser, "key-ended").await;
    browser.open(&keys).await;
    check(&browser, "keys-ended").await;
    browser.quit().await;
    test.work().await;
    test.finish().await;
}
