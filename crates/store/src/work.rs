//! The bell that tells workers of this process that there is something to do.

use std::time::Duration;

use tokio::sync::Notify;

/// Rings for whoever waits, and is remembered while nobody does.
#[derive(Default)]
pub(crate) struct Work {
    bell: Notify,
}

impl Work {
    /// Wakes everybody who waits, and the next one who comes: one look too many costs little, one too few costs the
    /// whole time-out.
    pub(crate) fn arrived(&self) {
        self.bell.notify_waiters();
        self.bell.notify_one();
    }

    /// Waits for work, `timeout_ms` at most.
    pub(crate) async fn wait(&self, timeout_ms: u64) {
        // That the time is over is as good a reason to look as the bell.
        let _: Result<(), _> =
            tokio::time::timeout(Duration::from_millis(timeout_ms), self.bell.notified()).await;
    }
}
