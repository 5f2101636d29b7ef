-- Milliseconds since 1970, by the one clock that all relays share.
CREATE FUNCTION relay_now_ms() RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint';

-- What is known of attempts: a nonce, and until when.
CREATE TABLE relay_seen_attempts (
    sender text NOT NULL, nonce text NOT NULL, until_ms bigint NOT NULL,
    PRIMARY KEY (sender, nonce)
);
CREATE INDEX relay_seen_attempts_by_end ON relay_seen_attempts (until_ms);

-- What is known of messages: an id, and until when.
CREATE TABLE relay_seen_messages (
    sender text NOT NULL, id text NOT NULL, until_ms bigint NOT NULL,
    PRIMARY KEY (sender, id)
);
CREATE INDEX relay_seen_messages_by_end ON relay_seen_messages (until_ms);

-- What waits. A message that is out for an attempt is due again when its lease ends; `attempts` fences.
CREATE TABLE relay_queue (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender text NOT NULL, id text NOT NULL, stream text, sequence bigint,
    content_type text, headers text NOT NULL, body bytea NOT NULL,
    received_ms bigint NOT NULL, due_ms bigint NOT NULL,
    attempts bigint NOT NULL DEFAULT 0, is_out boolean NOT NULL DEFAULT false,
    CHECK ((stream IS NULL) = (sequence IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX relay_queue_by_due ON relay_queue (sender, due_ms, number);
CREATE INDEX relay_queue_by_stream ON relay_queue (sender, stream, sequence) WHERE stream IS NOT NULL;

-- How far each stream was forwarded, in ordered mode.
CREATE TABLE relay_streams (
    sender text NOT NULL, stream text NOT NULL, sequence bigint NOT NULL, until_ms bigint NOT NULL,
    PRIMARY KEY (sender, stream)
);
CREATE INDEX relay_streams_by_end ON relay_streams (until_ms);

-- What was set aside.
CREATE TABLE relay_dead (
    number bigint PRIMARY KEY,
    sender text NOT NULL, id text NOT NULL, content_type text, headers text NOT NULL, body bytea NOT NULL,
    received_ms bigint NOT NULL, attempts bigint NOT NULL, died_ms bigint NOT NULL, reason text NOT NULL
);
CREATE INDEX relay_dead_by_sender ON relay_dead (sender, number);
