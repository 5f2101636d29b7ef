//! One delivery: the event that it is about, every attempt that is still kept, and the way to have it sent again.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use countersign_core::{
    access::{Operation, Tenant, scopes_of},
    id::{EndpointId, MessageId},
    limits,
    refusal::Refusal,
};
use countersign_store::webhook_rows::AttemptRow;

use super::{
    astray,
    lines::{Badge, DeliveryLine, EndpointLine, outcome_words, visible},
    page_of, said_in_place,
};
use crate::{
    app::{App, Organization},
    console::{
        Moment, Said,
        desk::{self, Desk, Frame, Place, Tab, again},
        go,
        notice::NotShown,
        spoken,
    },
    fault::{Failure, Fault},
    signer::{
        assets::Assets,
        strict::{self, Caller, Id},
    },
    webhooks::{
        act::Act,
        again as sending,
        attempt::{self, RetryAfter},
        loaded,
    },
};

/// An attempt.
struct AttemptLine {
    id: String,
    at: Moment,
    took_ms: u32,
    status: Option<u16>,
    outcome: Badge,
    headers: Vec<(String, String)>,
    answer: String,
    retry_after: Option<RetryAfter>,
}

impl AttemptLine {
    fn of(organization: &Organization, row: &AttemptRow, is_test: bool) -> Result<Self, Fault> {
        let kept = attempt::kept(organization, row)?;
        Ok(Self {
            id: row.attempt.to_string(),
            at: row.at.into(),
            took_ms: row.took_ms,
            status: row.status,
            outcome: outcome_words(&row.outcome, is_test),
            headers: kept.headers.into_iter().map(|(name, value)| (name, visible(&value))).collect(),
            answer: visible(&kept.answer),
            retry_after: kept.retry_after.map(|asked| RetryAfter { value: visible(&asked.value), ..asked }),
        })
    }
}

#[derive(Template)]
#[template(path = "console/webhook_delivery.html")]
struct DeliveryPage {
    assets: Assets,
    frame: Frame,
    line: EndpointLine,
    here: String,
    delivery: DeliveryLine,
    attempts: Vec<AttemptLine>,
    may_send: bool,
    /// How often `Retry-After` is followed.
    most_followed: u32,
    error: Option<String>,
}

async fn page(
    app: &App,
    caller: &Caller,
    (desk, tenant): (&Desk, &Tenant),
    endpoint: EndpointId,
    message: MessageId,
) -> Result<DeliveryPage, NotShown> {
    let loaded = loaded::read(app, tenant, endpoint).await?;
    let row = app.store.delivery(tenant, endpoint, message).await.map_err(Fault::from)?;
    let delivery = DeliveryLine::of(&row.ok_or_else(Refusal::not_found)?, scopes_of(&desk.principal));
    let rows = app.store.attempts(tenant, endpoint, message).await.map_err(Fault::from)?;
    let mut attempts = Vec::new();
    for row in rows.iter().rev() {
        attempts.push(AttemptLine::of(&desk.organization, row, delivery.is_test)?);
    }
    Ok(DeliveryPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Webhooks).await?,
        line: EndpointLine::of(&loaded, app.now(), scopes_of(&desk.principal)),
        here: page_of(desk.place, endpoint),
        may_send: desk.may(Operation::ResendDelivery) && loaded.condition.standing.is_told(),
        delivery,
        attempts,
        most_followed: limits::WEBHOOK_RETRIES_AFTER,
        error: None,
    })
}

fn address(place: Place, endpoint: EndpointId, message: MessageId) -> String {
    format!("{}/deliveries/{message}", page_of(place, endpoint))
}

/// `GET /console/{organization}/{environment}/webhooks/{endpoint}/deliveries/{message}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    Id(message): Id<MessageId>,
) -> Result<Response, NotShown> {
    let desk = match desk::enter(&app, &caller, place, &address(place, endpoint, message)).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ReadDelivery)?;
    let shown = page(&app, &caller, (&desk, tenant), endpoint, message).await?;
    shown.frame.show(&shown)
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/deliveries/{message}/resend`
pub(super) async fn resend(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    Id(message): Id<MessageId>,
    strict::Form(super::forms::Nothing {}): strict::Form<super::forms::Nothing>,
) -> Result<Response, NotShown> {
    let here = address(place, endpoint, message);
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let resent = async {
        let tenant = desk.allow(&app, Operation::ResendDelivery)?;
        let circumstances = Desk::circumstances(&desk.principal, &caller);
        let act = Act { tenant, circumstances: &circumstances, keep: None };
        sending::resend(&app, &act, endpoint, message).await
    };
    match resent.await {
        Ok(_) => Ok(go(&here, vec![Said::WebhookResent.cookie()?])),
        Err(Failure::Refused(refusal)) if said_in_place(&refusal) => {
            let tenant = desk.allow(&app, Operation::ReadDelivery)?;
            let shown = page(&app, &caller, (&desk, tenant), endpoint, message).await?;
            again(&DeliveryPage { error: Some(spoken(&refusal)), ..shown }, &refusal)
        }
        Err(other) => astray(other, &here),
    }
}
