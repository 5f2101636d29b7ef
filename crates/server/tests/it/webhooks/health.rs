//! An endpoint to which nothing is delivered: those who answer for it are told, and then it is disabled.

use countersign_core::{
    role::Role,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use countersign_server::accounts::undelivered;
use serde_json::json;

use super::{House, settings};
use crate::gate::member_of;

impl House {
    pub(super) async fn developer(&self) {
        member_of(&self.app, self.tenant.organization(), Role::Developer).await;
    }

    /// The subjects of the mails about accounts, oldest first.
    pub(super) async fn subjects(&self) -> Vec<String> {
        self.app.work().await;
        let kept = undelivered::last(&self.app.app, self.tenant.organization(), None, 100).await.unwrap();
        kept.into_iter().rev().map(|mail| mail.subject.disclose().clone()).collect()
    }
}

/// W-5: five days without a success, with attempts all along, disable an endpoint; its people were told four days and one day before,
/// and are told then.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_days_is_disabled_after_two_notices() {
    let house = House::start(false).await;
    house.developer().await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    house.receiver.answers(&vec![(500, None); 1_000]);
    let (mut days, mut told) = (Vec::new(), 0);
    for hour in 0..200 {
        if hour % 24 == 0 {
            house.sent_envelope().await;
        }
        house.settle().await;
        let subjects = house.subjects().await;
        for subject in &subjects[told..] {
            days.push((hour / 24, subject.clone()));
        }
        told = subjects.len();
        house.app.clock.forward_s(3_600);
    }
    assert_eq!(
        days,
        [
            (1, "Webhooks to localhost fail, and are stopped in 4 days"),
            (4, "Webhooks to localhost fail, and are stopped in 1 day"),
            (5, "Webhooks to localhost were stopped"),
        ]
        .map(|(day, subject)| (day, with_port(&house, subject)))
    );
    let path = format!("/v1/webhook-endpoints/{}", made.endpoint);
    let shown = house.app.get_json(&house.key, &path).await;
    assert_eq!((&shown["state"], &shown["disabled_reason"]), (&json!("disabled"), &json!("failing")));
    house.finish().await;
}

fn with_port(house: &House, subject: &str) -> String {
    let host = house.receiver.url.split('/').nth(2).unwrap();
    subject.replace("localhost", host)
}

/// W-5: one delivery that is taken is enough to stay, and 410 is told as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_begins_anew_and_gone_is_told() {
    let house = House::start(false).await;
    house.developer().await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    let path = format!("/v1/webhook-endpoints/{}", made.endpoint);
    house.receiver.answers(&[(500, None), (500, None)]);
    house.sent_envelope().await;
    house.settle().await;
    let shown = house.app.get_json(&house.key, &path).await;
    assert!(shown["failing_since"].is_string() && shown["disables_at"].is_string(), "{shown}");
    house.app.clock.forward_s(60);
    house.settle().await;
    let shown = house.app.get_json(&house.key, &path).await;
    assert!(shown["failing_since"].is_null() && shown["disables_at"].is_null(), "{shown}");
    house.receiver.answers(&[(410, None), (410, None)]);
    house.sent_envelope().await;
    house.settle().await;
    assert_eq!(house.subjects().await, [with_port(&house, "Webhooks to localhost were stopped")]);
    house.finish().await;
}
