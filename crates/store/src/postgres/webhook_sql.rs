//! The statements of webhooks on PostgreSQL.

use super::sql::statements;

statements! {
    ENDPOINT = "SELECT * FROM endpoints WHERE endpoint = $3 AND organization = $1 AND environment = $2";
    ENDPOINTS = "SELECT * FROM endpoints WHERE organization = $1 AND environment = $2
        AND ($3::bytea IS NULL OR endpoint < $3) ORDER BY endpoint DESC LIMIT $4";
    WEBHOOK_KEYS = "SELECT * FROM webhook_keys WHERE endpoint = $1 ORDER BY webhook_key";
    WEBHOOK_BLOCKS = "SELECT * FROM webhook_blocks ORDER BY organization, environment, class, holder";
    WEBHOOK_BLOCKS_OF = "SELECT * FROM webhook_blocks WHERE organization IN ($1, '') AND environment IN ($2, '')
        ORDER BY organization, environment, class, holder";
    DELIVERY = "SELECT * FROM deliveries
        WHERE endpoint = $3 AND message = $4 AND organization = $1 AND environment = $2";
    DELIVERIES = "SELECT * FROM deliveries WHERE endpoint = $3 AND organization = $1 AND environment = $2
        AND ($4::bytea IS NULL OR message < $4) ORDER BY message DESC LIMIT $5";
    DELIVERIES_BY_STATE = "SELECT * FROM deliveries
        WHERE endpoint = $3 AND state = $6 AND organization = $1 AND environment = $2
        AND ($4::bytea IS NULL OR message < $4) ORDER BY message DESC LIMIT $5";
    DELIVERIES_OF_STREAM = "SELECT * FROM deliveries
        WHERE endpoint = $3 AND stream = $7 AND organization = $1 AND environment = $2
        AND ($6::text IS NULL OR state = $6) AND ($4::bytea IS NULL OR message < $4)
        ORDER BY message DESC LIMIT $5";
    ATTEMPTS = "SELECT * FROM attempts
        WHERE endpoint = $3 AND message = $4 AND organization = $1 AND environment = $2 ORDER BY attempt";

    ADD_ENDPOINT = "INSERT INTO endpoints (endpoint, organization, environment, settings, condition,
            classes, takes, is_ordered, created_at, ended_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    CHANGE_ENDPOINT = "UPDATE endpoints SET settings = $6, condition = $7, classes = $8,
            takes = $9, is_ordered = $10, ended_at = $11, version = version + 1
        WHERE endpoint = $1 AND organization = $2 AND environment = $3 AND created_at = $4 AND version = $5";
    END_ENDPOINT = "UPDATE endpoints SET ended_at = $1, takes = 'nothing', version = version + 1
        WHERE endpoint = $2 AND ended_at IS NULL";
    ADD_WEBHOOK_KEY = "INSERT INTO webhook_keys (webhook_key, organization, environment, endpoint, sealed,
            public, stage, created_at, ended_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    CHANGE_WEBHOOK_KEY = "UPDATE webhook_keys SET sealed = $7, public = $8, stage = $9, ended_at = $10,
            version = version + 1
        WHERE webhook_key = $1 AND organization = $2 AND environment = $3 AND endpoint = $4
            AND created_at = $5 AND version = $6";
    END_WEBHOOK_KEY = "UPDATE webhook_keys SET ended_at = $1, version = version + 1
        WHERE webhook_key = $2 AND ended_at IS NULL";

    ADD_WEBHOOK_BLOCK = "INSERT INTO webhook_blocks (organization, environment, class, holder, reason, created_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    REMOVE_WEBHOOK_BLOCK = "DELETE FROM webhook_blocks
        WHERE organization = $1 AND environment = $2 AND class = $3 AND holder = $4";

    /// A delivery for each endpoint that takes events of the class, as it is at this moment. If it changes meanwhile, nobody
    /// takes the row: that looks at the endpoint again. What is blocked waits from the start; whether one goes out is decided
    /// when it is to.
    ANNOUNCE = "INSERT INTO deliveries (endpoint, message, organization, environment, stream, seq, kind, class,
            at, hash, correlation, state, lane, due_at, attempt_count, is_ordered)
        SELECT e.endpoint, n.message, n.organization, n.environment, n.stream, n.seq, n.kind, n.class, n.at,
            n.hash, n.correlation,
            CASE WHEN e.takes = 'due' AND EXISTS (SELECT FROM webhook_blocks b
                WHERE b.organization IN (n.organization, '') AND b.environment IN (n.environment, '')
                    AND b.class IN (0, n.class)) THEN 'parked' ELSE e.takes END,
            CASE WHEN e.is_shelved THEN 2 ELSE 0 END, n.at, 0, e.is_ordered
        FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[], $6::text[], $7::bigint[],
                $8::bigint[], $9::bytea[], $10::bytea[])
            AS n(organization, environment, message, stream, seq, kind, class, at, hash, correlation)
        JOIN endpoints e ON e.organization = n.organization AND e.environment = n.environment
            AND e.takes <> 'nothing' AND e.classes & n.class <> 0
        ON CONFLICT DO NOTHING";
    ADD_DELIVERY = "INSERT INTO deliveries (endpoint, message, organization, environment, stream, seq, kind,
            class, at, hash, correlation, sealed_body, state, lane, due_at, attempt_count, signed_s, is_ordered)
        SELECT endpoint, $2, organization, environment, $5, $6, $7, $8, $9, $10, $11, $12, $13,
            CASE WHEN is_shelved THEN 2 WHEN $15::bigint > 0 THEN 1 ELSE 0 END, $14, $15, $16, is_ordered
        FROM endpoints WHERE endpoint = $1 AND organization = $3 AND environment = $4
        ON CONFLICT DO NOTHING";
    ADD_ATTEMPTS = "INSERT INTO attempts (attempt, organization, environment, endpoint, message, at, took_ms,
            signed_s, status, outcome, sealed)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bytea[])
        ON CONFLICT DO NOTHING";
    /// What is to be tried again of an endpoint that takes nothing by now is over, and waits where that is asked. The worker is
    /// compared in a way that has no index, for that would read all that the worker has. Endpoints are asked apart: joined, they
    /// lead to a plan that finds their deliveries by endpoint alone, and reads all that there are.
    SETTLE = "UPDATE deliveries d SET
            state = CASE WHEN n.state IN ('delivered', 'failed') THEN n.state
                ELSE (SELECT CASE e.takes WHEN 'due' THEN n.state WHEN 'parked' THEN 'parked' ELSE 'failed' END
                    FROM endpoints e WHERE e.endpoint = d.endpoint) END,
            lane = CASE WHEN (SELECT e.is_shelved FROM endpoints e WHERE e.endpoint = d.endpoint) THEN 2
                WHEN d.attempt_count + n.tries > 0 THEN 1 ELSE 0 END,
            due_at = n.due_at, attempt_count = d.attempt_count + n.tries,
            asked_count = d.asked_count + n.asked,
            signed_s = coalesce(n.signed_s, d.signed_s), worker = NULL
        FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[]) AS n(endpoint, message, worker, state, due_at, tries, signed_s, asked)
        WHERE d.endpoint = n.endpoint AND d.message = n.message
            AND d.worker IS NOT DISTINCT FROM n.worker";

    BEAT = "INSERT INTO workers (worker, until) VALUES ($1, $3)
        ON CONFLICT (worker) DO UPDATE SET until = excluded.until WHERE workers.until > $2";
    /// What its endpoint takes no more by now follows it.
    FREE_DEAD = "UPDATE deliveries SET worker = NULL,
            lane = CASE WHEN (SELECT is_shelved FROM endpoints e WHERE e.endpoint = deliveries.endpoint) THEN 2
                WHEN attempt_count > 0 THEN 1 ELSE 0 END,
            state = CASE (SELECT takes FROM endpoints e WHERE e.endpoint = deliveries.endpoint)
                WHEN 'parked' THEN 'parked' WHEN 'nothing' THEN 'failed' ELSE state END
        WHERE (endpoint, message) IN
        (SELECT d.endpoint, d.message FROM workers w JOIN deliveries d ON d.worker = w.worker
         WHERE w.until <= $1 LIMIT $2 FOR UPDATE OF d SKIP LOCKED)";
    FORGET_WORKERS = "DELETE FROM workers WHERE until <= $1
        AND NOT EXISTS (SELECT FROM deliveries d WHERE d.worker = workers.worker)";
    /// Of both lanes. Whether the worker lives is asked last: a claim that finds nothing writes nothing, not even that lock. Nobody
    /// waits until a claim is on the disk: if it is lost, its deliveries are free.
    TAKE_LANES = "WITH fresh AS MATERIALIZED (
            SELECT d.endpoint, d.message FROM deliveries d
            WHERE d.lane = 0 AND d.state = 'due' AND d.worker IS NULL AND d.due_at <= $2
                AND d.endpoint <> ALL($3::bytea[])
                AND EXISTS (SELECT FROM endpoints e WHERE e.endpoint = d.endpoint AND e.takes = 'due')
                AND (NOT d.is_ordered OR NOT EXISTS (SELECT FROM deliveries earlier
                    WHERE earlier.endpoint = d.endpoint AND earlier.stream = d.stream AND earlier.seq < d.seq
                        AND earlier.state IN ('due', 'parked')))
            ORDER BY d.due_at, d.message, d.endpoint LIMIT $1 FOR UPDATE OF d SKIP LOCKED),
        again AS MATERIALIZED (
            SELECT d.endpoint, d.message FROM deliveries d
            WHERE d.lane = 1 AND d.state = 'due' AND d.worker IS NULL AND d.due_at <= $2
                AND d.endpoint <> ALL($3::bytea[])
                AND EXISTS (SELECT FROM endpoints e WHERE e.endpoint = d.endpoint AND e.takes = 'due')
                AND (NOT d.is_ordered OR NOT EXISTS (SELECT FROM deliveries earlier
                    WHERE earlier.endpoint = d.endpoint AND earlier.stream = d.stream AND earlier.seq < d.seq
                        AND earlier.state IN ('due', 'parked')))
            ORDER BY d.due_at, d.message, d.endpoint LIMIT $4 FOR UPDATE OF d SKIP LOCKED),
        waiting AS MATERIALIZED (SELECT * FROM fresh UNION ALL SELECT * FROM again),
        alive AS MATERIALIZED (
            SELECT worker, set_config('synchronous_commit', 'off', true) FROM workers
            WHERE worker = $5 AND until > $2 AND EXISTS (SELECT FROM waiting) FOR SHARE)
        UPDATE deliveries d SET worker = alive.worker FROM waiting, alive
        WHERE d.endpoint = waiting.endpoint AND d.message = waiting.message
        RETURNING d.*, (SELECT version FROM endpoints e WHERE e.endpoint = d.endpoint) AS endpoint_version";
    TAKE_OF_ENDPOINT = "WITH waiting AS MATERIALIZED (
            SELECT d.endpoint, d.message FROM deliveries d
            WHERE d.endpoint = $1 AND d.state = 'due' AND d.worker IS NULL AND d.due_at <= $2
                AND EXISTS (SELECT FROM endpoints e WHERE e.endpoint = $1 AND e.takes = 'due')
                AND (NOT d.is_ordered OR NOT EXISTS (SELECT FROM deliveries earlier
                    WHERE earlier.endpoint = d.endpoint AND earlier.stream = d.stream AND earlier.seq < d.seq
                        AND earlier.state IN ('due', 'parked')))
            ORDER BY d.due_at, d.message LIMIT $3 FOR UPDATE OF d SKIP LOCKED),
        alive AS MATERIALIZED (
            SELECT worker, set_config('synchronous_commit', 'off', true) FROM workers
            WHERE worker = $4 AND until > $2 AND EXISTS (SELECT FROM waiting) FOR SHARE)
        UPDATE deliveries d SET worker = alive.worker FROM waiting, alive
        WHERE d.endpoint = waiting.endpoint AND d.message = waiting.message
        RETURNING d.*, (SELECT version FROM endpoints e WHERE e.endpoint = d.endpoint) AS endpoint_version";
    NEXT_DELIVERY_DUE = "SELECT min(due_at) AS due_at FROM (
        (SELECT due_at FROM deliveries WHERE lane = 0 AND state = 'due' AND worker IS NULL ORDER BY due_at LIMIT 1)
        UNION ALL
        (SELECT due_at FROM deliveries WHERE lane = 1 AND state = 'due' AND worker IS NULL ORDER BY due_at LIMIT 1)
        ) AS first";
    SET_SHELVED = "UPDATE endpoints SET is_shelved = $2 WHERE endpoint = $1 AND is_shelved <> $2";
    MOVE_LANE = "UPDATE deliveries SET lane = CASE WHEN $2 THEN 2 WHEN attempt_count > 0 THEN 1 ELSE 0 END
        WHERE (endpoint, message) IN (SELECT endpoint, message FROM deliveries
            WHERE endpoint = $1 AND state = 'due' AND worker IS NULL AND (lane = 2) <> $2
            ORDER BY due_at, message LIMIT $3 FOR UPDATE SKIP LOCKED)";
    SHELVED = "SELECT e.endpoint, (SELECT count(*) FROM (SELECT FROM deliveries d
            WHERE d.endpoint = e.endpoint AND d.state = 'due' AND d.worker IS NULL LIMIT $1) AS open) AS waiting
        FROM endpoints e WHERE e.is_shelved ORDER BY e.endpoint";
    FED_EVENTS = "SELECT e.envelope, e.seq, e.bytes, e.hash, e.leaf_id, l.leaf_index FROM leaves l
        JOIN events e ON e.organization = l.organization AND e.environment = l.environment
            AND e.envelope = l.envelope AND e.seq = l.seq
        WHERE l.organization = $1 AND l.environment = $2 AND l.leaf_index > $3
        ORDER BY l.leaf_index LIMIT $4";
    MOVE_DELIVERIES = "UPDATE deliveries SET state = $4, due_at = $6,
            asked_count = CASE WHEN $3 IN ('delivered', 'failed') THEN attempt_count ELSE asked_count END,
            lane = CASE WHEN (SELECT is_shelved FROM endpoints e WHERE e.endpoint = $1) THEN 2
                WHEN attempt_count > 0 THEN 1 ELSE 0 END
        WHERE (endpoint, message) IN (SELECT endpoint, message FROM deliveries
            WHERE endpoint = $1 AND state = $3 AND worker IS NULL AND message BETWEEN $5 AND $9
                AND due_at < $10 AND class & $11 <> 0
                AND organization = $2 AND environment = $8
            ORDER BY message LIMIT $7 FOR UPDATE SKIP LOCKED)";
    /// Whoever takes an endpoint from the shelf looks after what is left of it there, and what a commit that began before puts there
    /// after that, but may end first.
    SWEEP_SHELF = "UPDATE deliveries SET lane = CASE WHEN attempt_count > 0 THEN 1 ELSE 0 END
        WHERE (endpoint, message) IN (SELECT d.endpoint, d.message FROM endpoints e
            CROSS JOIN LATERAL (SELECT endpoint, message, due_at FROM deliveries
                WHERE endpoint = e.endpoint AND state = 'due' AND worker IS NULL AND lane = 2
                ORDER BY due_at, message LIMIT $1 FOR UPDATE SKIP LOCKED) AS d
            WHERE NOT e.is_shelved ORDER BY e.endpoint, d.due_at, d.message LIMIT $1)";
    SWEEP_ATTEMPTS = "DELETE FROM attempts WHERE attempt = ANY(ARRAY(
        SELECT attempt FROM attempts WHERE attempt < $1 ORDER BY attempt LIMIT $2 FOR UPDATE SKIP LOCKED))";
    SWEEP_DELIVERIES = "DELETE FROM deliveries WHERE (endpoint, message) IN
        (SELECT endpoint, message FROM deliveries
         WHERE state IN ('delivered', 'failed') AND due_at < $1 ORDER BY due_at LIMIT $2
         FOR UPDATE SKIP LOCKED)";
}
