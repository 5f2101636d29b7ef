//! Statements. All times are those of the database, so that relays need not agree on one.

/// Keeps a group of messages: remembers nonces, then ids, and what is new is queued. In the order of keys, so that two relays
/// do not wait for each other.
pub(super) const ACCEPT: &str = "
WITH input AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::text[], $7::int8[], $8::int8[],
        $9::text[], $10::text[], $11::bytea[])
    AS i(sender, id, nonce, nonce_ms, id_ms, stream, sequence, gap_ms, content_type, headers, body)
), fresh AS (
    INSERT INTO relay_seen_attempts AS s (sender, nonce, until_ms)
    SELECT sender, nonce, relay_now_ms() + nonce_ms FROM input WHERE nonce IS NOT NULL ORDER BY sender, nonce
    ON CONFLICT (sender, nonce) DO UPDATE SET until_ms = excluded.until_ms WHERE s.until_ms < relay_now_ms()
    RETURNING s.sender, s.nonce
), new AS (
    INSERT INTO relay_seen_messages AS s (sender, id, until_ms)
    SELECT i.sender, i.id, relay_now_ms() + i.id_ms FROM input i
    WHERE i.nonce IS NULL OR EXISTS (SELECT FROM fresh f WHERE f.sender = i.sender AND f.nonce = i.nonce)
    ORDER BY i.sender, i.id
    ON CONFLICT (sender, id) DO UPDATE SET until_ms = excluded.until_ms WHERE s.until_ms < relay_now_ms()
    RETURNING s.sender, s.id
), placed AS (
    SELECT i.*, coalesce(s.sequence >= i.sequence, false) AS is_overtaken,
        i.stream IS NULL OR i.sequence = 1 OR coalesce(s.sequence = i.sequence - 1, false) OR EXISTS (
            SELECT FROM relay_queue p WHERE p.sender = i.sender AND p.stream = i.stream AND p.sequence = i.sequence - 1
        ) AS is_next
    FROM input i JOIN new n ON n.sender = i.sender AND n.id = i.id
    LEFT JOIN relay_streams s ON s.sender = i.sender AND s.stream = i.stream
), kept AS (
    INSERT INTO relay_queue (sender, id, stream, sequence, content_type, headers, body, received_ms, due_ms)
    SELECT sender, id, stream, sequence, content_type, headers, body, relay_now_ms(),
        relay_now_ms() + CASE WHEN is_next THEN 0 ELSE gap_ms END
    FROM placed WHERE NOT is_overtaken
), aside AS (
    INSERT INTO relay_dead (number, sender, id, content_type, headers, body, received_ms, attempts, died_ms, reason)
    SELECT nextval(pg_get_serial_sequence('relay_queue', 'number')), sender, id, content_type, headers, body, relay_now_ms(), 0,
        relay_now_ms(), $12 FROM placed WHERE is_overtaken
)
SELECT i.sender, i.id,
    i.nonce IS NULL OR EXISTS (SELECT FROM fresh f WHERE f.sender = i.sender AND f.nonce = i.nonce) AS is_fresh,
    EXISTS (SELECT FROM new n WHERE n.sender = i.sender AND n.id = i.id) AS is_new,
    EXISTS (SELECT FROM relay_seen_messages s WHERE s.sender = i.sender AND s.id = i.id AND s.until_ms >= relay_now_ms()) AS is_known,
    EXISTS (SELECT FROM placed p WHERE p.sender = i.sender AND p.id = i.id AND p.is_overtaken) AS is_overtaken
FROM input i";

