//! Takes messages out of the queue and posts them to the system behind: again after a while as long as it does not take them,
//! and aside when their time is over.

mod backoff;
mod request;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::clock;
use crate::config::{Outlet, Sender};
use crate::listen::told_to_stop;
use crate::log;
use crate::mac::MacKey;
use crate::metrics::Metrics;
use crate::queue::{Claimed, Outcome, Queue};

use backoff::Health;
pub use request::idempotency_key;

/// How often the queue is looked at when nobody says that there is something: what is due again, and what another relay took in.
const LOOK: Duration = Duration::from_millis(250);
/// What is added to the time of an attempt before another may begin: for writing down how it ended.
const MARGIN: Duration = Duration::from_secs(5);
/// Messages that are taken out at once at most.
const CLAIM_MAX: u32 = 64;

/// Forwards the messages of one sender.
pub struct Forwarder {
    sender: Arc<Sender>,
    queue: Arc<dyn Queue>,
    metrics: Arc<Metrics>,
    news: Arc<Notify>,
    /// How long a message is tried, in milliseconds.
    try_ms: i64,
    health: Health,
}

struct Target<'t> {
    url: &'t Url,
    client: &'t Client,
    keys: &'t [MacKey],
}

impl Forwarder {
    /// A forwarder of a sender's messages.
    pub fn new(
        sender: Arc<Sender>,
        queue: Arc<dyn Queue>,
        metrics: Arc<Metrics>,
        news: Arc<Notify>,
        try_time: Duration,
    ) -> Self {
        let try_ms = i64::try_from(try_time.as_millis()).unwrap_or(i64::MAX);
        Self { sender, queue, metrics, news, try_ms, health: Health::default() }
    }

    /// Forwards until it is told to stop; then it takes out no more and returns when what is out has come back.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let Outlet::Forward { concurrency, attempt, .. } = &self.sender.outlet else { return };
        let places = Arc::new(Semaphore::new(usize::try_from(*concurrency).unwrap_or(1)));
        while !*stopped.borrow() {
            let claimed = self.fill(&places, attempt.saturating_add(MARGIN)).await;
            if claimed == 0 {
                tokio::select! {
                    () = self.news.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    () = told_to_stop(&mut stopped) => {}
                }
            }
        }
        // Every place that is free again is a message that came back.
        let _: Result<_, _> = places.acquire_many(*concurrency).await;
    }

    /// Takes out as many as there are places, and sends each on its way; how many.
    async fn fill(self: &Arc<Self>, places: &Arc<Semaphore>, lease: Duration) -> usize {
        let Ok(first) = Arc::clone(places).acquire_owned().await else { return 0 };
        let mut free = vec![first];
        // A system that is down is asked with one message at a time.
        if let Some(pause) = self.health.pause() {
            tokio::time::sleep(pause).await;
        } else {
            let more = std::iter::from_fn(|| Arc::clone(places).try_acquire_owned().ok());
            free.extend(more.take(usize::try_from(CLAIM_MAX).unwrap_or(1) - 1));
        }
        let most = u32::try_from(free.len()).unwrap_or(CLAIM_MAX);
        let claimed = match self.queue.claim(&self.sender.name, most, lease).await {
            Ok(claimed) => claimed,
            Err(fault) => {
                tracing::error!(%fault, "the queue cannot be read; it is tried again");
                return 0;
            }
        };
        let count = claimed.len();
        for (message, place) in claimed.into_iter().zip(free) {
            tokio::spawn(Arc::clone(self).one(message, place));
        }
        count
    }

    async fn one(self: Arc<Self>, claimed: Claimed, _place: OwnedSemaphorePermit) {
        let Outlet::Forward { url, client, keys, gap, .. } = &self.sender.outlet else { return };
        let answer = request::post(&Target { url, client, keys }, &claimed, clock::now_s()).await;
        self.health.heard(answer.is_the_system());
        let age_ms = clock::now_ms().saturating_sub(claimed.received_ms);
        let outcome = backoff::outcome(&answer, &claimed, age_ms, self.try_ms);
        self.metrics.forwarded(&self.sender.name, answer.name());
        if outcome != Outcome::Done && log::may_tell_failure() {
            tracing::warn!(
                sender = &*self.sender.name,
                id = claimed.id,
                attempt = claimed.attempt,
                answer = answer.name(),
                status = answer.status,
                is_set_aside = matches!(outcome, Outcome::Dead(_)),
                "not forwarded: {}",
                answer.reason
            );
        }
        match self.queue.settle(&claimed, outcome, *gap).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                id = claimed.id,
                "an attempt took longer than its lease; another one was begun"
            ),
            Err(fault) => {
                tracing::error!(%fault, id = claimed.id, "how an attempt ended could not be written down");
            }
        }
        if claimed.place.is_some() {
            // What waited behind it may go now.
            self.news.notify_one();
        }
    }
}
