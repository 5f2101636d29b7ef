//! What is delivered to an endpoint, newest first, and the ways to have more of it sent again.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use countersign_core::{
    access::{Operation, Tenant, scopes_of},
    id::EndpointId,
    limits,
    refusal::{Code, Refusal},
    webhook::again::{Over, Wish},
};
use countersign_store::webhook_rows::{DeliveryQuery, DeliveryState};
use serde::Deserialize;

use super::{
    astray,
    forms::{SinceForm, minute},
    lines::{DELIVERY_STATES, DeliveryLine, EndpointLine},
    page_of, said_in_place,
};
use crate::{
    app::App,
    console::{
        Moment, Said,
        desk::{self, Desk, Frame, Place, Tab, again},
        go,
        notice::NotShown,
        read_query, spoken,
    },
    fault::{Failure, Fault},
    signer::{
        assets::Assets,
        strict::{self, Caller, Id},
    },
    webhooks::{act::Act, again as sending, loaded},
};

/// Deliveries on one page.
const PAGE: usize = 50;
const DAY_S: i64 = 24 * 3_600;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    state: Option<String>,
    envelope: Option<String>,
    before: Option<String>,
}

fn some(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

impl Query {
    fn wanted(&self) -> Result<DeliveryQuery, Refusal> {
        let state = some(self.state.as_deref()).map(|text| {
            DeliveryState::parse(text)
                .ok_or_else(|| Refusal::new(Code::Malformed, "choose one of the states"))
        });
        let stream = some(self.envelope.as_deref()).map(|text| {
            let sentence = "write the whole id of an envelope: `env_` and 26 letters and digits";
            text.parse().map_err(|_| Refusal::new(Code::Malformed, sentence))
        });
        let before = some(self.before.as_deref()).map(|text| text.parse().map_err(|_| Refusal::not_found()));
        Ok(DeliveryQuery {
            state: state.transpose()?,
            stream: stream.transpose()?,
            before: before.transpose()?,
            limit: PAGE + 1,
        })
    }
}

/// A state to choose.
struct StateChoice {
    text: &'static str,
    words: &'static str,
    is_chosen: bool,
}

/// What was sent again the last time.
struct Last {
    words: String,
    at: Moment,
}

impl Last {
    fn of(over: Over) -> Self {
        let words = match over.count {
            0 => "The last time there was nothing to send,".to_owned(),
            1 => "The last time it was one delivery,".to_owned(),
            count => format!("The last time it was {count} deliveries,"),
        };
        Self { words, at: over.at.into() }
    }
}

#[derive(Template)]
#[template(path = "console/webhook_deliveries.html")]
struct DeliveriesPage {
    assets: Assets,
    frame: Frame,
    line: EndpointLine,
    here: String,
    deliveries: Vec<DeliveryLine>,
    next: Option<String>,
    states: Vec<StateChoice>,
    envelope: String,
    is_filtered: bool,
    may_send: bool,
    recover_since: String,
    replay_since: String,
    days: i64,
    most: usize,
    /// Since when a recovery is under way, and a replay.
    recovering: Option<Moment>,
    replaying: Option<Moment>,
    recovered: Option<Last>,
    replayed: Option<Last>,
    error: Option<String>,
}

async fn page(
    app: &App,
    caller: &Caller,
    (desk, tenant): (&Desk, &Tenant),
    endpoint: EndpointId,
    query: &Query,
    wanted: &DeliveryQuery,
) -> Result<DeliveriesPage, NotShown> {
    let loaded = loaded::read(app, tenant, endpoint).await?;
    let mut rows = app.store.deliveries(tenant, endpoint, wanted).await.map_err(Fault::from)?;
    let has_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let here = format!("{}/deliveries", page_of(desk.place, endpoint));
    let next = rows.last().filter(|_| has_more).map(|last| {
        let mut address = format!("{here}?before={}", last.message.message);
        // What was read needs no escaping.
        let filter = [
            ("state", wanted.state.map(|state| state.text().to_owned())),
            ("envelope", wanted.stream.map(|id| id.to_string())),
        ];
        for (name, value) in filter.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            address.extend(["&", name, "=", value]);
        }
        address
    });
    let since = minute(app.now().plus_s(-DAY_S));
    Ok(DeliveriesPage {
        assets: Assets,
        frame: desk.frame(app, caller, Tab::Webhooks).await?,
        line: EndpointLine::of(&loaded, app.now(), scopes_of(&desk.principal)),
        here,
        deliveries: rows.iter().map(|row| DeliveryLine::of(row, scopes_of(&desk.principal))).collect(),
        next,
        states: DELIVERY_STATES
            .map(|(state, words)| StateChoice {
                text: state.text(),
                words,
                is_chosen: wanted.state == Some(state),
            })
            .into(),
        envelope: query.envelope.clone().unwrap_or_default(),
        is_filtered: some(query.state.as_deref()).is_some() || some(query.envelope.as_deref()).is_some(),
        may_send: desk.may(Operation::RecoverWebhookEndpoint) && loaded.condition.standing.is_told(),
        recover_since: since.clone(),
        replay_since: since,
        days: limits::WEBHOOK_REPLAYED_S / DAY_S,
        most: limits::WEBHOOK_AGAIN_A_DAY,
        recovering: loaded.condition.again.running(Wish::Recover).map(Moment::from),
        replaying: loaded.condition.again.running(Wish::Replay).map(Moment::from),
        recovered: loaded.condition.again.last(Wish::Recover).map(Last::of),
        replayed: loaded.condition.again.last(Wish::Replay).map(Last::of),
        error: None,
    })
}

