//! What batches write of webhooks, as calls.

use countersign_core::{access::Tenant, time::Time};

use super::{
    batch::{Step, Unmet, columns, tenant},
    connection::{Call, call},
    webhook_sql as sql,
};
use crate::{
    batch::Batch,
    cells::signed,
    fault::Fault,
    webhook_rows::{
        AttemptRow, BlockKey, BlockRow, DeliveryRow, EndpointRow, NewMessage, Settlement, WebhookKeyRow,
    },
};

fn organization(tenant: &Tenant) -> Vec<u8> {
    tenant.organization().as_bytes().to_vec()
}

fn ms(at: Option<Time>) -> Option<i64> {
    at.map(Time::unix_ms)
}

pub(super) fn add_endpoint(row: &EndpointRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::ADD_ENDPOINT,
        row.endpoint.as_bytes().to_vec(),
        organization,
        environment,
        row.settings.clone(),
        row.condition.clone(),
        i64::from(row.classes),
        row.takes.text(),
        row.is_ordered,
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ))
}

pub(super) fn change_endpoint(row: &EndpointRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::CHANGE_ENDPOINT,
        row.endpoint.as_bytes().to_vec(),
        organization,
        environment,
        row.created_at.unix_ms(),
        signed(row.version)? - 1,
        row.settings.clone(),
        row.condition.clone(),
        i64::from(row.classes),
        row.takes.text(),
        row.is_ordered,
        ms(row.ended_at)
    ))
}

pub(super) fn add_key(row: &WebhookKeyRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::ADD_WEBHOOK_KEY,
        row.key.as_bytes().to_vec(),
        organization,
        environment,
        row.endpoint.as_bytes().to_vec(),
        row.sealed.clone(),
        row.public.clone(),
        row.stage.clone(),
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ))
}

pub(super) fn change_key(row: &WebhookKeyRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.tenant);
    Ok(call!(
        sql::CHANGE_WEBHOOK_KEY,
        row.key.as_bytes().to_vec(),
        organization,
        environment,
        row.endpoint.as_bytes().to_vec(),
        row.created_at.unix_ms(),
        signed(row.version)? - 1,
        row.sealed.clone(),
        row.public.clone(),
        row.stage.clone(),
        ms(row.ended_at)
    ))
}

pub(super) fn add_block(row: &BlockRow) -> Call {
    let (organization, environment, class, holder) = row.key.columns();
    let (reason, created_at) = (row.reason.text(), row.created_at.unix_ms());
    call!(sql::ADD_WEBHOOK_BLOCK, organization, environment, class, holder, reason, created_at)
}

pub(super) fn remove_block(key: &BlockKey) -> Call {
    let (organization, environment, class, holder) = key.columns();
    call!(sql::REMOVE_WEBHOOK_BLOCK, organization, environment, class, holder)
}

pub(super) fn add_delivery(row: &DeliveryRow) -> Result<Call, Fault> {
    let (organization, environment) = tenant(&row.message.tenant);
    Ok(call!(
        sql::ADD_DELIVERY,
        row.endpoint.as_bytes().to_vec(),
        row.message.message.as_bytes().to_vec(),
        organization,
        environment,
        row.message.stream.as_bytes().to_vec(),
        signed(row.message.seq)?,
        row.message.kind.clone(),
        i64::from(row.message.class),
        row.message.at.unix_ms(),
        row.message.hash.0.to_vec(),
        row.message.correlation.as_bytes().to_vec(),
        row.sealed_body.clone(),
        row.state.text(),
        row.due_at.unix_ms(),
        i64::from(row.attempt_count),
        row.signed_s
    ))
}

/// Makes the deliveries of events, of a whole group at once.
pub(super) fn announce(group: &[&Batch], steps: &mut Vec<Step<'_>>) -> Result<(), Fault> {
    let mut rows: Vec<(&NewMessage, i64)> = Vec::new();
    for message in group.iter().flat_map(|batch| &batch.messages) {
        rows.push((message, signed(message.seq)?));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let call = columns!(
        sql::ANNOUNCE,
        rows,
        |(message, _)| organization(&message.tenant),
        |(message, _)| message.tenant.environment().text(),
        |(message, _)| message.message.as_bytes().to_vec(),
        |(message, _)| message.stream.as_bytes().to_vec(),
        |(_, seq)| *seq,
        |(message, _)| message.kind.clone(),
        |(message, _)| i64::from(message.class),
        |(message, _)| message.at.unix_ms(),
        |(message, _)| message.hash.0.to_vec(),
        |(message, _)| message.correlation.as_bytes().to_vec(),
    );
    steps.push(Step { call, must: None });
    Ok(())
}

/// Writes what became of deliveries, of a whole group at once.
pub(super) fn settle(group: &[&Batch], steps: &mut Vec<Step<'_>>) {
    let mut rows: Vec<&Settlement> = group.iter().flat_map(|batch| &batch.settles).collect();
    if rows.is_empty() {
        return;
    }
    // All servers take the locks in the same order.
    rows.sort_by_key(|row| (row.endpoint, row.message));
    let call = columns!(
        sql::SETTLE,
        rows,
        |row| row.endpoint.as_bytes().to_vec(),
        |row| row.message.as_bytes().to_vec(),
        |row| row.worker.as_bytes().to_vec(),
        |row| row.state.text(),
        |row| row.due_at.unix_ms(),
        |row| i64::from(row.attempt.is_some()),
        |row| row.attempt.as_ref().map(|attempt| attempt.signed_s),
        |row| i64::from(row.is_asked),
    );
    let all = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    steps.push(Step { call, must: Some((all, Unmet::Lease)) });
    let attempts: Vec<&AttemptRow> = rows.iter().filter_map(|row| row.attempt.as_ref()).collect();
    if attempts.is_empty() {
        return;
    }
    steps.push(Step { call: add_attempts(&attempts), must: None });
}

pub(super) fn add_attempts(rows: &[&AttemptRow]) -> Call {
    columns!(
        sql::ADD_ATTEMPTS,
        rows,
        |row| row.attempt.as_bytes().to_vec(),
        |row| organization(&row.tenant),
        |row| row.tenant.environment().text(),
        |row| row.endpoint.as_bytes().to_vec(),
        |row| row.message.as_bytes().to_vec(),
        |row| row.at.unix_ms(),
        |row| i64::from(row.took_ms),
        |row| row.signed_s,
        |row| row.status.map(i64::from),
        |row| row.outcome.clone(),
        |row| row.sealed.clone(),
    )
}
