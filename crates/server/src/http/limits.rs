//! The bounds of HTTP, enforced: headers, bodies, time, requests at once. The values are in `core/limits.rs`.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::HeaderMap,
};
use countersign_core::{
    limits,
    refusal::{Code, Refusal},
};
use http_body_util::LengthLimitError;
use hyper::body::Body as _;

/// Refuses too many or too large headers. HTTP/1 and HTTP/2 parsers have bounds of their own above these.
pub fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let size_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > limits::HEADER_COUNT || size_bytes > limits::HEADER_BYTES {
        let (count, size) = (limits::HEADER_COUNT, limits::HEADER_BYTES);
        let sentence = format!("send at most {count} headers of {size} bytes together");
        return Err(Refusal::new(Code::HeadersTooLarge, sentence));
    }
    Ok(())
}

/// Reads a body of at most `limit_bytes`, and no byte more; one that says it is longer is not read at all.
pub async fn read_body(body: Body, limit_bytes: usize) -> Result<Bytes, Refusal> {
    let too_large =
        || Refusal::new(Code::TooLarge, format!("the body must have at most {limit_bytes} bytes"));
    if usize::try_from(body.size_hint().lower()).is_ok_and(|size_bytes| size_bytes > limit_bytes) {
        return Err(too_large());
    }
    to_bytes(body, limit_bytes).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(|source| source.downcast_ref::<LengthLimitError>().is_some()) {
            too_large()
        } else {
            Refusal::new(Code::Malformed, "the body ended before all of it had arrived")
        }
    })
}

/// The refusal for one request too many.
pub fn overloaded() -> Refusal {
    Refusal::new(Code::Overloaded, "too many requests are in work; try again in a moment")
}

/// The refusal for a request that took too long.
pub fn timed_out(seconds: u32) -> Refusal {
    Refusal::new(
        Code::RequestTimeout,
        format!("the request was not done within {seconds} seconds; try again"),
    )
}
