//! Links to receipts: they end, they are sent again, and each opens sessions of its own. And who hears of the end.

use countersign_core::limits;
use countersign_server::demo::ceremony::{self, Person};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, envelope_of, pdf},
    people::{Human, PUBLIC_URL, letters, link, sign, sign_with, status, types},
};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const CAT: &str = "cat@example.com";

/// An envelope for Ada, then Bob, with a copy for Cat.
async fn sent(factor: &str) -> (TestApp, Key, String) {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"] = json!([
        { "name": "Ada Lovelace", "email": ADA, "role": "signer", "factor": factor, "order": 1 },
        { "name": "Bob Boole", "email": BOB, "role": "signer", "factor": factor, "order": 2 },
        { "name": "Cat Cantor", "email": CAT, "role": "copy", "factor": factor, "order": 1 },
    ]);
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    test.work().await;
    (test, key, envelope)
}

/// A browser that opened a session with a link: what came of it.
async fn enter(test: &TestApp, http: &reqwest::Client, link: &str) -> (StatusCode, Value) {
    let (base, secret) = link.split_once('#').unwrap();
    assert!(base.starts_with(&test.url));
    let request = http.post(format!("{base}/session")).header("Origin", PUBLIC_URL);
    let response = request.json(&json!({ "secret": secret })).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn resend(test: &TestApp, key: &Key, envelope: &str, email: &str) -> StatusCode {
    resent(test, key, envelope, email).await.0
}

async fn resent(test: &TestApp, key: &Key, envelope: &str, email: &str) -> (StatusCode, Value) {
    let read = test.get_json(key, &format!("/v1/envelopes/{envelope}")).await;
    let recipients = read["recipients"].as_array().unwrap();
    let recipient = &recipients.iter().find(|one| one["email"] == email).unwrap()["id"];
    let path = format!("/v1/envelopes/{envelope}/resend");
    let answered = test.post_json(key, &path, &json!({ "recipient": recipient })).await;
    test.work().await;
    answered
}

async fn receipt(test: &TestApp, http: &reqwest::Client, envelope: &str) -> String {
    let page = http.get(format!("{}/s/{envelope}/receipt", test.url)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    page.text().await.unwrap()
}

#[tokio::test]
async fn receipts_are_reached_again_with_a_new_link_before_and_after_completion() {
    let (test, key, envelope) = sent("link").await;
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    let (refused, problem) = resent(&test, &key, &envelope, CAT).await;
    assert_eq!((refused, &problem["code"]), (StatusCode::CONFLICT, &json!("not_your_turn")));
    assert!(problem["detail"].as_str().unwrap().contains("gets a copy"), "there is none yet: {problem}");
    test.clock.forward_s(limits::LINK_S);
    assert_eq!(resend(&test, &key, &envelope, ADA).await, StatusCode::OK);
    let letter = letters(&test, &key, ADA).await.remove(0);
    assert!(letter.text.contains("new personal link to your receipt"), "{}", letter.text);
    assert!(letter.html.contains("See the receipt") && !letter.text.contains("complete"), "{}", letter.html);
    let http = test.browser();
    enter(&test, &http, &link(&test, &key, &envelope, ADA).await).await;
    assert!(receipt(&test, &http, &envelope).await.contains("You have signed"));

    assert_eq!(resend(&test, &key, &envelope, BOB).await, StatusCode::OK);
    sign(&test, &key, &envelope, &Human::typing(BOB, "Bob Boole")).await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    test.clock.forward_s(limits::LINK_S);
    for email in [ADA, CAT] {
        let old = link(&test, &key, &envelope, email).await;
        assert_eq!(enter(&test, &test.browser(), &old).await.1["code"], "link_expired");
        assert_eq!(resend(&test, &key, &envelope, email).await, StatusCode::OK);
        let letter = letters(&test, &key, email).await.remove(0);
        assert!(letter.text.contains("is complete"), "{}", letter.text);
        let http = test.browser();
        enter(&test, &http, &link(&test, &key, &envelope, email).await).await;
        assert!(receipt(&test, &http, &envelope).await.contains("/certificate\""));
    }
    let told = types(&test, &key, &envelope).await;
    assert_eq!(told.iter().filter(|kind| *kind == "recipient.copied").count(), 5, "each mail is recorded");
    test.finish().await;
}

#[tokio::test]
async fn a_browser_goes_on_in_its_session_only_with_the_same_link_and_while_codes_are_left() {
    let (test, key, envelope) = sent("email_code").await;
    let old = link(&test, &key, &envelope, ADA).await;
    let http = test.browser();
    let count = async || {
        let told = types(&test, &key, &envelope).await;
        told.iter().filter(|kind| *kind == "session.opened").count()
    };
    let session = async || {
        let page = http.get(format!("{}/s/{envelope}/code", test.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"session\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    for _ in 0..2 {
        enter(&test, &http, &old).await;
        assert_eq!(count().await, 1, "it goes on");
    }
    let first = session().await;
    for _ in 0..limits::CODES_PER_SESSION {
        assert_eq!(count().await, 1);
        enter(&test, &http, &old).await;
        let request = http.post(format!("{}/s/{envelope}/code/send", test.url)).header("Origin", PUBLIC_URL);
        let sent = request.form(&[("session", &first)]).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    enter(&test, &http, &old).await;
    assert_eq!(count().await, 2, "the codes of the first are used up");
    assert_ne!(session().await, first);
    assert_eq!(resend(&test, &key, &envelope, ADA).await, StatusCode::OK);
    enter(&test, &http, &link(&test, &key, &envelope, ADA).await).await;
    assert_eq!(count().await, 3, "another link, another session");
    test.finish().await;
}

/// S-3: whoever holds a session of a link that leaked is out as soon as the sender sends a new one.
#[tokio::test]
async fn s_3_resending_ends_the_session_of_the_old_link_before_the_last_button() {
    let (test, key, envelope) = sent("link").await;
    let (thief, ada) = (test.browser(), Human::typing(ADA, "Ada Lovelace"));
    let person = Person { http: &thief, public_url: PUBLIC_URL, values: ada.values, mark: ada.mark.clone() };
    let old = link(&test, &key, &envelope, ADA).await;
    let no_code = || -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> { unreachable!("by link alone") };
    let ready = ceremony::prepare(&person, &old, &no_code).await.unwrap();
    assert_eq!(resend(&test, &key, &envelope, ADA).await, StatusCode::OK);
    let refused = format!("{:?}", ready.act().await.unwrap_err());
    assert!(refused.contains("session_ended") && refused.contains("newest mail"), "{refused}");
    let page = thief.get(format!("{}/s/{envelope}/sign", test.url)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    let page = page.text().await.unwrap();
    assert!(
        page.contains("when a newer link is mailed to you") && page.contains("your newest mail"),
        "{page}"
    );
    assert!(!page.contains("Lease of the old mill"), "{page}");
    sign(&test, &key, &envelope, &ada).await.unwrap();
    test.work().await;
    test.finish().await;
}

/// S-4: wrong codes in sessions of the old link count for nothing once there is a new one.
#[tokio::test]
async fn s_4_old_sessions_cannot_lock_the_codes_of_the_new_link() {
    let (test, key, envelope) = sent("email_code").await;
    let http = test.browser();
    enter(&test, &http, &link(&test, &key, &envelope, ADA).await).await;
    let base = format!("{}/s/{envelope}", test.url);
    let page = http.get(format!("{base}/code")).send().await.unwrap().text().await.unwrap();
    let session = page.split_once("name=\"session\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let post = |path: &str| http.post(format!("{base}{path}")).header("Origin", PUBLIC_URL);
    let issued = post("/code/send").form(&[("session", session)]).send().await.unwrap();
    assert_eq!(issued.status(), StatusCode::OK);
    assert_eq!(resend(&test, &key, &envelope, ADA).await, StatusCode::OK);
    for _ in 0..limits::CODE_TRIES {
        let typed = post("/code").form(&[("session", session), ("code", "000000")]).send().await.unwrap();
        assert_eq!(typed.status(), StatusCode::UNAUTHORIZED);
    }
    let told = types(&test, &key, &envelope).await;
    assert!(!told.iter().any(|kind| kind.starts_with("factor.")), "{told:?}");
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    test.work().await;
    test.finish().await;
}

#[tokio::test]
async fn a_receipt_that_is_open_while_the_envelope_is_sealed_stays_open_and_gives_the_sealed_copy() {
    let (test, key, envelope) = sent("link").await;
    let http = test.browser();
    let old = link(&test, &key, &envelope, ADA).await;
    sign_with(&test, &key, &old, &Human::typing(ADA, "Ada Lovelace"), &http).await.unwrap();
    sign(&test, &key, &envelope, &Human::typing(BOB, "Bob Boole")).await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    assert_ne!(link(&test, &key, &envelope, ADA).await, old);
    let page = receipt(&test, &http, &envelope).await;
    let session = page.split_once("name=\"session\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let path = format!("{}/s/{envelope}/certificate", test.url);
    let download = || http.post(&path).header("Origin", PUBLIC_URL).form(&[("session", session)]).send();
    assert_eq!(download().await.unwrap().headers()["content-type"], "application/pdf");
    assert_eq!(resend(&test, &key, &envelope, ADA).await, StatusCode::OK);
    assert_eq!(download().await.unwrap().status(), StatusCode::UNAUTHORIZED, "a link that was asked for");
    test.finish().await;
}

#[tokio::test]
async fn who_was_asked_hears_by_mail_that_another_declined() {
    let (test, key, envelope) = sent("link").await;
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    test.work().await;
    let http = test.browser();
    enter(&test, &http, &link(&test, &key, &envelope, BOB).await).await;
    let base = format!("{}/s/{envelope}", test.url);
    let page = http.get(format!("{base}/decline")).send().await.unwrap().text().await.unwrap();
    let session = page.split_once("name=\"session\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let request = http.post(format!("{base}/decline")).header("Origin", PUBLIC_URL);
    let page = request.form(&[("session", session), ("reason", "Too dear")]).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("You declined") && page.contains("The sender can see that"), "{page}");
    assert!(page.contains("Lease of the old mill") && page.contains("Acme"), "{page}");
    test.work().await;
    let to_ada = letters(&test, &key, ADA).await;
    assert_eq!(to_ada.len(), 2);
    assert!(
        to_ada[0].text.contains("declined") && !to_ada[0].text.contains("Too dear"),
        "{}",
        to_ada[0].text
    );
    assert_eq!(letters(&test, &key, BOB).await.len(), 1, "who declined knows");
    assert_eq!(letters(&test, &key, CAT).await.len(), 0, "who was never asked is not told");
    test.finish().await;
}

#[tokio::test]
async fn the_page_of_a_voided_envelope_tells_the_reason_in_a_session() {
    let (test, key, envelope) = sent("link").await;
    let http = test.browser();
    enter(&test, &http, &link(&test, &key, &envelope, ADA).await).await;
    let path = format!("/v1/envelopes/{envelope}/void");
    test.post_json(&key, &path, &json!({ "reason": "The <rent> is wrong" })).await;
    let page = http.get(format!("{}/s/{envelope}/sign", test.url)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::GONE);
    let page = page.text().await.unwrap();
    assert!(page.contains("The &#60;rent&#62; is wrong") && page.contains("Acme"), "{page}");
    assert!(!page.contains("sealed with the documents"), "{page}");
    test.work().await;
    test.finish().await;
}
