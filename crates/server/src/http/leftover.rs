//! What a request's handler leaves of its body. A client that still sends cannot read why it was refused: over HTTP/2 its
//! stream is reset under it (RFC 9113 §8.1), over HTTP/1.1 the connection. So the rest is read and thrown away beside the
//! answer, within bounds.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use countersign_core::limits;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Bytes that are thrown away: a file of twice the allowed size still gets its answer.
const MOST_BYTES: usize = 2 * limits::UPLOAD_BYTES;

/// A request's body whose rest is thrown away.
pub(super) struct Leftover {
    body: Option<Incoming>,
    /// Its client waits for a word before it sends (RFC 9110 §10.1.1), and did not get it.
    is_held_back: bool,
    within: Duration,
}

impl Leftover {
    /// A body; `expects` if its client waits for "100 Continue". What is left of it must arrive `within` this time.
    pub(super) fn new(body: Incoming, expects: bool, within: Duration) -> Self {
        Self { body: Some(body), is_held_back: expects, within }
    }
}

impl Body for Leftover {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_held_back = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !self.is_held_back && !body.is_end_stream()) else {
            return;
        };
        let within = self.within;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { tokio::time::timeout(within, thrown_away(body)).await });
        }
    }
}

async fn thrown_away(mut body: Incoming) {
    let mut rest_bytes = MOST_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let size_bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = rest_bytes.checked_sub(size_bytes) else { return };
        rest_bytes = rest;
    }
}
