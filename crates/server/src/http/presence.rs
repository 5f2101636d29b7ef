//! How long a client may hold a connection without using it: with no request in work, or with an answer that it does not
//! take. HTTP/2's own pings tell only that somebody is there.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// An answer goes out in pieces of this size, each of which the client must take in time.
const PIECE_BYTES: usize = 256 * 1024;

/// What one connection is doing.
pub(super) struct Presence {
    /// Requests that are with their handlers, who have a deadline of their own. Every stir counts as a change.
    in_work: watch::Sender<usize>,
    stalled: Notify,
    patience: Duration,
}

/// A request that is with its handler.
pub(super) struct InWork(Arc<Presence>);

impl Presence {
    /// A connection whose client may rest for `patience`.
    pub(super) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self { in_work: watch::Sender::new(0), stalled: Notify::new(), patience })
    }

    /// A request begins.
    pub(super) fn request(self: &Arc<Self>) -> InWork {
        self.in_work.send_modify(|count| *count += 1);
        InWork(Arc::clone(self))
    }

    /// Its answer goes out.
    pub(super) fn answer(self: &Arc<Self>, body: Body) -> Answer {
        let is_long = body.size_hint().lower() > PIECE_BYTES as u64;
        let taken = is_long.then(|| {
            let (taken, progress) = watch::channel(());
            tokio::spawn(Arc::clone(self).watch_answer(progress));
            taken
        });
        Answer { body, rest: Bytes::new(), presence: Arc::clone(self), taken }
    }

    // On a connection that is otherwise busy an answer can still hang.
    async fn watch_answer(self: Arc<Self>, mut progress: watch::Receiver<()>) {
        loop {
            match timeout(self.patience, progress.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => return self.stalled.notify_one(),
            }
        }
    }

    /// Ends when the client has rested for too long; before its first request, after `first`.
    pub(super) async fn left(&self, first: Duration) {
        let mut stirs = self.in_work.subscribe();
        let mut patience = first.min(self.patience);
        let resting = async {
            loop {
                let is_at_work = *stirs.borrow_and_update() > 0;
                // The sender lives as long as `self`.
                if is_at_work {
                    let _ = stirs.changed().await;
                } else if timeout(patience, stirs.changed()).await.is_err() {
                    return;
                }
                patience = self.patience;
            }
        };
        tokio::select! {
            () = resting => {}
            () = self.stalled.notified() => {}
        }
    }

    fn stir(&self) {
        self.in_work.send_modify(|_| ());
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.in_work.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A body in pieces that tells of each.
pub(super) struct Answer {
    body: Body,
    rest: Bytes,
    presence: Arc<Presence>,
    taken: Option<watch::Sender<()>>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.presence.stir();
        if let Some(taken) = &self.taken {
            taken.send_replace(());
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        let size = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.presence.stir();
    }
}
