//! What people see of each other, of their own signature, and of the end of what they are reading.

use countersign_core::envelope::event::Factor;
use serde_json::json;

use super::{
    ceremony::{adopt, open_reader},
    driver::Browser,
    scene::{Scene, one_signature},
};
use crate::people::{Human, drawing, sign};

fn two_signers() -> serde_json::Value {
    json!([
        { "name": "Ada Lovelace", "email": "ada@example.com", "role": "signer", "order": 1, "factor": "link" },
        { "name": "Charles Babbage", "email": "charles@example.com", "role": "signer", "order": 2, "factor": "link" },
    ])
}

fn fields_of_both() -> Vec<serde_json::Value> {
    let field = |recipient: u32, kind: &str, label: &str, y: f64, height: f64| {
        json!({
            "document": 0, "recipient": recipient, "kind": kind, "label": label, "page": 1,
            "rect": { "x": if recipient == 0 { 72.0 } else { 330.0 }, "y": y, "width": 190.0, "height": height },
        })
    };
    vec![
        field(0, "title", "Title", 620.0, 18.0),
        field(0, "signature", "Signature", 650.0, 44.0),
        field(0, "checkbox", "Has seen the mill", 710.0, 16.0),
        field(1, "title", "Rank", 620.0, 18.0),
        field(1, "signature", "Signature", 650.0, 44.0),
    ]
}

/// E-7: what the first has filled in is seen by the second, at its place, as the first's, and cannot be changed; in the
/// review as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_signer_sees_the_values_and_the_mark_of_an_earlier_one() {
    let scene = Scene::sent_to(two_signers(), fields_of_both()).await;
    let values = [("Title", "Countess of Lovelace"), ("Has seen the mill", "true")];
    let ada = Human { email: "ada@example.com", values: &values, mark: ("drawn", drawing()) };
    sign(&scene.test, &scene.key, &scene.envelope.to_string(), &ada).await.unwrap();
    scene.test.work().await;
    let browser = Browser::start(1280, 900).await;
    open_reader(&browser, &scene.link(1).await).await;
    browser.check("reader").await;
    let shown = browser
        .run(
            "return [...document.querySelectorAll('.field.theirs')].map((one) => {
               const [box, page] = [one.getBoundingClientRect(), one.closest('.page').getBoundingClientRect()];
               return [one.textContent, Math.round(((box.left - page.left) / page.width) * 595), one.checkVisibility()];
             })",
        )
        .await;
    let expected = json!([
        ["Title, filled in by Ada Lovelace: Countess of Lovelace", 72, true],
        ["Signature, filled in by Ada Lovelace: a drawn signatureAda Lovelace", 72, true],
        ["Has seen the mill, filled in by Ada Lovelace: yes", 72, true],
    ]);
    assert_eq!(shown, expected);
    assert_eq!(browser.text(".field.theirs .their-value").await, "Countess of Lovelace");
    let drawn = "document.querySelector('.theirs .mark-drawn polyline').getBoundingClientRect().width > 5";
    browser.until(drawn).await;
    assert_eq!(
        browser.run("return document.querySelectorAll('.theirs :is(input, button)').length").await,
        json!(0)
    );
    browser.write("[aria-label^='Rank']", "Engineer").await;
    browser.click(".field > button").await;
    adopt(&browser).await;
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
    let review = browser.text("#review-others-part").await;
    for words in ["Countess of Lovelace", "by Ada Lovelace", "Has seen the mill"] {
        assert!(review.contains(words), "{words} in {review}");
    }
    assert!(
        browser.run("return document.querySelector('#review-others .mark-drawn') !== null").await
            == json!(true)
    );
    browser.check("review").await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// A typed signature is shown in the face in which it is sealed, in its colour and in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_typed_signature_looks_on_the_page_as_it_will_in_the_seal() {
    let scene = Scene::sent(Factor::Link, one_signature()).await;
    let browser = Browser::start(390, 844).await;
    open_reader(&browser, &scene.link(0).await).await;
    browser.click("#next").await;
    browser.click(".field > button").await;
    browser.until("document.getElementById('adopt').open").await;
    let look = |css: &str| {
        format!(
            "const mark = document.querySelector('{css} .mark-typed'); const style = getComputedStyle(mark);
             const [box, room] = [mark.querySelector('text').getBoundingClientRect(), mark.parentElement.getBoundingClientRect()];
             return [style.fontFamily.startsWith('\"Countersign Hand\"'), style.fill,
               Math.abs((box.left + box.right - room.left - room.right) / 2) < room.width / 10]"
        )
    };
    let expected = json!([true, "rgb(16, 42, 107)", true]);
    assert_eq!(browser.run(&look("#typed-preview")).await, expected);
    let loaded = "return [...document.fonts].some((face) => face.family.includes('Countersign Hand') && face.status === 'loaded')";
    assert_eq!(browser.run(loaded).await, json!(true));
    adopt(&browser).await;
    assert_eq!(browser.run(&look(".field")).await, expected);
    browser.check("reader, marked").await;
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// An empty field says what belongs into it; what is typed takes the place of that.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_field_shows_its_label_until_something_is_typed() {
    let scene = Scene::sent_to(two_signers(), fields_of_both()).await;
    let browser = Browser::start(390, 844).await;
    open_reader(&browser, &scene.link(0).await).await;
    let label = "[...document.querySelectorAll('.field > label')].map((one) => [one.textContent, one.control.id !== '', one.checkVisibility()])";
    assert_eq!(browser.run(&format!("return {label}")).await, json!([["Title", true, true]]));
    browser.check("reader, empty").await;
    browser.write("[aria-label^='Title']", "Countess").await;
    assert_eq!(browser.run(&format!("return {label}")).await, json!([["Title", true, false]]));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// A tab that is open when the sender withdraws the envelope takes no more values once it hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_reader_gives_way_to_the_notice_when_the_envelope_is_voided() {
    let (scene, browser) = Scene::at_reader().await;
    let path = format!("/v1/envelopes/{}/void", scene.envelope);
    scene.test.post_json(&scene.key, &path, &json!({ "reason": "The rent is wrong" })).await;
    browser.expect_answers(&[410]);
    // Another page comes into view, which is reported.
    browser.run("document.querySelectorAll('.page')[2].scrollIntoView()").await;
    browser.until("document.querySelector('section.notice[data-code=voided]')").await;
    assert!(browser.text("main").await.contains("The rent is wrong"));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}

/// After the act the landing page names no end, and each fact keeps its name.
#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_the_landing_page_stay_in_pairs_after_signing() {
    let scene = Scene::sent_to(two_signers(), fields_of_both()).await;
    let browser = Browser::start(1280, 900).await;
    let facts = "return [...document.querySelectorAll('.facts > *')].filter((one) => one.checkVisibility()).map((one) => one.textContent)";
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    assert_eq!(browser.run(facts).await.as_array().unwrap().len(), 8);
    assert!(browser.text("header").await.contains("Sandbox: this is a test and binds nobody."));
    let ada = Human::typing("ada@example.com", "Ada Lovelace");
    let ada = Human { values: &[("Title", "Countess"), ("Has seen the mill", "true")], ..ada };
    sign(&scene.test, &scene.key, &scene.envelope.to_string(), &ada).await.unwrap();
    browser.open("about:blank").await;
    browser.open(&scene.link(0).await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    let after =
        ["For", "Ada Lovelace", "Sent to", "a…@example.com", "You need", "nothing more than this link"];
    assert_eq!(browser.run(facts).await, json!(after));
    browser.quit().await;
    scene.test.finish_without_worker().await;
}
