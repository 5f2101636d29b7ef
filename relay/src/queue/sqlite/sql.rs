//! Statements. What is remembered is written down anew when its time is over.

pub(super) const REMEMBER_NONCE: &str =
    "INSERT INTO seen_attempts (sender, nonce, until_ms) VALUES (:sender, :nonce, :until)
    ON CONFLICT DO UPDATE SET until_ms = :until WHERE until_ms < :now";
pub(super) const REMEMBER_ID: &str =
    "INSERT INTO seen_messages (sender, id, until_ms) VALUES (:sender, :id, :until)
    ON CONFLICT DO UPDATE SET until_ms = :until WHERE until_ms < :now";
pub(super) const KNOWS_ID: &str =
    "SELECT 1 FROM seen_messages WHERE sender = :sender AND id = :id AND until_ms >= :now";
pub(super) const ENQUEUE: &str =
    "INSERT INTO queue (sender, id, stream, sequence, content_type, headers, body, received_ms, due_ms)
    VALUES (:sender, :id, :stream, :sequence, :content_type, :headers, :body, :now, :due)";
pub(super) const FORWARDED: &str = "SELECT sequence FROM streams WHERE sender = ?1 AND stream = ?2";
pub(super) const WAITS: &str =
    "SELECT 1 FROM queue WHERE sender = ?1 AND stream = ?2 AND sequence = ?3 LIMIT 1";
pub(super) const CLAIM: &str = "UPDATE queue SET due_ms = :until, attempts = attempts + 1, is_out = 1 WHERE number IN (
        SELECT number FROM queue AS q WHERE sender = :sender AND due_ms <= :now AND (stream IS NULL OR NOT EXISTS (
            SELECT 1 FROM queue AS p WHERE p.sender = q.sender AND p.stream = q.stream AND p.number <> q.number
            AND (p.sequence < q.sequence OR p.is_out = 1 AND p.due_ms > :now
                 OR p.sequence = q.sequence AND p.number < q.number)))
        ORDER BY due_ms, number LIMIT :most)
    RETURNING number, attempts, id, stream, sequence, content_type, headers, body, received_ms";
pub(super) const DONE: &str = "DELETE FROM queue WHERE number = ?1 AND attempts = ?2 AND sender = ?3";
pub(super) const RETRY: &str = "UPDATE queue SET due_ms = ?3, is_out = 0 WHERE number = ?1 AND attempts = ?2";
/// What waits behind a message in its stream waits as long.
pub(super) const HOLD_STREAM: &str = "UPDATE queue SET due_ms = ?4 WHERE sender = ?1 AND stream = ?2 AND sequence > ?3 AND due_ms < ?4 AND is_out = 0";
pub(super) const BURY: &str = "INSERT INTO dead (number, sender, id, content_type, headers, body, received_ms, attempts, died_ms, reason)
    SELECT number, sender, id, content_type, headers, body, received_ms, attempts, ?4, ?5 FROM queue
    WHERE number = ?1 AND attempts = ?2 AND sender = ?3";
pub(super) const OVERTAKEN: &str =
    "SELECT number, attempts FROM queue WHERE sender = ?1 AND stream = ?2 AND sequence < ?3";
pub(super) const FORWARDED_UP_TO: &str =
    "INSERT INTO streams (sender, stream, sequence, until_ms) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET sequence = max(sequence, ?3), until_ms = ?4";
pub(super) const NEXT_IN_STREAM: &str = "UPDATE queue SET due_ms = CASE WHEN sequence = :after + 1 THEN :now ELSE max(:now, received_ms + :gap) END
    WHERE is_out = 0 AND attempts = 0 AND number = (SELECT number FROM queue WHERE sender = :sender AND stream = :stream
        ORDER BY sequence, number LIMIT 1)";
pub(super) const DEPTH: &str =
    "SELECT (SELECT count(*) FROM queue), (SELECT coalesce(sum(length(body)), 0) FROM queue)
        + (SELECT coalesce(sum(length(body)), 0) FROM dead),
    (SELECT count(*) FROM dead), (SELECT received_ms FROM queue ORDER BY number LIMIT 1)";
pub(super) const SWEEP: [&str; 3] = [
    "DELETE FROM seen_attempts WHERE (sender, nonce) IN (SELECT sender, nonce FROM seen_attempts WHERE until_ms < ?1 LIMIT ?2)",
    "DELETE FROM seen_messages WHERE (sender, id) IN (SELECT sender, id FROM seen_messages WHERE until_ms < ?1 LIMIT ?2)",
    "DELETE FROM streams WHERE (sender, stream) IN (SELECT sender, stream FROM streams WHERE until_ms < ?1 LIMIT ?2)",
];
pub(super) const DEAD: &str =
    "SELECT number, sender, id, attempts, received_ms, died_ms, reason FROM dead WHERE number > ?1
    ORDER BY number LIMIT ?2";
pub(super) const REVIVE: &str =
    "INSERT INTO queue (sender, id, content_type, headers, body, received_ms, due_ms)
    SELECT sender, id, content_type, headers, body, ?3, ?3 FROM dead WHERE number = ?1 OR sender = ?2";
pub(super) const UNBURY: &str = "DELETE FROM dead WHERE number = ?1 OR sender = ?2";
pub(super) const RELEASE: &str = "UPDATE queue SET due_ms = ?2, is_out = 0 WHERE sender = ?1 AND is_out = 1";
