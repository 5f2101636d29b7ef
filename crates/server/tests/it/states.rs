//! Time and endings: what closes an envelope, a link, a session, a code, an API key, a lease; and how jobs come again.

use countersign_core::limits;
use countersign_store::rows::PutBack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, envelope_of, pdf},
    people::{Human, PUBLIC_URL, letters, link, sign, sign_with, status, types},
};

const ADA: &str = "ada@example.com";

/// An envelope that was sent, of which nothing was mailed yet.
async fn unmailed(factor: &str, more: Value) -> (TestApp, Key, String) {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"][0]["factor"] = factor.into();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    (test, key, envelope)
}

async fn sent(factor: &str, more: Value) -> (TestApp, Key, String) {
    let (test, key, envelope) = unmailed(factor, more).await;
    test.work().await;
    (test, key, envelope)
}

/// What `POST {link}/open` answers: its status and stable code.
async fn look(test: &TestApp, link: &str) -> (StatusCode, Value) {
    post(test, &test.browser(), link, "open").await
}

async fn post(test: &TestApp, http: &reqwest::Client, link: &str, act: &str) -> (StatusCode, Value) {
    let (base, secret) = link.split_once('#').unwrap();
    assert!(base.starts_with(&test.url));
    let request = http.post(format!("{base}/{act}")).header("Origin", PUBLIC_URL);
    let response = request.json(&json!({ "secret": secret })).send().await.unwrap();
    (response.status(), response.json::<Value>().await.unwrap())
}

#[tokio::test]
async fn an_envelope_whose_time_is_over_is_closed_by_its_job_and_its_link_says_so() {
    let (test, key, envelope) = sent("link", json!({ "lifetime_s": 3_600 })).await;
    let link = link(&test, &key, &envelope, ADA).await;
    test.clock.forward_s(3_599);
    assert_eq!(test.work().await, 0);
    assert_eq!(status(&test, &key, &envelope).await, "sent");
    test.clock.forward_s(1);
    assert_eq!(test.work().await, 1);
    assert_eq!(status(&test, &key, &envelope).await, "expired");
    assert_eq!(types(&test, &key, &envelope).await.last().unwrap(), "envelope.expired");
    assert_eq!(look(&test, &link).await.1["code"], "expired");
    let list = test.get_json(&key, "/v1/envelopes?status=expired").await;
    assert_eq!(list["envelopes"][0]["id"], envelope.as_str());
    test.finish().await;
}

#[tokio::test]
async fn a_link_works_for_72_hours_and_resending_mails_a_new_one_to_the_same_address() {
    let (test, key, envelope) = sent("link", json!({})).await;
    let old = link(&test, &key, &envelope, ADA).await;
    test.clock.forward_s(72 * 3_600 - 1);
    assert_eq!(look(&test, &old).await.0, StatusCode::OK);
    test.clock.forward_s(1);
    assert_eq!(look(&test, &old).await.1["code"], "link_expired");
    let ada = Human::typing(ADA, "Ada Lovelace");
    let refused = sign_with(&test, &key, &old, &ada, &test.browser()).await;
    assert!(format!("{refused:?}").contains("link_expired"), "{refused:?}");
    let (answered, _) = test.post_json(&key, &format!("/v1/envelopes/{envelope}/resend"), &json!({})).await;
    assert_eq!(answered, StatusCode::OK);
    test.work().await;
    let new = link(&test, &key, &envelope, ADA).await;
    assert_ne!(new, old);
    assert_eq!(letters(&test, &key, ADA).await.len(), 2);
    assert_ne!(look(&test, &old).await.0, StatusCode::OK, "the old link is replaced");
    sign(&test, &key, &envelope, &ada).await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    test.finish().await;
}

