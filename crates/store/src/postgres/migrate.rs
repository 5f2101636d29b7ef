//! Brings the schema up to date, one server at a time.

use deadpool_postgres::Object;
use tokio_postgres::Error;

use super::{connection::fault, sql};
use crate::fault::Fault;

/// Applies the migrations that are missing. A schema of a newer program is refused.
pub(super) async fn migrate(mut client: Object) -> Result<(), Fault> {
    let broken = |error: Error| fault(&error);
    let known = u32::try_from(sql::MIGRATIONS.len()).unwrap_or(u32::MAX);
    let transaction = client.transaction().await.map_err(broken)?;
    transaction.batch_execute(sql::LOCK_SCHEMA).await.map_err(broken)?;
    transaction.batch_execute(sql::MAKE_VERSION).await.map_err(broken)?;
    let found: i64 = transaction
        .query_one(sql::VERSION, &[])
        .await
        .and_then(|row| row.try_get("version"))
        .map_err(broken)?;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > known {
        return Err(Fault::Schema { found, known });
    }
    for (version, migration) in (1..=known).zip(sql::MIGRATIONS).skip_while(|(version, _)| *version <= found)
    {
        transaction.batch_execute(migration).await.map_err(broken)?;
        transaction.execute(sql::ADD_VERSION, &[&i64::from(version)]).await.map_err(broken)?;
    }
    transaction.commit().await.map_err(broken)
}

#[cfg(test)]
mod tests {
    use crate::{
        fault::Fault,
        postgres::{Postgres, connection, sql, webhook_sql},
        testing,
    };

