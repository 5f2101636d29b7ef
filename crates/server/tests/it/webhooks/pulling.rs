//! Events for receivers that ask.

use countersign_core::{
    scope::{Scope, Scopes},
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use serde_json::{Value, json};

use super::{House, settings};

/// W-4, W-5, W-6: whoever goes on from where he was gets each event once, under the id and with the body of its webhook, and sees
/// what his scopes allow.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_pulled_by_cursor() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let asked = settings(
            &house.receiver.url,
            &[Class::Envelope, Class::Recipient],
            Payload::Thin,
            Profile::Standard,
        );
        house.endpoint(&asked).await;
        house.sent_envelope().await;
        house.settle().await;
        let scopes = Scopes::of(&[Scope::EnvelopesStatus, Scope::EventsRead]);
        let key = house.app.key(house.tenant.organization(), house.tenant.environment(), scopes).await;
        let (mut pulled, mut after) = (Vec::new(), String::new());
        loop {
            let page = house.app.get_json(&key, &format!("/v1/events?limit=2{after}")).await;
            pulled.extend(page["events"].as_array().unwrap().clone());
            after = format!("&after={}", page["next"].as_str().unwrap());
            if page["has_more"] == json!(false) {
                break;
            }
        }
        let mut sent: Vec<(String, Value)> = house
            .receiver
            .came()
            .iter()
            .map(|one| {
                let id = one.headers["webhook-id"].to_str().unwrap().to_owned();
                (id, serde_json::from_slice(&one.body).unwrap())
            })
            .collect();
        sent.sort_by(|one, other| one.0.cmp(&other.0));
        let mut got: Vec<(String, Value)> =
            pulled.iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one["event"].clone())).collect();
        got.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(got, sent, "the security events of the house are not among them");
        let more = house.app.get_json(&key, &format!("/v1/events?limit=2{after}")).await;
        assert_eq!(more["events"], json!([]));
        house.sent_envelope().await;
        house.app.work().await;
        let more = house.app.get_json(&key, &format!("/v1/events?limit=100{after}")).await;
        assert_eq!(more["events"].as_array().unwrap().len(), sent.len(), "{more}");
        let full = house.app.get_json(&house.key, "/v1/events?payload=full").await;
        let full = full["events"].as_array().unwrap();
        assert!(full.iter().any(|one| one["class"] == "security"));
        assert!(full.iter().all(|one| one["event"]["data"]["event"]["seq"].is_number()), "{full:#?}");
        let wrong = house.app.get(&key, "/v1/events?after=x").await;
        assert_eq!(wrong.status().as_u16(), 400);
        // Of another server, or of this one before it was restored.
        let end = after.trim_start_matches("&after=").parse::<u64>().unwrap() + 1_000;
        let beyond = house.app.get(&key, &format!("/v1/events?after={end}")).await;
        assert_eq!(beyond.status().as_u16(), 422);
        house.finish().await;
    }
}