/// Takes out what is due. What another relay takes out at this moment is passed over.
pub(super) const CLAIM: &str = "
WITH taken AS MATERIALIZED (
    SELECT number FROM relay_queue q WHERE sender = $1 AND due_ms <= relay_now_ms() AND (stream IS NULL OR NOT EXISTS (
        SELECT FROM relay_queue p WHERE p.sender = q.sender AND p.stream = q.stream AND p.number <> q.number
        AND (p.sequence < q.sequence OR p.is_out AND p.due_ms > relay_now_ms()
             OR p.sequence = q.sequence AND p.number < q.number)))
    ORDER BY due_ms, number LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE relay_queue q SET due_ms = relay_now_ms() + $3, attempts = attempts + 1, is_out = true
FROM taken t WHERE q.number = t.number
RETURNING q.number, attempts, id, stream, sequence, content_type, headers, body, received_ms";

/// Ends attempts of messages that the system has. Where one has a place in a stream, that is noted, what it overtook meanwhile is set
/// aside, and the next one may go.
pub(super) const DONE_GROUP: &str = "
WITH input AS (
    SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::int8[], $6::int8[])
    AS i(number, attempt, sender, stream, sequence, gap_ms)
), done AS (
    DELETE FROM relay_queue q USING input i WHERE q.number = i.number AND q.attempts = i.attempt AND q.sender = i.sender
    RETURNING q.number
), ended AS (
    SELECT i.* FROM input i JOIN done d ON d.number = i.number WHERE i.stream IS NOT NULL
), noted AS (
    INSERT INTO relay_streams AS s (sender, stream, sequence, until_ms)
    SELECT sender, stream, max(sequence), relay_now_ms() + 31622400000 FROM ended GROUP BY sender, stream ORDER BY sender, stream
    ON CONFLICT (sender, stream) DO UPDATE SET sequence = greatest(s.sequence, excluded.sequence), until_ms = excluded.until_ms
), late AS (
    DELETE FROM relay_queue q USING ended e WHERE q.sender = e.sender AND q.stream = e.stream AND q.sequence < e.sequence
        AND NOT EXISTS (SELECT FROM input i WHERE i.number = q.number)
    RETURNING q.*
), aside AS (
    INSERT INTO relay_dead (number, sender, id, content_type, headers, body, received_ms, attempts, died_ms, reason)
    SELECT number, sender, id, content_type, headers, body, received_ms, attempts, relay_now_ms(), $7 FROM late
), next AS (
    UPDATE relay_queue q SET due_ms = CASE WHEN q.sequence = e.sequence + 1 THEN relay_now_ms()
        ELSE greatest(relay_now_ms(), q.received_ms + e.gap_ms) END
    FROM ended e WHERE NOT q.is_out AND q.attempts = 0 AND q.number = (
        SELECT n.number FROM relay_queue n WHERE n.sender = e.sender AND n.stream = e.stream AND n.sequence >= e.sequence
            AND n.number <> e.number ORDER BY n.sequence, n.number LIMIT 1)
)
SELECT number FROM done";

pub(super) const RETRY: &str = "UPDATE relay_queue SET due_ms = relay_now_ms() + $4, is_out = false
WHERE number = $1 AND attempts = $2 AND sender = $3";
/// What waits behind a message in its stream waits as long.
pub(super) const HOLD_STREAM: &str = "UPDATE relay_queue SET due_ms = relay_now_ms() + $4
WHERE sender = $1 AND stream = $2 AND sequence > $3 AND due_ms < relay_now_ms() + $4 AND NOT is_out";
pub(super) const BURY: &str = "
WITH gone AS (DELETE FROM relay_queue WHERE number = $1 AND attempts = $2 AND sender = $3 RETURNING *)
INSERT INTO relay_dead (number, sender, id, content_type, headers, body, received_ms, attempts, died_ms, reason)
SELECT number, sender, id, content_type, headers, body, received_ms, attempts, relay_now_ms(), $4 FROM gone";
pub(super) const NEXT_IN_STREAM: &str = "
UPDATE relay_queue SET due_ms = CASE WHEN sequence = $3::int8 + 1 THEN relay_now_ms() ELSE greatest(relay_now_ms(), received_ms + $4) END
WHERE NOT is_out AND attempts = 0 AND number = (
    SELECT number FROM relay_queue WHERE sender = $1 AND stream = $2 ORDER BY sequence, number LIMIT 1)";

pub(super) const DEPTH: &str = "
SELECT count(*), coalesce(sum(octet_length(body)), 0)::int8
        + (SELECT coalesce(sum(octet_length(body)), 0)::int8 FROM relay_dead), (SELECT count(*) FROM relay_dead),
    (SELECT received_ms FROM relay_queue ORDER BY number LIMIT 1) FROM relay_queue";
pub(super) const SWEEP: [&str; 3] = [
    "DELETE FROM relay_seen_attempts WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM relay_seen_attempts WHERE until_ms < relay_now_ms() LIMIT $1 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM relay_seen_messages WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM relay_seen_messages WHERE until_ms < relay_now_ms() LIMIT $1 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM relay_streams WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM relay_streams WHERE until_ms < relay_now_ms() LIMIT $1 FOR UPDATE SKIP LOCKED))",
];
pub(super) const DEAD: &str =
    "SELECT number, sender, id, attempts, received_ms, died_ms, reason FROM relay_dead
WHERE number > $1 ORDER BY number LIMIT $2";
pub(super) const REMOVE: &str = "DELETE FROM relay_dead WHERE number = $1 OR sender = $2";
pub(super) const REQUEUE: &str = "
WITH back AS (DELETE FROM relay_dead WHERE number = $1 OR sender = $2 RETURNING *)
INSERT INTO relay_queue (sender, id, content_type, headers, body, received_ms, due_ms)
SELECT sender, id, content_type, headers, body, relay_now_ms(), relay_now_ms() FROM back ORDER BY number";
