//! What the pages refuse, and what they leave unchanged.

use countersign_core::{
    envelope::{State, event::Factor},
    limits,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{
    ceremony::open_reader,
    driver::Browser,
    scene::{Scene, one_signature},
};
use crate::cookies;

async fn notice(browser: &Browser, code: &str) {
    browser
        .until(&format!("document.querySelector('section.notice[data-code={code}]')?.checkVisibility()"))
        .await;
    browser.check(code).await;
}

/// S-2: declining is possible from the reader, with a reason, and closes the envelope.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_declines_with_a_reason() {
    let (scene, browser) = Scene::at_reader().await;
    browser.click("footer a").await;
    browser.until_at("/decline").await;
    browser.check("decline").await;
    browser.write("#reason", "The rent is wrong.\nPlease ask Charles.").await;
    browser.click("form button").await;
    notice(&browser, "you_declined").await;
    assert!(browser.text("main").await.contains("Lease of the old mill"));
    let State::Declined(_, _, Some(reason)) = scene.state().await else { panic!("not declined") };
    assert_eq!(reason.value().unwrap().disclose(), "The rent is wrong.\nPlease ask Charles.");
    browser.expect_answers(&[410]);
    browser.open(&scene.link(0).await).await;
    notice(&browser, "you_declined").await;
    assert!(browser.text("main").await.contains("Harbour Mills"));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// S-3, S-4: five wrong codes lock the recipient, until the sender sends again; another browser cannot use a code.
#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_lock_and_a_code_works_in_its_own_browser_only() {
    let scene = Scene::sent(Factor::EmailCode, one_signature()).await;
    let (one, other) = (Browser::start(1280, 900).await, Browser::start(1280, 900).await);
    for browser in [&one, &other] {
        browser.open(&scene.link(0).await).await;
        browser.until("!document.getElementById('ready').hidden").await;
        browser.click("#continue").await;
        browser.until_at("/code").await;
        browser.click("form button").await;
        browser.until("document.getElementById('code')").await;
    }
    let codes = scene.codes().await;
    let [first, second] = &codes[..] else { panic!("two codes") };
    assert_ne!(first, second, "the seed of this test gives two codes");
    // The code of one browser, typed into the other.
    other.write("#code", first).await;
    other.click("form button.main").await;
    other.until("document.getElementById('code-error')").await;
    for tries_left in [3, 2, 1] {
        other.write("#code", "12").await;
        other.click("form button.main").await;
        other
            .until(&format!("document.getElementById('code-hint').textContent.startsWith('{tries_left} ')"))
            .await;
    }
    other.expect_answers(&[403]);
    other.write("#code", "12").await;
    other.click("form button.main").await;
    notice(&other, "factor_locked").await;
    // Even the right code does not help now.
    one.expect_answers(&[403]);
    one.write("#code", first).await;
    one.click("form button.main").await;
    notice(&one, "factor_locked").await;
    assert_eq!(scene.count("factor.failed").await, limits::CODE_TRIES as usize);
    assert_eq!(scene.count("factor.passed").await, 0);
    one.quit().await;
    other.quit().await;
    scene.test.finish_without_worker().await;
}

