"""SQLite as queue and store; what all stores keep is in `test_ports.py`."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import SQLITE_CORRUPT, DatabaseError, connect
from threading import Event, Thread

import pytest

from functions.local import adapters
from functions.local.adapters import Lines, SqliteQueue, SqliteRecords, Store
from shared.contract.version import VERSION
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


def test_a_restart_spends_no_attempt_and_hurries_nobody(store: Store) -> None:
    queue, taken, waiting = SqliteQueue(store), asked(101), asked(102, iid=6)
    for request in (taken, waiting):
        queue.put(request)
    queue.take(NOW, NOW + 60)
    queue.take(NOW, NOW + 60)
    queue.later(waiting, NOW + 30)
    for _ in range(20):  # a crash loop
        queue = SqliteQueue(store)
        assert queue.take(NOW, NOW + 60) == (taken, 0)
        assert queue.take(NOW, NOW + 60) is None
    assert queue.take(NOW + 30, NOW + 90) == (waiting, 1)


def test_an_attempt_may_be_left_uncounted(store: Store) -> None:
    queue, request = SqliteQueue(store), asked(101)
    queue.put(request)
    for _ in range(3):
        assert queue.take(NOW, NOW + 60) == (request, 0)
        queue.later(request, NOW, counted=False)


def test_a_clock_that_was_set_back_keeps_nothing_waiting(store: Store) -> None:
    queue, request, other = SqliteQueue(store, lambda: NOW), asked(101), asked(102, iid=6)
    for each in (request, other):
        queue.put(each)
    queue.take(NOW, NOW + 60)
    queue.later(request, NOW + 30)
    earlier = NOW - 3600
    assert SqliteQueue(store).take(earlier, earlier + 60) == (request, 1)
    assert queue.take(earlier, earlier + 60) == (other, 0)
    assert queue.take(earlier, earlier + 60) is None


def test_the_request_to_come_next_tells_for_how_long_it_is_due(store: Store) -> None:
    queue, request = SqliteQueue(store, lambda: NOW), asked(101)
    assert queue.overdue(NOW) == 0
    queue.put(request)
    queue.put(asked(102))
    assert queue.overdue(NOW + 700) == 700
    queue.take(NOW + 700, NOW + 820)
    assert queue.overdue(NOW + 800) == 0
    queue.later(request, NOW + 900)
    assert queue.overdue(NOW + 899) == 0
    assert queue.overdue(NOW + 1000) == 100


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "state.sqlite3")) as db:
        db.execute(
            "CREATE TABLE requests (seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE,"
            " thread TEXT NOT NULL, body TEXT NOT NULL, due REAL NOT NULL DEFAULT 0,"
            " attempts INTEGER NOT NULL DEFAULT 0)"
        )
        row = (asked(101).queue_key, asked(101).thread, asked(101).to_json())
        db.execute("INSERT INTO requests (run, thread, body, attempts) VALUES (?, ?, ?, 3)", row)
        db.commit()
    store = Store(tmp_path)
    assert SqliteQueue(store).take(NOW, NOW + 60) == (asked(101), 3)
    store.close()


def damage(file: Path, at: int) -> bytes:
    """Overwrite a part of the file, in place; return what it is then."""
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(b"no database" * 500)
    return file.read_bytes()


def test_a_ruined_beginning_is_not_written_over_from_the_log_of_writes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    SqliteQueue(store).put(asked(101))
    left = damage(tmp_path / "state.sqlite3", 0)
    store.find_damage(whole=False)
    store.close()  # as a kill would leave it: what was written last is in the -wal
    with pytest.raises(RuntimeError, match="is damaged"):
        Store(tmp_path)
    assert (tmp_path / "state.sqlite3").read_bytes() == left


@pytest.mark.parametrize("at", [0, 4096])
def test_a_damaged_file_is_told_at_the_start_and_left_as_it_is(tmp_path: Path, at: int) -> None:
    store = Store(tmp_path)
    SqliteQueue(store).put(asked(101))
    store.close()
    left = damage(tmp_path / "state.sqlite3", at)
    for _ in range(2):  # nobody holds it either
        with pytest.raises(RuntimeError, match=r"STATE_DIR: .*state.sqlite3 is damaged .* left as"):
            Store(tmp_path)
    assert (tmp_path / "state.sqlite3").read_bytes() == left


def test_a_folder_that_is_no_place_for_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").mkdir()
    with pytest.raises(OSError, match=r"state.sqlite3"):
        Store(tmp_path)


@pytest.mark.parametrize(
    "ruin",
    [lambda file: damage(file, 0), Path.unlink, lambda file: file.rename(file.with_name("away"))],
)
def test_a_file_that_is_damaged_while_it_is_used_takes_nothing_more(
    tmp_path: Path, ruin: Callable[[Path], object]
) -> None:
    store = Store(tmp_path)
    queue = SqliteQueue(store)
    queue.put(asked(101))
    assert store.find_damage(whole=False) == store.find_damage(whole=True) == ""
    ruin(tmp_path / "state.sqlite3")
    left = [file.read_bytes() for file in sorted(tmp_path.glob("*.sqlite3*"))]
    assert "is damaged or was replaced, and is left as it is" in store.find_damage(whole=False)
    with pytest.raises(Retry):
        queue.put(asked(102))
    store.close()
    assert [file.read_bytes() for file in sorted(tmp_path.glob("*.sqlite3*"))] == left


def test_what_a_statement_finds_damaged_is_remembered(store: Store) -> None:
    error = DatabaseError()
    error.sqlite_errorcode = SQLITE_CORRUPT
    with pytest.raises(DatabaseError), store.transaction():
        raise error
    assert store.damage
    store.damage = ""


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


def test_expired_records_are_forgotten_while_it_runs_however_many(store: Store) -> None:
    records = SqliteRecords(store, NOW)
    with store.transaction() as db:
        rows = [(f"run/{number}", NOW + number) for number in range(1201)]
        db.executemany("INSERT INTO records VALUES (?, 1, '{}', ?)", rows)
    store.forget(NOW + 1200)
    assert records.starting_with("run/") == ["run/1200"]


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
    assert line == {
        "severity": "INFO",
        "reason": "queued",
        "run": "0123",
        "version": VERSION,
    }
    assert printed.out == ""


def test_a_log_that_takes_nothing_stops_nobody_and_tells_later_how_much_it_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    unread, full = os.fdopen(writer, "w"), Path("/dev/full").open("w")  # noqa: SIM115
    log, began = Lines(), time.monotonic()
    for _ in range(3000):  # a pipe holds 64 KiB
        monkeypatch.setattr(sys, "stderr", unread)
        log("INFO", {"reason": "queued", "run": "0" * 32})
    os.close(reader)  # broken from now on
    log("INFO", {})
    for gone in (full, None):
        monkeypatch.setattr(sys, "stderr", gone)
        log("INFO", {})
        log.say("Listening")
    assert time.monotonic() - began < 5
    monkeypatch.undo()
    capsys.readouterr()
    log("INFO", {"reason": "queued"})
    lost, line = map(json.loads, capsys.readouterr().err.splitlines())
    assert all(each.pop("time") for each in (lost, line))
    assert (lost["severity"], lost["error"]) == ("WARNING", "log")
    assert 1000 < lost["lost"] < 3003
    assert line == {"severity": "INFO", "reason": "queued", "version": VERSION}
    for each in (unread, full):
        with suppress(OSError):
            each.close()
