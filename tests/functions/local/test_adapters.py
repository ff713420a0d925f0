"""SQLite as queue and store; what all stores keep is in `test_ports.py`."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from functions.local import adapters
from functions.local.adapters import SqliteQueue, SqliteRecords, Store
from shared.outcome.reasons import Reason, Retry
from shared.runs.request import RunRequest
from tests.support import fakes

NOW = fakes.NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def asked(note_id: int, iid: int = 5) -> RunRequest:
    return fakes.run(fakes.NOTE._replace(note_id=note_id, iid=iid))


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    with pytest.raises(RuntimeError, match=r"STATE_DIR: .* in use by another process"):
        Store(tmp_path / "state")
    store.close()
    Store(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_requests_come_in_order_within_their_thread_and_past_a_waiting_thread(
    store: Store,
) -> None:
    queue = SqliteQueue(store)
    first, second, other = asked(101), asked(102), asked(103, iid=6)
    for request in (first, second, other, first):
        queue.put(request)
    taken = [queue.take(NOW, NOW + 60) for _ in range(3)]
    assert [each and each.request for each in taken] == [first, other, None]
    queue.done(first)
    assert queue.take(NOW, NOW + 60) == (second, 0)


def test_what_another_token_claims_of_a_run_takes_nobody_s_place(store: Store) -> None:
    queue, true = SqliteQueue(store), asked(101)
    forged = true._replace(bound=("mallorys",))
    for request in (forged, true):
        queue.put(request)
    assert queue.take(NOW, NOW + 60) == (forged, 0)
    queue.done(forged)
    assert queue.take(NOW, NOW + 60) == (true, 0)


def test_what_is_put_off_comes_again_when_it_is_due_and_is_counted(store: Store) -> None:
    queue, request = SqliteQueue(store), asked(101)
    queue.put(request)
    assert queue.take(NOW, NOW + 60) == (request, 0)
    queue.later(request, NOW + 30)
    assert queue.take(NOW + 29, NOW + 90) is None
    assert queue.take(NOW + 30, NOW + 90) == (request, 1)
    assert queue.take(NOW + 89, NOW + 150) is None
    assert queue.take(NOW + 90, NOW + 150) == (request, 2)  # its worker has not come back


def test_what_a_killed_process_had_taken_is_free_again(store: Store) -> None:
    queue, request = SqliteQueue(store), asked(101)
    queue.put(request)
    queue.take(NOW, NOW + 60)
    assert SqliteQueue(store).take(NOW, NOW + 60) == (request, 1)


def test_a_waiting_worker_hears_of_a_request(store: Store) -> None:
    queue, heard = SqliteQueue(store), Event()

    def wait() -> None:
        with queue.filled:
            ready.set()
            if queue.filled.wait(10):
                heard.set()

    ready, worker = Event(), Thread(target=wait)
    worker.start()
    ready.wait(10)
    queue.put(asked(101))
    worker.join()
    assert heard.is_set()


def test_expired_records_are_forgotten_when_the_store_is_opened(store: Store) -> None:
    records = SqliteRecords(store, NOW)
    for key, expires in (("run/old", NOW - 1), ("run/new", NOW + 1), ("sweep/7", NOW + 1)):
        records.write(key, "{}", None, int(expires))
    records = SqliteRecords(store, NOW)
    assert records.read("run/old") == (None, None)
    assert records.starting_with("run/") == ["run/new"]


def test_a_store_that_is_not_free_in_time_is_a_retry(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "WAIT", 0.05)
    queue = SqliteQueue(store)
    with store.transaction(), pytest.raises(Retry) as error:
        queue.put(asked(101))
    assert error.value.reason is Reason.QUEUE_UNAVAILABLE


def test_a_log_line_is_one_json_object_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    adapters.log("INFO", {"reason": "queued", "run": "0123"})
    printed = capsys.readouterr()
    line = json.loads(printed.err)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert line == {"severity": "INFO", "reason": "queued", "run": "0123"}
    assert printed.out == ""