#[tokio::test]
async fn a_session_ends_after_half_an_hour_without_activity() {
    let (test, key, envelope) = sent("link", json!({})).await;
    let link = link(&test, &key, &envelope, ADA).await;
    let http = test.browser();
    assert_eq!(post(&test, &http, &link, "session").await.0, StatusCode::OK);
    let page = format!("{}/s/{envelope}/consent", test.url);
    for _ in 0..3 {
        test.clock.forward_s(limits::SESSION_IDLE_S - 1);
        let seen = http.get(&page).send().await.unwrap();
        assert_eq!(seen.status(), StatusCode::OK, "activity keeps it open");
    }
    test.clock.forward_s(limits::SESSION_IDLE_S);
    let seen = http.get(&page).send().await.unwrap();
    assert!(seen.status().is_client_error(), "{}", seen.status());
    assert!(seen.text().await.unwrap().contains("Your session has ended"));
    test.finish().await;
}

#[tokio::test]
async fn a_session_ends_after_half_a_day_however_much_is_done_in_it() {
    let (test, key, envelope) = sent("link", json!({})).await;
    let link = link(&test, &key, &envelope, ADA).await;
    let http = test.browser();
    assert_eq!(post(&test, &http, &link, "session").await.0, StatusCode::OK);
    let page = format!("{}/s/{envelope}/consent", test.url);
    let step_s = limits::SESSION_IDLE_S / 2;
    for _ in 1..limits::SESSION_S / step_s {
        test.clock.forward_s(step_s);
        assert_eq!(http.get(&page).send().await.unwrap().status(), StatusCode::OK);
    }
    test.clock.forward_s(step_s - 1);
    assert_eq!(http.get(&page).send().await.unwrap().status(), StatusCode::OK);
    test.clock.forward_s(1);
    let seen = http.get(&page).send().await.unwrap();
    assert_eq!(seen.status(), StatusCode::UNAUTHORIZED);
    assert!(seen.text().await.unwrap().contains("after 12 hours"));
    assert_eq!(post(&test, &http, &link, "session").await.0, StatusCode::OK, "the link opens another");
    assert_eq!(http.get(&page).send().await.unwrap().status(), StatusCode::OK);
    test.finish().await;
}

