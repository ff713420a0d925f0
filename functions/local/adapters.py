"""The local platform's ports: queue and records in one SQLite file, log lines on standard error."""

import fcntl
import json
import os
import select
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Lock
from typing import NamedTuple

from shared.contract.version import VERSION
from shared.outcome.reasons import Reason, Retry
from shared.runs.request import RunRequest, TrackRequest, Unread, read

_PATIENCE = 100  # milliseconds a log line waits for a slow reader, unless one was lost just now
WAIT = 1.2  # seconds to wait for each of lock and file: the answer to GitLab has to leave within 3

_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, thread TEXT NOT NULL,
    body TEXT NOT NULL, due REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    since REAL NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS requests_thread ON requests (thread, seq);
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, text TEXT NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_expires ON records (expires);
"""
_ADDED = ("since REAL NOT NULL DEFAULT 0", "taken INTEGER NOT NULL DEFAULT 0")  # to older files

# Requests that are due and first in their thread. One that waits since a time that is still to
# come does so because the clock was set back.
_DUE = """
FROM requests AS r WHERE (due <= :now OR since > :now + 1) AND NOT EXISTS (
    SELECT 1 FROM requests AS earlier WHERE earlier.thread = r.thread AND earlier.seq < r.seq)
"""
_NEXT = f"SELECT run, body, attempts {_DUE} ORDER BY seq LIMIT 1"
_OLDEST = f"SELECT max(due, since) {_DUE} ORDER BY seq LIMIT 1"

_INSERT = """
INSERT INTO records (key, version, text, expires) VALUES (?, 1, ?, ?) ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE records SET version = version + 1, text = ?, expires = ? WHERE key = ? AND version = ?
"""
_FORGET = """
DELETE FROM records WHERE key IN (SELECT key FROM records WHERE expires < ? LIMIT ?)
"""
_AT_ONCE = 500  # expired records deleted in one transaction: deliveries wait for it
_MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat2.html#the_database_header
_LEFT_OPEN: list[sqlite3.Connection] = []
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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
        self._lock, self._file, self.damage = Lock(), folder.resolve() / "state.sqlite3", ""
        try:
            self._open()
        except sqlite3.Error as error:
            self._owner.close()
            message = f"STATE_DIR: {self._file} cannot be opened: {error}"
            raise RuntimeError(message) from None
        except (OSError, RuntimeError):
            self._owner.close()
            raise

    def _open(self) -> None:
        if self._file.exists():
            # SQLite would take a ruined beginning from the -wal, and write over what is there.
            with self._file.open("rb") as file:
                if file.read(len(_MAGIC)) not in (_MAGIC, b""):
                    self._damaged()
            if self.find_damage(whole=True):
                raise RuntimeError(self.damage)
        self._connection = sqlite3.connect(
            self._file, timeout=WAIT, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_TABLES)
        known = {row[1] for row in self._connection.execute("PRAGMA table_info(requests)")}
        for column in _ADDED:
            if column.split()[0] not in known:
                self._connection.execute(f"ALTER TABLE requests ADD COLUMN {column}")
        # Open to the end: to close a file lets go all locks that its process has on it (fcntl(2)).
        self._begin = os.open(self._file, os.O_RDONLY)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one atomic change.

        Raise Retry when it is not free in time, or once the file is known to be damaged.
        """
        if self.damage or not self._lock.acquire(timeout=WAIT):
            raise Retry(Reason.QUEUE_UNAVAILABLE)
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.DatabaseError as error:
            self._note(error)
            raise
        finally:
            self._lock.release()

    def find_damage(self, *, whole: bool) -> str:
        """Return what is wrong with the file, as a sentence; nothing is written to it.

        Without `whole` it is asked only whether the file is still there and begins as it must.
        """
        try:
            if whole:
                self._read_whole()
            else:
                same = os.path.samestat(os.fstat(self._begin), self._file.stat())
                if not same or os.pread(self._begin, len(_MAGIC), 0) != _MAGIC:
                    self._damaged()
        except sqlite3.DatabaseError as error:
            self._note(error)
        except FileNotFoundError:
            self._damaged()
        return self.damage

    def _read_whole(self) -> None:
        """Have SQLite look at every page, on a connection that cannot write."""
        with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro", WAIT, uri=True)) as db:
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                self._damaged()

    def forget(self, now: float) -> None:
        """Delete what has expired."""
        while True:
            with self.transaction() as db:
                if db.execute(_FORGET, (now, _AT_ONCE)).rowcount < _AT_ONCE:
                    return

    def _note(self, error: sqlite3.DatabaseError) -> None:
        """Remember an error that says that the file is damaged; others pass."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            self._damaged()

    def _damaged(self) -> None:
        self.damage = (
            f"STATE_DIR: {self._file} is damaged or was replaced, and is left as it is. Stop, move "
            "it and its -wal and -shm away, put a backup there or begin without, and start again"
        )

    def close(self) -> None:
        """Close the file and let others have it.

        One that is damaged stays as it is: SQLite would write into it when it is closed.
        """
        if self.damage:
            _LEFT_OPEN.append(self._connection)
        else:
            with self._lock:
                self._connection.close()
        os.close(self._begin)
        self._owner.close()


class Taken(NamedTuple):
    """A request that a worker has taken, and how many attempts there were before."""

    request: RunRequest | TrackRequest | Unread
    attempts: int


class SqliteQueue:
    """The queue: one row per run, handed to one worker at a time, in order within a thread."""

    def __init__(self, store: Store, now: Callable[[], float] = float) -> None:
        """Use the store; what a killed process had taken is free, as the store has one owner.

        It has spent no attempt, and what waits goes on waiting. `now` (Unix seconds) tells since
        when a request waits.
        """
        self.store, self._now, self.filled = store, now, Condition()
        with store.transaction() as db:
            db.execute(
                "UPDATE requests SET due = 0, taken = 0, attempts = attempts - 1 WHERE taken = 1"
            )

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Store the request; one that is stored already stays as it is."""
        with self.store.transaction() as db:
            db.execute(
                "INSERT INTO requests (run, thread, body, since) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (request.queue_key, request.thread, request.to_json(), self._now()),
            )
        with self.filled:
            self.filled.notify()

    def take(self, now: float, until: float) -> Taken | None:
        """Take the next request and hide it from other workers until a time (Unix seconds)."""
        with self.store.transaction() as db:
            row = db.execute(_NEXT, {"now": now}).fetchone()
            if row is None:
                return None
            run, body, attempts = row
            db.execute(
                "UPDATE requests SET due = ?, since = ?, taken = 1, attempts = attempts + 1 "
                "WHERE run = ?",
                (until, now, run),
            )
        return Taken(read(run, body), attempts)

    def done(self, request: RunRequest | TrackRequest | Unread) -> None:
        """Forget a request that came to its end: the claim remembers it."""
        with self.store.transaction() as db:
            db.execute("DELETE FROM requests WHERE run = ?", (request.queue_key,))

    def later(
        self, request: RunRequest | TrackRequest | Unread, due: float, *, counted: bool = True
    ) -> None:
        """Offer the request again at the given time (Unix seconds); `counted`: one more attempt."""
        with self.store.transaction() as db:
            db.execute(
                "UPDATE requests SET due = ?, taken = 0, attempts = attempts - ? WHERE run = ?",
                (due, not counted, request.queue_key),
            )

    def overdue(self, now: float) -> float:
        """Return for how many seconds the request is due that is to be taken next; 0: none is."""
        with self.store.transaction() as db:
            row = db.execute(_OLDEST, {"now": now}).fetchone()
        return max(0.0, now - row[0]) if row and row[0] else 0.0


