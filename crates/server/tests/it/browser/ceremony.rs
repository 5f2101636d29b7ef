//! The whole ceremony, as people go through it (S-2).

use countersign_core::envelope::{
    Body,
    event::{AdoptionMethod, Factor},
};
use thirtyfour::Key;

use super::{
    driver::Browser,
    scene::{Scene, all_fields, one_signature},
};

/// From the link to the open documents of a recipient who needs no code.
pub(crate) async fn open_reader(browser: &Browser, link: &str) {
    browser.open(link).await;
    browser.until("!document.getElementById('ready').hidden").await;
    browser.click("#continue").await;
    browser.until_at("/consent").await;
    agree(browser).await;
}

/// From the open reader to the review.
pub(crate) async fn review(browser: &Browser) {
    browser.click("#to-review").await;
    browser.until("document.activeElement.matches('.field button')").await;
    browser.click(".field button").await;
    adopt(browser).await;
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
}

pub(crate) async fn agree(browser: &Browser) {
    browser.click("#agree").await;
    browser.click("#consent-form button").await;
    until_read(browser).await;
}

/// Until the first page is drawn.
pub(crate) async fn until_read(browser: &Browser) {
    browser
        .until(
            "document.body.dataset.ready === 'yes' && document.querySelector('.page[data-rendered] .words')",
        )
        .await;
}

/// Adopts a typed signature in the open dialog.
pub(crate) async fn adopt(browser: &Browser) {
    browser.until("document.getElementById('adopt').open").await;
    browser.click("#adopt .button.main").await;
    browser.until("!document.getElementById('adopt').open").await;
}

/// S-2, E-7, G-9: by mouse, with an e-mailed code, every kind of field, and a drawn signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_signs_by_mouse_and_every_page_is_sound() {
    let scene = Scene::sent(Factor::EmailCode, all_fields()).await;
    let browser = Browser::start(1280, 900).await;
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    assert_eq!(browser.text("#ready h1").await, "Lease of the old mill");
    assert!(browser.text("#ready").await.contains("Harbour Mills"));
    assert!(!scene.types().await.contains(&"session.opened"), "looking opens nothing");
    browser.check("landing").await;

    browser.click("#continue").await;
    browser.until_at("/code").await;
    assert!(
        !browser
            .run("return performance.getEntriesByType('navigation')[0].name")
            .await
            .as_str()
            .unwrap()
            .contains('#')
    );
    browser.check("code, not sent").await;
    browser.click("form button").await;
    browser.until("document.getElementById('code')").await;
    browser.check("code").await;
    browser.write("#code", "000000").await;
    let code = scene.code().await;
    if code != "000000" {
        browser.click("form button.main").await;
        browser.until("document.getElementById('code-error')").await;
        assert!(browser.text("#code-hint").await.starts_with("4 tries"));
        browser.check("code, wrong").await;
    }
    browser.write("#code", &code).await;
    browser.click("form button.main").await;
    browser.until_at("/consent").await;
    browser.check("consent").await;
    agree(&browser).await;
    browser.check("reader").await;

    fill_by_mouse(&browser).await;
    browser.check("reader, filled").await;
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
    let review = browser.text("#review").await;
    for words in
        ["lease.pdf", "plan.pdf", "Mill & Sons", "1250.50", "Card", "How often", "Yearly", "first\nsecond"]
    {
        assert!(review.contains(words), "{words} in {review}");
    }
    assert_eq!(browser.text("#act").await, "Sign “Lease of the old mill”");
    browser.check("review").await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    assert!(browser.text("main").await.contains("You have signed"));
    browser.check("receipt").await;
    check_act(&scene).await;
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

async fn fill_by_mouse(browser: &Browser) {
    browser.write("[aria-label^='Company']", "Mill & Sons").await;
    browser.click("[aria-label^='I have seen']").await;
    browser.click("[aria-label*='Initials']").await;
    browser.until("document.getElementById('adopt').open").await;
    browser.check("adopting by typing").await;
    browser.click("#adopt input[value=drawn]").await;
    browser.check("adopting by drawing").await;
    let pad = browser.find("#pad").await;
    let chain = browser.driver.action_chain().move_to_element_center(&pad).click_and_hold();
    let strokes = chain.move_by_offset(30, -30).move_by_offset(40, 40).move_by_offset(40, -35).release();
    strokes.perform().await.unwrap();
    browser.click("#adopt .button.main").await;
    browser.until("document.querySelectorAll('.field .mark-drawn').length === 1").await;
    browser.write("[aria-label^='Rent']", "1250.505").await;
    browser.click("#to-review").await;
    browser.until("document.activeElement.getAttribute('aria-label')?.startsWith('Rent')").await;
    assert!(browser.text(".field:focus-within .problem").await.contains("2 digits"));
    browser.write("[aria-label^='Rent']", "1250.50").await;
    browser.click("[aria-label^='Pays by'] option[value=Card]").await;
    browser.click("[aria-label^='Quarterly']").await;
    browser.click("[aria-label^='Yearly']").await;
    browser.write("[aria-label^='Remarks']", "first\nsecond").await;
    assert_eq!(browser.text("#guide-text").await, "All required fields are done");
    // What was filled in survives a reload.
    browser.driver.refresh().await.unwrap();
    until_read(browser).await;
    assert_eq!(browser.text("#guide-text").await, "All required fields are done");
}