#[tokio::test]
async fn a_code_works_for_ten_minutes() {
    let (test, key, envelope) = sent("email_code", json!({})).await;
    let link = link(&test, &key, &envelope, ADA).await;
    for (wait_s, works) in [(limits::CODE_S, false), (limits::CODE_S - 1, true)] {
        let http = test.browser();
        assert_eq!(post(&test, &http, &link, "session").await.0, StatusCode::OK);
        let base = format!("{}/s/{envelope}", test.url);
        let page = http.get(format!("{base}/code")).send().await.unwrap().text().await.unwrap();
        let session =
            page.split_once("name=\"session\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        let form = |path: &str| http.post(format!("{base}{path}")).header("Origin", PUBLIC_URL);
        form("/code/send").form(&[("session", session.as_str())]).send().await.unwrap();
        test.work().await;
        let code = letters(&test, &key, ADA).await.iter().find_map(crate::people::Letter::code).unwrap();
        test.clock.forward_s(wait_s);
        let typed = [("session", session.as_str()), ("code", code.as_str())];
        let page = form("/code").form(&typed).send().await.unwrap().text().await.unwrap();
        assert_eq!(page.contains("name=\"agree\""), works, "{page}");
        assert_eq!(page.contains("The code has expired"), !works);
    }
    let told = types(&test, &key, &envelope).await;
    assert_eq!(told.iter().filter(|kind| *kind == "factor.passed").count(), 1, "{told:?}");
    test.finish().await;
}

/// Mail that was away for days does not bring links that have ended by then.
#[tokio::test]
async fn a_link_that_ended_before_it_was_mailed_is_mailed_anew() {
    let (test, key, envelope) = unmailed("link", json!({})).await;
    test.clock.forward_s(limits::LINK_S);
    assert_eq!(test.work().await, 2, "the first link's mail, and another's");
    assert_eq!(letters(&test, &key, ADA).await.len(), 1);
    assert_eq!(
        types(&test, &key, &envelope).await[2..],
        ["link.issued", "link.issued", "recipient.notified"]
    );
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada")).await.unwrap();
    test.work().await;
    test.finish().await;
}

#[tokio::test]
async fn a_link_that_ended_with_its_envelope_is_not_mailed() {
    let (test, key, envelope) = unmailed("link", json!({})).await;
    let path = format!("/v1/envelopes/{envelope}/void");
    test.post_json(&key, &path, &json!({})).await;
    test.clock.forward_s(limits::LINK_S);
    test.work().await;
    assert_eq!(letters(&test, &key, ADA).await.len(), 0);
    test.finish().await;
}

/// A code that nobody mailed in time is not mailed later: it would not work.
#[tokio::test]
async fn a_code_that_has_expired_before_it_was_mailed_is_not_mailed() {
    let (test, key, envelope) = sent("email_code", json!({})).await;
    let link = link(&test, &key, &envelope, ADA).await;
    let http = test.browser();
    post(&test, &http, &link, "session").await;
    let base = format!("{}/s/{envelope}", test.url);
    let page = http.get(format!("{base}/code")).send().await.unwrap().text().await.unwrap();
    let session = page.split_once("name=\"session\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let request = http.post(format!("{base}/code/send")).header("Origin", PUBLIC_URL);
    request.form(&[("session", session)]).send().await.unwrap();
    test.clock.forward_s(limits::CODE_S);
    assert_eq!(test.work().await, 1);
    assert_eq!(letters(&test, &key, ADA).await.len(), 1, "the link alone");
    test.finish().await;
}

#[tokio::test]
async fn an_api_key_ends_after_ninety_days() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    test.clock.forward_s(limits::API_KEY_S - 1);
    assert_eq!(test.get(&key, "/v1/envelopes").await.status(), StatusCode::OK);
    test.clock.forward_s(1);
    let refused = test.get(&key, "/v1/envelopes").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    test.work().await;
    test.finish().await;
}

#[tokio::test]
async fn a_voided_envelope_says_so_to_who_opens_its_link_and_mails_the_reason_to_who_was_asked() {
    let (test, key, envelope) = sent("link", json!({})).await;
    let path = format!("/v1/envelopes/{envelope}");
    let old = link(&test, &key, &envelope, ADA).await;
    let waiting = test.create(&key, &envelope_of(&test.upload(&key, "more.pdf", pdf(1)).await)).await;
    test.send(&key, &waiting).await;
    test.post_json(&key, &format!("/v1/envelopes/{waiting}/void"), &json!({ "reason": "A typo" })).await;
    let (answered, _) = test.post_json(&key, &format!("{path}/void"), &json!({ "reason": "A typo" })).await;
    assert_eq!(answered, StatusCode::OK);
    test.work().await;
    let letters = letters(&test, &key, ADA).await;
    assert_eq!(
        letters.len(),
        2,
        "the mail that was waiting is not sent, and nobody is told of what was not asked"
    );
    assert_eq!(letters[0].link(&envelope), None);
    for form in [&letters[0].text, &letters[0].html] {
        assert!(form.contains("Acme") && form.contains("withdrawn") && form.contains("A typo"), "{form}");
    }
    let told = types(&test, &key, &envelope).await;
    assert_eq!(told.last().unwrap(), "recipient.notified", "and the record shows that the mail was taken");
    assert_eq!(look(&test, &old).await.1["code"], "voided");
    let landing = test.browser().get(format!("{}/s/{envelope}", test.url)).send().await.unwrap();
    assert!(landing.text().await.unwrap().contains("The sender withdrew this request"));
    test.finish().await;
}

#[tokio::test]
async fn declining_ends_the_envelope_for_everybody_with_the_reason() {
    let (test, key, envelope) = sent("link", json!({})).await;
    let link = link(&test, &key, &envelope, ADA).await;
    let http = test.browser();
    post(&test, &http, &link, "session").await;
    let base = format!("{}/s/{envelope}", test.url);
    let page = http.get(format!("{base}/decline")).send().await.unwrap().text().await.unwrap();
    let session = page.split_once("name=\"session\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let request = http.post(format!("{base}/decline")).header("Origin", PUBLIC_URL);
    let declined = request.form(&[("session", session), ("reason", "Too dear")]).send().await.unwrap();
    assert!(!declined.status().is_server_error(), "{}", declined.status());
    let read = test.get_json(&key, &format!("/v1/envelopes/{envelope}")).await;
    assert_eq!((&read["status"], &read["reason"]), (&json!("declined"), &json!("Too dear")));
    assert_eq!(look(&test, &link).await.1["code"], "declined");
    let ada = Human::typing(ADA, "Ada Lovelace");
    assert!(sign_with(&test, &key, &link, &ada, &test.browser()).await.is_err());
    test.finish().await;
}

/// A worker that was killed keeps its job for the length of the lease; then another has it, and the first one, should
/// it come back, changes nothing.
#[tokio::test]
async fn a_forgotten_lease_is_taken_over_when_it_ends_and_its_first_holder_changes_nothing() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let killed = test.app.store.claim_jobs(test.app.now(), 60_000, 8).await.unwrap();
    assert_eq!(killed.len(), 1);
    test.clock.forward_s(59);
    assert_eq!(test.work().await, 0, "the lease holds");
    test.clock.forward_s(2);
    assert_eq!(test.work().await, 1);
    assert_eq!(letters(&test, &key, ADA).await.len(), 1);
    let back = PutBack { due_at: test.app.now(), reason: "killed".to_owned(), was_attempt: true };
    let put_back = test.app.store.put_back_job(&killed[0], &back).await.unwrap();
    assert!(!put_back, "the job is not the first holder's any more");
    assert_eq!(test.work().await, 0);
    test.finish().await;
}

/// A restart finds what waits: jobs are rows, not memory.
#[tokio::test]
async fn a_restarted_server_mails_and_seals_what_the_one_before_left() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"][0]["factor"] = "link".into();
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    let test = test.restart().await;
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    assert_eq!(status(&test, &key, &envelope).await, "sealing", "visibly");
    let test = test.restart().await;
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    test.finish().await;
}