    #[tokio::test]
    async fn every_statement_fits_the_schema() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.readers).await.unwrap();
        for (name, statement) in sql::ALL.iter().chain(webhook_sql::ALL) {
            if let Err(error) = client.prepare(statement).await {
                panic!("{name}: {error:?}");
            }
        }
    }

    /// One tenant with thousands of openings and persons: an envelope's own are found by its index, with and without
    /// statistics, whatever the parameters are.
    #[tokio::test]
    async fn loading_an_envelope_reads_by_the_envelopes_index() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.readers).await.unwrap();
        let fill = "INSERT INTO persons (person, organization, environment, lookup, wrapped_key)
                SELECT int4send(i), '\\x01', 'sandbox', int4send(i), '\\x02' FROM generate_series(1, 8000) i;
            INSERT INTO openings (commitment, organization, environment, envelope, person, sealed)
                SELECT int4send(i), '\\x01', 'sandbox', int4send(i / 8), int4send(i), '\\x03'
                FROM generate_series(1, 8000) i;";
        client.batch_execute(fill).await.unwrap();
        for statistics in ["SELECT 1", "ANALYZE"] {
            client.batch_execute(statistics).await.unwrap();
            for statement in [sql::LOAD_OPENINGS, sql::LOAD_PERSONS] {
                for mode in ["force_generic_plan", "force_custom_plan"] {
                    let prepare = format!(
                        "SET plan_cache_mode = {mode}; PREPARE loading (bytea, text, bytea) AS {statement}"
                    );
                    client.batch_execute(&prepare).await.unwrap();
                    let explain = "EXPLAIN EXECUTE loading ('\\x01', 'sandbox', int4send(7))";
                    let plan: Vec<String> = client
                        .simple_query(explain)
                        .await
                        .unwrap()
                        .iter()
                        .filter_map(|message| match message {
                            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                            _ => None,
                        })
                        .collect();
                    client.batch_execute("DEALLOCATE loading").await.unwrap();
                    let text = plan.join("\n");
                    let key = text.lines().skip_while(|line| !line.contains("openings_pkey"));
                    let condition = key.skip(1).find(|line| line.contains("Index Cond"));
                    assert!(
                        condition.is_some_and(|line| line.contains("envelope")),
                        "{statistics} {mode}\n{text}"
                    );
                    assert!(!text.contains("Seq Scan"), "{statistics} {mode}\n{text}");
                }
            }
        }
    }

    /// Tokens are looked up for each request, those who wait together at once: a row of each table for each of them, by its
    /// key, with and without statistics, in small and in large tables.
    #[tokio::test]
    async fn access_tokens_are_found_by_primary_keys() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.readers).await.unwrap();
        let fill = "INSERT INTO clients SELECT int4send(i), '\\x01', 'live', true, '', '\\x02', '{}', NULL, 1, NULL, 1
                FROM generate_series(1, 3000) i;
            INSERT INTO grants SELECT int4send(i), '\\x01', 'live', int4send(i), int4send(i), int4send(i), '', '{}',
                'aal1', 1, NULL, 1, NULL, 1, 1, 2, NULL, 1 FROM generate_series(1, 3000) i;
            INSERT INTO access_tokens SELECT int4send(i), int4send(i), 1, '', NULL, NULL, NULL, 1, 2
                FROM generate_series(1, 3000) i;
            INSERT INTO users (user_id, lookup, wrapped_key, sealed_profile, failures, valid_from, created_at, version)
                SELECT int4send(i), int4send(i), '', '', '{}', 1, 1, 1 FROM generate_series(1, 3000) i;
            INSERT INTO members SELECT '\\x01', int4send(i), 'owner', '', '', 1, NULL, 1
                FROM generate_series(1, 3000) i;
            INSERT INTO sign_ins SELECT int4send(i), int4send(i), int4send(i), NULL, NULL, 'aal1', 1, '', 1, 2, NULL, 1
                FROM generate_series(1, 3000) i;";
        for filled in ["SELECT 1", fill, "ANALYZE"] {
            client.batch_execute(filled).await.unwrap();
            for mode in ["force_generic_plan", "force_custom_plan"] {
                let prepare = format!(
                    "SET plan_cache_mode = {mode}; PREPARE looking (bytea[]) AS {}",
                    sql::ACCESS_TOKEN
                );
                client.batch_execute(&prepare).await.unwrap();
                let rows = client
                    .simple_query("EXPLAIN EXECUTE looking (ARRAY[int4send(7), int4send(8)])")
                    .await
                    .unwrap();
                client.batch_execute("DEALLOCATE looking").await.unwrap();
                let lines = rows.iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                let text = lines.collect::<Vec<_>>().join("\n");
                assert!(!text.contains("Seq Scan"), "{filled} {mode}\n{text}");
                // Both indexes of members are of the two columns of their key.
                let member = text.contains("using members_pkey") || text.contains("using members_by_user");
                assert!(member, "{filled} {mode}\n{text}");
                for table in ["access_tokens", "grants", "clients", "sign_ins", "users"] {
                    let by_key = [
                        format!("using {table}_pkey on {table}"),
                        format!("Bitmap Index Scan on {table}_pkey"),
                    ];
                    assert!(by_key.iter().any(|one| text.contains(one)), "{table}: {filled} {mode}\n{text}");
                }
            }
        }
    }

    /// A page of a list is read from where it begins, however long the list before it is, and however often it was asked for.
    #[tokio::test]
    async fn pages_of_lists_are_read_from_where_they_begin() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.readers).await.unwrap();
        let fill = "INSERT INTO clients SELECT int4send(i), '\\x01', 'live', true, '', '\\x02', '{}', NULL, 1, NULL, 1
                FROM generate_series(1, 30000) i;
            INSERT INTO grants SELECT int4send(i), '\\x01', 'live', '\\x03', '\\x04', '\\x05', '', '{}',
                'aal1', 1, NULL, 1, NULL, 1, 1, 2, NULL, 1 FROM generate_series(1, 30000) i;
            INSERT INTO events SELECT '\\x01', 'live', '\\x06', i, '', '', '' FROM generate_series(1, 30000) i;
            INSERT INTO mailbox (mail, organization, environment, at, sealed)
                SELECT int4send(i), '\\x01', 'live', 1, '' FROM generate_series(1, 30000) i;
            ANALYZE";
        client.batch_execute(fill).await.unwrap();
        for (statement, types, values, begins) in [
            (sql::CLIENTS, "bytea, text, bytea, bigint", "'\\x01', 'live', int4send(9), 2", "client < "),
            (sql::GRANTS, "bytea, text, bytea, bigint", "'\\x01', 'live', int4send(9), 2", "grant_id < "),
            (
                sql::SECURITY_EVENTS,
                "bytea, text, bytea, bigint, bigint",
                "'\\x01', 'live', '\\x06', 9, 2",
                "seq < ",
            ),
            (sql::MAILBOX, "bytea, text, bigint, bigint", "'\\x01', 'live', 9, 2", "position < "),
        ] {
            client.batch_execute(&format!("PREPARE paging ({types}) AS {statement}")).await.unwrap();
            let mut text = String::new();
            for _ in 0..10 {
                let rows = client.simple_query(&format!("EXPLAIN EXECUTE paging ({values})")).await.unwrap();
                let lines = rows.iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                text = lines.collect::<Vec<_>>().join("\n");
            }
            client.batch_execute("DEALLOCATE paging").await.unwrap();
            let begins_there =
                |line: &str| line.contains("Index Cond") && line.replace('"', "").contains(begins);
            assert!(text.lines().any(begins_there), "{statement}\n{text}");
        }
    }

    /// Each look for jobs sweeps: large tables are not read for it, whatever plan is kept.
    #[tokio::test]
    async fn sweeping_reads_by_the_end_of_rows() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.readers).await.unwrap();
        let fill = "INSERT INTO grants SELECT int4send(i), '\\x01', 'live', int4send(i), int4send(i), int4send(i), '', '{}',
                'aal1', 1, NULL, 1, NULL, 1, 1, i, NULL, 1 FROM generate_series(1, 30000) i;
            INSERT INTO access_tokens SELECT int4send(i), int4send(i), 1, '', NULL, NULL, NULL, 1, i
                FROM generate_series(1, 30000) i;
            INSERT INTO sign_ins SELECT int4send(i), int4send(i), int4send(i), NULL, NULL, 'aal1', 1, '', 1, i, NULL, 1
                FROM generate_series(1, 30000) i;
            INSERT INTO spent SELECT int4send(i), i FROM generate_series(1, 30000) i;
            ANALYZE";
        client.batch_execute(fill).await.unwrap();
        for statement in [sql::SWEEP_SPENT, sql::SWEEP_ACCESS_TOKENS, sql::SWEEP_SIGN_INS, sql::SWEEP_GRANTS]
        {
            for mode in ["force_generic_plan", "force_custom_plan"] {
                let prepare =
                    format!("SET plan_cache_mode = {mode}; PREPARE sweeping (bigint, bigint) AS {statement}");
                client.batch_execute(&prepare).await.unwrap();
                let rows = client.simple_query("EXPLAIN EXECUTE sweeping (0, 1000)").await.unwrap();
                client.batch_execute("DEALLOCATE sweeping").await.unwrap();
                let lines = rows.iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                let text = lines.collect::<Vec<_>>().join("\n");
                assert!(!text.contains("Seq Scan"), "{statement} {mode}\n{text}");
                assert!(text.contains("_by_end"), "{statement} {mode}\n{text}");
            }
        }
    }

    /// What requests write and look up together is found row by row, by whole keys, with and without statistics.
    #[tokio::test]
    async fn rows_of_many_requests_are_found_by_their_whole_keys() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.keyed).await.unwrap();
        let fill = |from: u32, to: u32| {
            format!(
                "INSERT INTO persons SELECT int4send(i), '\\x01', 'live', int4send(i), '\\x02'
                    FROM generate_series({from}, {to}) i;
                INSERT INTO idempotency (organization, environment, caller, key, fingerprint, claim, claimed_at, expires_at)
                    SELECT '\\x01', 'live', '\\x02', i::text, '', int4send(i), 1, 2 FROM generate_series({from}, {to}) i"
            )
        };
        // Of a table that was nearly empty when it was looked at last, most is believed to be so still.
        let states = [
            "SELECT 1",
            &fill(1, 2_000),
            "DELETE FROM persons WHERE person > int4send(1)",
            "DELETE FROM idempotency WHERE key <> '1'",
            "VACUUM ANALYZE",
            &fill(3_000, 8_000),
            "ANALYZE",
        ];
        let one = "ARRAY['\\x01'::bytea]";
        let answer = format!("{one}, ARRAY['live'], {one}, ARRAY['7'], {one}, ARRAY[201], NULL, NULL");
        let asked = [
            (
                "bytea[], text[], bytea[], text[], bytea[], bigint[], text[], bytea[]",
                sql::ANSWER,
                answer.as_str(),
                "using idempotency_pkey",
                ["(organization = ", "(environment = ", "(caller = ", "(key = "].as_slice(),
            ),
            (
                "bytea[]",
                sql::PERSON_BY_LOOKUP,
                one,
                "using persons_organization_environment_lookup_key",
                &["(organization = ", "(environment = ", "(lookup = "],
            ),
        ];
        for state in states {
            client.batch_execute(state).await.unwrap();
            for (types, statement, values, index, conditions) in asked {
                client.batch_execute(&format!("PREPARE keyed ({types}) AS {statement}")).await.unwrap();
                let rows = client.simple_query(&format!("EXPLAIN EXECUTE keyed ({values})")).await.unwrap();
                client.batch_execute("DEALLOCATE keyed").await.unwrap();
                let lines = rows.iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                let text = lines.collect::<Vec<_>>().join("\n");
                let by_key = text.lines().skip_while(|line| !line.contains(index)).nth(1).unwrap_or_default();
                assert!(conditions.iter().all(|one| by_key.contains(one)), "{state} {statement}\n{text}");
                // What was found so is written where it is.
                let by_place = text.contains("Tid Scan");
                assert_eq!(by_place, statement == sql::ANSWER, "{state} {statement}\n{text}");
            }
        }
    }

    /// An answer is written once, in the row of its key.
    #[tokio::test]
    async fn an_answer_stays_in_its_row() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.keyed).await.unwrap();
        let fill = "INSERT INTO idempotency (organization, environment, caller, key, fingerprint, claim, claimed_at, expires_at)
                SELECT '\\x01', 'live', '\\x02', i::text, sha256(int4send(i)), int4send(i), 1, 2 FROM generate_series(1, 200) i";
        client.batch_execute(fill).await.unwrap();
        let answer = "UPDATE idempotency SET status = 201, sealed_body =
                (SELECT string_agg(sha256(key::bytea || int4send(i)), '') FROM generate_series(1, 80) i)";
        client.batch_execute(answer).await.unwrap();
        let place = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'idempotency'";
        let outside: i64 = client.query_one(place, &[]).await.unwrap().get(0);
        assert_eq!(outside, 0, "2,560 bytes are kept in another place");
        let compressed = "SELECT count(*) FROM pg_attribute WHERE attstorage <> 'e' AND (attrelid::regclass::text, attname::text)
            IN (('idempotency', 'sealed_body'), ('attempts', 'sealed'), ('tiles', 'bytes'))";
        let compressed: i64 = client.query_one(compressed, &[]).await.unwrap().get(0);
        assert_eq!(compressed, 0, "columns that nothing makes smaller are compressed");
    }

    #[tokio::test]
    async fn a_schema_of_a_newer_program_is_refused() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let store = Postgres::open(&url, None).await.unwrap();
        let client = connection::connection(&store.readers).await.unwrap();
        client.execute(sql::ADD_VERSION, &[&99_i64]).await.unwrap();
        let known = u32::try_from(sql::MIGRATIONS.len()).unwrap();
        match Postgres::open(&url, None).await.map(drop) {
            Err(Fault::Schema { found: 99, known: told }) => assert_eq!(told, known),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn servers_that_start_together_migrate_once() {
        let url = testing::cluster().unwrap().database().await.unwrap();
        let opened = futures_util::future::join_all((0..5).map(|_| Postgres::open(&url, None))).await;
        assert!(opened.iter().all(Result::is_ok));
    }
}
