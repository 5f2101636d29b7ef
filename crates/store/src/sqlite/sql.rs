//! Every statement of the SQLite store. A test prepares each against a fresh schema.

/// Schema versions in order: the first makes version 1.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_initial.sql")];

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
        WHERE e.organization = ?1 AND e.environment = ?2 AND e.envelope = ?3 ORDER BY e.seq";
    HEAD = "SELECT hash FROM events WHERE organization = ?1 AND environment = ?2 AND envelope = ?3
        ORDER BY seq DESC LIMIT 1";
    /// The plus signs in the second keep SQLite from the index of the tenant, at the price of reading all that it has.
    LOAD_OPENINGS = "SELECT * FROM openings WHERE organization = ?1 AND environment = ?2 AND envelope = ?3
        ORDER BY commitment";
    LOAD_PERSONS = "SELECT * FROM persons WHERE +organization = ?1 AND +environment = ?2 AND person IN
        (SELECT person FROM openings WHERE organization = ?1 AND environment = ?2 AND envelope = ?3)
        ORDER BY person";
    FIND_ENVELOPES = "SELECT * FROM envelopes WHERE organization = ?1 AND environment = ?2
        AND envelope < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff') ORDER BY envelope DESC LIMIT ?4";
    FIND_ENVELOPES_BY_STATUS = "SELECT * FROM envelopes WHERE organization = ?1 AND environment = ?2
        AND status = ?5 AND envelope < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff')
        ORDER BY envelope DESC LIMIT ?4";
    OPENING = "SELECT * FROM openings WHERE organization = ?1 AND environment = ?2 AND envelope = ?3
        AND commitment = ?4";
    DOCUMENT = "SELECT * FROM documents WHERE organization = ?1 AND environment = ?2 AND document = ?3";
    ARTIFACTS = "SELECT * FROM artifacts WHERE organization = ?1 AND environment = ?2 AND envelope = ?3
        ORDER BY document IS NULL, document";
    ORGANIZATION = "SELECT * FROM organizations WHERE organization = ?1";
    ORGANIZATIONS = "SELECT * FROM organizations ORDER BY organization";
    PERSON_BY_LOOKUP = "SELECT * FROM persons WHERE organization = ?1 AND environment = ?2 AND lookup = ?3";
    PERSON = "SELECT * FROM persons WHERE organization = ?1 AND environment = ?2 AND person = ?3";
    API_KEY = "SELECT * FROM api_keys WHERE hash = ?1";
    API_KEYS = "SELECT * FROM api_keys WHERE organization = ?1 ORDER BY api_key";
    END_API_KEY = "UPDATE api_keys SET expires_at = ?2 WHERE api_key = ?1 AND expires_at > ?2";
    LIVE_KEYS = "SELECT api_key FROM api_keys WHERE environment = 'live' AND expires_at > ?1 LIMIT 1";
    LINK = "SELECT * FROM links WHERE envelope = ?1 AND secret = ?2";
    LINK_BY_ID = "SELECT * FROM links WHERE organization = ?1 AND environment = ?2 AND link = ?3";
    CODE = "SELECT * FROM codes WHERE organization = ?1 AND environment = ?2 AND code = ?3";
    SESSION = "SELECT * FROM sessions WHERE cookie = ?1";
    TOUCH_SESSION = "UPDATE sessions SET expires_at = ?3 WHERE session = ?1 AND expires_at > ?2";
    MAILBOX = "SELECT * FROM mailbox WHERE organization = ?1 AND environment = ?2
        AND position < coalesce(?3, 9223372036854775807) ORDER BY position DESC LIMIT ?4";
    KEYS = "SELECT * FROM server_keys ORDER BY created_at, name";

    /// Takes a key that is free, expired, stale, or held by this very claim.
    CLAIM = "INSERT INTO idempotency
            (organization, environment, api_key, key, fingerprint, claim, claimed_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, claim = excluded.claim,
            claimed_at = excluded.claimed_at, expires_at = excluded.expires_at,
            status = NULL, location = NULL, sealed_body = NULL
        WHERE expires_at <= ?7 OR (status IS NULL AND fingerprint = ?5 AND (claim = ?6 OR claimed_at <= ?9))";
    CLAIMED = "SELECT key, fingerprint, status, location, sealed_body FROM idempotency
        WHERE organization = ?1 AND environment = ?2 AND api_key = ?3 AND key = ?4";
    ANSWER = "UPDATE idempotency SET status = ?6, location = ?7, sealed_body = ?8
        WHERE organization = ?1 AND environment = ?2 AND api_key = ?3 AND key = ?4 AND claim = ?5
        AND status IS NULL";
    RELEASE = "DELETE FROM idempotency
        WHERE organization = ?1 AND environment = ?2 AND api_key = ?3 AND key = ?4 AND claim = ?5
        AND status IS NULL";

    SWEEP_SESSIONS = "DELETE FROM sessions WHERE session IN
        (SELECT session FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at, session LIMIT ?2)";
    SWEEP_CODES = "DELETE FROM codes WHERE code IN
        (SELECT code FROM codes WHERE expires_at <= ?1 ORDER BY expires_at, code LIMIT ?2)";
    SWEEP_IDEMPOTENCY = "DELETE FROM idempotency WHERE rowid IN
        (SELECT rowid FROM idempotency WHERE expires_at <= ?1
         ORDER BY expires_at, organization, environment, api_key, key LIMIT ?2)";

    DUE_JOBS = "SELECT job FROM jobs WHERE due_at <= ?1 ORDER BY due_at, job LIMIT ?2";
    LEASE_JOB = "UPDATE jobs SET due_at = ?2, leased = 1, attempt_count = attempt_count + 1, fence = fence + 1
        WHERE job = ?1
        RETURNING job, organization, environment, work, correlation, attempt_count, fence";
    PUT_BACK_JOB = "UPDATE jobs SET due_at = ?3, leased = 0, put_back_reason = ?4,
            attempt_count = attempt_count - (NOT ?5)
        WHERE job = ?1 AND fence = ?2 AND leased = 1";
    FINISH_JOB = "DELETE FROM jobs WHERE job = ?1 AND fence = ?2 AND leased = 1";
    NEXT_DUE = "SELECT due_at FROM jobs ORDER BY due_at LIMIT 1";
    ADD_JOB = "INSERT INTO jobs
            (job, organization, environment, work, correlation, due_at, leased, attempt_count, fence)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0) ON CONFLICT DO NOTHING";

    NEXT_LEAVES = "SELECT u.envelope, u.seq, e.hash, e.leaf_id FROM unsequenced u
        JOIN events e ON e.organization = u.organization AND e.environment = u.environment
            AND e.envelope = u.envelope AND e.seq = u.seq
        ORDER BY u.position LIMIT ?1";
    LOG_SIZE = "SELECT size FROM checkpoints ORDER BY position DESC LIMIT 1";
    CHECKPOINT = "SELECT size, note FROM checkpoints ORDER BY position DESC LIMIT 1";
    ADD_LEAF = "INSERT INTO leaves (leaf_index, organization, environment, envelope, seq)
        SELECT ?1, u.organization, u.environment, u.envelope, u.seq FROM unsequenced u
        JOIN events e ON e.organization = u.organization AND e.environment = u.environment
            AND e.envelope = u.envelope AND e.seq = u.seq
        WHERE u.envelope = ?2 AND u.seq = ?3 AND e.hash = ?4 AND e.leaf_id = ?5";
    REMOVE_WAITING = "DELETE FROM unsequenced WHERE envelope = ?1 AND seq = ?2";
    ADD_TILE = "INSERT INTO tiles (level, tile_index, bytes) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET bytes = excluded.bytes WHERE length(excluded.bytes) > length(bytes)";
    ADD_CHECKPOINT = "INSERT INTO checkpoints (size, note) VALUES (?1, ?2)";
    TILE = "SELECT bytes FROM tiles WHERE level = ?1 AND tile_index = ?2";

    STREAMS = "SELECT envelope, organization, environment FROM envelopes
        WHERE envelope > coalesce(?1, x'') ORDER BY envelope LIMIT ?2";
    DOCUMENTS = "SELECT * FROM documents WHERE document > coalesce(?1, x'') ORDER BY document LIMIT ?2";
    BLOB_NAMES = "SELECT blob FROM documents WHERE blob > ?1 UNION SELECT blob FROM artifacts WHERE blob > ?1
        ORDER BY blob LIMIT ?2";
    FIRST_BLOB_NAMES = "SELECT blob FROM documents UNION SELECT blob FROM artifacts ORDER BY blob LIMIT ?1";
    PING = "SELECT count(*) FROM sqlite_schema";

    NEW_ENVELOPE = "INSERT INTO envelopes
            (envelope, organization, environment, status, created_at, changed_at, expires_at, title, last_seq)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    MOVE_ENVELOPE = "UPDATE envelopes SET status = ?4, created_at = ?5, changed_at = ?6, expires_at = ?7,
            title = ?8, last_seq = ?9
        WHERE envelope = ?1 AND organization = ?2 AND environment = ?3 AND last_seq = ?10";
    ADD_EVENT = "INSERT INTO events (organization, environment, envelope, seq, bytes, hash, leaf_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    ADD_WAITING = "INSERT INTO unsequenced (organization, environment, envelope, seq) VALUES (?1, ?2, ?3, ?4)";

    ADD_ORGANIZATION = "INSERT INTO organizations (organization, name, wrapped_key, created_at)
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    ADD_PERSON = "INSERT INTO persons (person, organization, environment, lookup, wrapped_key)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    ADD_OPENING = "INSERT INTO openings (commitment, organization, environment, envelope, person, sealed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    ADD_DOCUMENT = "INSERT INTO documents (document, organization, environment, sha256, size_bytes, blob,
            wrapped_key, inspection, person, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    ADD_API_KEY = "INSERT INTO api_keys (api_key, organization, environment, hash, scopes, person, label,
            created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    REMOVE_LINKS = "DELETE FROM links
        WHERE organization = ?1 AND environment = ?2 AND envelope = ?3 AND recipient = ?4";
    ADD_LINK = "INSERT INTO links (link, organization, environment, envelope, recipient, secret,
            sealed_secret, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    ADD_SESSION = "INSERT INTO sessions (session, organization, environment, cookie, envelope, recipient,
            nonce, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    ADD_CODE = "INSERT INTO codes (code, organization, environment, session, mac, sealed_digits, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    ADD_ARTIFACT = "INSERT INTO artifacts (envelope, document, organization, environment, sha256, size_bytes,
            blob, wrapped_key)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    ADD_MAIL = "INSERT INTO mailbox (mail, organization, environment, at, sealed)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    ADD_KEY = "INSERT INTO server_keys (name, purpose, wrapped_key, public, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
}
