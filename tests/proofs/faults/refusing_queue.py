"""A queue that fails in every way it can: what was answered 202 is stored, and nothing else is."""

import random
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from functions.local import adapters
from functions.local.adapters import SqliteQueue, Store
from shared.outcome.reasons import Reason, Retry
from shared.receive import receive
from shared.runs.request import RunRequest, TrackRequest, run_id
from tests.proofs.faults.schedules import SEED
from tests.support import fakes

_ERRORS: tuple[Exception, ...] = (
    Retry(Reason.QUEUE_UNAVAILABLE),
    sqlite3.OperationalError("database is locked"),
    TimeoutError(),
    ConnectionResetError(),
    MemoryError(),
    KeyError("MessageId"),
    OSError(28, "No space left on device"),
)


class Refused(NamedTuple):
    """What was answered and what was stored."""

    deliveries: int
    answered_202: int
    stored: int
    false_202: int  # answered 202 and not stored
    statuses: dict[int, int]


class _Queue:
    """The SQLite queue, which raises before it stores as often as it stores."""

    def __init__(self, queue: SqliteQueue, draw: random.Random) -> None:
        self._queue, self._draw = queue, draw

    def put(self, run: RunRequest | TrackRequest) -> None:
        if self._draw.random() < 0.5:
            raise self._draw.choice(_ERRORS)
        self._queue.put(run)


def run(deliveries: int = 5000, seed: int = SEED) -> Refused:
    """Deliver to a queue that raises, to one whose file is locked, to one whose disk is full."""
    answers: dict[str, int] = {}
    draw = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder, patch.object(adapters, "WAIT", 0.02):
        store = Store(Path(folder))
        queue = SqliteQueue(store)
        for number in range(deliveries):
            _deliver(number, _Queue(queue, draw), answers)
        other = sqlite3.connect(Path(folder) / "state.sqlite3", isolation_level=None)
        others = deliveries // 10
        for number in range(deliveries, deliveries + others):
            if number % 2:
                other.execute("BEGIN IMMEDIATE")
            _deliver(number, queue, answers)
            if number % 2:
                other.execute("ROLLBACK")
        with store.transaction() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
        with store.transaction() as db:
            db.execute(f"PRAGMA max_page_count = {pages + 8}")
        for number in range(deliveries + others, deliveries + 2 * others):
            _deliver(number, queue, answers)
        rows = other.execute("SELECT run FROM requests")
        stored = {key.partition("-")[0] for (key,) in rows}
        other.close()
        store.close()
    told = {asked for asked, status in answers.items() if status == 202}
    counted = Counter(answers.values())
    return Refused(
        len(answers), len(told), len(stored), len(told - stored), dict(sorted(counted.items()))
    )


def _deliver(number: int, queue: "SqliteQueue | _Queue", answers: dict[str, int]) -> None:
    delivery = fakes.delivery(fakes.payload(id=number + 1), now=time.time())
    answer = receive(
        delivery,
        settings=fakes.settings(),
        secrets=fakes.tokens(now=time.time),
        queue=queue,
        now=time.time,
        log=lambda *_: None,
    )
    answers[run_id("gitlab.com", 7, "note", number + 1)] = answer.status
