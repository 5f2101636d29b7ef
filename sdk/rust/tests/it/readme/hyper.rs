//! With hyper, as README.md shows it, and a test that runs it.

use countersign_webhooks::{Accept, BODY_BYTES_MAX, Incoming, KeySet, Place, ReplayStore, Taken, Verifier};
use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, Response, StatusCode, body::Body};

async fn receive<B>(
    request: Request<B>,
    keys: &KeySet,
    seen: &dyn ReplayStore,
    now_s: i64,
) -> Response<String>
where
    B: Body,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let (head, body) = request.into_parts();
    let answer = |status: u16| {
        let mut response = Response::new(String::new());
        *response.status_mut() = status.try_into().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
    };
    let attempt = head.headers.get("webhook-attempt-id");
    // Counted while it arrives.
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body,
        Err(fault) => {
            eprintln!("a webhook is refused: too_large, or cut off: {fault} ({attempt:?})");
            return answer(413);
        }
    };
    let body = body.to_bytes();
    let place =
        Place { scheme: "https", authority: "example.com", path: head.uri.path(), query: head.uri.query() };
    let incoming = Incoming::new(head.method.as_str(), place, &head.headers, &body);
    let verifier = Verifier::new(Accept::MessageSignature);
    match verifier.verify(&incoming, keys, seen, now_s) {
        // Act on it here.
        Ok(Taken::New(event)) => match verifier.acted(&event, seen, now_s) {
            Ok(()) => answer(200),
            Err(fault) => {
                eprintln!("a webhook could not be acted on: {fault}");
                answer(500)
            }
        },
        Ok(Taken::Duplicate(_)) => answer(200),
        Err(refused) => {
            eprintln!("a webhook is refused: {}: {refused} ({attempt:?})", refused.code());
            answer(refused.status())
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_webhooks::MemoryStore;
    use http_body_util::Full;
    use hyper::body::Bytes;

    use super::*;
    use crate::sample::{BODY, NOW_S, Sample, keys};

    /// W-11: what README.md shows takes a message, and refuses its replay, a forgery, one for another URL and one that is too
    /// long, with a status and nothing else.
    #[tokio::test]
    async fn the_function_with_hyper_works() {
        let sample = Sample::sent_to("example.com", NOW_S, BODY.as_bytes());
        let elsewhere = Sample::sent_to("elsewhere.example", NOW_S, BODY.as_bytes());
        let seen = MemoryStore::new(10);
        let long = vec![b' '; BODY_BYTES_MAX + 1];
        for (headers, body, status) in [
            (&elsewhere.headers, sample.body.as_slice(), 401),
            (&sample.headers, &long, 413),
            (&sample.headers, &sample.body, 200),
            (&sample.headers, &sample.body, 409),
            (&sample.headers, b"{}", 401),
        ] {
            let mut request = Request::post("/in/%7Ea?x=1");
            for (name, value) in headers {
                request = request.header(name, value.as_slice());
            }
            let request = request.body(Full::new(Bytes::from(body.to_vec()))).unwrap();
            let answer = receive(request, &keys(), &seen, NOW_S).await;
            assert_eq!((answer.status().as_u16(), answer.body().as_str()), (status, ""));
        }
    }
}
