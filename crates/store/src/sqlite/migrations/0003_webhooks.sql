-- What a tenant's events are read by, in the order of the log.
CREATE INDEX leaves_of_tenant ON leaves (organization, environment, leaf_index);

CREATE TABLE endpoints (
    endpoint     BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    settings     BLOB NOT NULL,
    condition    TEXT NOT NULL,
    classes      INTEGER NOT NULL,
    takes        TEXT NOT NULL,
    is_ordered   INTEGER NOT NULL CHECK (is_ordered IN (0, 1)),
    is_shelved   INTEGER NOT NULL DEFAULT 0 CHECK (is_shelved IN (0, 1)),
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX endpoints_by_tenant ON endpoints (organization, environment, endpoint);
-- Each commit of events looks here.
CREATE INDEX endpoints_that_take ON endpoints (organization, environment) WHERE takes <> 'nothing';
CREATE INDEX endpoints_on_the_shelf ON endpoints (endpoint) WHERE is_shelved = 1;

CREATE TABLE webhook_keys (
    webhook_key  BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    endpoint     BLOB NOT NULL,
    sealed       BLOB NOT NULL,
    public       TEXT NOT NULL,
    stage        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_keys_by_endpoint ON webhook_keys (endpoint, webhook_key);

-- What keeps deliveries back besides the state of their endpoint. No organization and no environment: everywhere. Class 0: all.
CREATE TABLE webhook_blocks (
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    class        INTEGER NOT NULL,
    holder       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (organization, environment, class, holder)
) STRICT;

-- Lane 0 was never tried, lane 1 was, lane 2 is of endpoints on the shelf (ADR 12).
CREATE TABLE deliveries (
    endpoint      BLOB NOT NULL,
    message       BLOB NOT NULL,
    organization  BLOB NOT NULL,
    environment   TEXT NOT NULL,
    stream        BLOB NOT NULL,
    seq           INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    class         INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    hash          BLOB NOT NULL,
    correlation   BLOB NOT NULL,
    sealed_body   BLOB,
    state         TEXT NOT NULL,
    lane          INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    asked_count   INTEGER NOT NULL DEFAULT 0,
    signed_s      INTEGER,
    is_ordered    INTEGER NOT NULL CHECK (is_ordered IN (0, 1)),
    worker        BLOB,
    PRIMARY KEY (endpoint, message)
) STRICT;
CREATE INDEX deliveries_to_take ON deliveries (lane, due_at, message, endpoint) WHERE state = 'due' AND worker IS NULL;
CREATE INDEX deliveries_to_take_of_endpoint ON deliveries (endpoint, due_at, message)
    WHERE state = 'due' AND worker IS NULL;
CREATE INDEX deliveries_in_work ON deliveries (worker) WHERE worker IS NOT NULL;
CREATE INDEX deliveries_in_order ON deliveries (endpoint, stream, seq) WHERE state IN ('due', 'parked');
CREATE INDEX deliveries_of_stream ON deliveries (endpoint, stream, message);
CREATE INDEX deliveries_by_state ON deliveries (endpoint, state, message);
CREATE INDEX deliveries_that_are_over ON deliveries (due_at) WHERE state IN ('delivered', 'failed');

CREATE TABLE attempts (
    attempt      BLOB NOT NULL PRIMARY KEY,
    organization BLOB NOT NULL,
    environment  TEXT NOT NULL,
    endpoint     BLOB NOT NULL,
    message      BLOB NOT NULL,
    at           INTEGER NOT NULL,
    took_ms      INTEGER NOT NULL,
    signed_s     INTEGER NOT NULL,
    status       INTEGER,
    outcome      TEXT NOT NULL,
    sealed       BLOB NOT NULL
) STRICT;
CREATE INDEX attempts_of_delivery ON attempts (endpoint, message, attempt);

CREATE TABLE workers (
    worker BLOB NOT NULL PRIMARY KEY,
    until  INTEGER NOT NULL
) STRICT;
CREATE INDEX workers_by_end ON workers (until);
