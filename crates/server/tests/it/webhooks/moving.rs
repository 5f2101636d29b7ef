//! Deliveries after their endpoint: parked while it is blocked, and released at a bounded rate.

use countersign_core::{
    digest::Digest,
    id::{EnvelopeId, MessageId, WorkerId},
    limits,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use countersign_store::{
    Batch,
    webhook_rows::{Claimed, DeliveryClaim, DeliveryState, NewMessage, Settlement},
};
use serde_json::{Value, json};

use super::{House, settings};

/// M-3, W-5: nothing goes out while an endpoint is blocked, also not what waited before; nothing is lost, and the block and the
/// release are events.
#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_endpoint_parks_its_deliveries() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let made = house.endpoint(&asked).await;
        house.sent_envelope().await;
        let blocked = house.done(made.endpoint, "/block", &json!({ "reason": "compromised" })).await;
        assert_eq!((&blocked["state"], &blocked["blocked"]), (&json!("active"), &json!("compromised")));
        house.sent_envelope().await;
        house.settle().await;
        assert_eq!(house.states(made.endpoint).await, [DeliveryState::Parked; 4]);
        let (status, _) = house.act(made.endpoint, "/test", &Value::Null).await;
        assert_eq!(status.as_u16(), 409, "no test goes out either");
        assert_eq!(house.receiver.came().len(), 0);
        house.done(made.endpoint, "/release", &Value::Null).await;
        house.settle().await;
        assert_eq!(house.states(made.endpoint).await, [DeliveryState::Delivered; 4]);
        assert_eq!(house.receiver.came().len(), 4);
        let events = house.app.app.store.security_events(&house.tenant, None, 100).await.unwrap();
        for kind in ["webhook.blocked", "webhook.released"] {
            assert!(events.iter().any(|row| String::from_utf8_lossy(&row.bytes).contains(kind)), "{kind}");
        }
        house.finish().await;
    }
}

/// M-3, W-4: whoever read the endpoint before its release may park a delivery after it. However late the job of the release runs, it
/// looks again after that.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_parked_after_a_release_is_found_by_a_job_that_ran_late() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let made = house.endpoint(&asked).await;
        house.done(made.endpoint, "/block", &json!({ "reason": "overload" })).await;
        house.settle().await;
        house.done(made.endpoint, "/release", &Value::Null).await;
        for away_s in [300, 600] {
            // No server runs, and the job, or its last look, is late.
            house.app.clock.forward_s(away_s);
            house.settle().await;
            house.queue(house.tenant, 1).await;
            let (app, now) = (&house.app.app, house.app.app.now());
            let worker = WorkerId::new(now, app.draw());
            app.store.beat(worker, now, now.plus_s(15)).await.unwrap();
            let claim = DeliveryClaim { fresh: 1, ..DeliveryClaim::default() };
            for Claimed { row, .. } in app.store.claim_deliveries(worker, now, &claim).await.unwrap() {
                let (endpoint, message) = (row.endpoint, row.message.message);
                let settlement = Settlement {
                    worker,
                    endpoint,
                    message,
                    state: DeliveryState::Parked,
                    due_at: now,
                    is_asked: false,
                    attempt: None,
                };
                app.store.commit(Batch { settles: vec![settlement], ..Batch::default() }).await.unwrap();
            }
            assert_eq!(house.states(made.endpoint).await[0], DeliveryState::Parked);
            house.app.clock.forward_s(60);
            house.settle().await;
            assert_eq!(house.states(made.endpoint).await[0], DeliveryState::Delivered, "{away_s}");
        }
        for _ in 0..3 {
            house.app.clock.forward_s(60);
            house.settle().await;
        }
        // What is left is the watch over the key of the test.
        let due = house.app.app.store.next_due().await.unwrap().unwrap();
        assert!(due > house.app.app.now().plus_s(24 * 3_600), "then it ends: {due}");
        house.finish().await;
    }
}

/// M-3: what was parked goes out so many a second, and not all at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_parked_is_released_at_a_bounded_rate() {
    let house = House::start(false).await;
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    house.done(made.endpoint, "/block", &json!({ "reason": "overload" })).await;
    house.settle().await;
    let app = &house.app.app;
    let message = |number: u64| NewMessage {
        tenant: house.tenant,
        message: MessageId::new(app.now(), app.draw()),
        stream: EnvelopeId::new(app.now(), app.draw()),
        seq: number + 1,
        kind: "envelope.created".to_owned(),
        class: u32::from(Class::Envelope.bit()),
        at: app.now(),
        hash: Digest::of(b"x"),
        correlation: app.new_correlation(),
    };
    let step = 2 * limits::WEBHOOK_RELEASED_PER_S;
    let messages: Vec<_> = (0..u64::try_from(2 * step + 1).unwrap()).map(message).collect();
    app.store.commit(Batch { messages, ..Batch::default() }).await.unwrap();
    house.done(made.endpoint, "/release", &Value::Null).await;
    let mut came = Vec::new();
    for _ in 0..4 {
        house.settle().await;
        came.push(house.receiver.came().len());
        house.app.clock.forward_s(2);
    }
    assert_eq!(came, [step, 2 * step, 2 * step + 1, 2 * step + 1]);
    house.finish().await;
}

/// W-12: what is over, and what was tried of it, is kept for thirty days, and removed by whoever delivers.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_kept_for_thirty_days() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let made = house.endpoint(&asked).await;
        house.sent_envelope().await;
        house.settle().await;
        let first = house.deliveries(made.endpoint).await;
        let message = first[0].message.message;
        // That the envelope expires meanwhile is delivered as well.
        let kept = async || {
            let rows = house.deliveries(made.endpoint).await;
            rows.iter().filter(|row| first.iter().any(|old| old.message == row.message)).count()
        };
        let attempts =
            async || house.app.app.store.attempts(&house.tenant, made.endpoint, message).await.unwrap().len();
        house.app.clock.forward_s(limits::WEBHOOK_KEPT_S - 60);
        house.settle().await;
        assert_eq!((kept().await, attempts().await), (2, 1));
        house.app.clock.forward_s(120);
        house.settle().await;
        assert_eq!((kept().await, attempts().await), (0, 0));
        house.finish().await;
    }
}