/// What the signature is bound to.
async fn check_act(scene: &Scene) {
    let opened = scene.opened().await;
    let acts: Vec<_> = opened
        .events
        .iter()
        .filter_map(|recorded| match &recorded.event.body {
            Body::Signed(act) => Some(act),
            _ => None,
        })
        .collect();
    let [act] = acts[..] else { panic!("one signature, not {}", acts.len()) };
    let contents = opened.folded.state.contents().unwrap();
    let shown: Vec<_> =
        act.documents.iter().map(|shown| (shown.document, shown.sha256, shown.page_count)).collect();
    let uploaded: Vec<_> =
        contents.documents.iter().map(|one| (one.id, one.sha256, one.page_count)).collect();
    assert_eq!(shown, uploaded);
    let value = |label: &str| {
        let field = contents.fields.iter().find(|field| field.label == label).unwrap().id;
        let value = act.values.iter().find(|value| value.field == field)?;
        Some(value.value.value().unwrap().disclose().clone())
    };
    assert_eq!(value("Remarks").as_deref(), Some("first\nsecond"));
    assert_eq!((value("Quarterly").as_deref(), value("Yearly").as_deref()), (Some("false"), Some("true")));
    assert_eq!(value("Name").as_deref(), Some("Ada Lovelace"));
    let adopted = opened.events.iter().any(|recorded| {
        matches!(&recorded.event.body, Body::SignatureAdopted { method: AdoptionMethod::Drawn, .. })
    });
    assert!(adopted);
    for event_type in ["disclosure.shown", "consent.given", "document.opened", "pages.shown", "factor.passed"]
    {
        assert!(scene.count(event_type).await > 0, "{event_type}");
    }
}

/// S-2: with the keyboard alone, from the link to the receipt.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_signs_with_the_keyboard_alone() {
    let scene = Scene::sent(Factor::EmailCode, all_fields()).await;
    let browser = Browser::start(1280, 900).await;
    browser.open(&scene.link(0).await).await;
    browser.until("document.activeElement.id === 'ready-title'").await;
    tab_to(&browser, "#continue").await;
    browser.keys(Key::Enter + "").await;
    browser.until_at("/code").await;
    tab_to(&browser, "form button").await;
    browser.keys(Key::Enter + "").await;
    browser.until("document.activeElement.id === 'code'").await;
    browser.keys(scene.code().await).await;
    browser.keys(Key::Enter + "").await;
    browser.until_at("/consent").await;
    tab_to(&browser, "#agree").await;
    browser.keys(" ").await;
    tab_to(&browser, "#consent-form button").await;
    browser.keys(Key::Enter + "").await;
    until_read(&browser).await;
    tab_to(&browser, "#next").await;
    let expected = ["Company", "I have seen", "Initials", "Rent", "Pays by", "Quarterly"];
    for label in expected {
        tab_to(&browser, "#next").await;
        browser.keys(Key::Enter + "").await;
        browser
            .until(&format!("document.activeElement.getAttribute('aria-label')?.includes('{label}')"))
            .await;
        match label {
            "Company" => browser.keys("Mill & Sons").await,
            "I have seen" | "Quarterly" => browser.keys(" ").await,
            "Rent" => browser.keys("1250").await,
            "Pays by" => browser.keys("Card").await,
            _ => {
                browser.keys(Key::Enter + "").await;
                browser.until("document.activeElement.id === 'typed-name'").await;
                browser.keys(Key::Enter + "").await;
                browser.until("!document.getElementById('adopt').open").await;
            }
        }
    }
    browser
        .until("document.getElementById('guide-text').textContent === 'All required fields are done'")
        .await;
    tab_to(&browser, "#to-review").await;
    browser.keys(Key::Enter + "").await;
    browser.until("document.activeElement.id === 'review-title'").await;
    tab_to(&browser, "#act").await;
    browser.keys(Key::Enter + "").await;
    browser.until_at("/receipt").await;
    assert_eq!(scene.count("recipient.signed").await, 1);
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// Presses Tab until `css` has the focus, which must be visible there.
pub(crate) async fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..80 {
        let there =
            browser.run(&format!("return document.activeElement === document.querySelector({css:?})")).await;
        if there == serde_json::json!(true) {
            let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle").await;
            assert_ne!(ring, serde_json::json!("none"), "the focus on {css} is not seen");
            return;
        }
        browser.keys(Key::Tab + "").await;
    }
    panic!("Tab never reached {css}");
}

/// S-2: on a phone of 320 px, light and dark, nothing is cut off and every target can be hit.
#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_signs_on_a_phone_320_px_wide() {
    let scene = Scene::sent(Factor::Link, one_signature()).await;
    let browser = Browser::start(320, 640).await;
    browser.dark(true).await;
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    check_targets(&browser, "landing").await;
    browser.click("#continue").await;
    browser.until_at("/consent").await;
    check_targets(&browser, "consent").await;
    agree(&browser).await;
    check_targets(&browser, "reader").await;
    browser.click("#next").await;
    browser.until("document.activeElement.matches('.field button')").await;
    browser.click(".field button").await;
    browser.until("document.getElementById('adopt').open").await;
    check_targets(&browser, "adopting").await;
    adopt(&browser).await;
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
    check_targets(&browser, "review").await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    check_targets(&browser, "receipt").await;
    browser.dark(false).await;
    browser.check("receipt, light").await;
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// Buttons and links are at least 44 px high; fields lie where the sender put them.
async fn check_targets(browser: &Browser, page: &str) {
    browser.check(page).await;
    let small = browser
        .run(
            "return [...document.querySelectorAll('button, a[href], .tick, .entry input')]
                .filter((one) => one.checkVisibility() && !one.closest('.field') && !one.matches('.skip'))
                .filter((one) => one.getBoundingClientRect().height < 44)
                .map((one) => one.outerHTML)",
        )
        .await;
    assert_eq!(small, serde_json::json!([]), "{page}");
}
