//! Every statement of the SQLite store. A test prepares each against a fresh schema.

/// Schema versions in order: the first makes version 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_access.sql"),
    include_str!("migrations/0003_webhooks.sql"),
];

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
        WHERE e.organization = ?1 AND e.environment = ?2 AND e.envelope = ?3 ORDER BY e.seq";
    HAS_EVENT = "SELECT 1 FROM events WHERE organization = ?1 AND environment = ?2 AND envelope = ?3 AND seq = ?4";
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
            (organization, environment, caller, key, fingerprint, claim, claimed_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, claim = excluded.claim,
            claimed_at = excluded.claimed_at, expires_at = excluded.expires_at,
            status = NULL, location = NULL, sealed_body = NULL
        WHERE expires_at <= ?7 OR (status IS NULL AND fingerprint = ?5 AND (claim = ?6 OR claimed_at <= ?9))";
    CLAIMED = "SELECT key, fingerprint, status, location, sealed_body FROM idempotency
        WHERE organization = ?1 AND environment = ?2 AND caller = ?3 AND key = ?4";
    ANSWER = "UPDATE idempotency SET status = ?6, location = ?7, sealed_body = ?8
        WHERE organization = ?1 AND environment = ?2 AND caller = ?3 AND key = ?4 AND claim = ?5
        AND status IS NULL";
    RELEASE = "DELETE FROM idempotency
        WHERE organization = ?1 AND environment = ?2 AND caller = ?3 AND key = ?4 AND claim = ?5
        AND status IS NULL";

    SWEEP_SESSIONS = "DELETE FROM sessions WHERE session IN
        (SELECT session FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at, session LIMIT ?2)";
    SWEEP_CODES = "DELETE FROM codes WHERE code IN
        (SELECT code FROM codes WHERE expires_at <= ?1 ORDER BY expires_at, code LIMIT ?2)";
    SWEEP_IDEMPOTENCY = "DELETE FROM idempotency WHERE rowid IN
        (SELECT rowid FROM idempotency WHERE expires_at <= ?1
         ORDER BY expires_at, organization, environment, caller, key LIMIT ?2)";

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
    REMOVE_WAITING = "DELETE FROM unsequenced WHERE (envelope, seq, organization, environment) =
        (SELECT envelope, seq, organization, environment FROM leaves WHERE leaf_index = ?1)";
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
            created_at, expires_at, networks, replaces, used_at, used_origin, warned_days, created_by, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
        ON CONFLICT DO NOTHING";
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

    ACCESS_TOKEN = "SELECT NULL AS \"access_tokens:\", t.*, NULL AS \"grants:\", g.*,
            NULL AS \"clients:\", c.*, NULL AS \"sign_ins:\", s.ended_at,
            NULL AS \"users:\", u.user_id, u.valid_from, u.ended_at, NULL AS \"members:\", m.*
        FROM access_tokens t
        JOIN grants g ON g.grant_id = t.grant_id
        JOIN clients c ON c.client = g.client
        LEFT JOIN sign_ins s ON s.sign_in = g.sign_in
        LEFT JOIN users u ON u.user_id = g.user_id
        LEFT JOIN members m ON m.organization = g.organization AND m.user_id = g.user_id
        WHERE t.hash = ?1";
    CLIENT = "SELECT * FROM clients WHERE client = ?1";
    CLIENTS = "SELECT * FROM clients WHERE organization = ?1 AND environment = ?2
        AND client < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff') ORDER BY client DESC LIMIT ?4";
    GRANT = "SELECT * FROM grants WHERE grant_id = ?1";
    GRANT_VIEW = "SELECT NULL AS \"grants:\", g.*, NULL AS \"sign_ins:\", s.ended_at,
            NULL AS \"users:\", u.user_id, u.valid_from, u.ended_at, NULL AS \"members:\", m.*
        FROM grants g
        LEFT JOIN sign_ins s ON s.sign_in = g.sign_in
        LEFT JOIN users u ON u.user_id = g.user_id
        LEFT JOIN members m ON m.organization = g.organization AND m.user_id = g.user_id
        WHERE g.grant_id = ?1";
    GRANTS = "SELECT * FROM grants WHERE organization = ?1 AND environment = ?2
        AND grant_id < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff') ORDER BY grant_id DESC LIMIT ?4";
    GRANTS_OF_CLIENT = "SELECT * FROM grants WHERE +organization = ?1 AND +environment = ?2 AND client = ?5
        AND grant_id < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff') ORDER BY grant_id DESC LIMIT ?4";
    GRANTS_OF_USER = "SELECT * FROM grants WHERE +organization = ?1 AND +environment = ?2 AND user_id = ?5
        AND (?6 IS NULL OR +client = ?6)
        AND grant_id < coalesce(?3, x'ffffffffffffffffffffffffffffffffffff') ORDER BY grant_id DESC LIMIT ?4";
    AUTHORIZATION_CODE = "SELECT NULL AS \"authorization_codes:\", a.*, NULL AS \"grants:\", g.*
        FROM authorization_codes a JOIN grants g ON g.grant_id = a.grant_id WHERE a.hash = ?1";
    PUSHED_REQUEST = "SELECT * FROM pushed_requests WHERE hash = ?1";
    IS_SPENT = "SELECT hash FROM spent WHERE hash = ?1";
    GIVE_BACK = "DELETE FROM spent WHERE hash = ?1";
    USER = "SELECT * FROM users WHERE user_id = ?1";
    USER_BY_LOOKUP = "SELECT * FROM users WHERE lookup = ?1";
    MEMBERS = "SELECT * FROM members WHERE organization = ?1 ORDER BY user_id";
    MEMBER = "SELECT * FROM members WHERE organization = ?1 AND user_id = ?2";
    MEMBERSHIPS = "SELECT * FROM members WHERE user_id = ?1 ORDER BY organization";
    AUTHENTICATORS = "SELECT * FROM authenticators WHERE user_id = ?1 ORDER BY authenticator";
    AUTHENTICATOR_BY_LOOKUP = "SELECT * FROM authenticators WHERE lookup = ?1";
    SIGN_IN = "SELECT NULL AS \"sign_ins:\", s.*, NULL AS \"users:\", u.*
        FROM sign_ins s JOIN users u ON u.user_id = s.user_id WHERE s.cookie = ?1";
    SIGN_INS = "SELECT * FROM sign_ins WHERE user_id = ?1 ORDER BY sign_in";
    TOUCH_SIGN_IN = "UPDATE sign_ins SET expires_at = ?3
        WHERE sign_in = ?1 AND expires_at > ?2 AND ended_at IS NULL";
    PROVIDER = "SELECT * FROM providers WHERE organization = ?1";
    PROVIDER_BY_ID = "SELECT * FROM providers WHERE provider = ?1";
    CLIENT_BY_RESOURCE = "SELECT c.* FROM resources r JOIN clients c ON c.client = r.client
        WHERE r.organization = ?1 AND r.environment = ?2 AND r.resource = ?3";
    PROVIDER_BY_NAME = "SELECT p.* FROM provider_names n JOIN providers p ON p.organization = n.organization
        WHERE n.name = ?1";
    PROVIDERS = "SELECT * FROM providers ORDER BY organization";
    TICKET = "SELECT * FROM tickets WHERE secret = ?1";
    TICKETS = "SELECT * FROM tickets WHERE organization = ?1 ORDER BY ticket";
    TICKET_BY_ID = "SELECT * FROM tickets WHERE ticket = ?1";
    API_KEY_BY_ID = "SELECT * FROM api_keys WHERE api_key = ?1";
    TOUCH_KEY = "UPDATE api_keys SET used_at = ?2, used_origin = ?3
        WHERE api_key = ?1 AND (used_at IS NULL OR used_at < ?2)";
    SECURITY_INBOX = "SELECT event, organization, environment, bytes FROM security_inbox
        ORDER BY position LIMIT ?1";
    SECURITY_EVENTS = "SELECT e.seq, e.bytes, e.hash, e.leaf_id, l.leaf_index FROM events e
        LEFT JOIN leaves l ON l.organization = e.organization AND l.environment = e.environment
            AND l.envelope = e.envelope AND l.seq = e.seq
        WHERE e.organization = ?1 AND e.environment = ?2 AND e.envelope = ?3
            AND e.seq < coalesce(?4, 9223372036854775807)
        ORDER BY e.seq DESC LIMIT ?5";
    SECURITY_HEAD = "SELECT seq, hash FROM events
        WHERE organization = ?1 AND environment = ?2 AND envelope = ?3 ORDER BY seq DESC LIMIT 1";

    CHANGE_CLIENT = "UPDATE clients SET is_fapi = ?7, scopes = ?8, registration = ?9, secret = ?10,
            ended_at = ?11, version = version + 1
        WHERE client = ?1 AND organization = ?2 AND environment = ?3 AND person = ?4 AND created_at = ?5
            AND version = ?6";
    CHANGE_GRANT = "UPDATE grants SET sign_in = ?8, scopes = ?9, terms = ?10, level = ?11,
            authenticated_at = ?12, binding = ?13, generation = ?14, retry_of = ?15, rotated_at = ?16,
            expires_at = ?17, ended_at = ?18, version = version + 1
        WHERE grant_id = ?1 AND organization = ?2 AND environment = ?3 AND client = ?4
            AND user_id IS ?5 AND created_at = ?6 AND version = ?7";
    CHANGE_CODE = "UPDATE authorization_codes SET request = ?4, expires_at = ?5, used_at = ?6,
            version = version + 1
        WHERE hash = ?1 AND grant_id = ?2 AND version = ?3";
    CHANGE_REQUEST = "UPDATE pushed_requests SET request = ?6, browser = ?7, expires_at = ?8, used_at = ?9,
            version = version + 1
        WHERE hash = ?1 AND organization = ?2 AND environment = ?3 AND client = ?4 AND version = ?5";
    CHANGE_USER = "UPDATE users SET lookup = ?4, wrapped_key = ?5, sealed_profile = ?6, sealed_password = ?7,
            valid_from = ?8, ended_at = ?9, failures = ?10, version = version + 1
        WHERE user_id = ?1 AND created_at = ?2 AND version = ?3";
    CHANGE_MEMBER = "UPDATE members SET role = ?5, sandbox_person = ?6, live_person = ?7, ended_at = ?8,
            version = version + 1
        WHERE organization = ?1 AND user_id = ?2 AND created_at = ?3 AND version = ?4";
    CHANGE_AUTHENTICATOR = "UPDATE authenticators SET sealed = ?7, counter = ?8, used_at = ?9, ended_at = ?10,
            version = version + 1
        WHERE authenticator = ?1 AND user_id = ?2 AND kind = ?3 AND lookup IS ?4
            AND created_at = ?5 AND version = ?6";
    CHANGE_SIGN_IN = "UPDATE sign_ins SET cookie = ?5, organization = ?6, environment = ?7, level = ?8,
            authenticated_at = ?9, sealed_origin = ?10, expires_at = ?11, ended_at = ?12,
            provider = ?13, version = version + 1
        WHERE sign_in = ?1 AND user_id = ?2 AND created_at = ?3 AND version = ?4";
    CHANGE_TICKET = "UPDATE tickets SET user_id = ?7, role = ?8, sealed = ?9, expires_at = ?10, used_at = ?11,
            version = version + 1
        WHERE ticket = ?1 AND secret = ?2 AND purpose = ?3 AND organization IS ?4
            AND created_at = ?5 AND version = ?6";
    CHANGE_PROVIDER = "UPDATE providers SET provider = ?4, settings = ?5, sealed = ?6, ended_at = ?7,
            version = version + 1
        WHERE organization = ?1 AND created_at = ?2 AND version = ?3";
    UNNAME_PROVIDER = "DELETE FROM provider_names
        WHERE organization = ?1 AND name NOT IN (SELECT value FROM json_each(?2))";
    /// A name that is another organization's is not among the rows that it changes.
    NAME_PROVIDER = "INSERT INTO provider_names (name, organization)
        SELECT value, ?1 FROM json_each(?2) WHERE true
        ON CONFLICT (name) DO UPDATE SET organization = excluded.organization
            WHERE organization = excluded.organization";
    UNNAME_RESOURCE = "DELETE FROM resources WHERE client = ?1 AND resource IS NOT ?2";
    /// One that is another client's is not changed.
    NAME_RESOURCE = "INSERT INTO resources (organization, environment, resource, client) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (organization, environment, resource) DO UPDATE SET client = excluded.client
            WHERE client = excluded.client";
    /// The last use is not among what changes: it is noted without a version.
    CHANGE_API_KEY = "UPDATE api_keys SET scopes = ?10, label = ?11, expires_at = ?12, networks = ?13,
            warned_days = ?14, version = version + 1
        WHERE api_key = ?1 AND organization = ?2 AND environment = ?3 AND hash = ?4 AND person = ?5
            AND created_at = ?6 AND replaces IS ?7
            AND created_by IS ?8 AND version = ?9";
    END_PROVIDER = "UPDATE providers SET ended_at = ?1, version = version + 1
        WHERE provider = ?2 AND ended_at IS NULL";
    END_CLIENT = "UPDATE clients SET ended_at = ?1, version = version + 1
        WHERE client = ?2 AND ended_at IS NULL";
    END_GRANT = "UPDATE grants SET ended_at = ?1, version = version + 1
        WHERE grant_id = ?2 AND ended_at IS NULL";
    END_MEMBER = "UPDATE members SET ended_at = ?1, version = version + 1
        WHERE organization = ?2 AND user_id = ?3 AND role = ?4 AND ended_at IS NULL";
    END_AUTHENTICATOR = "UPDATE authenticators SET ended_at = ?1, version = version + 1
        WHERE authenticator = ?2 AND ended_at IS NULL";
    END_SIGN_IN = "UPDATE sign_ins SET ended_at = ?1, version = version + 1
        WHERE sign_in = ?2 AND ended_at IS NULL";
    END_SIGN_INS_OF = "UPDATE sign_ins SET ended_at = ?1, version = version + 1
        WHERE user_id = ?2 AND ended_at IS NULL";
    END_SIGN_INS_THROUGH = "UPDATE sign_ins SET ended_at = ?1, version = version + 1
        WHERE provider = ?2 AND ended_at IS NULL";
    END_API_KEY = "UPDATE api_keys SET expires_at = ?1, warned_days = 0, version = version + 1
        WHERE api_key = ?2 AND expires_at > ?1 AND coalesce(warned_days, 1) <> 0";
    /// Takes the lock of the row, and leaves it as it is.
    VOUCH = "UPDATE members SET version = version
        WHERE organization = ?1 AND user_id = ?2 AND role = ?3 AND ended_at IS NULL";
    CHANGE_TRIES = "UPDATE users SET failures = ?4 WHERE user_id = ?1 AND version = ?2 AND failures = ?3";
    END_TOKENS = "DELETE FROM access_tokens WHERE grant_id = ?1 AND generation BETWEEN ?2 AND ?3";
    END_TOKEN = "DELETE FROM access_tokens WHERE hash = ?1";
    SEE_TOKEN = "UPDATE access_tokens SET seen_at = ?2 WHERE hash = ?1 AND (seen_at IS NULL OR seen_at < ?2)";

    TAKE_SECURITY = "DELETE FROM security_inbox WHERE event = ?1 AND organization = ?2 AND environment = ?3";

    SWEEP_SPENT = "DELETE FROM spent WHERE hash IN
        (SELECT hash FROM spent WHERE expires_at <= ?1 ORDER BY expires_at, hash LIMIT ?2)";
    SWEEP_ACCESS_TOKENS = "DELETE FROM access_tokens WHERE hash IN
        (SELECT hash FROM access_tokens WHERE expires_at <= ?1 ORDER BY expires_at, hash LIMIT ?2)";
    SWEEP_AUTHORIZATION_CODES = "DELETE FROM authorization_codes WHERE hash IN
        (SELECT hash FROM authorization_codes WHERE expires_at <= ?1 ORDER BY expires_at, hash LIMIT ?2)";
    SWEEP_PUSHED_REQUESTS = "DELETE FROM pushed_requests WHERE hash IN
        (SELECT hash FROM pushed_requests WHERE expires_at <= ?1 ORDER BY expires_at, hash LIMIT ?2)";
    SWEEP_TICKETS = "DELETE FROM tickets WHERE ticket IN
        (SELECT ticket FROM tickets WHERE expires_at <= ?1 ORDER BY expires_at, ticket LIMIT ?2)";
    /// A session that was ended takes its grants along; one that only expired does not.
    END_GRANTS_OF_SIGN_INS = "UPDATE grants SET version = version + 1,
            ended_at = (SELECT s.ended_at FROM sign_ins s WHERE s.sign_in = grants.sign_in)
        WHERE ended_at IS NULL AND sign_in IN (SELECT sign_in FROM
            (SELECT sign_in, ended_at FROM sign_ins WHERE expires_at <= ?1
             ORDER BY expires_at, sign_in LIMIT ?2)
            WHERE ended_at IS NOT NULL)";
    SWEEP_SIGN_INS = "DELETE FROM sign_ins WHERE sign_in IN
        (SELECT sign_in FROM sign_ins WHERE expires_at <= ?1 ORDER BY expires_at, sign_in LIMIT ?2)";
    SWEEP_TOKENS_OF_GRANTS = "DELETE FROM access_tokens WHERE grant_id IN
        (SELECT grant_id FROM grants WHERE coalesce(ended_at, expires_at) <= ?1
         ORDER BY coalesce(ended_at, expires_at), grant_id LIMIT ?2)";
    SWEEP_GRANTS = "DELETE FROM grants WHERE grant_id IN
        (SELECT grant_id FROM grants WHERE coalesce(ended_at, expires_at) <= ?1
         ORDER BY coalesce(ended_at, expires_at), grant_id LIMIT ?2)";

    ADD_CLIENT = "INSERT INTO clients (client, organization, environment, is_fapi, scopes, person,
            registration, secret, created_at, ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    ADD_GRANT = "INSERT INTO grants (grant_id, organization, environment, client, user_id, sign_in,
            scopes, terms, level, authenticated_at, binding, generation, retry_of, rotated_at,
            created_at, expires_at, ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
            ?17, ?18) ON CONFLICT DO NOTHING";
    ADD_ACCESS_TOKEN = "INSERT INTO access_tokens (hash, grant_id, generation, scopes, audience,
            binding_kind, binding, created_at, expires_at, seen_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    ADD_CODE_OF_GRANT = "INSERT INTO authorization_codes (hash, grant_id, request, expires_at, used_at,
            version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    ADD_REQUEST = "INSERT INTO pushed_requests (hash, organization, environment, client, request,
            browser, expires_at, used_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    ADD_USER = "INSERT INTO users (user_id, lookup, wrapped_key, sealed_profile, sealed_password,
            valid_from, created_at, ended_at, version, failures)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    ADD_MEMBER = "INSERT INTO members (organization, user_id, role, sandbox_person, live_person,
            created_at, ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    ADD_AUTHENTICATOR = "INSERT INTO authenticators (authenticator, user_id, kind, lookup, sealed,
            counter, created_at, used_at, ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    ADD_SIGN_IN = "INSERT INTO sign_ins (sign_in, user_id, cookie, organization, environment, level,
            authenticated_at, sealed_origin, created_at, expires_at, ended_at, version, provider)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";
    ADD_TICKET = "INSERT INTO tickets (ticket, secret, purpose, organization, user_id, role, sealed,
            created_at, expires_at, used_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    ADD_PROVIDER = "INSERT INTO providers (organization, provider, settings, sealed, created_at,
            ended_at, version)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    ADD_SPENT = "INSERT INTO spent (hash, expires_at)
        VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    ADD_SECURITY = "INSERT INTO security_inbox (event, organization, environment, bytes)
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
}
