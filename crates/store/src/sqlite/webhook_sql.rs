//! The statements of webhooks on SQLite.

use super::sql::statements;

statements! {
    ENDPOINT = "SELECT * FROM endpoints WHERE endpoint = ?3 AND organization = ?1 AND environment = ?2";
    ENDPOINTS = "SELECT * FROM endpoints WHERE organization = ?1 AND environment = ?2
        AND endpoint < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff') ORDER BY endpoint DESC LIMIT ?4";
    WEBHOOK_KEYS = "SELECT * FROM webhook_keys WHERE endpoint = ?1 ORDER BY webhook_key";
    WEBHOOK_BLOCKS = "SELECT * FROM webhook_blocks ORDER BY organization, environment, class, holder";
    WEBHOOK_BLOCKS_OF = "SELECT * FROM webhook_blocks WHERE organization IN (?1, x'') AND environment IN (?2, '')
        ORDER BY organization, environment, class, holder";
    DELIVERY = "SELECT * FROM deliveries
        WHERE endpoint = ?3 AND message = ?4 AND organization = ?1 AND environment = ?2";
    DELIVERIES = "SELECT * FROM deliveries WHERE endpoint = ?3 AND +organization = ?1 AND +environment = ?2
        AND message < coalesce(?4, x'ffffffffffffffffffffffffffffffffffff') ORDER BY message DESC LIMIT ?5";
    DELIVERIES_BY_STATE = "SELECT * FROM deliveries
        WHERE endpoint = ?3 AND state = ?6 AND +organization = ?1 AND +environment = ?2
        AND message < coalesce(?4, x'ffffffffffffffffffffffffffffffffffff') ORDER BY message DESC LIMIT ?5";
    DELIVERIES_OF_STREAM = "SELECT * FROM deliveries
        WHERE endpoint = ?3 AND stream = ?7 AND +organization = ?1 AND +environment = ?2
        AND state = coalesce(?6, state)
        AND +message < coalesce(?4, x'ffffffffffffffffffffffffffffffffffff') ORDER BY +message DESC LIMIT ?5";
    ATTEMPTS = "SELECT * FROM attempts
        WHERE endpoint = ?3 AND message = ?4 AND organization = ?1 AND environment = ?2 ORDER BY attempt";

    ADD_ENDPOINT = "INSERT INTO endpoints (endpoint, organization, environment, settings, condition,
            classes, takes, is_ordered, created_at, ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    CHANGE_ENDPOINT = "UPDATE endpoints SET settings = ?6, condition = ?7, classes = ?8,
            takes = ?9, is_ordered = ?10, ended_at = ?11, version = version + 1
        WHERE endpoint = ?1 AND organization = ?2 AND environment = ?3 AND created_at = ?4 AND version = ?5";
    END_ENDPOINT = "UPDATE endpoints SET ended_at = ?1, takes = 'nothing', version = version + 1
        WHERE endpoint = ?2 AND ended_at IS NULL";
    ADD_WEBHOOK_KEY = "INSERT INTO webhook_keys (webhook_key, organization, environment, endpoint, sealed,
            public, stage, created_at, ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    CHANGE_WEBHOOK_KEY = "UPDATE webhook_keys SET sealed = ?7, public = ?8, stage = ?9, ended_at = ?10,
            version = version + 1
        WHERE webhook_key = ?1 AND organization = ?2 AND environment = ?3 AND endpoint = ?4
            AND created_at = ?5 AND version = ?6";
    END_WEBHOOK_KEY = "UPDATE webhook_keys SET ended_at = ?1, version = version + 1
        WHERE webhook_key = ?2 AND ended_at IS NULL";

    ADD_WEBHOOK_BLOCK = "INSERT INTO webhook_blocks (organization, environment, class, holder, reason, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    REMOVE_WEBHOOK_BLOCK = "DELETE FROM webhook_blocks
        WHERE organization = ?1 AND environment = ?2 AND class = ?3 AND holder = ?4";

    /// A delivery for each endpoint that takes events of the class, as it is at this moment. What is blocked waits from the
    /// start; whether one goes out is decided when it is to.
    ANNOUNCE = "INSERT INTO deliveries (endpoint, message, organization, environment, stream, seq, kind, class,
            at, hash, correlation, state, lane, due_at, attempt_count, is_ordered)
        SELECT endpoint, ?3, organization, environment, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
            CASE WHEN takes = 'due' AND EXISTS (SELECT 1 FROM webhook_blocks b WHERE b.organization IN (?1, x'')
                AND b.environment IN (?2, '') AND b.class IN (0, ?7)) THEN 'parked' ELSE takes END,
            CASE WHEN is_shelved THEN 2 ELSE 0 END, ?8, 0, is_ordered
        FROM endpoints WHERE organization = ?1 AND environment = ?2 AND takes <> 'nothing' AND classes & ?7
        ON CONFLICT DO NOTHING";
    ADD_DELIVERY = "INSERT INTO deliveries (endpoint, message, organization, environment, stream, seq, kind,
            class, at, hash, correlation, sealed_body, state, lane, due_at, attempt_count, signed_s, is_ordered)
        SELECT endpoint, ?2, organization, environment, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
            CASE WHEN is_shelved THEN 2 WHEN ?15 > 0 THEN 1 ELSE 0 END, ?14, ?15, ?16, is_ordered
        FROM endpoints WHERE endpoint = ?1 AND organization = ?3 AND environment = ?4
        ON CONFLICT DO NOTHING";
    ADD_ATTEMPT = "INSERT INTO attempts (attempt, organization, environment, endpoint, message, at, took_ms,
            signed_s, status, outcome, sealed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    /// What is to be tried again of an endpoint that takes nothing by now is over, and waits where that is asked.
    SETTLE = "UPDATE deliveries SET
            state = CASE WHEN ?4 IN ('delivered', 'failed') OR e.takes = 'due' THEN ?4
                WHEN e.takes = 'parked' THEN 'parked' ELSE 'failed' END,
            lane = CASE WHEN e.is_shelved THEN 2 WHEN attempt_count + ?6 > 0 THEN 1 ELSE 0 END,
            due_at = ?5, attempt_count = attempt_count + ?6,
            asked_count = asked_count + ?8, signed_s = coalesce(?7, signed_s), worker = NULL
        FROM endpoints e
        WHERE deliveries.endpoint = ?1 AND message = ?2 AND +worker = ?3 AND e.endpoint = deliveries.endpoint";

    BEAT = "INSERT INTO workers (worker, until) VALUES (?1, ?3)
        ON CONFLICT DO UPDATE SET until = excluded.until WHERE workers.until > ?2";
    /// The words CROSS JOIN make SQLite begin with the workers.
    /// What its endpoint takes no more by now follows it, and so does its lane: the endpoint may have left the shelf meanwhile.
    FREE_DEAD = "UPDATE deliveries SET worker = NULL,
            lane = CASE WHEN (SELECT is_shelved FROM endpoints e WHERE e.endpoint = deliveries.endpoint) THEN 2
                WHEN attempt_count > 0 THEN 1 ELSE 0 END,
            state = CASE (SELECT takes FROM endpoints e WHERE e.endpoint = deliveries.endpoint)
                WHEN 'parked' THEN 'parked' WHEN 'nothing' THEN 'failed' ELSE state END
        WHERE (endpoint, message) IN
        (SELECT d.endpoint, d.message FROM workers w CROSS JOIN deliveries d ON d.worker = w.worker
         WHERE w.until <= ?1 LIMIT ?2)";
    FORGET_WORKERS = "DELETE FROM workers WHERE until <= ?1
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.worker = workers.worker)";
    IS_ALIVE = "SELECT worker FROM workers WHERE worker = ?1 AND until > ?2";
    /// In the order in which they are due. Endpoints that are full are passed over by whoever reads.
    WAITING_IN_LANE = "SELECT endpoint, message FROM deliveries d
        WHERE lane = ?1 AND state = 'due' AND worker IS NULL AND due_at <= ?2
            AND EXISTS (SELECT 1 FROM endpoints e WHERE e.endpoint = d.endpoint AND e.takes = 'due')
            AND (is_ordered = 0 OR NOT EXISTS (SELECT 1 FROM deliveries earlier
                WHERE earlier.endpoint = d.endpoint AND earlier.stream = d.stream AND earlier.seq < d.seq
                    AND earlier.state IN ('due', 'parked')))
        ORDER BY due_at, message, endpoint";
    WAITING_OF_ENDPOINT = "SELECT endpoint, message FROM deliveries d
        WHERE endpoint = ?1 AND state = 'due' AND worker IS NULL AND due_at <= ?2
            AND EXISTS (SELECT 1 FROM endpoints e WHERE e.endpoint = ?1 AND e.takes = 'due')
            AND (is_ordered = 0 OR NOT EXISTS (SELECT 1 FROM deliveries earlier
                WHERE earlier.endpoint = d.endpoint AND earlier.stream = d.stream AND earlier.seq < d.seq
                    AND earlier.state IN ('due', 'parked')))
        ORDER BY due_at, message LIMIT ?3";
    TAKE_DELIVERY = "UPDATE deliveries SET worker = ?3 WHERE endpoint = ?1 AND message = ?2
        RETURNING *, (SELECT version FROM endpoints e WHERE e.endpoint = ?1) AS endpoint_version";
    NEXT_DELIVERY_DUE = "SELECT min(due_at) AS due_at FROM (
        SELECT min(due_at) AS due_at FROM deliveries WHERE lane = 0 AND state = 'due' AND worker IS NULL
        UNION ALL
        SELECT min(due_at) FROM deliveries WHERE lane = 1 AND state = 'due' AND worker IS NULL)";
    SET_SHELVED = "UPDATE endpoints SET is_shelved = ?2 WHERE endpoint = ?1 AND is_shelved <> ?2";
    MOVE_LANE = "UPDATE deliveries SET lane = CASE WHEN ?2 THEN 2 WHEN attempt_count > 0 THEN 1 ELSE 0 END
        WHERE (endpoint, message) IN (SELECT endpoint, message FROM deliveries
            WHERE endpoint = ?1 AND state = 'due' AND worker IS NULL AND (lane = 2) <> ?2
            ORDER BY due_at, message LIMIT ?3)";
    SHELVED = "SELECT e.endpoint, (SELECT count(*) FROM (SELECT 1 FROM deliveries d
            WHERE d.endpoint = e.endpoint AND d.state = 'due' AND d.worker IS NULL LIMIT ?1)) AS waiting
        FROM endpoints e WHERE e.is_shelved = 1 ORDER BY e.endpoint";
    FED_EVENTS = "SELECT e.envelope, e.seq, e.bytes, e.hash, e.leaf_id, l.leaf_index FROM leaves l
        JOIN events e ON e.organization = l.organization AND e.environment = l.environment
            AND e.envelope = l.envelope AND e.seq = l.seq
        WHERE l.organization = ?1 AND l.environment = ?2 AND l.leaf_index > ?3
        ORDER BY l.leaf_index LIMIT ?4";
    MOVE_DELIVERIES = "UPDATE deliveries SET state = ?4, due_at = ?6,
            asked_count = CASE WHEN ?3 IN ('delivered', 'failed') THEN attempt_count ELSE asked_count END,
            lane = CASE WHEN (SELECT is_shelved FROM endpoints e WHERE e.endpoint = ?1) THEN 2
                WHEN attempt_count > 0 THEN 1 ELSE 0 END
        WHERE (endpoint, message) IN (SELECT endpoint, message FROM deliveries
            WHERE endpoint = ?1 AND state = ?3 AND worker IS NULL AND message BETWEEN ?5 AND ?9
                AND due_at < ?10 AND class & ?11 <> 0
                AND organization = ?2 AND environment = ?8
            ORDER BY message LIMIT ?7)";
    SWEEP_ATTEMPTS = "DELETE FROM attempts WHERE attempt IN
        (SELECT attempt FROM attempts WHERE attempt < ?1 ORDER BY attempt LIMIT ?2)";
    /// Whoever takes an endpoint from the shelf looks after what is left of it there, but may end first.
    SWEEP_SHELF = "UPDATE deliveries SET lane = CASE WHEN attempt_count > 0 THEN 1 ELSE 0 END
        WHERE (endpoint, message) IN (SELECT d.endpoint, d.message FROM endpoints e
            CROSS JOIN deliveries d ON d.endpoint = e.endpoint AND d.state = 'due' AND d.worker IS NULL AND d.lane = 2
            WHERE e.is_shelved = 0 ORDER BY e.endpoint, d.due_at, d.message LIMIT ?1)";
    SWEEP_DELIVERIES = "DELETE FROM deliveries WHERE (endpoint, message) IN
        (SELECT endpoint, message FROM deliveries
         WHERE state IN ('delivered', 'failed') AND due_at < ?1 ORDER BY due_at LIMIT ?2)";
}
