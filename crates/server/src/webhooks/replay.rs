//! Events of which an endpoint was told nothing, because it was not there yet, or told of nothing: they become deliveries after
//! all, in steps that each are one commit with the place where the next one goes on.

use countersign_core::{
    id::{EndpointId, JobId},
    limits,
    time::Time,
    webhook::{again::Wish, containment::Fate},
};
use countersign_store::{
    Batch,
    batch::Row,
    rows::{JobRow, NewJob, Work},
    webhook_rows::{DeliveryRow, DeliveryState, NewMessage, Taking},
};

use super::{again, feed, loaded, stored::taking};
use crate::{app::App, fault::Fault};

/// What to replay, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replay {
    pub(crate) endpoint: EndpointId,
    pub(crate) since: Time,
    pub(crate) until: Time,
    pub(crate) after: Option<u64>,
    pub(crate) count: u64,
}

/// Takes a step, and ends the job with it: the next step is a job of its own. `false` if somebody changed the endpoint meanwhile, so
/// that nothing was done.
pub(crate) async fn step(app: &App, job: &JobRow, what: Replay) -> Result<bool, Fault> {
    let now = app.now();
    let mut batch = Batch { finishes: Some(job.clone()), ..Batch::default() };
    let Some(loaded) = loaded::load(app, &job.tenant, what.endpoint, now).await? else {
        return again::committed(app, batch).await;
    };
    let mut count = what.count;
    if taking(loaded.condition.standing) != Taking::Nothing {
        let after = match what.after {
            None => feed::index_before(app, &job.tenant, what.since).await?,
            after => after,
        };
        let fed = feed::readable(app, &job.tenant, after, limits::WEBHOOK_RELEASED_PER_S).await?;
        log_unreadable(job, what.endpoint, &fed.unreadable);
        let is_past = fed.events.last().is_some_and(|last| feed::is_past(&last.message, what.until));
        let classes = loaded.settings.classes.visible(loaded.settings.scopes);
        let wanted = fed
            .events
            .iter()
            .filter(|fed| (what.since..=what.until).contains(&fed.message.at) && classes.has(fed.class));
        for fed in wanted {
            let state = match loaded.fate(fed.class) {
                Fate::Goes => DeliveryState::Due,
                Fate::Waits => DeliveryState::Parked,
                Fate::Over => continue,
            };
            // What the endpoint was told of is not told again, and not counted.
            if app.store.delivery(&job.tenant, what.endpoint, fed.message.message).await?.is_some() {
                continue;
            }
            count = count.saturating_add(1);
            batch.rows.push(Row::Delivery(delivery(what.endpoint, fed.message.clone(), state, now)));
        }
        if let Some(last) = fed.last.filter(|_| !is_past) {
            let (Replay { endpoint, since, until, .. }, after) = (what, Some(last));
            batch.jobs.push(NewJob {
                tenant: job.tenant,
                job: JobId::new(now, app.draw()),
                work: Work::ReplayEvents { endpoint, since, until, after, count },
                correlation: job.correlation,
                due_at: now.plus_s(1),
            });
        }
    }
    if batch.jobs.is_empty() {
        batch.changes.extend(again::over(&loaded, Wish::Replay, now, count)?);
    }
    again::committed(app, batch).await
}

/// What cannot be read is not sent, and holds up nothing: the replay would never be over, and no other could be asked for.
fn log_unreadable(job: &JobRow, endpoint: EndpointId, faults: &[Fault]) {
    for fault in faults {
        tracing::error!(
            event_type = "webhook.replay",
            event_result = "unreadable",
            fault = %fault,
            %endpoint,
            correlation_id = %job.correlation
        );
    }
}

/// A delivery that nobody tried yet.
pub(super) fn delivery(
    endpoint: EndpointId,
    message: NewMessage,
    state: DeliveryState,
    due_at: Time,
) -> DeliveryRow {
    DeliveryRow {
        message,
        endpoint,
        sealed_body: None,
        state,
        due_at,
        attempt_count: 0,
        asked_count: 0,
        signed_s: None,
        is_ordered: false,
        worker: None,
    }
}
