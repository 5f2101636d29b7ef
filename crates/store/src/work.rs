//! The bells that tell workers of this process that there is something to do.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

/// Who has something to do after a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Whoever runs jobs, and takes events into the log.
    pub(crate) jobs: bool,
    /// Whoever delivers.
    pub(crate) deliveries: bool,
}

impl Calls {
    /// All of them.
    pub(crate) const ALL: Self = Self { jobs: true, deliveries: true };

    /// Those that one of the two calls.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { jobs: self.jobs || other.jobs, deliveries: self.deliveries || other.deliveries }
    }
}

/// Rings for whoever waits, and is remembered while nobody does. Of each kind there is one who waits in a process: what rings
/// while one of two waits, the other one does not hear.
#[derive(Default)]
pub(crate) struct Work {
    jobs: Bell,
    deliveries: Bell,
}

impl Work {
    /// Wakes everybody who waits for this, or else the next one who comes: one look too few costs the whole time-out.
    pub(crate) fn arrived(&self, calls: Calls) {
        for (bell, is_called) in [(&self.jobs, calls.jobs), (&self.deliveries, calls.deliveries)] {
            if is_called {
                bell.ring();
            }
        }
    }

    /// Waits for jobs or events, `timeout_ms` at most.
    pub(crate) async fn wait(&self, timeout_ms: u64) {
        self.jobs.wait(timeout_ms).await;
    }

    /// Waits for deliveries, `timeout_ms` at most.
    pub(crate) async fn wait_for_deliveries(&self, timeout_ms: u64) {
        self.deliveries.wait(timeout_ms).await;
    }
}

#[derive(Default)]
struct Bell {
    notify: Notify,
    waiting: AtomicUsize,
}

/// Somebody who waits, until it is dropped. Whoever stops to wait looks at what there is, so that a ring at that moment is not
/// lost.
struct Waiting<'a>(&'a Bell);

impl<'a> Waiting<'a> {
    fn at(bell: &'a Bell) -> Self {
        bell.waiting.fetch_add(1, Ordering::SeqCst);
        Self(bell)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Bell {
    // Both at once would have each ring answered twice.
    fn ring(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify.notify_waiters();
        } else {
            self.notify.notify_one();
        }
    }

    async fn wait(&self, timeout_ms: u64) {
        // Hears rings from here on, before it is counted.
        let rung = self.notify.notified();
        let _waiting = Waiting::at(self);
        // That the time is over is as good a reason to look as the bell.
        let _: Result<(), _> = tokio::time::timeout(Duration::from_millis(timeout_ms), rung).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, ready},
        pin::pin,
    };

    use super::*;

    const LONG_MS: u64 = 3_600_000;

    async fn is_over(waiting: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = waiting => true,
            () = ready(()) => false,
        }
    }

    /// W-4: what came while nobody waited is heard once by whoever comes, and no call reaches those that it is not for.
    #[tokio::test]
    async fn a_ring_is_heard_once_by_those_that_it_is_for() {
        let work = Work::default();
        assert!(!is_over(work.wait_for_deliveries(LONG_MS)).await, "nobody rang");
        work.arrived(Calls { deliveries: true, ..Calls::default() });
        assert!(!is_over(work.wait(LONG_MS)).await, "it is for others");
        assert!(is_over(work.wait_for_deliveries(LONG_MS)).await);
        assert!(!is_over(work.wait_for_deliveries(LONG_MS)).await, "it is heard twice");
    }

    /// W-4: everybody who waits hears it, and the next one who comes does not.
    #[tokio::test]
    async fn all_who_wait_hear_it() {
        let work = Work::default();
        let (mut one, mut two) = (pin!(work.wait(LONG_MS)), pin!(work.wait(LONG_MS)));
        assert!(!is_over(&mut one).await && !is_over(&mut two).await, "nobody rang");
        work.arrived(Calls::ALL);
        assert!(is_over(one).await && is_over(two).await);
        assert!(!is_over(work.wait(LONG_MS)).await, "it is heard again");
        assert!(is_over(work.wait_for_deliveries(LONG_MS)).await, "nobody had waited for it");
    }
}
