-- Credentials and people. What can change has a version, and a change names the one before.
-- GRANT and USER are words of SQL: their ids have a longer name.

CREATE TABLE clients (
    client       BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    is_fapi      BOOLEAN NOT NULL,
    scopes       TEXT NOT NULL,
    person       BYTEA NOT NULL,
    registration TEXT NOT NULL,
    secret       BYTEA,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    version      BIGINT NOT NULL,
    CONSTRAINT admin_scopes_are_for_fapi CHECK (is_fapi OR strpos(' ' || scopes, ' admin:') = 0)
);
CREATE INDEX clients_by_tenant ON clients (organization, environment, client);

CREATE TABLE grants (
    grant_id         BYTEA NOT NULL PRIMARY KEY,
    organization     BYTEA NOT NULL,
    environment      TEXT NOT NULL,
    client           BYTEA NOT NULL,
    user_id          BYTEA,
    sign_in          BYTEA,
    scopes           TEXT NOT NULL,
    terms            TEXT NOT NULL,
    level            TEXT,
    authenticated_at BIGINT,
    binding          BYTEA,
    generation       BIGINT NOT NULL,
    retry_of         BIGINT,
    rotated_at       BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    ended_at         BIGINT,
    version          BIGINT NOT NULL
);
CREATE INDEX grants_by_tenant ON grants (organization, environment, grant_id);
CREATE INDEX grants_by_client ON grants (client, grant_id);
CREATE INDEX grants_by_user ON grants (user_id, grant_id) WHERE user_id IS NOT NULL;
CREATE INDEX grants_by_sign_in ON grants (sign_in) WHERE sign_in IS NOT NULL;
CREATE INDEX grants_by_end ON grants (coalesce(ended_at, expires_at));

CREATE TABLE access_tokens (
    hash         BYTEA NOT NULL PRIMARY KEY,
    grant_id     BYTEA NOT NULL,
    generation   BIGINT NOT NULL,
    scopes       TEXT NOT NULL,
    audience     TEXT,
    binding_kind TEXT,
    binding      BYTEA,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    seen_at      BIGINT
);
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id, generation);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

CREATE TABLE authorization_codes (
    hash       BYTEA NOT NULL PRIMARY KEY,
    grant_id   BYTEA NOT NULL,
    request    TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    version    BIGINT NOT NULL
);
CREATE INDEX authorization_codes_by_end ON authorization_codes (expires_at);

CREATE TABLE pushed_requests (
    hash         BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    client       BYTEA NOT NULL,
    request      TEXT NOT NULL,
    browser      BYTEA,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    version      BIGINT NOT NULL
);
CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at);

CREATE TABLE users (
    user_id         BYTEA NOT NULL PRIMARY KEY,
    lookup          BYTEA NOT NULL UNIQUE,
    wrapped_key     BYTEA NOT NULL,
    sealed_profile  BYTEA NOT NULL,
    sealed_password BYTEA,
    failures        TEXT NOT NULL,
    valid_from      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    ended_at        BIGINT,
    version         BIGINT NOT NULL
);

CREATE TABLE members (
    organization   BYTEA NOT NULL,
    user_id        BYTEA NOT NULL,
    role           TEXT NOT NULL,
    sandbox_person BYTEA NOT NULL,
    live_person    BYTEA NOT NULL,
    created_at     BIGINT NOT NULL,
    ended_at       BIGINT,
    version        BIGINT NOT NULL,
    PRIMARY KEY (organization, user_id)
);
CREATE INDEX members_by_user ON members (user_id, organization);

CREATE TABLE authenticators (
    authenticator BYTEA NOT NULL PRIMARY KEY,
    user_id       BYTEA NOT NULL,
    kind          TEXT NOT NULL,
    lookup        BYTEA UNIQUE,
    sealed        BYTEA NOT NULL,
    counter       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    used_at       BIGINT,
    ended_at      BIGINT,
    version       BIGINT NOT NULL
);
CREATE INDEX authenticators_by_user ON authenticators (user_id, authenticator);

-- The tenant that the console shows is both or neither of its columns.
CREATE TABLE sign_ins (
    sign_in          BYTEA NOT NULL PRIMARY KEY,
    user_id          BYTEA NOT NULL,
    cookie           BYTEA NOT NULL UNIQUE,
    organization     BYTEA,
    environment      TEXT,
    level            TEXT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    sealed_origin    BYTEA NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    ended_at         BIGINT,
    version          BIGINT NOT NULL,
    provider         BYTEA
);
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, sign_in);
CREATE INDEX sign_ins_by_end ON sign_ins (expires_at);
CREATE INDEX sign_ins_by_provider ON sign_ins (provider) WHERE provider IS NOT NULL;

CREATE TABLE tickets (
    ticket       BYTEA NOT NULL PRIMARY KEY,
    secret       BYTEA NOT NULL UNIQUE,
    purpose      TEXT NOT NULL,
    organization BYTEA,
    user_id      BYTEA,
    role         TEXT,
    sealed       BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    version      BIGINT NOT NULL
);
CREATE INDEX tickets_by_end ON tickets (expires_at);
CREATE INDEX tickets_by_organization ON tickets (organization, ticket) WHERE organization IS NOT NULL;

-- An organization has one OpenID provider at most; another issuer gets another id in the same row.
CREATE TABLE providers (
    organization BYTEA NOT NULL PRIMARY KEY,
    provider     BYTEA NOT NULL UNIQUE,
    settings     TEXT NOT NULL,
    sealed       BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    version      BIGINT NOT NULL
);

-- The resources that clients stand for: each of a tenant is one client's.
CREATE TABLE resources (
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    resource     TEXT NOT NULL,
    client       BYTEA NOT NULL,
    PRIMARY KEY (organization, environment, resource)
);
CREATE INDEX resources_by_client ON resources (client);

-- The handle and the domains that lead to a provider: each to one alone.
CREATE TABLE provider_names (
    name         TEXT NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL
);
CREATE INDEX provider_names_by_organization ON provider_names (organization);

-- What is good once and was used: proofs, assertions, challenges, codes.
CREATE TABLE spent (
    hash       BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_by_end ON spent (expires_at);

-- Security events that wait for their place in a stream of `events`, in commit order.
CREATE TABLE security_inbox (
    position     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event        BYTEA NOT NULL UNIQUE,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    bytes        BYTEA NOT NULL
);

-- The security streams of an organization's environments have one name: the tenant belongs to an event's key.
ALTER TABLE unsequenced DROP CONSTRAINT unsequenced_envelope_seq_key;
ALTER TABLE unsequenced ADD UNIQUE (envelope, seq, organization, environment);

ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN replaces BYTEA;
ALTER TABLE api_keys ADD COLUMN used_at BIGINT;
ALTER TABLE api_keys ADD COLUMN used_origin BYTEA;
ALTER TABLE api_keys ADD COLUMN warned_days BIGINT;
ALTER TABLE api_keys ADD COLUMN created_by BYTEA;
ALTER TABLE api_keys ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_have_no_admin_scopes
    CHECK (strpos(' ' || scopes, ' admin:') = 0);

-- An idempotency key belongs to whoever calls.
ALTER TABLE idempotency RENAME COLUMN api_key TO caller;
