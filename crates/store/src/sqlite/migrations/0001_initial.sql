-- Identifiers, digests and encrypted values are BLOBs, moments are milliseconds since 1970 in UTC.

CREATE TABLE organizations (
    organization BLOB NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL,
    wrapped_key  BLOB NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE persons (
    person       BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    lookup       BLOB NOT NULL,
    wrapped_key  BLOB NOT NULL,
    UNIQUE (organization, environment, lookup)
) STRICT;

CREATE TABLE envelopes (
    envelope     BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    status       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    title        BLOB NOT NULL,
    last_seq     INTEGER NOT NULL
) STRICT;
CREATE INDEX envelopes_by_tenant ON envelopes (organization, environment, envelope);
CREATE INDEX envelopes_by_status ON envelopes (organization, environment, status, envelope);

CREATE TABLE events (
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    bytes        BLOB NOT NULL,
    hash         BLOB NOT NULL,
    leaf_id      BLOB NOT NULL,
    PRIMARY KEY (organization, environment, envelope, seq)
) STRICT;

-- Events are the truth: they are added, and then nothing.
CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
-- INSERT OR REPLACE deletes without the trigger above unless a pragma is set, so it is refused by itself.
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE organization = NEW.organization AND environment = NEW.environment
             AND envelope = NEW.envelope AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- Events that wait for their place in the log, in commit order.
CREATE TABLE unsequenced (
    position     INTEGER PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    UNIQUE (envelope, seq)
) STRICT;

-- Where in the log an event is.
CREATE TABLE leaves (
    leaf_index   INTEGER PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    UNIQUE (organization, environment, envelope, seq)
) STRICT;

-- Level 255 holds entry bundles.
CREATE TABLE tiles (
    level      INTEGER NOT NULL,
    tile_index INTEGER NOT NULL,
    bytes      BLOB NOT NULL,
    PRIMARY KEY (level, tile_index)
) STRICT;

CREATE TABLE checkpoints (
    position INTEGER PRIMARY KEY,
    size     INTEGER NOT NULL,
    note     TEXT NOT NULL
) STRICT;

CREATE TABLE openings (
    commitment   BLOB NOT NULL,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BLOB NOT NULL,
    person       BLOB NOT NULL,
    sealed       BLOB NOT NULL,
    PRIMARY KEY (organization, environment, envelope, commitment)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    document     BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    sha256       BLOB NOT NULL,
    size_bytes   INTEGER NOT NULL,
    blob         TEXT NOT NULL,
    wrapped_key  BLOB NOT NULL,
    inspection   BLOB NOT NULL,
    person       BLOB NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_by_blob ON documents (blob);

CREATE TABLE artifacts (
    envelope     BLOB NOT NULL,
    document     BLOB,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    sha256       BLOB NOT NULL,
    size_bytes   INTEGER NOT NULL,
    blob         TEXT NOT NULL,
    wrapped_key  BLOB NOT NULL
) STRICT;
-- NULL is the certificate of completion: one for each envelope, like each document.
CREATE UNIQUE INDEX artifacts_by_document ON artifacts (envelope, coalesce(document, x''));
CREATE INDEX artifacts_by_blob ON artifacts (blob);

CREATE TABLE api_keys (
    api_key      BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    person       BLOB NOT NULL,
    label        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE links (
    link          BLOB NOT NULL PRIMARY KEY,
    organization  BLOB NOT NULL,
    environment   TEXT NOT NULL,
    envelope      BLOB NOT NULL,
    recipient     BLOB NOT NULL,
    secret        BLOB NOT NULL UNIQUE,
    sealed_secret BLOB NOT NULL,
    expires_at    INTEGER NOT NULL,
    UNIQUE (organization, environment, envelope, recipient)
) STRICT;

CREATE TABLE sessions (
    session      BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    cookie       BLOB NOT NULL UNIQUE,
    envelope     BLOB NOT NULL,
    recipient    BLOB NOT NULL,
    nonce        BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE codes (
    code          BLOB NOT NULL PRIMARY KEY,
    organization  BLOB NOT NULL,
    environment   TEXT NOT NULL,
    session       BLOB NOT NULL,
    mac           BLOB NOT NULL,
    sealed_digits BLOB NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX codes_by_end ON codes (expires_at);

CREATE TABLE mailbox (
    position     INTEGER PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    mail         BLOB NOT NULL UNIQUE,
    at           INTEGER NOT NULL,
    sealed       BLOB NOT NULL
) STRICT;
CREATE INDEX mailbox_by_tenant ON mailbox (organization, environment, position);

CREATE TABLE server_keys (
    name        TEXT NOT NULL PRIMARY KEY,
    purpose     TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    public      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- A NULL status is a claim without an answer.
CREATE TABLE idempotency (
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    api_key      BLOB NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BLOB NOT NULL,
    claim        BLOB NOT NULL,
    claimed_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    status       INTEGER,
    location     TEXT,
    sealed_body  BLOB,
    PRIMARY KEY (organization, environment, api_key, key)
) STRICT;
CREATE INDEX idempotency_by_end ON idempotency (expires_at);

-- While a job is leased, it is due again when the lease ends.
CREATE TABLE jobs (
    job           BLOB NOT NULL PRIMARY KEY,
    organization  BLOB NOT NULL,
    environment   TEXT NOT NULL,
    work          TEXT NOT NULL,
    correlation   BLOB NOT NULL,
    due_at        INTEGER NOT NULL,
    leased        INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    fence         INTEGER NOT NULL,
    put_back_reason    TEXT
) STRICT;
CREATE INDEX jobs_by_due ON jobs (due_at, job);
