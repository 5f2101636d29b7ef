-- Identifiers, digests and encrypted values are BYTEA, moments are milliseconds since 1970 in UTC.

CREATE TABLE organizations (
    organization BYTEA NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL,
    wrapped_key  BYTEA NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE persons (
    person       BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    lookup       BYTEA NOT NULL,
    wrapped_key  BYTEA NOT NULL,
    UNIQUE (organization, environment, lookup)
);

CREATE TABLE envelopes (
    envelope     BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    status       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    changed_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    title        BYTEA NOT NULL,
    last_seq     BIGINT NOT NULL
);
CREATE INDEX envelopes_by_tenant ON envelopes (organization, environment, envelope);
CREATE INDEX envelopes_by_status ON envelopes (organization, environment, status, envelope);

CREATE TABLE events (
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BYTEA NOT NULL,
    seq          BIGINT NOT NULL,
    bytes        BYTEA NOT NULL,
    hash         BYTEA NOT NULL,
    leaf_id      BYTEA NOT NULL,
    PRIMARY KEY (organization, environment, envelope, seq)
);

-- Events are the truth: they are added, and then nothing.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Events that wait for their place in the log, in commit order.
CREATE TABLE unsequenced (
    position     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BYTEA NOT NULL,
    seq          BIGINT NOT NULL,
    UNIQUE (envelope, seq)
);

-- Where in the log an event is.
CREATE TABLE leaves (
    leaf_index   BIGINT PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BYTEA NOT NULL,
    seq          BIGINT NOT NULL,
    UNIQUE (organization, environment, envelope, seq)
);

-- Level 255 holds entry bundles.
CREATE TABLE tiles (
    level      BIGINT NOT NULL,
    tile_index BIGINT NOT NULL,
    bytes      BYTEA NOT NULL,
    PRIMARY KEY (level, tile_index)
);

CREATE TABLE checkpoints (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    size     BIGINT NOT NULL,
    note     TEXT NOT NULL
);

CREATE TABLE openings (
    commitment   BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BYTEA NOT NULL,
    person       BYTEA NOT NULL,
    sealed       BYTEA NOT NULL,
    PRIMARY KEY (organization, environment, envelope, commitment)
);

CREATE TABLE documents (
    document     BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    sha256       BYTEA NOT NULL,
    size_bytes   BIGINT NOT NULL,
    blob         TEXT COLLATE "C" NOT NULL,
    wrapped_key  BYTEA NOT NULL,
    inspection   BYTEA NOT NULL,
    person       BYTEA NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX documents_by_blob ON documents (blob);

CREATE TABLE artifacts (
    envelope     BYTEA NOT NULL,
    document     BYTEA,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    sha256       BYTEA NOT NULL,
    size_bytes   BIGINT NOT NULL,
    blob         TEXT COLLATE "C" NOT NULL,
    wrapped_key  BYTEA NOT NULL
);
-- NULL is the certificate of completion: one for each envelope, like each document.
CREATE UNIQUE INDEX artifacts_by_document ON artifacts (envelope, coalesce(document, ''::bytea));
CREATE INDEX artifacts_by_blob ON artifacts (blob);

CREATE TABLE api_keys (
    api_key      BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    person       BYTEA NOT NULL,
    label        TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE TABLE links (
    link          BYTEA NOT NULL PRIMARY KEY,
    organization  BYTEA NOT NULL,
    environment   TEXT NOT NULL,
    envelope      BYTEA NOT NULL,
    recipient     BYTEA NOT NULL,
    secret        BYTEA NOT NULL UNIQUE,
    sealed_secret BYTEA NOT NULL,
    expires_at    BIGINT NOT NULL,
    UNIQUE (organization, environment, envelope, recipient)
);

CREATE TABLE sessions (
    session      BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    cookie       BYTEA NOT NULL UNIQUE,
    envelope     BYTEA NOT NULL,
    recipient    BYTEA NOT NULL,
    nonce        BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE codes (
    code          BYTEA NOT NULL PRIMARY KEY,
    organization  BYTEA NOT NULL,
    environment   TEXT NOT NULL,
    session       BYTEA NOT NULL,
    mac           BYTEA NOT NULL,
    sealed_digits BYTEA NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX codes_by_end ON codes (expires_at);

CREATE TABLE mailbox (
    position     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    mail         BYTEA NOT NULL UNIQUE,
    at           BIGINT NOT NULL,
    sealed       BYTEA NOT NULL
);
CREATE INDEX mailbox_by_tenant ON mailbox (organization, environment, position);

CREATE TABLE server_keys (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    purpose     TEXT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    public      TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);

-- A NULL status is a claim without an answer.
CREATE TABLE idempotency (
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    api_key      BYTEA NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BYTEA NOT NULL,
    claim        BYTEA NOT NULL,
    claimed_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    status       BIGINT,
    location     TEXT,
    sealed_body  BYTEA,
    PRIMARY KEY (organization, environment, api_key, key)
);
CREATE INDEX idempotency_by_end ON idempotency (expires_at);

-- While a job is leased, it is due again when the lease ends.
CREATE TABLE jobs (
    job           BYTEA NOT NULL PRIMARY KEY,
    organization  BYTEA NOT NULL,
    environment   TEXT NOT NULL,
    work          TEXT NOT NULL,
    correlation   BYTEA NOT NULL,
    due_at        BIGINT NOT NULL,
    leased        BOOLEAN NOT NULL,
    attempt_count BIGINT NOT NULL,
    fence         BIGINT NOT NULL,
    put_back_reason    TEXT
);
CREATE INDEX jobs_by_due ON jobs (due_at, job);
