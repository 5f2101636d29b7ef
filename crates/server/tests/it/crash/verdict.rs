//! What must be true after the last crash: nothing acknowledged is missing, nothing is doubled, everything that was
//! begun is complete.

use std::collections::BTreeMap;

use countersign_server::demo::{DemoFault, api::Api};
use countersign_verify::{Verdict, Verifier, verify_package};
use serde_json::Value;

use super::{
    load::{Story, Worker},
    service::until,
};

/// One of so many completed envelopes is verified from its evidence.
const SAMPLE: usize = 10;
/// Seconds for what was begun to complete: longer than the leases of the jobs that were cut off.
const PATIENCE_S: u64 = 120;

/// The types of an envelope's events, in order.
async fn types(api: &Api, envelope: &str) -> Vec<String> {
    let events = api.get_json(&format!("/v1/envelopes/{envelope}/events")).await.unwrap();
    let events = events["events"].as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn count(types: &[String], name: &str) -> usize {
    types.iter().filter(|one| *one == name).count()
}

/// Whether everybody has got the last mail: the link to the sealed documents, or word of the void where the link had
/// come before it. A link that was on its way at that moment may be recorded after it as well.
fn all_is_mailed(types: &[String]) -> bool {
    let Some(voided) = types.iter().position(|one| one == "envelope.voided") else {
        return count(types, "recipient.copied") == 2;
    };
    let (before, after) = types.split_at(voided);
    count(after, "recipient.notified") >= count(before, "recipient.notified")
}

/// All of a list, page after page.
async fn all(api: &Api, path: &str, name: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get_json(&format!("{path}{cursor}")).await.unwrap();
        all.extend(page[name].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return all };
        cursor = format!("?cursor={next}");
    }
}

/// Checks all that a worker did; how many envelopes were completed.
pub(crate) async fn check(worker: &Worker) -> usize {
    let api = &worker.api;
    let mut completed = 0;
    for story in &worker.stories {
        check_story(api, story).await;
        if !story.is_voided {
            if completed % SAMPLE == 0 {
                check_evidence(api, &story.envelope).await;
            }
            completed += 1;
        }
    }
    let mut listed: Vec<String> = all(api, "/v1/envelopes", "envelopes")
        .await
        .iter()
        .map(|envelope| envelope["id"].as_str().unwrap().to_owned())
        .collect();
    let mut known: Vec<String> = worker.stories.iter().map(|story| story.envelope.clone()).collect();
    listed.sort();
    known.sort();
    assert_eq!(listed, known, "each create made one envelope");
    check_mails(api, &worker.stories).await;
    completed
}

async fn check_story(api: &Api, story: &Story) {
    let path = format!("/v1/envelopes/{}", story.envelope);
    let wanted = if story.is_voided { "voided" } else { "completed" };
    until(&format!("{} is {wanted}", story.envelope), PATIENCE_S, async || {
        let read = api.get_json(&path).await.unwrap();
        (read["status"] == wanted && all_is_mailed(&types(api, &story.envelope).await)).then_some(())
    })
    .await;
    let types = types(api, &story.envelope).await;
    let (signed, once) = if story.is_voided { (0, 0) } else { (2, 1) };
    for (name, expected) in [
        ("envelope.created", 1),
        ("envelope.sent", 1),
        ("envelope.voided", 1 - once),
        ("signature.adopted", signed),
        ("recipient.signed", signed),
        ("envelope.sealing", once),
        ("envelope.sealed", once),
        ("recipient.copied", signed),
    ] {
        assert_eq!(count(&types, name), expected, "{name} of {}: {types:?}", story.envelope);
    }
    let notified = count(&types, "recipient.notified");
    // Who was asked is told that it was voided.
    assert!(notified == 2 || story.is_voided && notified <= 4, "{types:?}");
    let read = api.get_json(&path).await.unwrap();
    let signed_by: Vec<&Value> =
        read["recipients"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert!(story.is_voided || signed_by == ["signed", "signed"], "{read}");
}

/// Everybody got one link, and one word of how it ended.
async fn check_mails(api: &Api, stories: &[Story]) {
    let mut mails: BTreeMap<String, usize> = BTreeMap::new();
    for mail in all(api, "/v1/mailbox", "mails").await {
        let message = mail["message"].as_str().unwrap();
        let to = message.lines().find(|line| line.starts_with("To:")).unwrap();
        *mails.entry(to.split(['<', '>']).nth(1).unwrap().to_owned()).or_default() += 1;
    }
    for story in stories {
        for address in &story.addresses {
            let count = mails.get(address).copied().unwrap_or_default();
            let right = if story.is_voided { count <= 2 } else { count == 2 };
            assert!(right, "{address} got {count} mails");
        }
    }
}

async fn check_evidence(api: &Api, envelope: &str) {
    let package = until("evidence", PATIENCE_S, async || {
        match api.get(&format!("/v1/envelopes/{envelope}/evidence")).await {
            Ok(package) => Some(package),
            Err(DemoFault::Refused { status: 503, .. }) => None,
            Err(fault) => panic!("{fault}"),
        }
    })
    .await;
    let key = String::from_utf8(api.get("/log/key").await.unwrap()).unwrap();
    let keys: Vec<Verifier> = vec![key.trim().parse().unwrap()];
    let report = verify_package(&package, &keys);
    assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
}
