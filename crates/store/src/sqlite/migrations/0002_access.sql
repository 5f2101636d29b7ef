-- Credentials and people. What can change has a version, and a change names the one before.
-- GRANT and USER are words of SQL: their ids have a longer name.

CREATE TABLE clients (
    client       BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    is_fapi      INTEGER NOT NULL CHECK (is_fapi IN (0, 1)),
    scopes       TEXT NOT NULL,
    person       BLOB NOT NULL,
    registration TEXT NOT NULL,
    secret       BLOB,
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    version      INTEGER NOT NULL,
    CONSTRAINT admin_scopes_are_for_fapi CHECK (is_fapi = 1 OR instr(' ' || scopes, ' admin:') = 0)
) STRICT;
CREATE INDEX clients_by_tenant ON clients (organization, environment, client);

CREATE TABLE grants (
    grant_id         BLOB NOT NULL PRIMARY KEY,
    organization     BLOB NOT NULL,
    environment      TEXT NOT NULL,
    client           BLOB NOT NULL,
    user_id          BLOB,
    sign_in          BLOB,
    scopes           TEXT NOT NULL,
    terms            TEXT NOT NULL,
    level            TEXT,
    authenticated_at INTEGER,
    binding          BLOB,
    generation       INTEGER NOT NULL,
    retry_of         INTEGER,
    rotated_at       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    version          INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_by_tenant ON grants (organization, environment, grant_id);
CREATE INDEX grants_by_client ON grants (client, grant_id);
CREATE INDEX grants_by_user ON grants (user_id, grant_id) WHERE user_id IS NOT NULL;
CREATE INDEX grants_by_sign_in ON grants (sign_in) WHERE sign_in IS NOT NULL;
CREATE INDEX grants_by_end ON grants (coalesce(ended_at, expires_at));

CREATE TABLE access_tokens (
    hash         BLOB NOT NULL PRIMARY KEY,
    grant_id     BLOB NOT NULL,
    generation   INTEGER NOT NULL,
    scopes       TEXT NOT NULL,
    audience     TEXT,
    binding_kind TEXT,
    binding      BLOB,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    seen_at      INTEGER
) STRICT;
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id, generation);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

CREATE TABLE authorization_codes (
    hash       BLOB NOT NULL PRIMARY KEY,
    grant_id   BLOB NOT NULL,
    request    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX authorization_codes_by_end ON authorization_codes (expires_at);

CREATE TABLE pushed_requests (
    hash         BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    client       BLOB NOT NULL,
    request      TEXT NOT NULL,
    browser      BLOB,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at);

CREATE TABLE users (
    user_id         BLOB NOT NULL PRIMARY KEY,
    lookup          BLOB NOT NULL UNIQUE,
    wrapped_key     BLOB NOT NULL,
    sealed_profile  BLOB NOT NULL,
    sealed_password BLOB,
    failures        TEXT NOT NULL,
    valid_from      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    version         INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    organization   BLOB NOT NULL,
    user_id        BLOB NOT NULL,
    role           TEXT NOT NULL,
    sandbox_person BLOB NOT NULL,
    live_person    BLOB NOT NULL,
    created_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    version        INTEGER NOT NULL,
    PRIMARY KEY (organization, user_id)
) STRICT;
CREATE INDEX members_by_user ON members (user_id, organization);

CREATE TABLE authenticators (
    authenticator BLOB NOT NULL PRIMARY KEY,
    user_id       BLOB NOT NULL,
    kind          TEXT NOT NULL,
    lookup        BLOB UNIQUE,
    sealed        BLOB NOT NULL,
    counter       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    used_at       INTEGER,
    ended_at      INTEGER,
    version       INTEGER NOT NULL
) STRICT;
CREATE INDEX authenticators_by_user ON authenticators (user_id, authenticator);

-- The tenant that the console shows is both or neither of its columns.
CREATE TABLE sign_ins (
    sign_in          BLOB NOT NULL PRIMARY KEY,
    user_id          BLOB NOT NULL,
    cookie           BLOB NOT NULL UNIQUE,
    organization     BLOB,
    environment      TEXT,
    level            TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    sealed_origin    BLOB NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    version          INTEGER NOT NULL,
    provider         BLOB
) STRICT;
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, sign_in);
CREATE INDEX sign_ins_by_end ON sign_ins (expires_at);
CREATE INDEX sign_ins_by_provider ON sign_ins (provider) WHERE provider IS NOT NULL;

CREATE TABLE tickets (
    ticket       BLOB NOT NULL PRIMARY KEY,
    secret       BLOB NOT NULL UNIQUE,
    purpose      TEXT NOT NULL,
    organization BLOB,
    user_id      BLOB,
    role         TEXT,
    sealed       BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX tickets_by_end ON tickets (expires_at);
CREATE INDEX tickets_by_organization ON tickets (organization, ticket) WHERE organization IS NOT NULL;

-- An organization has one OpenID provider at most; another issuer gets another id in the same row.
CREATE TABLE providers (
    organization BLOB NOT NULL PRIMARY KEY,
    provider     BLOB NOT NULL UNIQUE,
    settings     TEXT NOT NULL,
    sealed       BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    version      INTEGER NOT NULL
) STRICT;

-- The resources that clients stand for: each of a tenant is one client's.
CREATE TABLE resources (
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    resource     TEXT NOT NULL,
    client       BLOB NOT NULL,
    PRIMARY KEY (organization, environment, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX resources_by_client ON resources (client);

-- The handle and the domains that lead to a provider: each to one alone.
CREATE TABLE provider_names (
    name         TEXT NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX provider_names_by_organization ON provider_names (organization);

-- What is good once and was used: proofs, assertions, challenges, codes.
CREATE TABLE spent (
    hash       BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_by_end ON spent (expires_at);

-- Security events that wait for their place in a stream of `events`, in commit order.
CREATE TABLE security_inbox (
    position     INTEGER PRIMARY KEY,
    event        BLOB NOT NULL UNIQUE,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    bytes        BLOB NOT NULL
) STRICT;

-- The security streams of an organization's environments have one name: the tenant belongs to an event's key.
CREATE TABLE waiting (
    position     INTEGER PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    envelope     BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    UNIQUE (envelope, seq, organization, environment)
) STRICT;
INSERT INTO waiting SELECT position, organization, environment, envelope, seq FROM unsequenced;
DROP TABLE unsequenced;
ALTER TABLE waiting RENAME TO unsequenced;

ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN replaces BLOB;
ALTER TABLE api_keys ADD COLUMN used_at INTEGER;
ALTER TABLE api_keys ADD COLUMN used_origin BLOB;
ALTER TABLE api_keys ADD COLUMN warned_days INTEGER;
ALTER TABLE api_keys ADD COLUMN created_by BLOB;
ALTER TABLE api_keys ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
-- SQLite adds no CHECK to a table that exists.
CREATE TRIGGER api_keys_get_no_admin_scopes BEFORE INSERT ON api_keys
WHEN instr(' ' || NEW.scopes, ' admin:') > 0
BEGIN SELECT RAISE(ABORT, 'an API key has no admin scope'); END;
CREATE TRIGGER api_keys_take_no_admin_scopes BEFORE UPDATE ON api_keys
WHEN instr(' ' || NEW.scopes, ' admin:') > 0
BEGIN SELECT RAISE(ABORT, 'an API key has no admin scope'); END;

-- An idempotency key belongs to whoever calls.
ALTER TABLE idempotency RENAME COLUMN api_key TO caller;
