-- What a tenant's events are read by, in the order of the log.
CREATE INDEX leaves_of_tenant ON leaves (organization, environment, leaf_index);

CREATE TABLE endpoints (
    endpoint     BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    settings     BYTEA NOT NULL,
    condition    TEXT NOT NULL,
    classes      BIGINT NOT NULL,
    takes        TEXT NOT NULL,
    is_ordered   BOOLEAN NOT NULL,
    is_shelved   BOOLEAN NOT NULL DEFAULT false,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    version      BIGINT NOT NULL
);
CREATE INDEX endpoints_by_tenant ON endpoints (organization, environment, endpoint);
-- Each commit of events looks here.
CREATE INDEX endpoints_that_take ON endpoints (organization, environment) WHERE takes <> 'nothing';
CREATE INDEX endpoints_on_the_shelf ON endpoints (endpoint) WHERE is_shelved;

CREATE TABLE webhook_keys (
    webhook_key  BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    endpoint     BYTEA NOT NULL,
    sealed       BYTEA NOT NULL,
    public       TEXT NOT NULL,
    stage        TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    version      BIGINT NOT NULL
);
CREATE INDEX webhook_keys_by_endpoint ON webhook_keys (endpoint, webhook_key);

-- What keeps deliveries back besides the state of their endpoint. No organization and no environment: everywhere. Class 0: all.
CREATE TABLE webhook_blocks (
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    class        BIGINT NOT NULL,
    holder       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, environment, class, holder)
);

-- Lane 0 was never tried, lane 1 was, lane 2 is of endpoints on the shelf (ADR 12).
CREATE TABLE deliveries (
    endpoint      BYTEA NOT NULL,
    message       BYTEA NOT NULL,
    organization  BYTEA NOT NULL,
    environment   TEXT NOT NULL,
    stream        BYTEA NOT NULL,
    seq           BIGINT NOT NULL,
    kind          TEXT NOT NULL,
    class         BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    hash          BYTEA NOT NULL,
    correlation   BYTEA NOT NULL,
    sealed_body   BYTEA,
    state         TEXT NOT NULL,
    lane          BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    attempt_count BIGINT NOT NULL,
    asked_count   BIGINT NOT NULL DEFAULT 0,
    signed_s      BIGINT,
    is_ordered    BOOLEAN NOT NULL,
    worker        BYTEA,
    PRIMARY KEY (endpoint, message)
);
CREATE INDEX deliveries_to_take ON deliveries (lane, due_at, message, endpoint) WHERE state = 'due' AND worker IS NULL;
CREATE INDEX deliveries_to_take_of_endpoint ON deliveries (endpoint, due_at, message)
    WHERE state = 'due' AND worker IS NULL;
CREATE INDEX deliveries_in_work ON deliveries (worker) WHERE worker IS NOT NULL;
CREATE INDEX deliveries_in_order ON deliveries (endpoint, stream, seq) WHERE state IN ('due', 'parked');
CREATE INDEX deliveries_of_stream ON deliveries (endpoint, stream, message);
CREATE INDEX deliveries_by_state ON deliveries (endpoint, state, message);
CREATE INDEX deliveries_that_are_over ON deliveries (due_at) WHERE state IN ('delivered', 'failed');

CREATE TABLE attempts (
    attempt      BYTEA NOT NULL PRIMARY KEY,
    organization BYTEA NOT NULL,
    environment  TEXT NOT NULL,
    endpoint     BYTEA NOT NULL,
    message      BYTEA NOT NULL,
    at           BIGINT NOT NULL,
    took_ms      BIGINT NOT NULL,
    signed_s     BIGINT NOT NULL,
    status       BIGINT,
    outcome      TEXT NOT NULL,
    sealed       BYTEA NOT NULL
);
CREATE INDEX attempts_of_delivery ON attempts (endpoint, message, attempt);

CREATE TABLE workers (
    worker BYTEA NOT NULL PRIMARY KEY,
    until  BIGINT NOT NULL
);
CREATE INDEX workers_by_end ON workers (until);
