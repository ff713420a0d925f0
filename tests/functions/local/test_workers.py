"""The threads behind the queue: what becomes of a request, and that no error ends a worker."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from functions.local import workers
from functions.local.adapters import SqliteQueue, SqliteRecords, Store
from functions.local.workers import WORKERS, Workers
from shared.dispatch import dispatch
from shared.outcome.reasons import Reason, Retry
from shared.runs import store as runs
from shared.runs.record import ATTEMPTS, LEASE, pause
from shared.sweep import replay
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


@pytest.mark.parametrize("body", ["canary", "{}", '{"version": 99}', '{"version": 2, "id": 7}'])
def test_what_cannot_be_read_becomes_a_dead_letter_and_the_next_of_its_thread_has_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(workers, "_IDLE", 0.01)
    store, clock, log, records = Store(tmp_path), fakes.Clock(), fakes.Log(), fakes.Records()
    queue, gitlab, behind = SqliteQueue(store), fakes.GitLab(), fakes.run()
    queue.put(fakes.run(fakes.NOTE._replace(note_id=100)))
    with store.transaction() as db:
        db.execute("UPDATE requests SET run = 'message-7', body = ?", (body,))
    queue.put(behind)
    services = fakes.services(gitlab, records, clock, log)
    carried = Workers(queue, services)
    carried.start()
    for _ in range(500):
        if gitlab.replies and not queue.overdue(clock.time):
            break
        time.sleep(0.01)
    carried.stop()
    store.close()
    assert len(gitlab.triggered) == 1
    named = [line for _, line in log.lines if line.get("message_id") == "message-7"]
    assert [line["reason"] for line in named] == ["request_unreadable", "dead_letter"]
    assert "canary" not in str(log.lines)
    assert runs.dead_letters(records) == ["message-7"]
    again = fakes.Queue()
    assert replay(services, again) == []
    letter = {"at": 0.0, "told": True, "body": fakes.run().to_json()}  # a version that can read it
    records.stored["dead//message-7"] = json.dumps(letter), 9
    assert replay(services, again) == ["message-7"]
    assert again.runs == [fakes.run()._replace(replay=1)]


def test_a_defect_at_the_last_attempt_ends_in_a_dead_letter(stage: Stage) -> None:
    records, gitlab = fakes.Records(), fakes.GitLab()
    gitlab.faults["user"] = [KeyError("canary"), KeyError("canary")]
    services = fakes.services(gitlab, records, stage.clock, stage.log)
    with pytest.raises(KeyError):
        dispatch(REQUEST, services)
    stage.clock.time += LEASE
    assert dispatch(REQUEST, services, last=True) is Reason.DEAD_LETTER
    assert runs.dead_letters(records) == [REQUEST.id]
    assert stage.log.lines[-1][1]["error"] == "KeyError"


@pytest.mark.parametrize(("after", "due"), [(40.0, 40.0), (3600.0, LEASE)])
def test_to_meet_another_attempt_is_none(stage: Stage, after: float, due: float) -> None:
    stage.queue.put(REQUEST)
    stage.work(Retry(Reason.BUSY, after))
    assert stage.due() == [due]
    assert stage.queue.take(stage.clock.time + due, 0) == (REQUEST, 0)


def watched(stage: Stage, patch: pytest.MonkeyPatch, until: Callable[[], bool]) -> None:
    """Let the watch go its rounds until something is so."""
    patch.setattr(workers, "_WATCH", 0.01)
    stage.workers.start()
    for _ in range(500):
        if until():
            break
        time.sleep(0.01)
    else:
        pytest.fail("it did not come about")


def test_a_worker_that_has_ended_is_told_and_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dispatch(*_: object, **__: object) -> Reason:
        raise SystemExit

    monkeypatch.setattr(workers, "dispatch", dispatch)
    for iid in range(WORKERS):
        stage.queue.put(fakes.run(fakes.NOTE._replace(note_id=100 + iid, iid=iid)))
    watched(stage, monkeypatch, lambda: len(stage.log.lines) == 2 * WORKERS)
    assert stage.log.lines.count(("ERROR", {"error": "SystemExit"})) == WORKERS
    assert stage.workers.trouble() == ""
    stage.workers.stop()
    assert stage.workers.trouble() == "A worker has ended."


def test_a_request_that_nobody_takes_is_told_until_it_is_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.Workers, "_take", lambda _: None)
    stage.queue = stage.workers._queue = SqliteQueue(stage.store, stage.clock)
    stage.queue.put(REQUEST)
    stage.clock.time += workers.OVERDUE + 1
    watched(stage, monkeypatch, lambda: "A request is due" in stage.workers.trouble())
    stage.queue.done(REQUEST)
    for _ in range(500):
        if not stage.workers.trouble():
            break
        time.sleep(0.01)
    assert stage.workers.trouble() == ""
    stage.workers.stop()


def test_a_damaged_file_is_told_once(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state.sqlite3").rename(tmp_path / "away")
    watched(stage, monkeypatch, lambda: "damaged" in stage.workers.trouble())
    time.sleep(0.05)
    stage.workers.stop()
    ((severity, fields),) = stage.log.lines
    assert severity == "ERROR"
    assert "state.sqlite3 is damaged or was replaced" in str(fields["error"])


def test_a_watch_that_stands_still_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_BLIND", -1)
    monkeypatch.setattr(workers, "_WATCH", 1000)
    stage.workers.start()
    assert stage.workers.trouble() == "The watch over the workers does not answer."
    stage.workers.stop()


def test_what_expires_while_it_runs_is_forgotten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_FORGET_EVERY", 1)
    monkeypatch.setattr(workers, "_READ_EVERY", 1)
    records = SqliteRecords(stage.store, stage.clock.time)
    records.write("run/old", "{}", None, int(stage.clock.time) + 60)
    stage.clock.time += 61
    watched(stage, monkeypatch, lambda: not records.starting_with("run/"))
    stage.workers.stop()


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
