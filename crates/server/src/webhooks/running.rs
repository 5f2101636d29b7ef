//! One delivery in work: whether it goes out by now, its attempt, and what is written down of it.

use std::{sync::Arc, time::Duration};

use countersign_core::{
    id::{CorrelationId, WorkerId},
    time::Time,
    webhook::{containment::Fate, schedule::Outcome},
};
use countersign_store::{
    Batch, CommitError,
    batch::Row,
    webhook_rows::{AttemptRow, DeliveryRow, DeliveryState, Settlement},
};
use tracing::Span;

use super::{
    attempt, health,
    known::{Read, is_fresh},
    loaded::{self, Loaded},
};
use crate::app::App;

/// Wait before a delivery is tried again that could not be for a fault of ours: so long for each attempt before.
pub(super) const AGAIN_MS: i64 = 1_000;
/// Wait before a delivery is tried again that something of ours is broken for.
pub(super) const BROKEN_MS: i64 = 60_000;
/// Wait before a settlement is tried again that the database did not take.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);

/// A delivery that is due as it was.
pub(super) fn put_back(row: &DeliveryRow, worker: WorkerId, due_at: Time) -> Settlement {
    let (endpoint, message) = (row.endpoint, row.message.message);
    let worker = row.worker.unwrap_or(worker);
    Settlement {
        worker,
        endpoint,
        message,
        state: DeliveryState::Due,
        due_at,
        is_asked: false,
        attempt: None,
    }
}

/// A delivery that does not go out: it is kept for its release, or follows its endpoint.
pub(super) fn kept_back(row: &DeliveryRow, worker: WorkerId, fate: Fate) -> Settlement {
    let state = if fate == Fate::Waits { DeliveryState::Parked } else { DeliveryState::Due };
    Settlement { state, ..put_back(row, worker, row.due_at) }
}

/// What came of a delivery, to be written down.
pub(super) struct Ended {
    settlement: Option<Settlement>,
    /// The attempt before it, whose token was refused.
    refused: Option<AttemptRow>,
    /// With the endpoint's health: whether the attempt succeeded, or the receiver is gone.
    attempted: Option<(Arc<Loaded>, Outcome)>,
    correlation: CorrelationId,
    /// Where its log lines belong.
    pub(super) span: Span,
}

impl Ended {
    /// Writes it down.
    pub(super) async fn settle(self, app: &App) {
        if let Some(settlement) = self.settlement {
            settle_with(app, settlement, self.refused).await;
        }
        match self.attempted {
            Some((loaded, Outcome::Gone)) => health::gone(app, &loaded, self.correlation).await,
            Some((loaded, outcome)) => {
                health::attempted(app, &loaded, outcome == Outcome::Delivered, self.correlation).await;
            }
            None => {}
        }
    }
}

/// Tries a delivery. One whose endpoint takes nothing by now is put back, and follows it.
pub(super) async fn run(app: &App, row: DeliveryRow, endpoint: Read) -> Ended {
    let ended = |settlement, attempted| Ended {
        settlement,
        refused: None,
        attempted,
        correlation: row.message.correlation,
        span: Span::current(),
    };
    let Some(worker) = row.worker else { return ended(None, None) };
    let again = |turns: u32| Some(put_back(&row, worker, app.now().plus_ms(AGAIN_MS * i64::from(turns))));
    // It may have waited for a slot: what was blocked, moved or revoked meanwhile holds.
    let loaded = if is_fresh(endpoint.at, app.now()) {
        Some(endpoint.loaded)
    } else {
        match loaded::load(app, &row.message.tenant, row.endpoint, app.now()).await {
            Ok(loaded) => loaded,
            Err(fault) => {
                tracing::error!(event_type = "webhook.delivery", event_result = "fault", fault = %fault);
                return ended(again(1), None);
            }
        }
    };
    let fate = loaded.as_ref().map_or(Fate::Over, |loaded| loaded.fate_of(&row));
    let (Some(loaded), Fate::Goes) = (loaded, fate) else {
        return ended(Some(kept_back(&row, worker, fate)), None);
    };
    match attempt::run(app, &loaded, &row).await {
        Ok(tried) => {
            let is_success = tried.outcome == Outcome::Delivered;
            app.webhooks.settled(row.endpoint, is_success, tried.took_ms);
            let status = tried.settlement.attempt.as_ref().and_then(|attempt| attempt.status);
            let was_sent = tried.settlement.attempt.is_some();
            let result = if is_success { "delivered" } else { "failed" };
            tracing::info!(
                event_type = "webhook.delivery",
                event_result = result,
                status,
                took_ms = tried.took_ms
            );
            let attempted = was_sent.then_some((loaded, tried.outcome));
            Ended { refused: tried.refused, ..ended(Some(tried.settlement), attempted) }
        }
        Err(fault) => {
            tracing::error!(event_type = "webhook.delivery", event_result = "fault", fault = %fault);
            ended(again(row.attempt_count + 1), None)
        }
    }
}

