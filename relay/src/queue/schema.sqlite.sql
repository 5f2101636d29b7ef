-- What is known of attempts: a nonce, and until when.
CREATE TABLE seen_attempts (
    sender TEXT NOT NULL, nonce TEXT NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (sender, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_attempts_by_end ON seen_attempts (until_ms);

-- What is known of messages: an id, and until when.
CREATE TABLE seen_messages (
    sender TEXT NOT NULL, id TEXT NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (sender, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_messages_by_end ON seen_messages (until_ms);

-- What waits. A message that is out for an attempt is due again when its lease ends; `attempts` fences.
CREATE TABLE queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL, id TEXT NOT NULL, stream TEXT, sequence INTEGER,
    content_type TEXT, headers TEXT NOT NULL, body BLOB NOT NULL,
    received_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, is_out INTEGER NOT NULL DEFAULT 0,
    CHECK ((stream IS NULL) = (sequence IS NULL))
) STRICT;
CREATE INDEX queue_by_due ON queue (sender, due_ms, number);
CREATE INDEX queue_by_stream ON queue (sender, stream, sequence) WHERE stream IS NOT NULL;

-- How far each stream was forwarded, in ordered mode.
CREATE TABLE streams (
    sender TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (sender, stream)
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_by_end ON streams (until_ms);

-- What was set aside.
CREATE TABLE dead (
    number INTEGER PRIMARY KEY,
    sender TEXT NOT NULL, id TEXT NOT NULL, content_type TEXT, headers TEXT NOT NULL, body BLOB NOT NULL,
    received_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, died_ms INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX dead_by_sender ON dead (sender, number);
