//! Webhooks on SQLite: what batches write, what is read, and the work of delivering.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    id::{AttemptId, EndpointId, EnvelopeId, MessageId, WorkerId},
    time::Time,
};
use rusqlite::{Connection, params};

use super::{
    Sqlite,
    apply::tenant as owner,
    row::{execute, fault, first, rows},
    webhook_sql as sql,
};
use crate::{
    batch::CommitError,
    cells::{self, Cells as _, signed},
    fault::Fault,
    limits::{FREED_DELIVERIES, workers_forgotten_before},
    webhook_cells,
    webhook_rows::{
        AttemptRow, BlockKey, BlockRow, Claimed, DeliveryClaim, DeliveryMove, DeliveryQuery, DeliveryRow,
        DeliveryState, EndpointRow, FedEvent, NewMessage, Settlement, WebhookKeyRow,
    },
    webhooks::WebhookStore,
};

/// Never tried, and tried before: the lanes that are read by due time.
const FRESH: i64 = 0;
const AGAIN: i64 = 1;

fn ms(at: Option<Time>) -> Option<i64> {
    at.map(Time::unix_ms)
}

pub(super) fn add_endpoint(connection: &Connection, row: &EndpointRow) -> Result<usize, Fault> {
    let (organization, environment) = owner(&row.tenant);
    let values = params![
        row.endpoint.as_bytes(),
        organization,
        environment,
        row.settings,
        row.condition,
        row.classes,
        row.takes.text(),
        row.is_ordered,
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_ENDPOINT, values)
}

pub(super) fn change_endpoint(connection: &Connection, row: &EndpointRow) -> Result<usize, Fault> {
    let (organization, environment) = owner(&row.tenant);
    let values = params![
        row.endpoint.as_bytes(),
        organization,
        environment,
        row.created_at.unix_ms(),
        signed(row.version)? - 1,
        row.settings,
        row.condition,
        row.classes,
        row.takes.text(),
        row.is_ordered,
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_ENDPOINT, values)
}

pub(super) fn add_key(connection: &Connection, row: &WebhookKeyRow) -> Result<usize, Fault> {
    let (organization, environment) = owner(&row.tenant);
    let values = params![
        row.key.as_bytes(),
        organization,
        environment,
        row.endpoint.as_bytes(),
        row.sealed,
        row.public,
        row.stage,
        row.created_at.unix_ms(),
        ms(row.ended_at),
        signed(row.version)?
    ];
    execute(connection, sql::ADD_WEBHOOK_KEY, values)
}

pub(super) fn change_key(connection: &Connection, row: &WebhookKeyRow) -> Result<usize, Fault> {
    let (organization, environment) = owner(&row.tenant);
    let values = params![
        row.key.as_bytes(),
        organization,
        environment,
        row.endpoint.as_bytes(),
        row.created_at.unix_ms(),
        signed(row.version)? - 1,
        row.sealed,
        row.public,
        row.stage,
        ms(row.ended_at)
    ];
    execute(connection, sql::CHANGE_WEBHOOK_KEY, values)
}

pub(super) fn add_block(connection: &Connection, row: &BlockRow) -> Result<usize, Fault> {
    let (organization, environment, class, holder) = row.key.columns();
    let values =
        params![organization, environment, class, holder, row.reason.text(), row.created_at.unix_ms()];
    execute(connection, sql::ADD_WEBHOOK_BLOCK, values)
}

pub(super) fn remove_block(connection: &Connection, key: &BlockKey) -> Result<usize, Fault> {
    let (organization, environment, class, holder) = key.columns();
    execute(connection, sql::REMOVE_WEBHOOK_BLOCK, params![organization, environment, class, holder])
}

pub(super) fn add_delivery(connection: &Connection, row: &DeliveryRow) -> Result<usize, Fault> {
    let (organization, environment) = owner(&row.message.tenant);
    let values = params![
        row.endpoint.as_bytes(),
        row.message.message.as_bytes(),
        organization,
        environment,
        row.message.stream.as_bytes(),
        signed(row.message.seq)?,
        row.message.kind,
        row.message.class,
        row.message.at.unix_ms(),
        row.message.hash.0,
        row.message.correlation.as_bytes(),
        row.sealed_body,
        row.state.text(),
        row.due_at.unix_ms(),
        row.attempt_count,
        row.signed_s
    ];
    execute(connection, sql::ADD_DELIVERY, values)
}

