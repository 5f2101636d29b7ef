//! Exactly one signature, whatever the hand or the network does.

use countersign_core::envelope::event::Factor;
use serde_json::json;

use super::{
    ceremony::{open_reader, review, until_read},
    driver::Browser,
    scene::{Scene, one_signature},
};

/// E-7: a double click is one signature, and going back afterwards shows the receipt.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_signs_once_and_the_way_back_leads_to_the_receipt() {
    let (scene, browser) = Scene::in_review().await;
    let button = browser.find("#act").await;
    browser.driver.action_chain().double_click_element(&button).perform().await.unwrap();
    browser.until_at("/receipt").await;
    browser.driver.back().await.unwrap();
    browser.until("document.body.innerText.includes('You have signed')").await;
    browser.open(&scene.url(&format!("/s/{}/sign", scene.envelope))).await;
    browser.until_at("/receipt").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// E-7: the answer to Sign is lost; pressing again, and reloading, give the receipt of the one signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_at_sign_is_one_signature() {
    let (scene, browser) = Scene::in_review().await;
    // The request arrives, its answer does not.
    browser
        .run(
            "const real = window.fetch;
             window.fetch = async (path, options) => {
               const answer = await real(path, options);
               if (!String(path).endsWith('/sign')) return answer;
               window.fetch = real;
               throw new TypeError('the line was cut');
             };",
        )
        .await;
    browser.click("#act").await;
    browser.until("document.getElementById('review-error').textContent.includes('counts once')").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    browser.driver.refresh().await.unwrap();
    browser.until("document.body.innerText.includes('You have signed')").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// E-7: reloading while the answer is on its way leads to the receipt.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_at_sign_is_one_signature() {
    let (scene, browser) = Scene::in_review().await;
    browser
        .run(
            "const real = window.fetch;
             window.fetch = async (path, options) => {
               const answer = await real(path, options);
               if (String(path).endsWith('/sign')) { window.arrived = true; return new Promise(() => {}); }
               return answer;
             };",
        )
        .await;
    browser.click("#act").await;
    browser.until("window.arrived").await;
    browser.driver.refresh().await.unwrap();
    browser.until_at("/receipt").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// Two tabs of one browser share a session: both sign at once, one signature counts, both see the receipt.
#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_that_sign_at_once_give_one_signature() {
    let scene = Scene::sent(Factor::Link, one_signature()).await;
    let browser = Browser::start(1280, 900).await;
    let link = scene.link(0).await;
    open_reader(&browser, &link).await;
    review(&browser).await;
    let first = browser.driver.window().await.unwrap();
    let second = browser.driver.new_tab().await.unwrap();
    browser.driver.switch_to_window(second.clone()).await.unwrap();
    browser.resize(1280, 900).await;
    browser.open(&link).await;
    browser.until("!document.getElementById('ready').hidden").await;
    browser.click("#continue").await;
    until_read(&browser).await;
    review(&browser).await;
    // Each tab presses its button when it hears the other: at the same moment.
    let listen = "new BroadcastChannel('start').onmessage = () => document.getElementById('act').click();";
    browser.run(listen).await;
    browser.driver.switch_to_window(first).await.unwrap();
    browser.run(listen).await;
    browser.run("new BroadcastChannel('start').postMessage('now')").await;
    browser.until_at("/receipt").await;
    browser.driver.switch_to_window(second).await.unwrap();
    browser.until_at("/receipt").await;
    assert_eq!((scene.count("recipient.signed").await, scene.count("session.opened").await), (1, 1));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// Two browsers have two sessions: the later one is told that all is done, and nothing is signed twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_browser_finds_the_part_done() {
    let scene = Scene::sent(Factor::Link, one_signature()).await;
    let (one, other) = (Browser::start(1280, 900).await, Browser::start(1280, 900).await);
    let link = scene.link(0).await;
    open_reader(&one, &link).await;
    open_reader(&other, &link).await;
    review(&one).await;
    review(&other).await;
    one.click("#act").await;
    one.until_at("/receipt").await;
    other.expect_answers(&[409]);
    other.click("#act").await;
    other.until_at("/receipt").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    assert_eq!(
        other.run("return document.querySelector('[data-state]').dataset.state").await,
        json!("sealing")
    );
    one.quit().await;
    other.quit().await;
    scene.test.finish_without_worker().await;
}
