"""The threads behind the queue: what becomes of a request, and that no error ends a worker."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from functions.local import workers
from functions.local.adapters import SqliteQueue, Store
from functions.local.workers import WORKERS, Workers
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import ATTEMPTS, pause
from tests.support import fakes

REQUEST = fakes.run()


class Stage:
    """A queue on the fake clock's time, and workers whose `dispatch` is the test's."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.store, self.clock, self.log = Store(folder), fakes.Clock(), fakes.Log()
        self.queue, self._patch = SqliteQueue(self.store), patch
        services = fakes.services(fakes.GitLab(), fakes.Records(), self.clock, self.log)
        self.workers = Workers(self.queue, services)
        self.lasts: list[bool] = []

    def work(self, *ends: Exception | None) -> None:
        """Let attempts end so, one after the other, and stop."""
        left, over = list(ends), Event()

        def dispatch(_: object, __: object, *, last: bool) -> Reason:
            self.lasts.append(last)
            end = left.pop(0)
            if not left:
                over.set()
            if end:
                raise end
            return Reason.TRIGGERED

        self._patch.setattr(workers, "dispatch", dispatch)
        self.workers.start()
        assert over.wait(10)
        self.workers.stop()

    def due(self) -> list[float]:
        """Return in how many seconds each request in the queue is due."""
        with self.store.transaction() as db:
            rows = db.execute("SELECT due FROM requests").fetchall()
        return [due - self.clock.time for (due,) in rows]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(workers, "_IDLE", 0.01)
    stage = Stage(tmp_path, monkeypatch)
    yield stage
    stage.store.close()


def test_what_is_carried_out_leaves_the_queue(stage: Stage) -> None:
    stage.queue.put(REQUEST)
    stage.work(None)
    assert stage.due() == []
    assert stage.lasts == [False]
    assert stage.log.lines == []


@pytest.mark.parametrize(("after", "due"), [(0.0, pause(1)), (40.0, 40.0)])
def test_what_is_to_come_again_waits_as_told_or_as_long_as_attempts_do(
    stage: Stage, after: float, due: float
) -> None:
    stage.queue.put(REQUEST)
    stage.work(Retry(Reason.GITLAB_UNAVAILABLE, after))
    assert stage.due() == [due]
    assert stage.log.lines == []


def test_defects_are_logged_by_their_class_and_end_no_worker(stage: Stage) -> None:
    for iid in range(WORKERS + 3):
        stage.queue.put(fakes.run(fakes.NOTE._replace(note_id=100 + iid, iid=iid)))
    stage.work(*[KeyError("canary")] * WORKERS, *[None] * 3)
    assert stage.due() == [pause(1)] * WORKERS
    assert stage.log.lines == [("ERROR", {"error": "KeyError"})] * WORKERS


@pytest.mark.parametrize(("before", "last"), [(ATTEMPTS - 2, False), (ATTEMPTS - 1, True)])
def test_the_last_attempt_is_told_so(stage: Stage, before: int, last: bool) -> None:
    stage.queue.put(REQUEST)
    for _ in range(before):
        assert stage.queue.take(stage.clock.time, stage.clock.time)
    stage.work(None)
    assert stage.lasts == [last]


def test_a_sweep_that_fails_is_followed_by_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[object] = []
    again = Event()

    def sweep(_: object, queue: object) -> None:
        swept.append(queue)
        if len(swept) == 1:
            raise OSError
        again.set()

    monkeypatch.setattr(workers, "SWEEP_EVERY", 0.01)
    monkeypatch.setattr(workers, "sweep", sweep)
    stage.workers.start()
    assert again.wait(10)
    stage.workers.stop()
    assert set(swept) == {stage.queue}
    assert stage.log.lines == [("ERROR", {"error": "OSError"})]
