//! What somebody has sent again: one message, what failed since a time, or events of which the endpoint was told nothing. Each
//! is a job in the commit of its security event, so that it survives a restart. Of the last two an endpoint remembers that they are
//! not over, so that there is one at a time, and how many there were today.

use std::sync::Arc;

use countersign_core::{
    id::{EndpointId, MessageId},
    limits,
    refusal::{Code, Refusal},
    security::SecurityBody,
    time::Time,
    webhook::{again::Wish, class::Class, standing::State},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::Change,
    rows::{JobRow, Work},
    webhook_rows::{DeliveryRow, EndpointRow},
};

use super::{
    act::{self, Act, More, TRIES},
    loaded::{self, Loaded},
    stored::{Condition, condition_text},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
    security,
};

/// Has one message sent again, whatever became of it.
pub async fn resend(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    message: MessageId,
) -> Result<DeliveryRow, Failure> {
    let loaded = told(app, act, endpoint).await?;
    let found = app.store.delivery(act.tenant, endpoint, message).await?;
    let found = found.ok_or_else(Refusal::not_found)?;
    if found.message.class == u32::from(Class::Test.bit()) {
        let sentence = "a test is not sent again: send another";
        return Err(Refusal::new(Code::WebhookState, sentence).into());
    }
    let work = Work::SendAgain { endpoint, since: message, until: message, delivered: true, done: None };
    let mut batch = Batch { jobs: vec![act.job(app, work)], ..Batch::default() };
    let body = SecurityBody::WebhookResent { endpoint, message };
    security::record(app, act.tenant, act.circumstances, body, &mut batch).await?;
    batch.answers = act.keep.map(|keep| keep(&loaded)).transpose()?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(found)
}

/// Has what failed since then sent again.
pub async fn recover(app: &App, act: &Act<'_>, endpoint: EndpointId, since: Time) -> Result<Loaded, Failure> {
    let work = Work::SendAgain {
        endpoint,
        since: MessageId::new(since, [0; 10]),
        until: MessageId::new(app.now(), [u8::MAX; 10]),
        delivered: false,
        done: None,
    };
    let body = SecurityBody::WebhookRecovered { endpoint, since };
    ask(app, act, (endpoint, since), (Wish::Recover, work), body).await
}

/// Has events since then sent of which the endpoint was told nothing.
pub async fn replay(app: &App, act: &Act<'_>, endpoint: EndpointId, since: Time) -> Result<Loaded, Failure> {
    let work = Work::ReplayEvents { endpoint, since, until: app.now(), after: None, count: 0 };
    let body = SecurityBody::WebhookReplayed { endpoint, since };
    ask(app, act, (endpoint, since), (Wish::Replay, work), body).await
}

async fn told(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Arc<Loaded>, Failure> {
    let loaded = loaded::read(app, act.tenant, endpoint).await?;
    if !loaded.condition.standing.is_told() {
        let sentence = match loaded.condition.standing.state {
            State::Ended => "nothing is sent to an endpoint that has ended: create another",
            _ => "nothing is sent to an endpoint that is not active: activate it first",
        };
        return Err(Refusal::new(Code::WebhookState, sentence).into());
    }
    Ok(loaded)
}

fn check_since(app: &App, since: Time) -> Result<(), Refusal> {
    let now = app.now();
    if since > now {
        return Err(Refusal::at(Code::Invalid, "/since", "`since` is in the past"));
    }
    if since < now.plus_s(-limits::WEBHOOK_REPLAYED_S) {
        let days = limits::WEBHOOK_REPLAYED_S / (24 * 3_600);
        let sentence = format!(
            "events can be sent again for {days} days: read older ones with `GET /v1/events` or from the evidence"
        );
        return Err(Refusal::at(Code::Invalid, "/since", sentence));
    }
    Ok(())
}

async fn ask(
    app: &App,
    act: &Act<'_>,
    (endpoint, since): (EndpointId, Time),
    (wish, work): (Wish, Work),
    body: SecurityBody,
) -> Result<Loaded, Failure> {
    let mut tries = 0;
    loop {
        let loaded = told(app, act, endpoint).await?;
        check_since(app, since)?;
        let again = loaded.condition.again.asked(wish, app.now())?;
        let condition = Condition { again, ..loaded.condition };
        let more = More { jobs: vec![act.job(app, work.clone())], ..More::default() };
        tries += 1;
        match act::commit_with(app, act, act::own(loaded), condition, None, vec![body.clone()], more).await {
            // The end of what was asked for before is a change of the endpoint, too.
            Err(Failure::Refused(refusal)) if refusal.code == Code::Busy && tries < TRIES => {}
            other => return other,
        }
    }
}

/// The change by which an endpoint knows that what was asked for is over; `None` where it knows.
pub(super) fn over(loaded: &Loaded, wish: Wish, now: Time, count: u64) -> Result<Option<Change>, Fault> {
    let again = loaded.condition.again.over(wish, now, count);
    // What has ended is changed no more.
    if again == loaded.condition.again || loaded.row.ended_at.is_some() {
        return Ok(None);
    }
    let row = &loaded.row;
    let condition = condition_text(&Condition { again, ..loaded.condition })?;
    Ok(Some(Change::Endpoint(EndpointRow { condition, version: row.version + 1, ..row.clone() })))
}

/// Ends the job of a recovery, and has its endpoint know it; `false` if somebody changed the endpoint meanwhile.
pub(crate) async fn finish(app: &App, job: &JobRow, endpoint: EndpointId, count: u64) -> Result<bool, Fault> {
    let now = app.now();
    let loaded = loaded::load(app, &job.tenant, endpoint, now).await?;
    let change = loaded.map(|loaded| over(&loaded, Wish::Recover, now, count)).transpose()?.flatten();
    let changes = change.into_iter().collect();
    committed(app, Batch { finishes: Some(job.clone()), changes, ..Batch::default() }).await
}

/// Commits a step; `false` if somebody changed the endpoint meanwhile.
pub(super) async fn committed(app: &App, batch: Batch) -> Result<bool, Fault> {
    match app.store.commit(batch).await {
        Ok(_) => Ok(true),
        Err(CommitError::Outdated) => Ok(false),
        Err(error) => Err(Fault::of_commit(error)),
    }
}
