//! Every statement of the PostgreSQL store. A test prepares each against a fresh schema.

/// Schema versions in order: the first makes version 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_access.sql"),
    include_str!("migrations/0003_webhooks.sql"),
    include_str!("migrations/0004_delivery_indexes.sql"),
    include_str!("migrations/0005_sealed_storage.sql"),
];

/// The channel of [`NOTIFY`].
pub(super) const LISTEN: &str = "LISTEN countersign_work";

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}

pub(super) use statements;

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
    /// Of any tenant, as persons by their ids: whoever asks compares.
    DOCUMENT = "SELECT * FROM documents WHERE document = ANY($1)";
    ARTIFACTS = "SELECT * FROM artifacts WHERE organization = $1 AND environment = $2 AND envelope = $3
        ORDER BY document IS NULL, document";
    ORGANIZATION = "SELECT * FROM organizations WHERE organization = $1";
    ORGANIZATIONS = "SELECT * FROM organizations ORDER BY organization";
    PERSON = "SELECT * FROM persons WHERE person = ANY($1)";
    /// A key is organization (16 bytes), lookup (32 bytes), environment. Key by key, as answers are.
    PERSON_BY_LOOKUP = "SELECT p.* FROM unnest($1::bytea[]) AS n(key)
        CROSS JOIN LATERAL (SELECT * FROM persons
            WHERE organization = substring(n.key FROM 1 FOR 16) AND lookup = substring(n.key FROM 17 FOR 32)
                AND environment = convert_from(substring(n.key FROM 49), 'UTF8') COLLATE \"default\"
            LIMIT 1) AS p";
    API_KEY = "SELECT * FROM api_keys WHERE hash = ANY($1)";
    API_KEYS = "SELECT * FROM api_keys WHERE organization = $1 ORDER BY api_key";
    LIVE_KEYS = "SELECT api_key FROM api_keys WHERE environment = 'live' AND expires_at > $1 LIMIT 1";
    LINK = "SELECT * FROM links WHERE envelope = $1 AND secret = $2";
    LINK_BY_ID = "SELECT * FROM links WHERE organization = $1 AND environment = $2 AND link = $3";
    CODE = "SELECT * FROM codes WHERE organization = $1 AND environment = $2 AND code = $3";
    SESSION = "SELECT * FROM sessions WHERE cookie = $1";
    TOUCH_SESSION = "UPDATE sessions SET expires_at = $3 WHERE session = $1 AND expires_at > $2";
    MAILBOX = "SELECT * FROM mailbox WHERE organization = $1 AND environment = $2
        AND ($3::bigint IS NULL OR position < $3) ORDER BY position DESC LIMIT $4";
    KEYS = "SELECT * FROM server_keys ORDER BY created_at, name";

    /// Takes keys that are free, expired, stale, or held by this very claim. Nobody waits until that is on the disk: what is done
    /// under it is written after it, and if both are lost the key is free.
    CLAIM = "INSERT INTO idempotency AS held
            (organization, environment, caller, key, fingerprint, claim, claimed_at, expires_at)
        SELECT n.organization, n.environment, n.caller, n.key, n.fingerprint, n.claim, n.claimed_at, n.expires_at
        FROM (SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', $10, true)) AS unsynced
        CROSS JOIN unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bytea[], $7::bigint[],
                $8::bigint[])
            AS n(organization, environment, caller, key, fingerprint, claim, claimed_at, expires_at)
        ON CONFLICT (organization, environment, caller, key) DO UPDATE SET
            fingerprint = excluded.fingerprint, claim = excluded.claim,
            claimed_at = excluded.claimed_at, expires_at = excluded.expires_at,
            status = NULL, location = NULL, sealed_body = NULL
        WHERE held.expires_at <= excluded.claimed_at
            OR (held.status IS NULL AND held.fingerprint = excluded.fingerprint
                AND (held.claim = excluded.claim OR held.claimed_at <= (SELECT n.stale
                    FROM unnest($6::bytea[], $9::bigint[]) AS n(claim, stale) WHERE n.claim = excluded.claim)))
        RETURNING claim";
    CLAIMED = "SELECT key, fingerprint, status, location, sealed_body FROM idempotency
        WHERE organization = $1 AND environment = $2 AND caller = $3 AND key = $4";
    /// Key by key: joined, a plan that was made while there were few would read all that there are. Locked where it is found, no key is taken
    /// over between that and its answer.
    ANSWER = "WITH held AS MATERIALIZED (
            SELECT i.place, n.status, n.location, n.sealed_body
            FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::text[],
                $8::bytea[]) AS n(organization, environment, caller, key, claim, status, location, sealed_body)
            CROSS JOIN LATERAL (SELECT ctid AS place FROM idempotency
                WHERE organization = n.organization AND environment = n.environment AND caller = n.caller
                    AND key = n.key AND claim = n.claim AND idempotency.status IS NULL
                LIMIT 1 FOR UPDATE) AS i)
        UPDATE idempotency i SET status = held.status, location = held.location, sealed_body = held.sealed_body
        FROM held WHERE i.ctid = held.place";
    RELEASE = "DELETE FROM idempotency
        WHERE organization = $1 AND environment = $2 AND caller = $3 AND key = $4 AND claim = $5
        AND status IS NULL";

    SWEEP_SESSIONS = "DELETE FROM sessions WHERE session IN
        (SELECT session FROM sessions WHERE expires_at <= $1 ORDER BY expires_at, session LIMIT $2
         FOR UPDATE SKIP LOCKED)";
    SWEEP_CODES = "DELETE FROM codes WHERE code IN
        (SELECT code FROM codes WHERE expires_at <= $1 ORDER BY expires_at, code LIMIT $2
         FOR UPDATE SKIP LOCKED)";
    SWEEP_IDEMPOTENCY = "DELETE FROM idempotency WHERE (organization, environment, caller, key) IN
        (SELECT organization, environment, caller, key FROM idempotency WHERE expires_at <= $1
         ORDER BY expires_at, organization, environment, caller, key LIMIT $2 FOR UPDATE SKIP LOCKED)";

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

    /// Event by event: a plan that were made for few events would read all of them later.
    NEXT_LEAVES = "SELECT u.envelope, u.seq, e.hash, e.leaf_id
        FROM (SELECT * FROM unsequenced ORDER BY position LIMIT $1) u
        CROSS JOIN LATERAL (SELECT hash, leaf_id FROM events e WHERE e.organization = u.organization
            AND e.environment = u.environment AND e.envelope = u.envelope AND e.seq = u.seq LIMIT 1) e
        ORDER BY u.position";
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
    REMOVE_WAITING = "DELETE FROM unsequenced u USING unnest($1::bigint[]) AS n(leaf_index), leaves l
        WHERE l.leaf_index = n.leaf_index AND u.envelope = l.envelope AND u.seq = l.seq
            AND u.organization = l.organization AND u.environment = l.environment";
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
    /// Which process it is, and when it began: numbers come again.
    PROCESS = "SELECT pid || ' ' || backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('countersign_work', $1)";

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
            created_at, expires_at, networks, replaces, used_at, used_origin, warned_days, created_by, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT DO NOTHING";
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

    ACCESS_TOKEN = "SELECT NULL AS \"access_tokens:\", t.*, NULL AS \"grants:\", g.*,
            NULL AS \"clients:\", c.*, NULL AS \"sign_ins:\", s.ended_at,
            NULL AS \"users:\", u.user_id, u.valid_from, u.ended_at, NULL AS \"members:\", m.*
        FROM access_tokens t
        JOIN grants g ON g.grant_id = t.grant_id
        JOIN clients c ON c.client = g.client
        LEFT JOIN sign_ins s ON s.sign_in = g.sign_in
        LEFT JOIN users u ON u.user_id = g.user_id
        LEFT JOIN members m ON m.organization = g.organization AND m.user_id = g.user_id
        WHERE t.hash = ANY($1)";
    CLIENT = "SELECT * FROM clients WHERE client = ANY($1)";
    CLIENTS = "SELECT * FROM clients WHERE organization = $1 AND environment = $2
        AND ($3::bytea IS NULL OR client < $3) ORDER BY client DESC LIMIT $4";
    GRANT = "SELECT * FROM grants WHERE grant_id = $1";
    GRANT_VIEW = "SELECT NULL AS \"grants:\", g.*, NULL AS \"sign_ins:\", s.ended_at,
            NULL AS \"users:\", u.user_id, u.valid_from, u.ended_at, NULL AS \"members:\", m.*
        FROM grants g
        LEFT JOIN sign_ins s ON s.sign_in = g.sign_in
        LEFT JOIN users u ON u.user_id = g.user_id
        LEFT JOIN members m ON m.organization = g.organization AND m.user_id = g.user_id
        WHERE g.grant_id = ANY($1)";
    GRANTS = "SELECT * FROM grants WHERE organization = $1 AND environment = $2
        AND ($3::bytea IS NULL OR grant_id < $3) ORDER BY grant_id DESC LIMIT $4";
    GRANTS_OF_CLIENT = "SELECT * FROM grants WHERE organization = $1 AND environment = $2 AND client = $5
        AND ($3::bytea IS NULL OR grant_id < $3) ORDER BY grant_id DESC LIMIT $4";
    GRANTS_OF_USER = "SELECT * FROM grants WHERE organization = $1 AND environment = $2 AND user_id = $5
        AND ($6::bytea IS NULL OR client = $6)
        AND ($3::bytea IS NULL OR grant_id < $3) ORDER BY grant_id DESC LIMIT $4";
    AUTHORIZATION_CODE = "SELECT NULL AS \"authorization_codes:\", a.*, NULL AS \"grants:\", g.*
        FROM authorization_codes a JOIN grants g ON g.grant_id = a.grant_id WHERE a.hash = $1";
    PUSHED_REQUEST = "SELECT * FROM pushed_requests WHERE hash = $1";
    IS_SPENT = "SELECT hash FROM spent WHERE hash = $1";
    GIVE_BACK = "DELETE FROM spent WHERE hash = $1";
    USER = "SELECT * FROM users WHERE user_id = $1";
    USER_BY_LOOKUP = "SELECT * FROM users WHERE lookup = $1";
    MEMBERS = "SELECT * FROM members WHERE organization = $1 ORDER BY user_id";
    MEMBER = "SELECT * FROM members WHERE organization = $1 AND user_id = $2";
    MEMBERSHIPS = "SELECT * FROM members WHERE user_id = $1 ORDER BY organization";
    AUTHENTICATORS = "SELECT * FROM authenticators WHERE user_id = $1 ORDER BY authenticator";
    AUTHENTICATOR_BY_LOOKUP = "SELECT * FROM authenticators WHERE lookup = $1";
    SIGN_IN = "SELECT NULL AS \"sign_ins:\", s.*, NULL AS \"users:\", u.*
        FROM sign_ins s JOIN users u ON u.user_id = s.user_id WHERE s.cookie = $1";
    SIGN_INS = "SELECT * FROM sign_ins WHERE user_id = $1 ORDER BY sign_in";
    TOUCH_SIGN_IN = "UPDATE sign_ins SET expires_at = $3
        WHERE sign_in = $1 AND expires_at > $2 AND ended_at IS NULL";
    PROVIDER = "SELECT * FROM providers WHERE organization = $1";
    PROVIDER_BY_ID = "SELECT * FROM providers WHERE provider = $1";
    CLIENT_BY_RESOURCE = "SELECT c.* FROM resources r JOIN clients c ON c.client = r.client
        WHERE r.organization = $1 AND r.environment = $2 AND r.resource = $3";
    PROVIDER_BY_NAME = "SELECT p.* FROM provider_names n JOIN providers p ON p.organization = n.organization
        WHERE n.name = $1";
    PROVIDERS = "SELECT * FROM providers ORDER BY organization";
    TICKET = "SELECT * FROM tickets WHERE secret = $1";
    TICKETS = "SELECT * FROM tickets WHERE organization = $1 ORDER BY ticket";
    TICKET_BY_ID = "SELECT * FROM tickets WHERE ticket = $1";
    API_KEY_BY_ID = "SELECT * FROM api_keys WHERE api_key = $1";
    TOUCH_KEY = "UPDATE api_keys SET used_at = $2, used_origin = $3
        WHERE api_key = $1 AND (used_at IS NULL OR used_at < $2)";
    SECURITY_INBOX = "SELECT event, organization, environment, bytes FROM security_inbox
        ORDER BY position LIMIT $1";
    SECURITY_EVENTS = "SELECT e.seq, e.bytes, e.hash, e.leaf_id, l.leaf_index FROM events e
        LEFT JOIN leaves l ON l.organization = e.organization AND l.environment = e.environment
            AND l.envelope = e.envelope AND l.seq = e.seq
        WHERE e.organization = $1 AND e.environment = $2 AND e.envelope = $3
            AND ($4::bigint IS NULL OR e.seq < $4)
        ORDER BY e.seq DESC LIMIT $5";
    SECURITY_HEAD = "SELECT seq, hash FROM events
        WHERE organization = $1 AND environment = $2 AND envelope = $3 ORDER BY seq DESC LIMIT 1";

    CHANGE_CLIENT = "UPDATE clients SET is_fapi = $7, scopes = $8, registration = $9, secret = $10,
            ended_at = $11, version = version + 1
        WHERE client = $1 AND organization = $2 AND environment = $3 AND person = $4 AND created_at = $5
            AND version = $6";
    /// The columns of [`ADD_GRANTS`].
    CHANGE_GRANTS = "UPDATE grants g SET sign_in = n.sign_in, scopes = n.scopes, terms = n.terms,
            level = n.level, authenticated_at = n.authenticated_at, binding = n.binding,
            generation = n.generation, retry_of = n.retry_of, rotated_at = n.rotated_at,
            expires_at = n.expires_at, ended_at = n.ended_at, version = n.version
        FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[],
            $8::text[], $9::text[], $10::bigint[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bigint[],
            $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
            AS n(grant_id, organization, environment, client, user_id, sign_in, scopes, terms, level,
                 authenticated_at, binding, generation, retry_of, rotated_at, created_at, expires_at, ended_at,
                 version)
        WHERE g.grant_id = n.grant_id AND g.organization = n.organization AND g.environment = n.environment
            AND g.client = n.client AND g.user_id IS NOT DISTINCT FROM n.user_id
            AND g.created_at = n.created_at AND g.version = n.version - 1";
    CHANGE_CODE = "UPDATE authorization_codes SET request = $4, expires_at = $5, used_at = $6,
            version = version + 1
        WHERE hash = $1 AND grant_id = $2 AND version = $3";
    CHANGE_REQUEST = "UPDATE pushed_requests SET request = $6, browser = $7, expires_at = $8, used_at = $9,
            version = version + 1
        WHERE hash = $1 AND organization = $2 AND environment = $3 AND client = $4 AND version = $5";
    CHANGE_USER = "UPDATE users SET lookup = $4, wrapped_key = $5, sealed_profile = $6, sealed_password = $7,
            valid_from = $8, ended_at = $9, failures = $10, version = version + 1
        WHERE user_id = $1 AND created_at = $2 AND version = $3";
    CHANGE_MEMBER = "UPDATE members SET role = $5, sandbox_person = $6, live_person = $7, ended_at = $8,
            version = version + 1
        WHERE organization = $1 AND user_id = $2 AND created_at = $3 AND version = $4";
    CHANGE_AUTHENTICATOR = "UPDATE authenticators SET sealed = $7, counter = $8, used_at = $9, ended_at = $10,
            version = version + 1
        WHERE authenticator = $1 AND user_id = $2 AND kind = $3 AND lookup IS NOT DISTINCT FROM $4
            AND created_at = $5 AND version = $6";
    CHANGE_SIGN_IN = "UPDATE sign_ins SET cookie = $5, organization = $6, environment = $7, level = $8,
            authenticated_at = $9, sealed_origin = $10, expires_at = $11, ended_at = $12,
            provider = $13, version = version + 1
        WHERE sign_in = $1 AND user_id = $2 AND created_at = $3 AND version = $4";
    CHANGE_TICKET = "UPDATE tickets SET user_id = $7, role = $8, sealed = $9, expires_at = $10, used_at = $11,
            version = version + 1
        WHERE ticket = $1 AND secret = $2 AND purpose = $3 AND organization IS NOT DISTINCT FROM $4
            AND created_at = $5 AND version = $6";
    CHANGE_PROVIDER = "UPDATE providers SET provider = $4, settings = $5, sealed = $6, ended_at = $7,
            version = version + 1
        WHERE organization = $1 AND created_at = $2 AND version = $3";
    UNNAME_PROVIDER = "DELETE FROM provider_names WHERE organization = $1 AND name <> ALL ($2::text[])";
    /// A name that is another organization's is not among the rows that it changes.
    NAME_PROVIDER = "INSERT INTO provider_names (name, organization) SELECT unnest($2::text[]), $1
        ON CONFLICT (name) DO UPDATE SET organization = excluded.organization
            WHERE provider_names.organization = excluded.organization";
    UNNAME_RESOURCE = "DELETE FROM resources WHERE client = $1 AND resource IS DISTINCT FROM $2::text";
    /// One that is another client's is not changed.
    NAME_RESOURCE = "INSERT INTO resources (organization, environment, resource, client) VALUES ($1, $2, $3, $4)
        ON CONFLICT (organization, environment, resource) DO UPDATE SET client = excluded.client
            WHERE resources.client = excluded.client";
    /// The last use is not among what changes: it is noted without a version.
    CHANGE_API_KEY = "UPDATE api_keys SET scopes = $10, label = $11, expires_at = $12, networks = $13,
            warned_days = $14, version = version + 1
        WHERE api_key = $1 AND organization = $2 AND environment = $3 AND hash = $4 AND person = $5
            AND created_at = $6 AND replaces IS NOT DISTINCT FROM $7
            AND created_by IS NOT DISTINCT FROM $8 AND version = $9";
    END_PROVIDER = "UPDATE providers SET ended_at = $1, version = version + 1
        WHERE provider = $2 AND ended_at IS NULL";
    END_CLIENT = "UPDATE clients SET ended_at = $1, version = version + 1
        WHERE client = $2 AND ended_at IS NULL";
    END_GRANT = "UPDATE grants SET ended_at = $1, version = version + 1
        WHERE grant_id = $2 AND ended_at IS NULL";
    END_MEMBER = "UPDATE members SET ended_at = $1, version = version + 1
        WHERE organization = $2 AND user_id = $3 AND role = $4 AND ended_at IS NULL";
    END_AUTHENTICATOR = "UPDATE authenticators SET ended_at = $1, version = version + 1
        WHERE authenticator = $2 AND ended_at IS NULL";
    END_SIGN_IN = "UPDATE sign_ins SET ended_at = $1, version = version + 1
        WHERE sign_in = $2 AND ended_at IS NULL";
    END_SIGN_INS_OF = "UPDATE sign_ins SET ended_at = $1, version = version + 1
        WHERE user_id = $2 AND ended_at IS NULL";
    END_SIGN_INS_THROUGH = "UPDATE sign_ins SET ended_at = $1, version = version + 1
        WHERE provider = $2 AND ended_at IS NULL";
    END_API_KEY = "UPDATE api_keys SET expires_at = $1, warned_days = 0, version = version + 1
        WHERE api_key = $2 AND expires_at > $1 AND coalesce(warned_days, 1) <> 0";
    /// Takes the lock of the row, and leaves it as it is.
    VOUCH = "UPDATE members SET version = version
        WHERE organization = $1 AND user_id = $2 AND role = $3 AND ended_at IS NULL";
    CHANGE_TRIES = "UPDATE users SET failures = $4 WHERE user_id = $1 AND version = $2 AND failures = $3";
    END_TOKENS = "DELETE FROM access_tokens t
        USING unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS n(grant_id, earliest, latest)
        WHERE t.grant_id = n.grant_id AND t.generation BETWEEN n.earliest AND n.latest";
    END_TOKEN = "DELETE FROM access_tokens WHERE hash = ANY($1)";
    SEE_TOKEN = "UPDATE access_tokens SET seen_at = $2 WHERE hash = $1 AND (seen_at IS NULL OR seen_at < $2)";

    /// A chain goes on where its last event is, or begins: a gap or a place that is taken adds nothing.
    ADD_CHAIN = "INSERT INTO events (organization, environment, envelope, seq, bytes, hash, leaf_id)
        SELECT $1, $2, $3, n.seq, n.bytes, n.hash, n.leaf_id
        FROM unnest($5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[]) AS n(seq, bytes, hash, leaf_id)
        WHERE $4::bigint = 0 OR EXISTS (SELECT FROM events e
            WHERE e.organization = $1 AND e.environment = $2 AND e.envelope = $3 AND e.seq = $4)
        ON CONFLICT DO NOTHING";
    TAKE_SECURITY = "DELETE FROM security_inbox
        WHERE event = ANY($1) AND organization = $2 AND environment = $3";

    /// Arrays, because a plan for a join that was made while the tables were small would read large ones whole.
    SWEEP_SPENT = "DELETE FROM spent WHERE hash = ANY(ARRAY(
        SELECT hash FROM spent WHERE expires_at <= $1 ORDER BY expires_at, hash LIMIT $2
        FOR UPDATE SKIP LOCKED))";
    SWEEP_ACCESS_TOKENS = "DELETE FROM access_tokens WHERE hash = ANY(ARRAY(
        SELECT hash FROM access_tokens WHERE expires_at <= $1 ORDER BY expires_at, hash LIMIT $2
        FOR UPDATE SKIP LOCKED))";
    SWEEP_AUTHORIZATION_CODES = "DELETE FROM authorization_codes WHERE hash = ANY(ARRAY(
        SELECT hash FROM authorization_codes WHERE expires_at <= $1 ORDER BY expires_at, hash LIMIT $2
        FOR UPDATE SKIP LOCKED))";
    SWEEP_PUSHED_REQUESTS = "DELETE FROM pushed_requests WHERE hash = ANY(ARRAY(
        SELECT hash FROM pushed_requests WHERE expires_at <= $1 ORDER BY expires_at, hash LIMIT $2
        FOR UPDATE SKIP LOCKED))";
    SWEEP_TICKETS = "DELETE FROM tickets WHERE ticket = ANY(ARRAY(
        SELECT ticket FROM tickets WHERE expires_at <= $1 ORDER BY expires_at, ticket LIMIT $2
        FOR UPDATE SKIP LOCKED))";
    /// A session that was ended takes its grants along; one that only expired does not.
    SWEEP_SIGN_INS = "WITH gone AS MATERIALIZED (
            SELECT sign_in, ended_at FROM sign_ins WHERE expires_at <= $1
            ORDER BY expires_at, sign_in LIMIT $2 FOR UPDATE SKIP LOCKED),
        ended AS (
            UPDATE grants g SET version = version + 1,
                ended_at = (SELECT gone.ended_at FROM gone WHERE gone.sign_in = g.sign_in)
            WHERE g.ended_at IS NULL
                AND g.sign_in = ANY(ARRAY(SELECT sign_in FROM gone WHERE ended_at IS NOT NULL)))
        DELETE FROM sign_ins WHERE sign_in = ANY(ARRAY(SELECT sign_in FROM gone))";
    SWEEP_GRANTS = "WITH gone AS MATERIALIZED (
            SELECT grant_id FROM grants WHERE coalesce(ended_at, expires_at) <= $1
            ORDER BY coalesce(ended_at, expires_at), grant_id LIMIT $2 FOR UPDATE SKIP LOCKED),
        tokens AS (DELETE FROM access_tokens WHERE grant_id = ANY(ARRAY(SELECT grant_id FROM gone)))
        DELETE FROM grants WHERE grant_id = ANY(ARRAY(SELECT grant_id FROM gone))";

    ADD_CLIENT = "INSERT INTO clients (client, organization, environment, is_fapi, scopes, person,
            registration, secret, created_at, ended_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    ADD_GRANTS = "INSERT INTO grants (grant_id, organization, environment, client, user_id, sign_in,
            scopes, terms, level, authenticated_at, binding, generation, retry_of, rotated_at,
            created_at, expires_at, ended_at, version)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[],
            $6::bytea[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bytea[], $12::bigint[],
            $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
        ON CONFLICT DO NOTHING";
    ADD_ACCESS_TOKENS = "INSERT INTO access_tokens (hash, grant_id, generation, scopes, audience,
            binding_kind, binding, created_at, expires_at, seen_at)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::text[],
            $7::bytea[], $8::bigint[], $9::bigint[], $10::bigint[])
        ON CONFLICT DO NOTHING";
    ADD_CODE_OF_GRANT = "INSERT INTO authorization_codes (hash, grant_id, request, expires_at, used_at,
            version)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    ADD_REQUEST = "INSERT INTO pushed_requests (hash, organization, environment, client, request,
            browser, expires_at, used_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    ADD_USER = "INSERT INTO users (user_id, lookup, wrapped_key, sealed_profile, sealed_password,
            valid_from, created_at, ended_at, version, failures)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    ADD_MEMBER = "INSERT INTO members (organization, user_id, role, sandbox_person, live_person,
            created_at, ended_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    ADD_AUTHENTICATOR = "INSERT INTO authenticators (authenticator, user_id, kind, lookup, sealed,
            counter, created_at, used_at, ended_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    ADD_SIGN_IN = "INSERT INTO sign_ins (sign_in, user_id, cookie, organization, environment, level,
            authenticated_at, sealed_origin, created_at, expires_at, ended_at, version, provider)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
    ADD_TICKET = "INSERT INTO tickets (ticket, secret, purpose, organization, user_id, role, sealed,
            created_at, expires_at, used_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    ADD_PROVIDER = "INSERT INTO providers (organization, provider, settings, sealed, created_at,
            ended_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    ADD_SPENT = "INSERT INTO spent (hash, expires_at)
        SELECT * FROM unnest($1::bytea[], $2::bigint[])
        ON CONFLICT DO NOTHING";
    ADD_SECURITY = "INSERT INTO security_inbox (event, organization, environment, bytes)
        SELECT event, organization, environment, bytes
        FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[]) WITH ORDINALITY
            AS n(event, organization, environment, bytes, place) ORDER BY place
        ON CONFLICT DO NOTHING";
}
