//! What blocks webhooks besides the state of their endpoint (M-3): seen, set and taken away on the page of all endpoints.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use countersign_core::{
    access::{Operation, Tenant},
    refusal::Refusal,
    webhook::{class::Class, containment::Holder, standing::BlockReason},
};
use countersign_store::webhook_rows::BlockRow;
use serde::Deserialize;

use super::{
    astray,
    forms::unreadable,
    lines::{block_words, class_name},
    list_page, said_in_place,
};
use crate::{
    app::App,
    console::{
        Moment, Said,
        desk::{self, Desk, Place, again},
        go,
        notice::NotShown,
        spoken,
    },
    fault::{Failure, Fault},
    signer::strict::{self, Caller},
    webhooks::containment,
};

/// What the page says of blocks.
pub(super) struct Blocks {
    pub(super) lines: Vec<BlockLine>,
    pub(super) may_block: bool,
    /// What there is to block.
    pub(super) choices: Vec<(&'static str, &'static str)>,
    pub(super) reasons: Vec<(&'static str, &'static str)>,
}

/// A block.
pub(super) struct BlockLine {
    /// What it stops, in words.
    pub(super) what: &'static str,
    /// What its form sends.
    pub(super) class: &'static str,
    pub(super) because: &'static str,
    pub(super) since: Moment,
    /// Whether the operator of the server set it.
    pub(super) is_operators: bool,
}

impl BlockLine {
    fn of(row: &BlockRow) -> Self {
        let what = match (row.key.tenant, row.key.class) {
            (_, Some(class)) => class_name(class),
            (Some(_), None) => "All webhooks",
            (None, None) => "All webhooks of this server",
        };
        Self {
            what,
            class: row.key.class.map_or("", Class::text),
            because: block_words(row.reason),
            since: row.created_at.into(),
            is_operators: row.key.holder == Holder::Operator,
        }
    }
}

impl Blocks {
    pub(super) async fn of(app: &App, desk: &Desk, tenant: &Tenant) -> Result<Self, Fault> {
        let rows = containment::of(app, tenant).await?;
        let is_own = |class: Option<Class>| {
            rows.iter().any(|row| row.key.holder == Holder::Organization && row.key.class == class)
        };
        let classes = Class::ALL.into_iter().filter(|class| *class != Class::Test);
        let all = std::iter::once((None, ("", "All webhooks")));
        let choices = all.chain(classes.map(|class| (Some(class), (class.text(), class_name(class)))));
        Ok(Self {
            lines: rows.iter().map(BlockLine::of).collect(),
            may_block: desk.may(Operation::BlockWebhooks),
            choices: choices.filter(|(class, _)| !is_own(*class)).map(|(_, choice)| choice).collect(),
            reasons: BlockReason::ALL.map(|reason| (reason.text(), block_words(reason))).into(),
        })
    }
}

/// What to block, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlocksForm {
    class: String,
    reason: String,
}

/// What to release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseForm {
    class: String,
}

fn class(text: &str) -> Result<Option<Class>, Refusal> {
    match text {
        "" => Ok(None),
        text => Class::parse(text).map(Some).ok_or_else(unreadable),
    }
}

/// `POST /console/{organization}/{environment}/webhooks/block`
pub(super) async fn block(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(form): strict::Form<BlocksForm>,
) -> Result<Response, NotShown> {
    let asked = class(&form.class).and_then(|class| {
        let reason = BlockReason::parse(&form.reason).ok_or_else(unreadable)?;
        Ok((class, Some(reason)))
    });
    done(&app, &caller, place, asked).await
}

/// `POST /console/{organization}/{environment}/webhooks/release`
pub(super) async fn release(
    State(app): State<Arc<App>>,
    caller: Caller,
    place: Place,
    strict::Form(form): strict::Form<ReleaseForm>,
) -> Result<Response, NotShown> {
    done(&app, &caller, place, class(&form.class).map(|class| (class, None))).await
}

/// Blocks where there is a reason, and else releases; leads back to the page with a word about it.
async fn done(
    app: &App,
    caller: &Caller,
    place: Place,
    asked: Result<(Option<Class>, Option<BlockReason>), Refusal>,
) -> Result<Response, NotShown> {
    let here = place.page("/webhooks");
    let desk = match desk::enter(app, caller, place, &here).await? {
        Ok(desk) => desk,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let ran = async {
        let (class, reason) = asked?;
        let circumstances = Desk::circumstances(&desk.principal, caller);
        if let Some(reason) = reason {
            let tenant = desk.allow(app, Operation::BlockWebhooks)?;
            containment::block(app, tenant, &circumstances, class, reason, None).await?;
            return Ok(Said::WebhooksBlocked);
        }
        let tenant = desk.allow(app, Operation::ReleaseWebhooks)?;
        containment::release(app, tenant, &circumstances, class, None).await?;
        Ok(Said::WebhooksReleased)
    };
    match ran.await {
        Ok(said) => Ok(go(&here, vec![said.cookie()?])),
        Err(Failure::Refused(refusal)) if said_in_place(&refusal) => {
            let mut page = list_page(app, caller, &desk, None).await?;
            page.error = Some(spoken(&refusal));
            again(&page, &refusal)
        }
        Err(other) => astray(other, &here),
    }
}