/// Makes the deliveries of events.
pub(super) fn announce(connection: &Connection, messages: &[NewMessage]) -> Result<(), Fault> {
    for message in messages {
        let (organization, environment) = owner(&message.tenant);
        let values = params![
            organization,
            environment,
            message.message.as_bytes(),
            message.stream.as_bytes(),
            signed(message.seq)?,
            message.kind,
            message.class,
            message.at.unix_ms(),
            message.hash.0,
            message.correlation.as_bytes()
        ];
        execute(connection, sql::ANNOUNCE, values)?;
    }
    Ok(())
}

/// Writes what became of deliveries.
pub(super) fn settle(connection: &Connection, settlements: &[Settlement]) -> Result<(), CommitError> {
    for one in settlements {
        let values = params![
            one.endpoint.as_bytes(),
            one.message.as_bytes(),
            one.worker.as_bytes(),
            one.state.text(),
            one.due_at.unix_ms(),
            i64::from(one.attempt.is_some()),
            one.attempt.as_ref().map(|attempt| attempt.signed_s),
            i64::from(one.is_asked)
        ];
        if execute(connection, sql::SETTLE, values)? == 0 {
            return Err(CommitError::LeaseLost);
        }
        if let Some(attempt) = &one.attempt {
            add_attempt(connection, attempt)?;
        }
    }
    Ok(())
}

pub(super) fn add_attempt(connection: &Connection, row: &AttemptRow) -> Result<usize, Fault> {
    let (organization, environment) = owner(&row.tenant);
    let values = params![
        row.attempt.as_bytes(),
        organization,
        environment,
        row.endpoint.as_bytes(),
        row.message.as_bytes(),
        row.at.unix_ms(),
        row.took_ms,
        row.signed_s,
        row.status,
        row.outcome,
        row.sealed
    ];
    execute(connection, sql::ADD_ATTEMPT, values)
}

type Place = ([u8; 16], [u8; 16]);

fn place(row: &super::row::SqliteCells<'_>) -> Result<Place, Fault> {
    Ok((row.fixed("endpoint")?, row.fixed("message")?))
}

// Reads until enough are found: those of endpoints that are full are passed over.
fn waiting_in_lane(
    connection: &Connection,
    lane: i64,
    now: Time,
    full: &[EndpointId],
    most: usize,
) -> Result<Vec<Place>, Fault> {
    let mut statement = connection.prepare_cached(sql::WAITING_IN_LANE).map_err(fault)?;
    let mut found = statement.query(params![lane, now.unix_ms()]).map_err(fault)?;
    let mut places = Vec::new();
    while places.len() < most
        && let Some(row) = found.next().map_err(fault)?
    {
        let at: Place = (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?);
        if full.iter().all(|endpoint| *endpoint.as_bytes() != at.0) {
            places.push(at);
        }
    }
    Ok(places)
}

fn claim(
    connection: &Connection,
    worker: WorkerId,
    now: Time,
    claim: &DeliveryClaim,
) -> Result<Vec<Claimed>, Fault> {
    let alive = params![worker.as_bytes(), now.unix_ms()];
    if first(connection, "workers", sql::IS_ALIVE, alive, |_| Ok(()))?.is_none() {
        return Ok(Vec::new());
    }
    let take = |places: Vec<Place>| -> Result<Vec<Claimed>, Fault> {
        let taken = places.into_iter().filter_map(|(endpoint, message)| {
            let values = params![endpoint, message, worker.as_bytes()];
            let row = first(connection, "deliveries", sql::TAKE_DELIVERY, values, |row| {
                webhook_cells::claimed(row)
            });
            row.transpose()
        });
        taken.collect()
    };
    let mut taken = take(waiting_in_lane(connection, FRESH, now, &claim.full, claim.fresh)?)?;
    taken.extend(take(waiting_in_lane(connection, AGAIN, now, &claim.full, claim.again)?)?);
    for (endpoint, most) in &claim.shelved {
        let asked = params![endpoint.as_bytes(), now.unix_ms(), cells::limit(*most)];
        taken.extend(take(rows(connection, "deliveries", sql::WAITING_OF_ENDPOINT, asked, place)?)?);
    }
    Ok(taken)
}

