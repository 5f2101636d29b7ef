//! The bells that tell workers of this process that there is something to do.

use std::time::Duration;

use tokio::sync::Notify;

/// Rings for whoever waits, and is remembered while nobody does.
#[derive(Default)]
pub(crate) struct Work {
    jobs: Notify,
    deliveries: Notify,
}

impl Work {
    /// Wakes everybody who waits, and the next one who comes: one look too many costs little, one too few costs the
    /// whole time-out.
    pub(crate) fn arrived(&self) {
        for bell in [&self.jobs, &self.deliveries] {
            bell.notify_waiters();
            bell.notify_one();
        }
    }

    /// Waits for jobs or events, `timeout_ms` at most.
    pub(crate) async fn wait(&self, timeout_ms: u64) {
        wait(&self.jobs, timeout_ms).await;
    }

    /// Waits for deliveries, `timeout_ms` at most.
    pub(crate) async fn wait_for_deliveries(&self, timeout_ms: u64) {
        wait(&self.deliveries, timeout_ms).await;
    }
}

async fn wait(bell: &Notify, timeout_ms: u64) {
    // That the time is over is as good a reason to look as the bell.
    let _: Result<(), _> = tokio::time::timeout(Duration::from_millis(timeout_ms), bell.notified()).await;
}
