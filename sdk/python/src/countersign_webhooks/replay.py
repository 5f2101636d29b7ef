"""What was seen before: the nonces of attempts, and the ids of messages that were acted on."""

from __future__ import annotations

import math
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Union

#: `duplicate`: the nonce is new, and the message was acted on already.
Seen = Literal["new", "duplicate", "replayed"]


@dataclass(frozen=True)
class Attempt:
    """An attempt whose signature is right. `id` and `timestamp_s` together are its nonce."""

    id: str
    timestamp_s: int
    now_s: float
    #: The nonce is kept until then.
    keep_until_s: float


class ReplayStore(Protocol):
    """Remembers. Where you have a database, write one that uses it, so that the message and its id are stored in one
    transaction. What it raises becomes a refusal `unavailable`."""

    def take(self, attempt: Attempt) -> Seen:
        """Records the nonce, at once and for all processes: of two calls with one nonce, one is `replayed`."""
        ...

    def acted(self, id: str, now_s: float, keep_until_s: float) -> None:
        """Records that the message was acted on."""
        ...


class MemoryReplayStore:
    """In this process's memory: for one process, and forgotten when it ends. Threads may share it."""

    def __init__(self, entries_max: int = 1_000_000) -> None:
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._nonces: dict[tuple[str, int], float] = {}
        self._ids: dict[str, float] = {}

    def take(self, attempt: Attempt) -> Seen:
        """Full of nonces that still count, it refuses: it cannot know what it would have to forget."""
        nonce, now_s = (attempt.id, attempt.timestamp_s), attempt.now_s
        with self._lock:
            if self._nonces.get(nonce, -math.inf) >= now_s:
                return "replayed"
            _forget(self._nonces, now_s)
            if len(self._nonces) >= self._entries_max:
                raise OverflowError("the replay store is full")
            self._nonces[nonce] = attempt.keep_until_s
            return "duplicate" if self._ids.get(attempt.id, -math.inf) >= now_s else "new"

    def acted(self, id: str, now_s: float, keep_until_s: float) -> None:
        """Full of ids, it forgets the oldest: their retries would be acted on twice, but are still verified."""
        with self._lock:
            _forget(self._ids, now_s)
            if len(self._ids) >= self._entries_max:
                del self._ids[next(iter(self._ids))]
            self._ids[id] = keep_until_s


def _forget(entries: dict[Any, float], now_s: float) -> None:
    """A dictionary keeps the order of insertion, which is that of the ends: what is over is in front."""
    over = []
    for key, until_s in entries.items():
        if until_s >= now_s:
            break
        over.append(key)
    for key in over:
        del entries[key]


_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS webhook_nonces (
    id TEXT NOT NULL, timestamp_s INTEGER NOT NULL, keep_until_s REAL NOT NULL, PRIMARY KEY (id, timestamp_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhook_ids (id TEXT PRIMARY KEY, keep_until_s REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS webhook_nonces_keep_until_s ON webhook_nonces (keep_until_s);
CREATE INDEX IF NOT EXISTS webhook_ids_keep_until_s ON webhook_ids (keep_until_s);
"""


class SqliteReplayStore:
    """In a file of SQLite, for all processes of one machine; it survives their end. Threads may share it."""

    def __init__(self, path: Union[str, Path], busy_timeout_s: float = 5.0) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            str(path), timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        self._connection.executescript(_SCHEMA)

    def take(self, attempt: Attempt) -> Seen:
        with self._lock, self._transaction() as connection:
            connection.execute("DELETE FROM webhook_nonces WHERE keep_until_s < ?", (attempt.now_s,))
            inserted = connection.execute(
                "INSERT INTO webhook_nonces VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (attempt.id, attempt.timestamp_s, attempt.keep_until_s),
            )
            if inserted.rowcount != 1:
                return "replayed"
            known = connection.execute(
                "SELECT 1 FROM webhook_ids WHERE id = ? AND keep_until_s >= ?", (attempt.id, attempt.now_s)
            )
            return "new" if known.fetchone() is None else "duplicate"

    def acted(self, id: str, now_s: float, keep_until_s: float) -> None:
        with self._lock, self._transaction() as connection:
            connection.execute("DELETE FROM webhook_ids WHERE keep_until_s < ?", (now_s,))
            connection.execute(
                "INSERT INTO webhook_ids VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET keep_until_s = excluded.keep_until_s",
                (id, keep_until_s),
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection)


class _Transaction:
    """One that writes from its beginning, so that two of them cannot both read first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._connection.execute("COMMIT" if error is None else "ROLLBACK")


class RedisClient(Protocol):
    """What is used of a client of Redis: `redis.Redis` of PyPI `redis` is one."""

    def set(self, name: str, value: str, *, px: int, nx: bool = False) -> Any: ...

    def get(self, name: str) -> Any: ...


class RedisReplayStore:
    """In Redis, for any number of processes. Redis must not evict keys (`maxmemory-policy noeviction`)."""

    def __init__(self, client: RedisClient, prefix: str = "countersign:webhook:") -> None:
        self._client = client
        self._prefix = prefix

    def take(self, attempt: Attempt) -> Seen:
        name = f"{self._prefix}nonce:{attempt.id}.{attempt.timestamp_s}"
        lifetime_ms = math.ceil((attempt.keep_until_s - attempt.now_s) * 1000)
        if self._client.set(name, "1", px=lifetime_ms, nx=True) is not True:
            return "replayed"
        return "new" if self._client.get(f"{self._prefix}id:{attempt.id}") is None else "duplicate"

    def acted(self, id: str, now_s: float, keep_until_s: float) -> None:
        self._client.set(f"{self._prefix}id:{id}", "1", px=math.ceil((keep_until_s - now_s) * 1000))
