//! Webhooks on PostgreSQL: what is read, and the work of delivering.

use async_trait::async_trait;
use countersign_core::{
    access::Tenant,
    id::{AttemptId, EndpointId, MessageId, WorkerId},
    time::Time,
};
use futures_util::future::try_join_all;

use super::{
    Postgres,
    batch::tenant as owner,
    connection::{self, Call, PostgresCells, call, execute, fault},
    webhook_sql as sql,
};
use crate::{
    cells::{self, Cells as _, signed},
    fault::Fault,
    limits::{FREED_DELIVERIES, workers_forgotten_before},
    webhook_cells,
    webhook_rows::{
        AttemptRow, BlockRow, Claimed, DeliveryClaim, DeliveryMove, DeliveryQuery, DeliveryRow,
        DeliveryState, EndpointRow, FedEvent, WebhookKeyRow,
    },
    webhooks::WebhookStore,
};

impl Postgres {
    // What a worker took.
    async fn taken(&self, call: Call) -> Result<Vec<Claimed>, Fault> {
        let rows = self.once(call).await?;
        let read = |row| webhook_cells::claimed(&PostgresCells::new("deliveries", row));
        Ok(webhook_cells::in_order(rows.iter().map(read).collect::<Result<_, _>>()?))
    }

    async fn changed(&self, calls: &[Call]) -> Result<Vec<u64>, Fault> {
        let client = connection::connection(&self.keyed).await?;
        let changed = try_join_all(calls.iter().map(|call| execute(&client, call))).await;
        changed.map_err(|error| fault(&error))
    }

    async fn set_shelved(&self, endpoint: EndpointId, shelved: bool, limit: usize) -> Result<usize, Fault> {
        let endpoint = endpoint.as_bytes().to_vec();
        let calls = [
            call!(sql::SET_SHELVED, endpoint.clone(), shelved),
            call!(sql::MOVE_LANE, endpoint, shelved, cells::limit(limit)),
        ];
        Ok(self.changed(&calls).await?.last().map_or(0, |moved| count(*moved)))
    }
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

#[async_trait]
impl WebhookStore for Postgres {
    async fn endpoint(&self, tenant: &Tenant, endpoint: EndpointId) -> Result<Option<EndpointRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(sql::ENDPOINT, organization, environment, endpoint.as_bytes().to_vec());
        self.first("endpoints", call, |row| webhook_cells::endpoint(row)).await
    }

