//! What the pages tell, as text: what others have filled in, what pressing the button means, and that a sandbox is one.

use countersign_core::{access::Environment, id::EnvelopeId, scope::Scopes};
use countersign_server::{
    config::Mail,
    demo::{
        DemoFault,
        ceremony::{self, Person},
    },
    envelopes,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Key, Options, TestApp, envelope_of, pdf},
    people::{Human, PUBLIC_URL, drawing, letters, link, sign, status},
};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const VERA: &str = "vera@example.com";

fn recipient(name: &str, email: &str, role: &str, order: u16) -> Value {
    json!({ "name": name, "email": email, "role": role, "order": order, "factor": "link" })
}

fn field(recipient: u32, kind: &str, label: &str, y: f64) -> Value {
    json!({
        "document": 0, "recipient": recipient, "kind": kind, "label": label, "page": 1, "required": false,
        "rect": { "x": 72.0 + 240.0 * f64::from(recipient), "y": y, "width": 180.0, "height": 40.0 },
    })
}

/// An envelope that was sent, and nothing mailed yet.
async fn sent(test: &TestApp, key: &Key, recipients: Value, fields: Value) -> String {
    let document = test.upload(key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"] = recipients;
    body["fields"] = fields;
    let envelope = test.create(key, &body).await;
    test.send(key, &envelope).await;
    envelope
}

/// The newest link of a recipient, whether it was mailed or not.
async fn issued_link(test: &TestApp, key: &Key, envelope: &str, index: usize) -> String {
    let id: EnvelopeId = envelope.parse().unwrap();
    let opened = envelopes::read(&test.app, &key.tenant, id).await.unwrap();
    let underway = opened.folded.state.underway().unwrap();
    let link = underway.progress[index].link.as_ref().unwrap().link;
    let row = test.app.store.link_by_id(&key.tenant, link).await.unwrap().unwrap();
    let secret = envelopes::link_secret(&opened, &row).unwrap();
    format!("{}/s/{envelope}#{}", test.url, secret.expose())
}

/// Goes to the reader, and gives its page as the browser has it.
async fn reader(http: &Client, link: &str) -> String {
    let no_code = || -> std::pin::Pin<Box<dyn Future<Output = Result<String, DemoFault>> + Send>> {
        unreachable!("no code is asked")
    };
    let person = Person { http, public_url: PUBLIC_URL, values: &[], mark: ("typed", "A".to_owned()) };
    ceremony::prepare(&person, link, &no_code).await.map(drop).unwrap();
    page(http, link, "/sign").await
}

async fn page(http: &Client, link: &str, path: &str) -> String {
    let (base, _) = link.split_once('#').unwrap();
    let page = http.get(format!("{base}{path}")).send().await.unwrap().text().await.unwrap();
    page.replace("&#34;", "\"").replace("&#39;", "'")
}

/// What the page hands its scripts.
fn handed(page: &str) -> Value {
    let (_, rest) = page.split_once("data-ceremony=\"").unwrap();
    serde_json::Deserializer::from_str(rest).into_iter::<Value>().next().unwrap().unwrap()
}

/// What others have filled in: label, whose, value and method of the mark.
fn filled(page: &str) -> Vec<(String, String, Value, Value)> {
    let handed = handed(page);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |one: &Value| {
        let mark = match one["field"]["kind"]["kind"].as_str().unwrap() {
            "signature" => handed["marks"][text(&one["field"]["recipient"])]["method"].clone(),
            _ => Value::Null,
        };
        (text(&one["field"]["label"]), text(&one["by"]), one["value"].clone(), mark)
    };
    handed["filled"].as_array().unwrap().iter().map(one).collect()
}

/// E-7: a later signer sees what stands above her signature; what is not there yet is not shown.
#[tokio::test]
async fn a_later_signer_sees_what_an_earlier_one_has_filled_in() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let recipients =
        json!([recipient("Ada Lovelace", ADA, "signer", 1), recipient("Bob Boole", BOB, "signer", 2)]);
    let fields = json!([
        field(0, "title", "Title", 40.0),
        field(0, "checkbox", "Seen", 90.0),
        field(0, "company", "Company", 140.0),
        field(0, "signature", "Signature", 190.0),
        field(0, "signature", "Signature again", 290.0),
        field(1, "title", "Title of Bob", 40.0),
        field(1, "signature", "Signature of Bob", 190.0),
    ]);
    let envelope = sent(&test, &key, recipients, fields).await;
    let ada = Human { email: ADA, values: &[("Title", "Countess")], mark: ("drawn", drawing()) };
    test.work().await;
    let first = reader(&test.browser(), &link(&test, &key, &envelope, ADA).await).await;
    assert_eq!(filled(&first), [], "nobody has acted before");
    assert!(!first.contains("Title of Bob"), "the fields of a later one are not on the page");
    sign(&test, &key, &envelope, &ada).await.unwrap();
    test.work().await;
    let second = reader(&test.browser(), &link(&test, &key, &envelope, BOB).await).await;
    let by_ada = |label: &str, value: Value, method: Value| {
        (label.to_owned(), "Ada Lovelace".to_owned(), value, method)
    };
    let expected = [
        by_ada("Title", json!("Countess"), Value::Null),
        // A box that was left unticked stands there too; an empty text does not.
        by_ada("Seen", Value::Null, Value::Null),
        by_ada("Signature", json!("Ada Lovelace"), json!("drawn")),
        by_ada("Signature again", json!("Ada Lovelace"), json!("drawn")),
    ];
    assert_eq!(filled(&second), expected);
    let strokes = serde_json::to_string(&drawing()).unwrap();
    assert_eq!(second.matches(&strokes).count(), 1, "a drawing is sent once for all its fields");
    test.finish().await;
}