/// Retries back off: each wait is longer than the one before, up to an hour.
#[tokio::test]
async fn a_job_that_keeps_failing_is_tried_less_and_less_often() {
    let (test, key, envelope) = sent("link", json!({})).await;
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    // The root of the trouble: the document's blob is gone.
    let blobs = test.app.config.server.data_dir.join("blobs");
    let away = test.app.config.server.data_dir.join("away");
    std::fs::rename(&blobs, &away).unwrap();
    let mut waits_ms = Vec::new();
    for _ in 0..14 {
        assert_eq!(test.work().await, 1);
        assert_eq!(status(&test, &key, &envelope).await, "sealing", "visibly, and never with a weaker seal");
        let jobs = test.app.store.next_due().await.unwrap().unwrap();
        let wait_ms = jobs.since_ms(test.app.now());
        waits_ms.push(wait_ms);
        test.clock.forward_s(wait_ms / 1_000 + 1);
    }
    for (attempt, wait_ms) in waits_ms.iter().enumerate() {
        let longest = (2_000_i64 << attempt.min(20)).min(3_600_000);
        assert!((longest / 2..=longest).contains(wait_ms), "attempt {attempt}: {waits_ms:?}");
    }
    std::fs::rename(&away, &blobs).unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed", "it recovers by itself");
    test.finish().await;
}

/// who asks too early is told to ask again, who asks in vain is told that; one answer for everything sealed.
#[tokio::test]
async fn what_only_a_completed_envelope_has_is_refused_with_whether_it_will_come() {
    let (test, key, envelope) = sent("link", json!({})).await;
    let document =
        test.get_json(&key, &format!("/v1/envelopes/{envelope}")).await["documents"][0]["id"].clone();
    let paths = [
        "evidence".to_owned(),
        "certificate".to_owned(),
        format!("documents/{}/sealed", document.as_str().unwrap()),
    ];
    let refused = async |sentence: &str| {
        for path in &paths {
            let response = test.get(&key, &format!("/v1/envelopes/{envelope}/{path}")).await;
            assert_eq!(response.status(), StatusCode::CONFLICT, "{path}");
            let problem: Value = response.json().await.unwrap();
            let told = problem["detail"].as_str().unwrap();
            assert!(problem["code"] == "wrong_state" && told.contains(sentence), "{path}: {told}");
        }
    };
    refused("ask again when its status is `completed`").await;
    let (status, body) = test.post_json(&key, &format!("/v1/envelopes/{envelope}/void"), &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    refused("is `voided` and stays so").await;
    test.work().await;
    test.finish().await;
}