    async fn endpoints(
        &self,
        tenant: &Tenant,
        before: Option<EndpointId>,
        limit: usize,
    ) -> Result<Vec<EndpointRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let before = before.map(|endpoint| endpoint.as_bytes().to_vec());
        let call = call!(sql::ENDPOINTS, organization, environment, before, cells::limit(limit));
        self.list("endpoints", call, |row| webhook_cells::endpoint(row)).await
    }

    async fn webhook_keys(&self, endpoint: EndpointId) -> Result<Vec<WebhookKeyRow>, Fault> {
        let call = call!(sql::WEBHOOK_KEYS, endpoint.as_bytes().to_vec());
        self.rows("webhook_keys", call, |row| webhook_cells::webhook_key(row)).await
    }

    async fn webhook_blocks(&self, tenant: Option<&Tenant>) -> Result<Vec<BlockRow>, Fault> {
        let call = match tenant.map(owner) {
            Some((organization, environment)) => call!(sql::WEBHOOK_BLOCKS_OF, organization, environment),
            None => call!(sql::WEBHOOK_BLOCKS),
        };
        self.rows("webhook_blocks", call, |row| webhook_cells::webhook_block(row)).await
    }

    async fn delivery(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Option<DeliveryRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let (endpoint, message) = (endpoint.as_bytes().to_vec(), message.as_bytes().to_vec());
        let call = call!(sql::DELIVERY, organization, environment, endpoint, message);
        self.first("deliveries", call, |row| webhook_cells::delivery(row)).await
    }

    async fn deliveries(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        query: &DeliveryQuery,
    ) -> Result<Vec<DeliveryRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let endpoint = endpoint.as_bytes().to_vec();
        let before = query.before.map(|message| message.as_bytes().to_vec());
        let (state, limit) = (query.state.map(DeliveryState::text), cells::limit(query.limit));
        let call = match (query.stream, state) {
            (Some(stream), state) => {
                let stream = stream.as_bytes().to_vec();
                call!(
                    sql::DELIVERIES_OF_STREAM,
                    organization,
                    environment,
                    endpoint,
                    before,
                    limit,
                    state,
                    stream
                )
            }
            (None, Some(state)) => {
                call!(sql::DELIVERIES_BY_STATE, organization, environment, endpoint, before, limit, state)
            }
            (None, None) => call!(sql::DELIVERIES, organization, environment, endpoint, before, limit),
        };
        self.list("deliveries", call, |row| webhook_cells::delivery(row)).await
    }

    async fn attempts(
        &self,
        tenant: &Tenant,
        endpoint: EndpointId,
        message: MessageId,
    ) -> Result<Vec<AttemptRow>, Fault> {
        let (organization, environment) = owner(tenant);
        let (endpoint, message) = (endpoint.as_bytes().to_vec(), message.as_bytes().to_vec());
        let call = call!(sql::ATTEMPTS, organization, environment, endpoint, message);
        self.rows("attempts", call, |row| webhook_cells::attempt(row)).await
    }

    async fn fed_events(
        &self,
        tenant: &Tenant,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<FedEvent>, Fault> {
        let (organization, environment) = owner(tenant);
        let after = after.map(signed).transpose()?.unwrap_or(-1);
        let call = call!(sql::FED_EVENTS, organization, environment, after, cells::limit(limit));
        self.list("events", call, |row| webhook_cells::fed_event(row)).await
    }

    async fn beat(&self, worker: WorkerId, now: Time, until: Time) -> Result<bool, Fault> {
        let calls = [
            call!(sql::BEAT, worker.as_bytes().to_vec(), now.unix_ms(), until.unix_ms()),
            call!(sql::FREE_DEAD, now.unix_ms(), cells::limit(FREED_DELIVERIES)),
            call!(sql::FORGET_WORKERS, workers_forgotten_before(now).unix_ms()),
        ];
        Ok(self.changed(&calls).await?.first().is_some_and(|lives| *lives > 0))
    }

    async fn claim_deliveries(
        &self,
        worker: WorkerId,
        now: Time,
        claim: &DeliveryClaim,
    ) -> Result<Vec<Claimed>, Fault> {
        let (worker, now) = (worker.as_bytes().to_vec(), now.unix_ms());
        let full: Vec<Vec<u8>> = claim.full.iter().map(|endpoint| endpoint.as_bytes().to_vec()).collect();
        let (fresh, again) = (cells::limit(claim.fresh), cells::limit(claim.again));
        let mut taken = self.taken(call!(sql::TAKE_LANES, fresh, now, full, again, worker.clone())).await?;
        for (endpoint, most) in &claim.shelved {
            let endpoint = endpoint.as_bytes().to_vec();
            let call = call!(sql::TAKE_OF_ENDPOINT, endpoint, now, cells::limit(*most), worker.clone());
            taken.extend(self.taken(call).await?);
        }
        Ok(taken)
    }

    async fn next_delivery_due(&self) -> Result<Option<Time>, Fault> {
        let call = call!(sql::NEXT_DELIVERY_DUE);
        let due = self.first("deliveries", call, |row| row.optional_number("due_at")).await?;
        Ok(due.flatten().map(Time::from_unix_ms))
    }

    async fn shelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault> {
        self.set_shelved(endpoint, true, limit).await
    }

    async fn unshelve(&self, endpoint: EndpointId, limit: usize) -> Result<usize, Fault> {
        self.set_shelved(endpoint, false, limit).await
    }

    async fn shelved(&self, most: usize) -> Result<Vec<(EndpointId, usize)>, Fault> {
        let call = call!(sql::SHELVED, cells::limit(most));
        self.rows("endpoints", call, |row| Ok((webhook_cells::endpoint_id(row)?, row.number("waiting")?)))
            .await
    }

    async fn move_deliveries(&self, tenant: &Tenant, moves: &DeliveryMove) -> Result<usize, Fault> {
        let (organization, environment) = owner(tenant);
        let call = call!(
            sql::MOVE_DELIVERIES,
            moves.endpoint.as_bytes().to_vec(),
            organization,
            moves.from.text(),
            moves.to.text(),
            moves.since.as_bytes().to_vec(),
            moves.due_at.unix_ms(),
            cells::limit(moves.limit),
            environment,
            moves.until.as_bytes().to_vec(),
            moves.over_before.unix_ms(),
            i64::from(moves.classes.bits())
        );
        Ok(self.changed(&[call]).await?.first().map_or(0, |moved| count(*moved)))
    }

    async fn wait_for_deliveries(&self, timeout_ms: u64) {
        self.work.wait_for_deliveries(timeout_ms).await;
    }

    async fn sweep_deliveries(&self, before: Time, limit: usize) -> Result<usize, Fault> {
        let (first, limit) = (AttemptId::new(before, [0; 10]), cells::limit(limit));
        let calls = [
            call!(sql::SWEEP_ATTEMPTS, first.as_bytes().to_vec(), limit),
            call!(sql::SWEEP_DELIVERIES, before.unix_ms(), limit),
            call!(sql::SWEEP_SHELF, limit),
        ];
        Ok(self.changed(&calls).await?.into_iter().map(count).sum())
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::time::Time;
    use deadpool_postgres::Object;

    use super::sql;
    use crate::{
        WebhookStore as _,
        postgres::{Postgres, connection},
        testing,
    };

    /// Among a hundred thousand deliveries, those of other endpoints and those that are over cost nothing: each statement of the
    /// work goes along its index, with the plan that is kept, whether that was made when there was nothing, before PostgreSQL knew
    /// what there is, or after.
    #[tokio::test]
    async fn the_work_of_delivering_goes_along_its_indexes() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.keyed).await.unwrap();
        goes_along_its_indexes(&client).await;
        let fill = "INSERT INTO endpoints SELECT int4send(i), '\\x01', 'live', '', '', 1, 'due', false, false, 1, NULL, 1
                FROM generate_series(1, 1000) i;
            INSERT INTO deliveries SELECT int4send(i % 1000), int4send(i), '\\x01', 'live', int4send(i), 1, '', 1, 1, '',
                '', NULL, CASE WHEN i % 10 = 0 THEN 'due' ELSE 'delivered' END, i % 3, i, 0, 0, NULL, false, NULL
                FROM generate_series(1, 100000) i;
            INSERT INTO workers VALUES ('\\x05', 9)";
        client.batch_execute(fill).await.unwrap();
        goes_along_its_indexes(&client).await;
        client.batch_execute("ANALYZE").await.unwrap();
        goes_along_its_indexes(&client).await;
    }

    /// W-4: what waits on the shelf for an endpoint that left it, and nobody looks after, is found all the same.
    #[tokio::test]
    async fn nothing_stays_on_the_shelf_for_an_endpoint_that_left_it() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.keyed).await.unwrap();
        let fill = "INSERT INTO endpoints SELECT int4send(i), '\\x01', 'live', '', '', 1, 'due', false, i = 2, 1, NULL, 1
                FROM generate_series(1, 2) i;
            INSERT INTO deliveries SELECT int4send(e), int4send(i), '\\x01', 'live', int4send(i), 1, '', 1, 1, '', '', NULL,
                'due', 2, i, i % 2, 0, NULL, false, NULL FROM generate_series(1, 2) e, generate_series(1, 3) i";
        client.batch_execute(fill).await.unwrap();
        assert_eq!(store.sweep_deliveries(Time::from_unix_ms(0), 2).await.unwrap(), 2, "no more than asked");
        assert_eq!(store.sweep_deliveries(Time::from_unix_ms(0), 2).await.unwrap(), 1);
        let lanes = "SELECT lane FROM deliveries ORDER BY endpoint, message";
        let lanes: Vec<i64> =
            client.query(lanes, &[]).await.unwrap().iter().map(|row| row.get("lane")).collect();
        assert_eq!(lanes, [1, 0, 1, 2, 2, 2], "those of the first endpoint, which is not on the shelf");
    }

    async fn goes_along_its_indexes(client: &Object) {
        let work = [
            (
                sql::TAKE_LANES,
                "bigint, bigint, bytea[], bigint, bytea",
                "8, 9, ARRAY[int4send(3)], 8, '\\x05'",
                "deliveries_to_take on",
            ),
            (
                sql::TAKE_OF_ENDPOINT,
                "bytea, bigint, bigint, bytea",
                "int4send(3), 9, 8, '\\x05'",
                "deliveries_to_take_of_endpoint on",
            ),
            (
                sql::SETTLE,
                "bytea[], bytea[], bytea[], text[], bigint[], bigint[], bigint[], bigint[]",
                "ARRAY[int4send(3)], ARRAY[int4send(3)], ARRAY[int4send(3)], ARRAY['due'], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY[0]",
                "deliveries_pkey on",
            ),
            (
                sql::MOVE_DELIVERIES,
                "bytea, bytea, text, text, bytea, bigint, bigint, text, bytea, bigint, bigint",
                "int4send(3), '\\x01', 'failed', 'due', int4send(3), 9, 8, 'live', int4send(9), 9, 1",
                "deliveries_by_state on",
            ),
            (
                sql::MOVE_LANE,
                "bytea, boolean, bigint",
                "int4send(3), true, 8",
                "deliveries_to_take_of_endpoint on",
            ),
            (sql::SHELVED, "bigint", "1", "endpoints_on_the_shelf"),
            (sql::NEXT_DELIVERY_DUE, "", "", "deliveries_to_take on"),
            (sql::SWEEP_DELIVERIES, "bigint, bigint", "9, 8", "deliveries_that_are_over on"),
            (sql::SWEEP_SHELF, "bigint", "8", "deliveries_to_take_of_endpoint on"),
            (sql::FREE_DEAD, "bigint, bigint", "9, 8", "deliveries_in_work"),
        ];
        for (statement, types, values, index) in work {
            let (types, values) = match types {
                "" => (String::new(), String::new()),
                _ => (format!("({types})"), format!("({values})")),
            };
            let prepare =
                format!("SET plan_cache_mode = force_generic_plan; PREPARE work {types} AS {statement}");
            client.batch_execute(&prepare).await.unwrap();
            let rows = client.simple_query(&format!("EXPLAIN EXECUTE work {values}")).await.unwrap();
            client.batch_execute("DEALLOCATE work").await.unwrap();
            let lines = rows.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            let text = lines.collect::<Vec<_>>().join("\n");
            assert!(text.contains(index), "{statement}\n{text}");
            assert!(!text.contains("Seq Scan"), "{statement}\n{text}");
            // By endpoint alone it would read all that the endpoint has.
            let by_key = text.split("using deliveries_pkey").skip(1).map(|rest| rest.lines().nth(1).unwrap());
            for condition in by_key {
                assert!(condition.contains("(endpoint =") && condition.contains("(message ="), "{text}");
            }
        }
    }
}