/// Of two who act in parallel, each sees what was there when the page was made.
#[tokio::test]
async fn parallel_signers_see_what_was_there_when_their_page_was_made() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let recipients =
        json!([recipient("Ada Lovelace", ADA, "signer", 1), recipient("Bob Boole", BOB, "signer", 1)]);
    let fields = json!([field(0, "title", "Title", 40.0), field(1, "title", "Rank", 40.0)]);
    let envelope = sent(&test, &key, recipients, fields).await;
    test.work().await;
    let (http, to_bob) = (test.browser(), link(&test, &key, &envelope, BOB).await);
    assert_eq!(filled(&reader(&http, &to_bob).await), []);
    let ada = Human { email: ADA, values: &[("Title", "Countess")], ..Human::typing(ADA, "Ada") };
    sign(&test, &key, &envelope, &ada).await.unwrap();
    let again = filled(&page(&http, &to_bob, "/sign").await);
    assert_eq!(again, [("Title".to_owned(), "Ada Lovelace".to_owned(), json!("Countess"), Value::Null)]);
    test.work().await;
    test.finish().await;
}

/// What the button means is said for each role; a sandbox says on every page that it binds nobody, and a live
/// environment on none.
#[tokio::test]
async fn every_page_says_what_the_button_means_and_whether_it_is_a_sandbox() {
    // Nothing is mailed here: the links are read from the store.
    let mail = Mail {
        smtp_host: Some("localhost".to_owned()),
        from: "sign@mills.example".to_owned(),
        ..Mail::default()
    };
    let test = TestApp::start_with(Options { mail: Some(mail), ..Options::default() }).await;
    let organization = test.organization("Harbour Mills").await;
    let live = test.key(organization, Environment::Live, Scopes::FOR_KEYS).await;
    let sandbox = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let recipients = || {
        json!([
            recipient("Ada Lovelace", ADA, "signer", 1),
            recipient("Bob Boole", BOB, "approver", 1),
            recipient("Vera Viewer", VERA, "viewer", 1),
        ])
    };
    let said = ["effect of a signature on paper", "records that you approve", "records that you have read"];
    for key in [live, sandbox] {
        let is_sandbox = key.tenant.environment() == Environment::Sandbox;
        let envelope = sent(&test, &key, recipients(), json!([])).await;
        for (index, own) in said.iter().enumerate() {
            let (http, link) = (test.browser(), issued_link(&test, &key, &envelope, index).await);
            let reader = reader(&http, &link).await;
            for words in said {
                assert_eq!(reader.contains(words), !is_sandbox && words == *own, "{words} in {reader}");
            }
            assert_eq!(reader.contains("binds nobody"), is_sandbox);
            for path in ["/sign", "/decline", "/receipt"] {
                let page = page(&http, &link, path).await;
                assert_eq!(
                    page.contains("<p class=\"sandbox\">Sandbox: this is a test"),
                    is_sandbox,
                    "{path} {page}"
                );
            }
            let (base, secret) = link.split_once('#').unwrap();
            let open = test.browser().post(format!("{base}/open")).header("Origin", PUBLIC_URL);
            let preview: Value =
                open.json(&json!({ "secret": secret })).send().await.unwrap().json().await.unwrap();
            assert_eq!(preview["sandbox"], is_sandbox);
        }
    }
    test.finish_without_worker().await;
}