/// E-8: a scanner that GETs and HEADs every address changes nothing, with and without a session.
#[tokio::test(flavor = "multi_thread")]
async fn reading_every_address_changes_nothing() {
    let (scene, browser) = Scene::at_reader().await;
    browser.run("return (async () => dispatchEvent(new Event('pagehide')))()").await;
    browser.open("about:blank").await;
    let before = scene.types().await;
    let base = format!("/s/{}", scene.envelope);
    let unknown = "/s/env_00000000000000000000000000";
    let document = scene.state().await.contents().unwrap().documents[0].id;
    let mut pages = Vec::new();
    for (_, path) in cookies::routes() {
        let path = path.replace("{document}", &document.to_string());
        assert!(!path.contains('{'), "{path}: what stands there?");
        pages.push(format!("{base}{path}"));
        pages.push(format!("{unknown}{path}"));
    }
    assert!(pages.len() > 30, "{pages:?}");
    for path in &pages {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let answer = scene.test.request(method.clone(), path).send().await.unwrap();
            assert!(answer.headers().get("set-cookie").is_none(), "{method} {path}");
            assert!(!answer.status().is_server_error(), "{method} {path}");
        }
    }
    // With the session's cookie, as a browser's prefetch would.
    browser.open(&scene.url(&base)).await;
    browser.expect_answers(&[400, 401, 403, 404, 405, 406]);
    let script = format!(
        "const done = arguments[arguments.length - 1];
         Promise.all({}.flatMap((path) => ['GET', 'HEAD'].map((method) => fetch(path, {{ method }})))).then(() => done(1));",
        json!(pages)
    );
    browser.driver.execute_async(script, Vec::new()).await.unwrap();
    let seen = |types: &[&str]| types.iter().filter(|one| **one != "pages.shown").count();
    assert_eq!(seen(&before), seen(&scene.types().await));
    let (known, other) = (scene.test.request(Method::GET, &base), scene.test.request(Method::GET, unknown));
    let (known, other) = (known.send().await.unwrap(), other.send().await.unwrap());
    assert_eq!(known.bytes().await.unwrap(), other.bytes().await.unwrap(), "the landing tells nothing");
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// S-4: what is wrong with a link is told in words of its own.
#[tokio::test(flavor = "multi_thread")]
async fn every_dead_link_has_its_own_page() {
    let recipients = json!([
        { "name": "Ada Lovelace", "email": "ada@example.com", "role": "signer", "order": 1, "factor": "link" },
        { "name": "Charles Babbage", "email": "charles@example.com", "role": "viewer", "order": 2, "factor": "link" },
    ]);
    let scene = Scene::sent_to(recipients, one_signature()).await;
    let browser = Browser::start(320, 640).await;
    let link = scene.link(0).await;
    let (page, _) = link.split_once('#').unwrap();
    browser.expect_answers(&[400, 401, 403, 404, 405, 406, 410]);
    browser.open(page).await;
    notice(&browser, "link_incomplete").await;
    browser.open(&format!("{page}#csl_cut")).await;
    notice(&browser, "not_found").await;
    open_reader(&browser, &link).await;
    scene.test.clock.forward_s(limits::SESSION_IDLE_S + 1);
    browser.open(&format!("{page}/sign")).await;
    notice(&browser, "session_ended").await;
    scene.test.clock.forward_s(limits::LINK_S);
    browser.open(&link).await;
    notice(&browser, "link_expired").await;
    let envelope = scene.envelope;
    let (status, _) =
        scene.test.post_json(&scene.key, &format!("/v1/envelopes/{envelope}/resend"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    // The same address with the same fragment would not be loaded again.
    browser.open("about:blank").await;
    browser.open(&link).await;
    notice(&browser, "not_found").await;
    let renewed = scene.link(0).await;
    let (status, _) =
        scene.test.post_json(&scene.key, &format!("/v1/envelopes/{envelope}/void"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    browser.open(&renewed).await;
    notice(&browser, "voided").await;
    assert!(browser.text("main").await.contains("Lease of the old mill\nHarbour Mills"));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// Another site cannot make a browser act: no request without proof of its origin changes anything.
#[tokio::test]
async fn requests_from_other_sites_are_refused() {
    let scene = Scene::sent(Factor::Link, one_signature()).await;
    let link = scene.link(0).await;
    let secret = link.split_once('#').unwrap().1;
    let path = format!("/s/{}/session", scene.envelope);
    let before = scene.types().await;
    for header in [None, Some(("Sec-Fetch-Site", "cross-site")), Some(("Origin", "https://evil.test"))] {
        let mut request = scene.test.request(Method::POST, &path).json(&json!({ "secret": secret }));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{header:?}");
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], "cross_site");
    }
    assert_eq!(before, scene.types().await);
    let own = scene.test.request(Method::POST, &path).json(&json!({ "secret": secret }));
    let answer = own.header("Origin", "https://sign.test").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    for word in ["__Host-", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(word), "{word} in {cookie}");
    }
    scene.test.finish_without_worker().await;
}
