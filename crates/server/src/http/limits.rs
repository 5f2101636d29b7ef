//! The bounds of HTTP, enforced: headers, bodies, time, requests at once. The values are in `core/limits.rs`.

use axum::{
    body::{Body, Bytes},
    http::HeaderMap,
};
use countersign_core::{
    limits,
    refusal::{Code, Refusal},
};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::{app::App, fault::Failure};

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

/// Refuses a body that says that it is longer: it is not read at all.
pub fn check_size(body: &Body, limit_bytes: usize) -> Result<(), Refusal> {
    let said_bytes = usize::try_from(body.size_hint().lower());
    if said_bytes.is_ok_and(|said_bytes| said_bytes <= limit_bytes) {
        Ok(())
    } else {
        Err(too_large(limit_bytes))
    }
}

/// Reads a body of at most `limit_bytes`, and no byte more.
pub async fn read_body(body: Body, limit_bytes: usize) -> Result<Bytes, Refusal> {
    check_size(&body, limit_bytes)?;
    Ok(collect(body, limit_bytes, Vec::new(), |_| Ok(())).await?.into())
}

/// Reads an upload when there is room for it among the others. It takes up that room for as long as anybody has its
/// bytes, whatever became of the request.
pub async fn read_upload(app: &App, body: Body) -> Result<Bytes, Failure> {
    check_size(&body, limits::UPLOAD_BYTES)?;
    let said_bytes = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let size_bytes = said_bytes.unwrap_or(limits::UPLOAD_BYTES);
    let room = app.turn(&app.upload_room, u32::try_from(size_bytes).unwrap_or(u32::MAX)).await?;
    // It has its size from the beginning and never grows: what does not arrive is never touched.
    let bytes = collect(body, size_bytes, Vec::with_capacity(size_bytes), |_| Ok(())).await?;
    Ok(Bytes::from_owner(Roomed { bytes, _room: room }))
}

/// Bytes with the room that they take up.
struct Roomed {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Roomed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body into `bytes`, and asks `grow` whenever it takes so many more of memory. Parts are copied, because one of
/// a single byte may hold a whole buffer of the connection.
pub async fn collect(
    mut body: Body,
    limit_bytes: usize,
    mut bytes: Vec<u8>,
    mut grow: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let cut_off = || Refusal::new(Code::Malformed, "the body ended before all of it had arrived");
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| cut_off())?;
        let part = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        if part.len() > limit_bytes.saturating_sub(bytes.len()) {
            return Err(too_large(limit_bytes));
        }
        let before = bytes.capacity();
        bytes.extend_from_slice(part);
        grow(bytes.capacity() - before)?;
    }
    Ok(bytes)
}

fn too_large(limit_bytes: usize) -> Refusal {
    Refusal::new(Code::TooLarge, format!("the body must have at most {limit_bytes} bytes"))
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
