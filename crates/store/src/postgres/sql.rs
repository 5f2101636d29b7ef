//! Every statement of the PostgreSQL store. A test prepares each against a fresh schema.

/// Schema versions in order: the first makes version 1.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_initial.sql")];

/// The channel of [`NOTIFY`].
pub(super) const LISTEN: &str = "LISTEN countersign_work";

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}

statements! {
    LOAD_EVENTS = "SELECT e.seq, e.bytes, e.hash, e.leaf_id, l.leaf_index FROM events e
        LEFT JOIN leaves l ON l.organization = e.organization AND l.environment = e.environment
            AND l.envelope = e.envelope AND l.seq = e.seq
        WHERE e.organization = $1 AND e.environment = $2 AND e.envelope = $3 ORDER BY e.seq";
    HEAD = "SELECT hash FROM events WHERE organization = $1 AND environment = $2 AND envelope = $3
        ORDER BY seq DESC LIMIT 1";
    LOAD_OPENINGS = "SELECT * FROM openings WHERE organization = $1 AND environment = $2 AND envelope = $3
        ORDER BY commitment";
    LOAD_PERSONS = "SELECT * FROM persons WHERE organization = $1 AND environment = $2 AND person IN
        (SELECT person FROM openings WHERE organization = $1 AND environment = $2 AND envelope = $3)
        ORDER BY person";
    FIND_ENVELOPES = "SELECT * FROM envelopes WHERE organization = $1 AND environment = $2
        AND ($3::bytea IS NULL OR envelope < $3) ORDER BY envelope DESC LIMIT $4";
    FIND_ENVELOPES_BY_STATUS = "SELECT * FROM envelopes WHERE organization = $1 AND environment = $2
        AND status = $5 AND ($3::bytea IS NULL OR envelope < $3) ORDER BY envelope DESC LIMIT $4";
    OPENINGS = "SELECT * FROM openings
        WHERE organization = $1 AND environment = $2
        AND (envelope, commitment) IN (SELECT * FROM unnest($3::bytea[], $4::bytea[]))
        ORDER BY envelope, commitment";
    DOCUMENT = "SELECT * FROM documents WHERE organization = $1 AND environment = $2 AND document = $3";
    ARTIFACTS = "SELECT * FROM artifacts WHERE organization = $1 AND environment = $2 AND envelope = $3
        ORDER BY document IS NULL, document";
    ORGANIZATION = "SELECT * FROM organizations WHERE organization = $1";
    ORGANIZATIONS = "SELECT * FROM organizations ORDER BY organization";
    PERSONS_BY_LOOKUP = "SELECT * FROM persons
        WHERE organization = $1 AND environment = $2 AND lookup = ANY($3) ORDER BY person";
    PERSONS = "SELECT * FROM persons
        WHERE organization = $1 AND environment = $2 AND person = ANY($3) ORDER BY person";
    API_KEY = "SELECT * FROM api_keys WHERE hash = $1";
    API_KEYS = "SELECT * FROM api_keys WHERE organization = $1 ORDER BY api_key";
    END_API_KEY = "UPDATE api_keys SET expires_at = $2 WHERE api_key = $1 AND expires_at > $2";
    LIVE_KEYS = "SELECT api_key FROM api_keys WHERE environment = 'live' AND expires_at > $1 LIMIT 1";
    LINK = "SELECT * FROM links WHERE envelope = $1 AND secret = $2";
    LINK_BY_ID = "SELECT * FROM links WHERE organization = $1 AND environment = $2 AND link = $3";
    CODE = "SELECT * FROM codes WHERE organization = $1 AND environment = $2 AND code = $3";
    SESSION = "SELECT * FROM sessions WHERE cookie = $1";
    TOUCH_SESSION = "UPDATE sessions SET expires_at = $3 WHERE session = $1 AND expires_at > $2";
    MAILBOX = "SELECT * FROM mailbox WHERE organization = $1 AND environment = $2
        AND ($3::bigint IS NULL OR position < $3) ORDER BY position DESC LIMIT $4";
    KEYS = "SELECT * FROM server_keys ORDER BY created_at, name";

    /// Takes a key that is free, expired, stale, or held by this very claim.
    CLAIM = "INSERT INTO idempotency AS held
            (organization, environment, api_key, key, fingerprint, claim, claimed_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (organization, environment, api_key, key) DO UPDATE SET
            fingerprint = excluded.fingerprint, claim = excluded.claim,
            claimed_at = excluded.claimed_at, expires_at = excluded.expires_at,
            status = NULL, location = NULL, sealed_body = NULL
        WHERE held.expires_at <= $7 OR (held.status IS NULL AND held.fingerprint = $5
            AND (held.claim = $6 OR held.claimed_at <= $9))";
    CLAIMED = "SELECT key, fingerprint, status, location, sealed_body FROM idempotency
        WHERE organization = $1 AND environment = $2 AND api_key = $3 AND key = $4";
    ANSWER = "UPDATE idempotency SET status = $6, location = $7, sealed_body = $8
        WHERE organization = $1 AND environment = $2 AND api_key = $3 AND key = $4 AND claim = $5
        AND status IS NULL";
    RELEASE = "DELETE FROM idempotency
        WHERE organization = $1 AND environment = $2 AND api_key = $3 AND key = $4 AND claim = $5
        AND status IS NULL";

    SWEEP_SESSIONS = "DELETE FROM sessions WHERE session IN
        (SELECT session FROM sessions WHERE expires_at <= $1 ORDER BY expires_at, session LIMIT $2
         FOR UPDATE SKIP LOCKED)";
    SWEEP_CODES = "DELETE FROM codes WHERE code IN
        (SELECT code FROM codes WHERE expires_at <= $1 ORDER BY expires_at, code LIMIT $2
         FOR UPDATE SKIP LOCKED)";
    SWEEP_IDEMPOTENCY = "DELETE FROM idempotency WHERE (organization, environment, api_key, key) IN
        (SELECT organization, environment, api_key, key FROM idempotency WHERE expires_at <= $1
         ORDER BY expires_at, organization, environment, api_key, key LIMIT $2 FOR UPDATE SKIP LOCKED)";

    /// Jobs that another server leases at this moment are left to it.
    LEASE_JOBS = "WITH due AS MATERIALIZED (
            SELECT job, due_at FROM jobs WHERE due_at <= $1 ORDER BY due_at, job LIMIT $3
            FOR UPDATE SKIP LOCKED),
        leased AS (
            UPDATE jobs SET due_at = $2, leased = true, attempt_count = attempt_count + 1, fence = fence + 1
            FROM due WHERE jobs.job = due.job
            RETURNING jobs.job, organization, environment, work, correlation, attempt_count, fence,
                due.due_at AS was_due)
        SELECT * FROM leased ORDER BY was_due, job";
    PUT_BACK_JOB = "UPDATE jobs SET due_at = $3, leased = false, put_back_reason = $4,
            attempt_count = attempt_count - CASE WHEN $5::boolean THEN 0 ELSE 1 END
        WHERE job = $1 AND fence = $2 AND leased";
    FINISH_JOB = "DELETE FROM jobs WHERE job = $1 AND fence = $2 AND leased";
    NEXT_DUE = "SELECT due_at FROM jobs ORDER BY due_at LIMIT 1";
    ADD_JOBS = "INSERT INTO jobs
            (job, organization, environment, work, correlation, due_at, leased, attempt_count, fence)
        SELECT *, false, 0, 0
        FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
        ON CONFLICT DO NOTHING";

    NEXT_LEAVES = "SELECT u.envelope, u.seq, e.hash, e.leaf_id FROM unsequenced u
        JOIN events e ON e.organization = u.organization AND e.environment = u.environment
            AND e.envelope = u.envelope AND e.seq = u.seq
        ORDER BY u.position LIMIT $1";
    LOG_SIZE = "SELECT size FROM checkpoints ORDER BY position DESC LIMIT 1";
    CHECKPOINT = "SELECT size, note FROM checkpoints ORDER BY position DESC LIMIT 1";
    /// One publisher at a time, until the end of the transaction.
    LOCK_LOG = "SELECT pg_advisory_xact_lock(7166745341863715692)";
    ADD_LEAVES = "INSERT INTO leaves (leaf_index, organization, environment, envelope, seq)
        SELECT n.leaf_index, u.organization, u.environment, u.envelope, u.seq
        FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bytea[])
            AS n(leaf_index, envelope, seq, hash, leaf_id)
        JOIN unsequenced u ON u.envelope = n.envelope AND u.seq = n.seq
        JOIN events e ON e.organization = u.organization AND e.environment = u.environment
            AND e.envelope = u.envelope AND e.seq = u.seq
        WHERE e.hash = n.hash AND e.leaf_id = n.leaf_id";
    REMOVE_WAITING = "DELETE FROM unsequenced u USING unnest($1::bytea[], $2::bigint[]) AS n(envelope, seq)
        WHERE u.envelope = n.envelope AND u.seq = n.seq";
    ADD_TILES = "INSERT INTO tiles AS old (level, tile_index, bytes)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])
        ON CONFLICT (level, tile_index) DO UPDATE SET bytes = excluded.bytes
        WHERE length(excluded.bytes) > length(old.bytes)";
    ADD_CHECKPOINT = "INSERT INTO checkpoints (size, note) VALUES ($1, $2)";
    TILES = "SELECT n.place, t.bytes
        FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS n(level, tile_index, place)
        LEFT JOIN tiles t ON t.level = n.level AND t.tile_index = n.tile_index ORDER BY n.place";

    STREAMS = "SELECT envelope, organization, environment FROM envelopes
        WHERE $1::bytea IS NULL OR envelope > $1 ORDER BY envelope LIMIT $2";
    DOCUMENTS = "SELECT * FROM documents WHERE $1::bytea IS NULL OR document > $1 ORDER BY document LIMIT $2";
    BLOB_NAMES = "SELECT blob FROM documents WHERE $1::text IS NULL OR blob > $1
        UNION SELECT blob FROM artifacts WHERE $1::text IS NULL OR blob > $1 ORDER BY blob LIMIT $2";
    /// Held by a connection of the log's leader for as long as it lives.
    LEAD = "SELECT pg_try_advisory_lock(7166745341863715693) AS leads";
    LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(7166745341863715694)";
    MAKE_VERSION = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    VERSION = "SELECT coalesce(max(version), 0) AS version FROM schema_version";
    ADD_VERSION = "INSERT INTO schema_version (version) VALUES ($1)";
    PING = "SELECT 1";

    NEW_ENVELOPES = "INSERT INTO envelopes
            (envelope, organization, environment, status, created_at, changed_at, expires_at, title, last_seq)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bytea[], $9::bigint[])
        ON CONFLICT DO NOTHING";
    MOVE_ENVELOPES = "UPDATE envelopes e SET status = n.status, created_at = n.created_at,
            changed_at = n.changed_at, expires_at = n.expires_at, title = n.title, last_seq = n.last_seq
        FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bytea[], $9::bigint[], $10::bigint[])
            AS n(envelope, organization, environment, status, created_at, changed_at, expires_at, title,
                 last_seq, before)
        WHERE e.envelope = n.envelope AND e.organization = n.organization
            AND e.environment = n.environment AND e.last_seq = n.before";
    ADD_EVENTS = "INSERT INTO events (organization, environment, envelope, seq, bytes, hash, leaf_id)
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[],
            $7::bytea[])";
    ADD_WAITING = "INSERT INTO unsequenced (organization, environment, envelope, seq)
        SELECT organization, environment, envelope, seq
        FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bigint[]) WITH ORDINALITY
            AS n(organization, environment, envelope, seq, place) ORDER BY place";
    /// Wakes the workers of all servers. Nothing is lost if it is, so nobody waits for the disk.
    NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('countersign_work', '')";

    ADD_ORGANIZATION = "INSERT INTO organizations (organization, name, wrapped_key, created_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    ADD_PERSON = "INSERT INTO persons (person, organization, environment, lookup, wrapped_key)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    ADD_OPENINGS = "INSERT INTO openings (commitment, organization, environment, envelope, person, sealed)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[])
        ON CONFLICT DO NOTHING";
    ADD_DOCUMENT = "INSERT INTO documents (document, organization, environment, sha256, size_bytes, blob,
            wrapped_key, inspection, person, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    ADD_API_KEY = "INSERT INTO api_keys (api_key, organization, environment, hash, scopes, person, label,
            created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    REMOVE_LINKS = "DELETE FROM links
        WHERE organization = $1 AND environment = $2 AND envelope = $3 AND recipient = $4";
    ADD_LINK = "INSERT INTO links (link, organization, environment, envelope, recipient, secret,
            sealed_secret, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    ADD_SESSION = "INSERT INTO sessions (session, organization, environment, cookie, envelope, recipient,
            nonce, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    ADD_CODE = "INSERT INTO codes (code, organization, environment, session, mac, sealed_digits, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    ADD_ARTIFACT = "INSERT INTO artifacts (envelope, document, organization, environment, sha256, size_bytes,
            blob, wrapped_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    ADD_MAIL = "INSERT INTO mailbox (mail, organization, environment, at, sealed)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    ADD_KEY = "INSERT INTO server_keys (name, purpose, wrapped_key, public, created_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
}
