//! Deliveries that go from one state to another without an attempt: after their endpoint, and when somebody has them sent
//! again. Jobs do it, a bounded number at a time, so that it goes on after a crash and nobody else's deliveries wait for it.

use countersign_core::{
    id::{EndpointId, JobId, MessageId},
    time::Time,
    webhook::{
        class::Classes,
        containment::Fate,
        release::{SPAN_MS, of_endpoint},
    },
};
use countersign_store::{
    Batch,
    rows::{JobRow, NewJob, Resent, Work},
    webhook_rows::{DeliveryMove, DeliveryState},
};

use super::loaded::{self, Loaded};
use crate::{app::App, fault::Fault};

/// Deliveries that are moved in one statement, where nothing goes out by it.
const MOVED_AT_ONCE: usize = 1_000;
/// Statements in one run of a job.
const STEPS: usize = 20;
/// From a look that found nothing left to move until the last one: what read its endpoint before the change is committed by then.
const LAST_LOOK_MS: i64 = 60_000;
/// A last look that comes later than that by so much is none: the database may have been away meanwhile, for whoever is late
/// with a commit as well.
const LATE_MS: i64 = 30_000;

/// How a step ended.
pub(crate) enum Stepped {
    /// There is nothing left to move.
    Done,
    /// There may be more after so many milliseconds.
    Later(i64),
    /// Another job goes on, in the commit that ended this one.
    Replaced,
}

/// From which states to which, and of which classes.
fn moves(loaded: &Loaded) -> Vec<(DeliveryState, DeliveryState, Classes)> {
    use DeliveryState::{Due, Failed, Parked};
    let (goes, waits, over) =
        (loaded.with_fate(Fate::Goes), loaded.with_fate(Fate::Waits), loaded.with_fate(Fate::Over));
    let all = [(Due, Parked, waits), (Due, Failed, over), (Parked, Failed, over), (Parked, Due, goes)];
    all.into_iter().filter(|(.., classes)| !classes.is_empty()).collect()
}

/// Brings the deliveries of an endpoint after it. That ends with two looks in a row that find nothing to move.
pub(crate) async fn follow(
    app: &App,
    job: &JobRow,
    endpoint: EndpointId,
    settled_at: Option<Time>,
) -> Result<Stepped, Fault> {
    let mut was_settled = true;
    for _ in 0..STEPS {
        let now = app.now();
        let Some(loaded) = loaded::load(app, &job.tenant, endpoint, now).await? else {
            return Ok(Stepped::Done);
        };
        let mut moved = 0;
        for (from, to, classes) in moves(&loaded) {
            let is_release = to == DeliveryState::Due;
            let limit = if is_release { app.webhooks.releases().take(endpoint, now) } else { MOVED_AT_ONCE };
            if limit == 0 {
                // Others have what can be released at this moment.
                return Ok(Stepped::Later(SPAN_MS));
            }
            let (since, until, over_before, due_at) = (first(), last(), ever(), now);
            let one = DeliveryMove { endpoint, from, to, since, until, classes, over_before, due_at, limit };
            let done = app.store.move_deliveries(&job.tenant, &one).await;
            if is_release {
                let released = done.as_ref().copied().unwrap_or(limit);
                app.webhooks.releases().give_back(endpoint, limit, released);
                if released > 0 {
                    done?;
                    return Ok(Stepped::Later(SPAN_MS));
                }
            }
            moved += done?;
        }
        if moved == 0 && was_settled && settled_at.is_some_and(|at| is_last_look(at, now)) {
            return Ok(Stepped::Done);
        }
        if moved == 0 {
            return look_once_more(app, job, endpoint).await;
        }
        was_settled = false;
    }
    Ok(Stepped::Later(1))
}

/// Whether a look ends it, where one before it found nothing to move at `settled_at`.
fn is_last_look(settled_at: Time, now: Time) -> bool {
    (LAST_LOOK_MS..=LAST_LOOK_MS + LATE_MS).contains(&now.since_ms(settled_at))
}