fn shelve(
    connection: &Connection,
    endpoint: EndpointId,
    shelved: bool,
    limit: usize,
) -> Result<usize, Fault> {
    execute(connection, sql::SET_SHELVED, params![endpoint.as_bytes(), shelved])?;
    execute(connection, sql::MOVE_LANE, params![endpoint.as_bytes(), shelved, cells::limit(limit)])
}

#[async_trait]
impl WebhookStore for Sqlite {
    async fn endpoint(&self, tenant: &Tenant, endpoint: EndpointId) -> Result<Option<EndpointRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let asked = params![organization, environment, endpoint.as_bytes()];
            first(connection, "endpoints", sql::ENDPOINT, asked, |row| webhook_cells::endpoint(row))
        })
        .await
    }

    async fn endpoints(
        &self,
        tenant: &Tenant,
        before: Option<EndpointId>,
        limit: usize,
    ) -> Result<Vec<EndpointRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.read(move |connection| {
            let before = before.as_ref().map(EndpointId::as_bytes);
            let asked = params![organization, environment, before, cells::limit(limit)];
            rows(connection, "endpoints", sql::ENDPOINTS, asked, |row| webhook_cells::endpoint(row))
        })
        .await
    }

    async fn webhook_keys(&self, endpoint: EndpointId) -> Result<Vec<WebhookKeyRow>, Fault> {
        self.look_up(move |connection| {
            let asked = params![endpoint.as_bytes()];
            rows(connection, "webhook_keys", sql::WEBHOOK_KEYS, asked, |row| webhook_cells::webhook_key(row))
        })
        .await
    }

    async fn webhook_blocks(&self, tenant: Option<&Tenant>) -> Result<Vec<BlockRow>, Fault> {
        let of = tenant.map(owner);
        self.look_up(move |connection| {
            let read = |row: &super::row::SqliteCells<'_>| webhook_cells::webhook_block(row);
            let table = "webhook_blocks";
            match of {
                Some((organization, environment)) => {
                    rows(connection, table, sql::WEBHOOK_BLOCKS_OF, params![organization, environment], read)
                }
                None => rows(connection, table, sql::WEBHOOK_BLOCKS, [], read),
            }
        })
        .await
    }

    async fn delivery(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Option<DeliveryRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.look_up(move |connection| {
            let asked = params![organization, environment, endpoint.as_bytes(), message.as_bytes()];
            first(connection, "deliveries", sql::DELIVERY, asked, |row| webhook_cells::delivery(row))
        })
        .await
    }

    async fn deliveries(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        query: &DeliveryQuery,
    ) -> Result<Vec<DeliveryRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let query = query.clone();
        self.read(move |connection| {
            let endpoint = endpoint.as_bytes();
            let before = query.before.as_ref().map(MessageId::as_bytes);
            let state = query.state.map(DeliveryState::text);
            let stream = query.stream.as_ref().map(EnvelopeId::as_bytes);
            let limit = cells::limit(query.limit);
            let read = |row: &super::row::SqliteCells<'_>| webhook_cells::delivery(row);
            let table = "deliveries";
            match (stream, state) {
                (Some(stream), state) => {
                    let asked = params![organization, environment, endpoint, before, limit, state, stream];
                    rows(connection, table, sql::DELIVERIES_OF_STREAM, asked, read)
                }
                (None, Some(state)) => {
                    let asked = params![organization, environment, endpoint, before, limit, state];
                    rows(connection, table, sql::DELIVERIES_BY_STATE, asked, read)
                }
                (None, None) => {
                    let asked = params![organization, environment, endpoint, before, limit];
                    rows(connection, table, sql::DELIVERIES, asked, read)
                }
            }
        })
        .await
    }

    async fn attempts(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Vec<AttemptRow>, Fault> {
        let (organization, environment) = owner(tenant);
        self.read(move |connection| {
            let asked = params![organization, environment, endpoint.as_bytes(), message.as_bytes()];
            rows(connection, "attempts", sql::ATTEMPTS, asked, |row| webhook_cells::attempt(row))
        })
        .await
    }

    async fn fed_events(
        &self,
        tenant: &Tenant,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<FedEvent>, Fault> {
        let (organization, environment) = owner(tenant);
        let after = after.map(signed).transpose()?.unwrap_or(-1);
        self.read(move |connection| {
            let page = params![organization, environment, after, cells::limit(limit)];
            rows(connection, "events", sql::FED_EVENTS, page, |row| webhook_cells::fed_event(row))
        })
        .await
    }

    async fn beat(&self, worker: WorkerId, now: Time, until: Time) -> Result<bool, Fault> {
        let beat = move |connection: &Connection| -> Result<bool, Fault> {
            let values = params![worker.as_bytes(), now.unix_ms(), until.unix_ms()];
            let lives = execute(connection, sql::BEAT, values)? > 0;
            let most = cells::limit(FREED_DELIVERIES);
            execute(connection, sql::FREE_DEAD, params![now.unix_ms(), most])?;
            execute(connection, sql::FORGET_WORKERS, params![workers_forgotten_before(now).unix_ms()])?;
            Ok(lives)
        };
        self.writer.write(beat).await
    }

    async fn claim_deliveries(
        &self,
        worker: WorkerId,
        now: Time,
        asked: &DeliveryClaim,
    ) -> Result<Vec<Claimed>, Fault> {
        let asked = asked.clone();
        self.writer.write(move |connection| claim(connection, worker, now, &asked)).await
    }

    async fn next_delivery_due(&self) -> Result<Option<Time>, Fault> {
        self.look_up(|connection| {
            let due = first(connection, "deliveries", sql::NEXT_DELIVERY_DUE, [], |row| {
                row.optional_number("due_at")
            })?;
            Ok(due.flatten().map(Time::from_unix_ms))
        })
        .await
    }

    async fn shelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault> {
        self.writer.write(move |connection| shelve(connection, endpoint, true, limit)).await
    }

    async fn unshelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault> {
        self.writer.write(move |connection| shelve(connection, endpoint, false, limit)).await
    }

    async fn shelved(&self, most: usize) -> Result<Vec<(EndpointId, usize)>, Fault> {
        self.read(move |connection| {
            rows(connection, "endpoints", sql::SHELVED, params![cells::limit(most)], |row| {
                Ok((webhook_cells::endpoint_id(row)?, row.number("waiting")?))
            })
        })
        .await
    }

    async fn move_deliveries(&self, tenant: &Tenant, moves: &DeliveryMove) -> Result<usize, Fault> {
        let ((organization, environment), moves) = (owner(tenant), *moves);
        let work = move |connection: &Connection| {
            let values = params![
                moves.endpoint.as_bytes(),
                organization,
                moves.from.text(),
                moves.to.text(),
                moves.since.as_bytes(),
                moves.due_at.unix_ms(),
                cells::limit(moves.limit),
                environment,
                moves.until.as_bytes(),
                moves.over_before.unix_ms(),
                moves.classes.bits()
            ];
            execute(connection, sql::MOVE_DELIVERIES, values)
        };
        self.writer.write(work).await
    }

    async fn wait_for_deliveries(&self, timeout_ms: u64) {
        self.work.wait_for_deliveries(timeout_ms).await;
    }

    async fn sweep_deliveries(&self, before: Time, limit: usize) -> Result<usize, Fault> {
        let work = move |connection: &Connection| -> Result<usize, Fault> {
            let (first, limit) = (AttemptId::new(before, [0; 10]), cells::limit(limit));
            let attempts = execute(connection, sql::SWEEP_ATTEMPTS, params![first.as_bytes(), limit])?;
            let over = execute(connection, sql::SWEEP_DELIVERIES, params![before.unix_ms(), limit])?;
            Ok(attempts + over + execute(connection, sql::SWEEP_SHELF, params![limit])?)
        };
        self.writer.write(work).await
    }
}
