//! The pull: events as webhooks tell of them, for receivers behind a firewall. What is shown is what the credential may read.

use countersign_core::{
    access::Tenant,
    id::MessageId,
    refusal::{Code, Refusal},
    scope::Scopes,
    webhook::class::{Class, Payload, told},
};
use serde_json::value::RawValue;

use super::{
    attempt,
    feed::{self, Fed},
};
use crate::{
    app::App,
    fault::{Failure, Fault},
};

/// Events that are looked at for one page: those that the credential may not read make a page short, never slow.
const LOOKED_AT: usize = 1_000;

/// An event as a webhook tells of it.
pub(crate) struct Pulled {
    pub(crate) message: MessageId,
    pub(crate) class: Class,
    pub(crate) body: Box<RawValue>,
}

/// A page of them.
pub(crate) struct Page {
    pub(crate) events: Vec<Pulled>,
    /// Where in the log those are that cannot be read, of which nobody knows the class: whoever asks goes on behind them, and knows.
    pub(crate) unreadable: Vec<u64>,
    /// After which index of the log the next page is.
    pub(crate) next: Option<u64>,
    pub(crate) has_more: bool,
}

/// The events after an index of the log, as far as these scopes go.
pub(crate) async fn page(
    app: &App,
    tenant: &Tenant,
    scopes: Scopes,
    payload: Payload,
    after: Option<u64>,
    limit: usize,
) -> Result<Page, Failure> {
    let mut page = Page { events: Vec::new(), unreadable: Vec::new(), next: after, has_more: false };
    let fed = feed::after(app, tenant, after, LOOKED_AT + 1).await?;
    if fed.is_empty() {
        is_of_this_log(app, after).await?;
    }
    let is_longer = fed.len() > LOOKED_AT;
    for (looked_at, (index, read)) in fed.into_iter().enumerate() {
        if page.events.len() == limit || looked_at == LOOKED_AT {
            page.has_more = true;
            return Ok(page);
        }
        page.next = Some(index);
        let pulled = match read {
            Ok(fed) => pulled(app, fed, scopes, payload).await,
            Err(fault) => Err(fault),
        };
        match pulled {
            Ok(event) => page.events.extend(event),
            // What was changed in the database stays so. Anything else may be over at the next try, and would be lost.
            Err(fault @ Fault::Chain { .. }) => {
                if page.unreadable.is_empty() {
                    tracing::error!(event_type = "webhook.pull", event_result = "unreadable", fault = %fault, log_index = index);
                }
                page.unreadable.push(index);
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    page.has_more = is_longer;
    Ok(page)
}

/// An event as these scopes see it; `None` if they do not.
async fn pulled(app: &App, fed: Fed, scopes: Scopes, payload: Payload) -> Result<Option<Pulled>, Fault> {
    let Fed { message, class } = fed;
    let Some(payload) = told(class, payload, scopes) else { return Ok(None) };
    let body = attempt::body(app, &message, class, payload).await?;
    let body = String::from_utf8(body).ok().and_then(|text| RawValue::from_string(text).ok());
    let body = body.ok_or_else(|| Fault::Task("the body of a webhook is JSON".to_owned()))?;
    Ok(Some(Pulled { message: message.message, class, body }))
}

/// Refuses an index beyond the log: whoever went on from there would never see what comes until then.
async fn is_of_this_log(app: &App, after: Option<u64>) -> Result<(), Failure> {
    let size = app.store.checkpoint().await?.map_or(0, |(size, _)| size);
    if after.is_none_or(|after| after < size) {
        return Ok(());
    }
    let sentence = "`after` is beyond the end of the log: it is of another server, or of a time before this one was restored; begin \
                    again without it";
    Err(Refusal::new(Code::Invalid, sentence).into())
}