/// Ends the job, and has another one take the last look.
async fn look_once_more(app: &App, job: &JobRow, endpoint: EndpointId) -> Result<Stepped, Fault> {
    let now = app.now();
    let work = Work::FollowEndpoint { endpoint, settled_at: Some(now) };
    followed(app, job, work, now.plus_ms(LAST_LOOK_MS)).await
}

/// Ends the job, and has another one go on.
async fn followed(app: &App, job: &JobRow, work: Work, due_at: Time) -> Result<Stepped, Fault> {
    let next = NewJob {
        tenant: job.tenant,
        job: JobId::new(app.now(), app.draw()),
        work,
        correlation: job.correlation,
        due_at,
    };
    let batch = Batch { finishes: Some(job.clone()), jobs: vec![next], ..Batch::default() };
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(Stepped::Replaced)
}

/// What to send again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    pub(crate) endpoint: EndpointId,
    pub(crate) since: MessageId,
    pub(crate) until: MessageId,
    pub(crate) delivered: bool,
    pub(crate) done: Option<Resent>,
}

impl Again {
    /// How far it is. What fails again after somebody asked is not asked for again by that.
    pub(crate) fn so_far(&self, job: &JobRow) -> Resent {
        self.done.unwrap_or_else(|| Resent { asked_at: Time::from_unix_ms(job.job.unix_ms()), count: 0 })
    }
}

/// Has what failed, or all, of these messages tried anew.
pub(crate) async fn again(app: &App, job: &JobRow, what: Again) -> Result<Stepped, Fault> {
    let tenant = &job.tenant;
    let now = app.now();
    let Again { endpoint, since, until, delivered, .. } = what;
    let Some(loaded) = loaded::load(app, tenant, endpoint, now).await? else { return Ok(Stepped::Done) };
    let so_far = what.so_far(job);
    let before = so_far.asked_at.plus_ms(1);
    let failed = [(DeliveryState::Failed, before)];
    // What waits for its next attempt has it now.
    let any = [failed[0], (DeliveryState::Delivered, before), (DeliveryState::Due, ever())];
    let mut moved = 0;
    for (fate, to) in [(Fate::Goes, DeliveryState::Due), (Fate::Waits, DeliveryState::Parked)] {
        let (classes, due_at, limit) = (loaded.with_fate(fate), now, of_endpoint());
        for (from, over_before) in if delivered { any.as_slice() } else { failed.as_slice() } {
            let (from, over_before) = (*from, *over_before);
            let one = DeliveryMove { endpoint, from, to, since, until, classes, over_before, due_at, limit };
            moved += app.store.move_deliveries(tenant, &one).await?;
        }
    }
    // One that was sent again and failed at once would be found for ever: what is asked for by name is done.
    if moved == 0 || since == until {
        return Ok(Stepped::Done);
    }
    let done = Some(Resent {
        count: so_far.count.saturating_add(u64::try_from(moved).unwrap_or(u64::MAX)),
        ..so_far
    });
    let work = Work::SendAgain { endpoint, since, until, delivered, done };
    followed(app, job, work, now.plus_ms(SPAN_MS)).await
}

fn first() -> MessageId {
    MessageId::from_bytes([0; 16])
}

fn last() -> MessageId {
    MessageId::from_bytes([u8::MAX; 16])
}

/// After every moment.
fn ever() -> Time {
    Time::from_unix_ms(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M-3: neither a look that comes too soon after the one before it, nor one that comes too late, is the last.
    #[test]
    fn the_last_look_is_on_time() {
        let at = Time::from_unix_ms(1_700_000_000_000);
        for (after_ms, is_last) in
            [(0, false), (59_999, false), (60_000, true), (90_000, true), (90_001, false), (-1, false)]
        {
            assert_eq!(is_last_look(at, at.plus_ms(after_ms)), is_last, "{after_ms}");
        }
    }
}
