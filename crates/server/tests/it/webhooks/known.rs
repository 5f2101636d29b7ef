//! What a worker that goes on knows of endpoints: nothing that is not so any more.

use std::sync::Arc;

use countersign_core::webhook::{
    class::{Class, Payload},
    endpoint::Profile,
};
use countersign_server::webhooks::work::Deliverer;
use serde_json::json;

use super::{House, settings};

/// W-3, W-6: a message goes out as its endpoint is when it is taken, however short a time before the worker read the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_on_sends_as_the_endpoint_is_by_now() {
    for postgres in [false, true] {
        let house = House::start(postgres).await;
        let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
        let endpoint = house.endpoint(&asked).await.endpoint;
        let deliverer = Deliverer::start(Arc::clone(&house.app.app));
        house.queue(house.tenant, 2).await;
        house.receiver.wait_for(2).await;
        // The clock stands: by its time alone, what was read would hold.
        house.done(endpoint, "", &json!({ "profile": "ed25519" })).await;
        house.queue(house.tenant, 2).await;
        house.receiver.wait_for(4).await;
        let is_signed: Vec<bool> =
            house.receiver.came().iter().map(|came| came.headers.contains_key("signature-input")).collect();
        assert_eq!(is_signed, [false, false, true, true]);
        deliverer.stop().await.unwrap();
        house.finish().await;
    }
}
