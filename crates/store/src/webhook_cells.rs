//! Reads the rows of webhooks, as `cells` does for the others.

use countersign_core::{
    id::{AttemptId, CorrelationId, EndpointId, EnvelopeId, MessageId, WebhookKeyId, WorkerId},
    time::Time,
    webhook::{class::Class, containment::Holder, standing::BlockReason},
};

use crate::{
    cells::{Cells, event},
    fault::Fault,
    webhook_rows::{
        AttemptRow, BlockKey, BlockRow, Claimed, DeliveryRow, DeliveryState, EndpointRow, FedEvent,
        NewMessage, Taking, WebhookKeyRow,
    },
};

fn optional_time(cells: &impl Cells, column: &'static str) -> Result<Option<Time>, Fault> {
    Ok(cells.optional_number(column)?.map(Time::from_unix_ms))
}

/// The endpoint column.
pub(crate) fn endpoint_id(cells: &impl Cells) -> Result<EndpointId, Fault> {
    Ok(EndpointId::from_bytes(cells.fixed("endpoint")?))
}

/// The message column.
pub(crate) fn message_id(cells: &impl Cells) -> Result<MessageId, Fault> {
    Ok(MessageId::from_bytes(cells.fixed("message")?))
}

/// An event of a feed.
pub(crate) fn fed_event(cells: &impl Cells) -> Result<FedEvent, Fault> {
    Ok(FedEvent { stream: cells.envelope()?, event: event(cells)? })
}

/// A row of endpoints.
pub(crate) fn endpoint(cells: &impl Cells) -> Result<EndpointRow, Fault> {
    let takes = Taking::parse(&cells.text("takes")?);
    Ok(EndpointRow {
        tenant: cells.tenant()?,
        endpoint: endpoint_id(cells)?,
        settings: cells.bytes("settings")?,
        condition: cells.text("condition")?,
        classes: cells.number("classes")?,
        takes: takes.ok_or_else(|| cells.corrupt("takes", "it is nothing that an endpoint takes"))?,
        is_ordered: cells.flag("is_ordered")?,
        created_at: cells.time("created_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// A row of keys.
pub(crate) fn webhook_key(cells: &impl Cells) -> Result<WebhookKeyRow, Fault> {
    Ok(WebhookKeyRow {
        tenant: cells.tenant()?,
        endpoint: endpoint_id(cells)?,
        key: WebhookKeyId::from_bytes(cells.fixed("webhook_key")?),
        sealed: cells.bytes("sealed")?,
        public: cells.text("public")?,
        stage: cells.text("stage")?,
        created_at: cells.time("created_at")?,
        ended_at: optional_time(cells, "ended_at")?,
        version: cells.number("version")?,
    })
}

/// A row of blocks.
pub(crate) fn webhook_block(cells: &impl Cells) -> Result<BlockRow, Fault> {
    let is_everywhere = cells.bytes("organization")?.is_empty();
    let tenant = if is_everywhere { None } else { Some(cells.tenant()?) };
    let class = match cells.number::<u32>("class")? {
        0 => None,
        bit => {
            let class = Class::ALL.into_iter().find(|class| u32::from(class.bit()) == bit);
            Some(class.ok_or_else(|| cells.corrupt("class", "it is no class of events"))?)
        }
    };
    let holder = Holder::parse(&cells.text("holder")?);
    let holder = holder.ok_or_else(|| cells.corrupt("holder", "it is nobody who blocks"))?;
    let reason = BlockReason::parse(&cells.text("reason")?);
    let reason = reason.ok_or_else(|| cells.corrupt("reason", "it is no reason of a block"))?;
    let created_at = cells.time("created_at")?;
    Ok(BlockRow { key: BlockKey { tenant, class, holder }, reason, created_at })
}

/// A row of deliveries.
pub(crate) fn delivery(cells: &impl Cells) -> Result<DeliveryRow, Fault> {
    let message = NewMessage {
        tenant: cells.tenant()?,
        message: message_id(cells)?,
        stream: EnvelopeId::from_bytes(cells.fixed("stream")?),
        seq: cells.number("seq")?,
        kind: cells.text("kind")?,
        class: cells.number("class")?,
        at: cells.time("at")?,
        hash: cells.digest("hash")?,
        correlation: CorrelationId::from_bytes(cells.fixed("correlation")?),
    };
    let state = DeliveryState::parse(&cells.text("state")?);
    Ok(DeliveryRow {
        message,
        endpoint: endpoint_id(cells)?,
        sealed_body: cells.optional_bytes("sealed_body")?,
        state: state.ok_or_else(|| cells.corrupt("state", "it is no state of a delivery"))?,
        due_at: cells.time("due_at")?,
        attempt_count: cells.number("attempt_count")?,
        asked_count: cells.number("asked_count")?,
        signed_s: cells.optional_number("signed_s")?,
        is_ordered: cells.flag("is_ordered")?,
        worker: cells.optional_fixed("worker")?.map(WorkerId::from_bytes),
    })
}

/// A row of deliveries that was claimed.
pub(crate) fn claimed(cells: &impl Cells) -> Result<Claimed, Fault> {
    Ok(Claimed { row: delivery(cells)?, endpoint_version: cells.number("endpoint_version")? })
}

/// A row of attempts.
pub(crate) fn attempt(cells: &impl Cells) -> Result<AttemptRow, Fault> {
    Ok(AttemptRow {
        tenant: cells.tenant()?,
        attempt: AttemptId::from_bytes(cells.fixed("attempt")?),
        endpoint: endpoint_id(cells)?,
        message: message_id(cells)?,
        at: cells.time("at")?,
        took_ms: cells.number("took_ms")?,
        signed_s: cells.number("signed_s")?,
        status: cells.optional_number("status")?,
        outcome: cells.text("outcome")?,
        sealed: cells.bytes("sealed")?,
    })
}

/// What a worker took, in the order in which it was to be taken.
pub(crate) fn in_order(mut taken: Vec<Claimed>) -> Vec<Claimed> {
    // Those that were never tried have a lane of their own.
    taken.sort_by_key(|Claimed { row, .. }| {
        (row.attempt_count > 0, row.due_at, row.message.message, row.endpoint)
    });
    taken
}