class SqliteRecords:
    """The records: one row each, changed by compare-and-set on its version number."""

    def __init__(self, store: Store, now: float) -> None:
        """Use the store; forget what has expired."""
        self._store = store
        store.forget(now)

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


class Lines:
    """Writes lines to standard error. What it does not take soon is counted and dropped.

    Nothing waits for a log or fails because of it: neither a full disk nor a pipe whose reader has
    ended or stands still.
    """

    def __init__(self) -> None:
        """Begin with nothing lost."""
        self._lock, self._lost = Lock(), 0

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        """Write one JSON line, and before it how many were lost, once they can be told again.

        With the time in UTC: nobody else keeps it here.
        """
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            lost = {"time": time, "severity": "WARNING", "error": "log", "lost": self._lost}
            if self._lost and self._written(json.dumps(lost)):
                self._lost = 0
            line = {"time": time, "severity": severity, **fields, "version": VERSION}
            self._lost += not self._written(json.dumps(line))

    def say(self, sentence: str) -> None:
        """Write a line for people; where that cannot be done, nothing happens."""
        with self._lock:
            self._written(sentence)

    def _written(self, line: str) -> bool:
        try:
            try:
                number = sys.stderr.fileno()
            except (OSError, ValueError):  # no file at all, as in tests
                sys.stderr.write(f"{line}\n")
                return True
            # Past Python's buffer: what stays there after an error fails again, up to the exit.
            data = f"{line}\n".encode()
            patience = 0 if self._lost else _PATIENCE
            return _takes_more(number, patience) and os.write(number, data) == len(data)
        except (OSError, ValueError, AttributeError):  # ValueError, None: closed on our side
            return False


def _takes_more(number: int, milliseconds: int) -> bool:
    """Tell whether a write of a line (PIPE_BUF bytes at most) will soon return at once: poll(2)."""
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(milliseconds))


log = Lines()
