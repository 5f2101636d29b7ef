//! With axum, as README.md shows it, and a test that runs it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing::post};
use countersign_webhooks::{Accept, BODY_BYTES_MAX, Incoming, KeySet, MemoryStore, Place, Taken, Verifier};

struct Webhooks {
    verifier: Verifier,
    keys: KeySet,
    seen: MemoryStore,
}

async fn receive(State(webhooks): State<Arc<Webhooks>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    // The URL that the endpoint is registered with, whatever a proxy made of it.
    let place = Place::of_url("https://example.com/hooks/countersign").expect("a URL");
    let incoming = Incoming::new("POST", place, &headers, &body);
    match webhooks.verifier.verify(&incoming, &webhooks.keys, &webhooks.seen, now_s) {
        Ok(Taken::New(event)) => {
            // Durable before it is answered. What fails here comes again, and is new again.
            let done = act_on(&event);
            let told = done.and_then(|()| {
                webhooks.verifier.acted(&event, &webhooks.seen, now_s).map_err(|fault| fault.to_string())
            });
            match told {
                Ok(()) => StatusCode::OK,
                Err(fault) => {
                    eprintln!("a webhook could not be acted on: {fault}");
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            }
        }
        Ok(Taken::Duplicate(_)) => StatusCode::OK,
        // Why goes into the log: whoever reads the answer may be an attacker.
        Err(refused) => {
            let attempt = headers.get("webhook-attempt-id");
            eprintln!("a webhook is refused: {}: {refused} ({attempt:?})", refused.code());
            StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST)
        }
    }
}

fn act_on(event: &countersign_webhooks::Event) -> Result<(), String> {
    match event.kind.as_str() {
        "envelope.completed" => println!("{:?} is signed by all", event.envelope()),
        // New types come: pass over those that you do not know.
        _ => {}
    }
    Ok(())
}

fn app(secret: &str, key_id: &str) -> Result<Router, Box<dyn std::error::Error>> {
    let webhooks = Webhooks {
        verifier: Verifier::new(Accept::V1),
        keys: KeySet::new().with_secret(key_id.parse()?, secret.parse()?),
        seen: MemoryStore::new(1_000_000),
    };
    let router = Router::new().route("/hooks/countersign", post(receive));
    Ok(router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(Arc::new(webhooks)))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::sample::{KEY_ID, Sample, secret};

    /// W-11: what README.md shows takes a message, and refuses its replay and a forgery, with a status and nothing else.
    #[tokio::test]
    async fn the_server_with_axum_works() {
        let router = app(&secret().expose(), KEY_ID).unwrap();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let sample = Sample::at(i64::try_from(now_s).unwrap());
        for (body, status) in [(sample.body.as_slice(), 200), (&sample.body, 409), (b"{}", 401)] {
            let mut request = Request::post("/hooks/countersign");
            for (name, value) in &sample.headers {
                request = request.header(name, value.as_slice());
            }
            let request = request.body(Body::from(body.to_vec())).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status);
            assert!(to_bytes(answer.into_body(), 100).await.unwrap().is_empty());
        }
    }
}