/// Mails say what the role is asked, in its own words, and which are of a sandbox.
#[tokio::test]
async fn mails_name_the_task_of_the_role_and_the_sandbox() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let recipients = json!([
        recipient("Ada Lovelace", ADA, "signer", 1),
        recipient("Bob Boole", BOB, "approver", 1),
        recipient("Vera Viewer", VERA, "viewer", 1),
    ]);
    sent(&test, &key, recipients, json!([])).await;
    test.work().await;
    for (email, verb, task) in
        [(ADA, "sign", "Read and sign"), (BOB, "approve", "Read and approve"), (VERA, "read", "Read")]
    {
        let letter = letters(&test, &key, email).await.remove(0);
        assert!(letter.text.contains(&format!("asks you to {verb} “Lease")), "{}", letter.text);
        assert!(letter.text.contains(&format!("\r\n{task} with this personal link:")), "{}", letter.text);
        assert!(letter.html.contains(&format!(">{task}</a>")), "{}", letter.html);
        assert!(!letter.text.contains("read and read"), "{}", letter.text);
        // The subject is an encoded word, for its quotation marks (RFC 2047).
        let mailbox = test.get_json(&key, "/v1/mailbox").await;
        assert_eq!(mailbox["mails"].as_array().unwrap().len(), 3);
        assert!(letter.header("Subject").contains("[Sandbox]"), "{}", letter.header("Subject"));
        for form in [&letter.text, &letter.html] {
            assert!(form.contains("Sandbox: this is a test and binds nobody."), "{form}");
        }
    }
    test.finish().await;
}

/// The receipt says how many are still to act, and names none of them.
#[tokio::test]
async fn a_receipt_counts_who_is_still_to_act_and_names_the_hours_of_the_link() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let recipients = json!([
        recipient("Ada Lovelace", ADA, "signer", 1),
        recipient("Bob Boole", BOB, "signer", 2),
        recipient("Vera Viewer", VERA, "copy", 2),
    ]);
    let envelope = sent(&test, &key, recipients, json!([])).await;
    test.work().await;
    let (http, to_ada) = (test.browser(), link(&test, &key, &envelope, ADA).await);
    let ada = Human::typing(ADA, "Ada Lovelace");
    crate::people::sign_with(&test, &key, &to_ada, &ada, &http).await.unwrap();
    let receipt = page(&http, &to_ada, "/receipt").await;
    assert!(receipt.contains("1 other person has still to act"), "{receipt}");
    assert!(receipt.contains("works for 72 hours") && !receipt.contains("Bob"), "{receipt}");
    sign(&test, &key, &envelope, &Human::typing(BOB, "Bob Boole")).await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    assert!(!page(&http, &to_ada, "/receipt").await.contains("still to act"));
    test.finish().await;
}

/// S-4: whoever has the link of an envelope that has ended reads what it was, and nobody else.
#[tokio::test]
async fn the_link_of_an_ended_envelope_names_its_sender_and_title_and_no_other_link_does() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let envelope = sent(&test, &key, json!([recipient("Ada Lovelace", ADA, "signer", 1)]), json!([])).await;
    let link = issued_link(&test, &key, &envelope, 0).await;
    let (status, _) = test.post_json(&key, &format!("/v1/envelopes/{envelope}/void"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let (base, secret) = link.split_once('#').unwrap();
    let late_s = countersign_core::limits::LINK_S;
    let asked = [
        (0, secret, StatusCode::GONE, true),
        (0, "csl_wrong", StatusCode::NOT_FOUND, false),
        (late_s, secret, StatusCode::GONE, false),
    ];
    for (later_s, secret, status, is_told) in asked {
        test.clock.forward_s(later_s);
        let open = test.browser().post(format!("{base}/open")).header("Origin", PUBLIC_URL);
        let answer = open.json(&json!({ "secret": secret })).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let answer: Value = answer.json().await.unwrap();
        let about = json!({ "organization": "Harbour Mills", "title": "Lease of the old mill", "sandbox": true, "by_you": false });
        let told = if is_told { about } else { Value::Null };
        assert_eq!((&answer["about"], answer["code"] == "voided"), (&told, status == StatusCode::GONE));
    }
    test.finish_without_worker().await;
}

/// Who never had a session in this browser is not told that one has ended.
#[tokio::test]
async fn a_page_without_a_session_asks_for_the_link_and_speaks_of_no_session() {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let envelope = sent(&test, &key, json!([recipient("Ada Lovelace", ADA, "signer", 1)]), json!([])).await;
    let link = issued_link(&test, &key, &envelope, 0).await;
    let without = page(&test.browser(), &link, "/sign").await;
    assert!(
        without.contains("data-code=\"session_missing\"") && !without.contains("30 minutes"),
        "{without}"
    );
    assert!(!without.contains("sealed with the documents"), "{without}");
    let http = test.browser();
    reader(&http, &link).await;
    test.clock.forward_s(countersign_core::limits::SESSION_IDLE_S + 1);
    let after = page(&http, &link, "/sign").await;
    assert!(after.contains("data-code=\"session_ended\"") && after.contains("30 minutes"), "{after}");
    test.finish_without_worker().await;
}

#[tokio::test]
async fn the_address_that_browsers_try_for_an_icon_has_one() {
    let test = TestApp::start().await;
    let icon = test.request(Method::GET, "/favicon.ico").send().await.unwrap();
    assert_eq!(
        (icon.status(), &icon.headers()["content-type"]),
        (StatusCode::OK, &"image/svg+xml".parse().unwrap())
    );
    assert!(icon.text().await.unwrap().starts_with("<svg"));
    test.finish_without_worker().await;
}
