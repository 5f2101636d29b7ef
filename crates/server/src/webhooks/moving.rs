//! Deliveries that go from one state to another without an attempt: after their endpoint, and when somebody has them sent
//! again. Jobs do it, a bounded number at a time, so that it goes on after a crash and nobody else's deliveries wait for it.

use countersign_core::{
    id::{EndpointId, MessageId},
    time::Time,
    webhook::{
        class::Classes,
        containment::Fate,
        release::{SPAN_MS, of_endpoint},
    },
};
use countersign_store::{
    rows::JobRow,
    webhook_rows::{DeliveryMove, DeliveryState},
};

use super::loaded::{self, Loaded};
use crate::{app::App, fault::Fault};

/// Deliveries that are moved in one statement, where nothing goes out by it.
const MOVED_AT_ONCE: usize = 1_000;
/// Statements in one run of a job.
const STEPS: usize = 20;
/// An event that read its endpoint before the change is committed long before so much later.
const LAST_LOOK_MS: i64 = 60_000;

/// How a step ended.
pub(crate) enum Stepped {
    /// There is nothing left to move.
    Done,
    /// There may be more after so many milliseconds.
    Later(i64),
}

/// From which states to which, and of which classes.
fn moves(loaded: &Loaded) -> Vec<(DeliveryState, DeliveryState, Classes)> {
    use DeliveryState::{Due, Failed, Parked};
    let (goes, waits, over) =
        (loaded.with_fate(Fate::Goes), loaded.with_fate(Fate::Waits), loaded.with_fate(Fate::Over));
    let all = [(Due, Parked, waits), (Due, Failed, over), (Parked, Failed, over), (Parked, Due, goes)];
    all.into_iter().filter(|(.., classes)| !classes.is_empty()).collect()
}

/// Brings the deliveries of an endpoint after it. The job ends when it found none for a while.
pub(crate) async fn follow(app: &App, job: &JobRow, endpoint: EndpointId) -> Result<Stepped, Fault> {
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
        if moved == 0 {
            let age_ms = now.unix_ms() - job.job.unix_ms();
            let rest_ms = LAST_LOOK_MS - age_ms;
            return Ok(if rest_ms > 0 { Stepped::Later(rest_ms) } else { Stepped::Done });
        }
    }
    Ok(Stepped::Later(1))
}

/// What to send again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    pub(crate) endpoint: EndpointId,
    pub(crate) since: MessageId,
    pub(crate) until: MessageId,
    pub(crate) delivered: bool,
}

/// Has what failed, or all, of these messages tried anew.
pub(crate) async fn again(app: &App, job: &JobRow, what: Again) -> Result<Stepped, Fault> {
    let tenant = &job.tenant;
    let now = app.now();
    let Again { endpoint, since, until, delivered } = what;
    let Some(loaded) = loaded::load(app, tenant, endpoint, now).await? else { return Ok(Stepped::Done) };
    // What fails again after somebody asked is not asked for again by that.
    let asked_at = Time::from_unix_ms(job.job.unix_ms()).plus_ms(1);
    let failed = [(DeliveryState::Failed, asked_at)];
    // What waits for its next attempt has it now.
    let any = [failed[0], (DeliveryState::Delivered, asked_at), (DeliveryState::Due, ever())];
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
    let is_one = since == until;
    Ok(if moved == 0 || is_one { Stepped::Done } else { Stepped::Later(SPAN_MS) })
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
