//! What somebody has sent again: one message, what failed since a time, or events of which the endpoint was told nothing. Each
//! is a job in the commit of its security event, so that it survives a restart.

use std::sync::Arc;

use countersign_core::{
    id::{EndpointId, MessageId},
    limits,
    refusal::{Code, Refusal},
    security::SecurityBody,
    time::Time,
    webhook::class::Class,
};
use countersign_store::{Batch, rows::Work, webhook_rows::DeliveryRow};

use super::{
    act::Act,
    loaded::{self, Loaded},
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
    let work = Work::SendAgain { endpoint, since: message, until: message, delivered: true };
    ask(app, act, &loaded, work, SecurityBody::WebhookResent { endpoint, message }).await?;
    Ok(found)
}

/// Has what failed since then sent again.
pub async fn recover(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    since: Time,
) -> Result<Arc<Loaded>, Failure> {
    let loaded = told(app, act, endpoint).await?;
    check_since(app, since)?;
    let work = Work::SendAgain {
        endpoint,
        since: MessageId::new(since, [0; 10]),
        until: MessageId::new(app.now(), [u8::MAX; 10]),
        delivered: false,
    };
    ask(app, act, &loaded, work, SecurityBody::WebhookRecovered { endpoint, since }).await?;
    Ok(loaded)
}

/// Has events since then sent of which the endpoint was told nothing.
pub async fn replay(
    app: &App,
    act: &Act<'_>,
    endpoint: EndpointId,
    since: Time,
) -> Result<Arc<Loaded>, Failure> {
    let loaded = told(app, act, endpoint).await?;
    check_since(app, since)?;
    let work = Work::ReplayEvents { endpoint, since, until: app.now(), after: None };
    ask(app, act, &loaded, work, SecurityBody::WebhookReplayed { endpoint, since }).await?;
    Ok(loaded)
}

async fn told(app: &App, act: &Act<'_>, endpoint: EndpointId) -> Result<Arc<Loaded>, Failure> {
    let loaded = loaded::read(app, act.tenant, endpoint).await?;
    if !loaded.condition.standing.is_told() {
        let sentence = "nothing is sent to an endpoint that is not active: activate it first";
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
    loaded: &Loaded,
    work: Work,
    body: SecurityBody,
) -> Result<(), Failure> {
    let mut batch = Batch { jobs: vec![act.job(app, work)], ..Batch::default() };
    security::record(app, act.tenant, act.circumstances, body, &mut batch).await?;
    batch.answers = act.keep.map(|keep| keep(loaded)).transpose()?;
    app.store.commit(batch).await.map_err(Fault::of_commit)?;
    Ok(())
}
