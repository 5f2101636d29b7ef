//! An envelope through the API, from upload to its events.

use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Options, TestApp, envelope_of, pdf};

#[tokio::test]
async fn on_sqlite_an_envelope_goes_from_upload_to_void_and_its_events_tell_the_story() {
    from_upload_to_void(TestApp::start().await).await;
}

#[tokio::test]
async fn on_postgresql_an_envelope_goes_from_upload_to_void_and_its_events_tell_the_story() {
    let options = Options { postgres: true, ..Options::default() };
    from_upload_to_void(TestApp::start_with(options).await).await;
}

async fn from_upload_to_void(test: TestApp) {
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(2)).await;
    let known = test.get_json(&key, &format!("/v1/documents/{document}")).await;
    assert_eq!(known["name"], "lease.pdf");
    assert_eq!(known["pages"][1], json!({ "width": 595.0, "height": 842.0 }));

    let envelope = test.create(&key, &envelope_of(&document)).await;
    let path = format!("/v1/envelopes/{envelope}");
    let read = test.get_json(&key, &path).await;
    assert_eq!((&read["status"], &read["title"]), (&json!("draft"), &json!("Lease of the old mill")));
    assert_eq!(read["recipients"][0]["email"], "ada@example.com");
    assert_eq!(read["fields"][0]["rect"]["y"], 600.5);

    let sent = test.send(&key, &envelope).await;
    assert_eq!((&sent["status"], &sent["recipients"][0]["status"]), (&json!("sent"), &json!("pending")));
    let (status, _) = test.post_json(&key, &format!("{path}/resend"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let (status, voided) =
        test.post_json(&key, &format!("{path}/void"), &json!({ "reason": "A typo" })).await;
    assert_eq!(
        (status, &voided["status"], &voided["reason"]),
        (StatusCode::OK, &json!("voided"), &json!("A typo"))
    );

    let original = test.get(&key, &format!("{path}/documents/{document}/original")).await;
    assert_eq!(original.bytes().await.unwrap(), pdf(2));
    let events = test.get_json(&key, &format!("{path}/events")).await;
    let types: Vec<&str> =
        events["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    let expected = [
        "envelope.created",
        "envelope.sent",
        "link.issued",
        "link.issued",
        "envelope.voided",
        "envelope.downloaded",
    ];
    assert_eq!(types, expected);
    let list = test.get_json(&key, "/v1/envelopes?status=voided").await;
    assert_eq!(list["envelopes"][0]["title"], "Lease of the old mill");
    test.finish_without_worker().await;
}