/// `GET /console/{organization}/{environment}/webhooks/{endpoint}/deliveries`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    uri: Uri,
) -> Result<Response, NotShown> {
    let here = format!("{}/deliveries", page_of(place, endpoint));
    let desk = match desk::enter(&app, &caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let tenant = desk.allow(&app, Operation::ListDeliveries)?;
    let query: Query = read_query(&uri)?;
    match query.wanted() {
        Ok(wanted) => {
            let shown = page(&app, &caller, (&desk, tenant), endpoint, &query, &wanted).await?;
            shown.frame.show(&shown)
        }
        Err(refusal) if said_in_place(&refusal) => {
            // Nothing is listed under a filter that cannot be.
            let none = DeliveryQuery::default();
            let shown = page(&app, &caller, (&desk, tenant), endpoint, &query, &none).await?;
            let error = Some(spoken(&refusal));
            again(&DeliveriesPage { error, deliveries: Vec::new(), next: None, ..shown }, &refusal)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/deliveries/recover`
pub(super) async fn recover(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(form): strict::Form<SinceForm>,
) -> Result<Response, NotShown> {
    since(&app, &caller, (place, endpoint), Operation::RecoverWebhookEndpoint, form).await
}

/// `POST /console/{organization}/{environment}/webhooks/{endpoint}/deliveries/replay`
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    Id(endpoint): Id<EndpointId>,
    strict::Form(form): strict::Form<SinceForm>,
) -> Result<Response, NotShown> {
    since(&app, &caller, (place, endpoint), Operation::ReplayWebhookEndpoint, form).await
}

async fn since(
    app: &App,
    caller: &Caller,
    (place, endpoint): (Place, EndpointId),
    operation: Operation,
    form: SinceForm,
) -> Result<Response, NotShown> {
    let here = format!("{}/deliveries", page_of(place, endpoint));
    let desk = match desk::enter(app, caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let is_recovery = operation == Operation::RecoverWebhookEndpoint;
    let asked = async {
        let tenant = desk.allow(app, operation)?;
        let circumstances = Desk::circumstances(&desk.principal, caller);
        let act = Act { tenant, circumstances: &circumstances, keep: None };
        let since = form.time()?;
        if is_recovery {
            sending::recover(app, &act, endpoint, since).await
        } else {
            sending::replay(app, &act, endpoint, since).await
        }
    };
    match asked.await {
        Ok(_) => {
            let said = if is_recovery { Said::WebhookRecovered } else { Said::WebhookReplayed };
            Ok(go(&here, vec![said.cookie()?]))
        }
        Err(Failure::Refused(refusal)) if said_in_place(&refusal) => {
            let tenant = desk.allow(app, Operation::ListDeliveries)?;
            let wanted = DeliveryQuery { limit: PAGE + 1, ..DeliveryQuery::default() };
            let mut shown = page(app, caller, (&desk, tenant), endpoint, &Query::default(), &wanted).await?;
            let typed = if is_recovery { &mut shown.recover_since } else { &mut shown.replay_since };
            *typed = form.since;
            shown.error = Some(spoken(&refusal));
            again(&shown, &refusal)
        }
        Err(other) => astray(other, &here),
    }
}
