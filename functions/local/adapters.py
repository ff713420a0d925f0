"""The local platform's ports: queue and records in one SQLite file, log lines on standard error."""

import fcntl
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from typing import NamedTuple

from shared.outcome.reasons import Reason, Retry
from shared.runs.request import RunRequest, TrackRequest, from_json

WAIT = 1.2  # seconds to wait for each of lock and file: the answer to GitLab has to leave within 3

_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, thread TEXT NOT NULL,
    body TEXT NOT NULL, due REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS requests_thread ON requests (thread, seq);
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, text TEXT NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
"""

# The oldest request that is due and first in its thread.
_NEXT = """
SELECT run, body, attempts FROM requests AS r WHERE due <= ? AND NOT EXISTS (
    SELECT 1 FROM requests AS earlier WHERE earlier.thread = r.thread AND earlier.seq < r.seq)
ORDER BY seq LIMIT 1
"""

_INSERT = """
INSERT INTO records (key, version, text, expires) VALUES (?, 1, ?, ?) ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE records SET version = version + 1, text = ?, expires = ? WHERE key = ? AND version = ?
"""


class Store:
    """The SQLite file in STATE_DIR: one process at a time, every write on disk before it counts."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file; raise RuntimeError while another process has it."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner = (folder / "owner.lock").open("w")
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._owner.close()
            message = f"STATE_DIR: {folder} is in use by another process; give each its own"
            raise RuntimeError(message) from None
        self._lock = Lock()
        self._connection = sqlite3.connect(
            folder / "state.sqlite3", timeout=WAIT, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one atomic change; raise Retry when it is not free in time."""
        if not self._lock.acquire(timeout=WAIT):
            raise Retry(Reason.QUEUE_UNAVAILABLE)
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the file and let others have it."""
        with self._lock:
            self._connection.close()
        self._owner.close()


class Taken(NamedTuple):
    """A request that a worker has taken, and how many attempts there were before."""

    request: RunRequest | TrackRequest
    attempts: int


class SqliteQueue:
    """The queue: one row per run, handed to one worker at a time, in order within a thread."""

    def __init__(self, store: Store) -> None:
        """Use the store; what a killed process had taken is free, as the store has one owner."""
        self._store, self.filled = store, Condition()
        with store.transaction() as db:
            db.execute("UPDATE requests SET due = 0")

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Store the request; one that is stored already stays as it is."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO requests (run, thread, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (request.queue_key, request.thread, request.to_json()),
            )
        with self.filled:
            self.filled.notify()

    def take(self, now: float, until: float) -> Taken | None:
        """Take the next request and hide it from other workers until a time (Unix seconds)."""
        with self._store.transaction() as db:
            row = db.execute(_NEXT, (now,)).fetchone()
            if row is None:
                return None
            run, body, attempts = row
            db.execute(
                "UPDATE requests SET due = ?, attempts = attempts + 1 WHERE run = ?", (until, run)
            )
        return Taken(from_json(body), attempts)

    def done(self, request: RunRequest | TrackRequest) -> None:
        """Forget a request that came to its end: the claim remembers it."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM requests WHERE run = ?", (request.queue_key,))

    def later(self, request: RunRequest | TrackRequest, due: float) -> None:
        """Offer the request again at the given time (Unix seconds)."""
        with self._store.transaction() as db:
            db.execute("UPDATE requests SET due = ? WHERE run = ?", (due, request.queue_key))


class SqliteRecords:
    """The records: one row each, changed by compare-and-set on its version number."""

    def __init__(self, store: Store, now: float) -> None:
        """Use the store; forget what has expired."""
        self._store = store
        with store.transaction() as db:
            db.execute("DELETE FROM records WHERE expires < ?", (now,))

    def read(self, key: str) -> tuple[str | None, object]:
        """Return the record and its version number."""
        with self._store.transaction() as db:
            row = db.execute("SELECT text, version FROM records WHERE key = ?", (key,)).fetchone()
        return tuple(row) if row else (None, None)

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Store the record where the version is still the one read."""
        with self._store.transaction() as db:
            if version is None:
                done = db.execute(_INSERT, (key, text, expires))
            else:
                done = db.execute(_UPDATE, (text, expires, key, version))
        following = 1 if version is None else int(str(version)) + 1
        return following if done.rowcount else None

    def delete(self, key: str) -> None:
        """Delete the row."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM records WHERE key = ?", (key,))

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        """Return the rows between two keys, which are sorted."""
        between = f"{index}//", f"{index}/0"  # 0 is what follows a slash
        with self._store.transaction() as db:
            rows = db.execute(
                "SELECT key, text FROM records WHERE key > ? AND key < ? ORDER BY key LIMIT ?",
                (*between, most),
            )
            return rows.fetchall()

    def starting_with(self, prefix: str) -> list[str]:
        """Return the keys that start with a prefix."""
        with self._store.transaction() as db:
            rows = db.execute(
                "SELECT key FROM records WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)
            )
            return [key for (key,) in rows]


def log(severity: str, fields: Mapping[str, object]) -> None:
    """Write one JSON line to standard error."""
    sys.stderr.write(json.dumps({"severity": severity, **fields}) + "\n")