/// Writes down what came of a delivery.
pub(super) async fn settle(app: &App, settlement: Settlement) {
    settle_with(app, settlement, None).await;
}

/// Writes down what came of a delivery with the attempt before its last one, or, where the database refuses that, that it is to be tried
/// again. While the database does not take it, the delivery stays with this worker: an attempt that was made is not made again for that,
/// as long as its heart beats.
async fn settle_with(app: &App, mut settlement: Settlement, mut refused: Option<AttemptRow>) {
    loop {
        let rows = refused.iter().cloned().map(Row::Attempt).collect();
        let batch = Batch { settles: vec![settlement.clone()], rows, ..Batch::default() };
        match app.store.commit(batch).await {
            Ok(_) => return,
            Err(CommitError::Fault(countersign_store::Fault::Unavailable(reason))) => {
                tracing::warn!(event_type = "webhook.settle", event_result = "again", reason);
                settlement = late(settlement);
                tokio::time::sleep(SETTLE_AGAIN).await;
            }
            Err(CommitError::LeaseLost) => {
                tracing::warn!(event_type = "webhook.settle", event_result = "lost");
                return;
            }
            Err(error) => {
                tracing::error!(event_type = "webhook.settle", event_result = "fault", %error);
                refused = None;
                if settlement.attempt.take().is_none() {
                    return;
                }
                settlement.state = DeliveryState::Due;
                settlement.due_at = app.now().plus_ms(BROKEN_MS);
            }
        }
    }
}

/// What could not be written in time. What was to be parked may be released by now, and the job of that release be done: it is
/// claimed and judged anew.
fn late(settlement: Settlement) -> Settlement {
    let is_parked = settlement.state == DeliveryState::Parked;
    let state = if is_parked { DeliveryState::Due } else { settlement.state };
    Settlement { state, ..settlement }
}

#[cfg(test)]
mod tests {
    use countersign_core::id::{EndpointId, MessageId};

    use super::*;

    /// M-3: nobody parks by what was so before the database was away.
    #[test]
    fn what_was_to_be_parked_before_an_absence_is_judged_anew() {
        let settlement = |state| Settlement {
            worker: WorkerId::from_bytes([1; 16]),
            endpoint: EndpointId::from_bytes([2; 16]),
            message: MessageId::from_bytes([3; 16]),
            state,
            due_at: Time::from_unix_ms(1),
            is_asked: false,
            attempt: None,
        };
        for (before, after) in [
            (DeliveryState::Parked, DeliveryState::Due),
            (DeliveryState::Delivered, DeliveryState::Delivered),
            (DeliveryState::Due, DeliveryState::Due),
            (DeliveryState::Failed, DeliveryState::Failed),
        ] {
            assert_eq!(late(settlement(before)), settlement(after));
        }
    }
}
