//! The events of a tenant in the order of the log: for receivers that ask instead of being told, and for endpoints that were told
//! nothing.

use countersign_core::{access::Tenant, envelope::event_of_own, time::Time, webhook::class::Class};
use countersign_store::{
    rows::security_stream,
    webhook_rows::{FedEvent, NewMessage},
};

use super::announce;
use crate::{app::App, fault::Fault, security::reading};

/// An event of the feed: the message about it.
pub(crate) struct Fed {
    pub(crate) message: NewMessage,
    pub(crate) class: Class,
}

/// The events after an index of the log, each with where it is there, also one that cannot be read.
pub(crate) async fn after(
    app: &App,
    tenant: &Tenant,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Result<Fed, Fault>)>, Fault> {
    let rows = app.store.fed_events(tenant, after, limit).await?;
    rows.into_iter().map(|row| fed(tenant, &row)).collect()
}

/// Events after an index of the log, of which some may not be readable.
pub(crate) struct Readable {
    /// Those that are.
    pub(crate) events: Vec<Fed>,
    /// Where the last of all of them is; `None` if there was none.
    pub(crate) last: Option<u64>,
    /// Why others are not.
    pub(crate) unreadable: Vec<Fault>,
}

/// The same, sorted by whether they are.
pub(crate) async fn readable(
    app: &App,
    tenant: &Tenant,
    from: Option<u64>,
    limit: usize,
) -> Result<Readable, Fault> {
    let mut readable = Readable { events: Vec::new(), last: None, unreadable: Vec::new() };
    for (index, read) in after(app, tenant, from, limit).await? {
        readable.last = Some(index);
        match read {
            Ok(event) => readable.events.push(event),
            Err(fault) => readable.unreadable.push(fault),
        }
    }
    Ok(readable)
}

/// Where an event is in the log, and what it is.
fn fed(tenant: &Tenant, row: &FedEvent) -> Result<(u64, Result<Fed, Fault>), Fault> {
    let index = row.event.log_index.ok_or_else(|| Fault::Missing("the place of an event".to_owned()))?;
    Ok((index, read(tenant, row)))
}

fn read(tenant: &Tenant, row: &FedEvent) -> Result<Fed, Fault> {
    let hash = row.event.hash;
    if row.stream == security_stream(tenant) {
        let placed = reading::placed(tenant, &row.event)?;
        let class = Class::of_security(&placed.event.body);
        let message = announce::of_security(tenant, &placed.event, row.event.seq, hash);
        return Ok(Fed { message, class });
    }
    let event = event_of_own(&row.event.bytes)
        .map_err(|error| Fault::Chain { stream: row.stream.to_string(), reason: error.to_string() })?;
    Ok(Fed { message: announce::of_envelope(tenant, &event, hash), class: Class::of(&event.body) })
}

/// How far the clocks of several servers, and the waits before the log, may put events out of the order of their times.
const OUT_OF_ORDER_S: i64 = 3_600;

/// Events that are looked at together behind one that cannot be read.
const UNREADABLE_AT_ONCE: usize = 100;

/// The index after which all events since a moment are: found by halves, for nothing is sorted by time.
pub(crate) async fn index_before(app: &App, tenant: &Tenant, since: Time) -> Result<Option<u64>, Fault> {
    let since = since.plus_s(-OUT_OF_ORDER_S);
    let is_before = async |index: Option<u64>| -> Result<bool, Fault> {
        let next = first_readable(app, tenant, index).await?;
        Ok(next.is_some_and(|fed| fed.message.at < since))
    };
    // All before `low` are older; nothing that is wanted is before it.
    let (mut low, mut high) = (None, *app.log.watch().borrow());
    while low.map_or(0, |low: u64| low.saturating_add(1)) < high {
        let first = low.map_or(0, |low: u64| low.saturating_add(1));
        let middle = first + (high - first) / 2;
        if is_before(Some(middle)).await? {
            low = Some(middle);
        } else {
            high = middle;
        }
    }
    Ok(low)
}

async fn first_readable(app: &App, tenant: &Tenant, mut after: Option<u64>) -> Result<Option<Fed>, Fault> {
    let mut limit = 1;
    loop {
        let page = readable(app, tenant, after, limit).await?;
        if let Some(first) = page.events.into_iter().next() {
            return Ok(Some(first));
        }
        if page.last.is_none() {
            return Ok(None);
        }
        (after, limit) = (page.last, UNREADABLE_AT_ONCE);
    }
}

/// Whether no later event of the log is of before a moment.
pub(crate) fn is_past(message: &NewMessage, until: Time) -> bool {
    message.at > until.plus_s(OUT_OF_ORDER_S)
}
