"""Firestore and Cloud Tasks through their SDKs; what all stores keep is in `test_ports.py`."""

import time
from concurrent.futures import ThreadPoolExecutor
from socket import create_server
from uuid import uuid4

import pytest

from functions.gcp import adapters
from shared.runs.request import MAX_REQUEST, RunRequest, TrackRequest, from_json
from shared.runs.store import Queue
from tests.support import fakes
from tests.support.platforms.cloud_tasks import CloudTasks
from tests.support.platforms.gcp import INVOKER, QUEUE, Gcp, firestore_records, tasks_queue

BUDGET = 3.0  # seconds `receive` may take whatever hangs
DISPATCH_URL = "https://dispatch-123.europe-west1.run.app"

needs_emulator = pytest.mark.skipif(Gcp.available() is not None, reason=str(Gcp.available()))


# Records.


@pytest.fixture
def project() -> str:
    return f"p-{uuid4().hex[:8]}"


@needs_emulator
def test_a_record_that_vanished_is_not_written_again(project: str) -> None:
    records = firestore_records(project)
    version = records.write("run/1", "{}", None, 1000)
    assert records.write("run/2", "{}", version, 1000) is None
    assert records.read("run/2") == (None, None)


@needs_emulator
def test_a_record_carries_its_end_as_a_time_for_the_ttl_policy(project: str) -> None:
    firestore_records(project).write("run/1", "{}", None, 1000)
    stored = adapters._firestore(project).collection("claims").document("run:1").get()
    assert stored.get("expires").timestamp() == 1000


def test_a_store_that_never_answers_raises_within_the_limit(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "PATIENT", 0.3)
    with create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        hanging = adapters.FirestoreRecords(project, "claims")
        started = time.monotonic()
        with pytest.raises(Exception, match=r"504|503"):
            hanging.read("r")
        with pytest.raises(Exception, match=r"504|503"):
            hanging.write("r", "{}", None, 1000)
        assert time.monotonic() - started < BUDGET
        adapters._firestore(project).close()


# The queue.


@pytest.fixture
def queue(tasks: CloudTasks, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr("functions.gcp.adapters.time.time", lambda: fakes.NOW)
    return tasks_queue(tasks, DISPATCH_URL)


def test_a_run_put_twice_is_one_task_and_no_error(queue: Queue, tasks: CloudTasks) -> None:
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(queue.put, [fakes.run()] * 12)) == [None] * 12
    queue.put(fakes.run())
    assert [from_json(task.body) for task in tasks.tasks.values()] == [fakes.run()]
    assert len(tasks.calls) == 13


def test_each_status_of_a_pipeline_is_one_task_of_a_name_that_google_takes(
    queue: Queue, tasks: CloudTasks
) -> None:
    looks = [
        TrackRequest(7, 4711, status) for status in ("running", "waiting_for_resource", "running")
    ]
    for look in looks:
        queue.put(look)
    assert [from_json(task.body) for task in tasks.tasks.values()] == looks[:2]


def test_a_run_can_be_sent_again_although_the_name_of_its_first_task_is_not_free(
    queue: Queue, tasks: CloudTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.put(fakes.run())
    monkeypatch.setattr("functions.gcp.adapters.time.time", lambda: fakes.NOW + adapters.SAME)
    queue.put(fakes.run())
    assert len(tasks.tasks) == 2


def test_the_longest_request_fits_into_a_task(queue: Queue, tasks: CloudTasks) -> None:
    room = MAX_REQUEST - len(fakes.run(instruction="").to_json())
    queue.put(fakes.run(instruction="x" * room))
    queue.put(fakes.run(fakes.NOTE._replace(note_id=102), instruction="\N{SNOWMAN}" * 1_000_000))
    whole, cut = (from_json(task.body) for task in tasks.tasks.values())
    assert isinstance(whole, RunRequest)
    assert isinstance(cut, RunRequest)
    assert len(next(iter(tasks.tasks.values())).body) == MAX_REQUEST
    assert whole.instruction == "x" * room
    assert cut.instruction is None


def test_a_task_calls_dispatch_with_an_id_token_for_it(queue: Queue, tasks: CloudTasks) -> None:
    queue.put(fakes.run())
    (task,) = tasks.tasks.values()
    assert task.name.startswith(f"{QUEUE}/tasks/{fakes.run().id}")
    assert task.request["url"] == DISPATCH_URL
    assert task.request["httpMethod"] in (1, "POST")
    assert task.request["headers"] == {"Content-Type": "application/json"}
    assert task.request["oidcToken"] == {"serviceAccountEmail": INVOKER, "audience": DISPATCH_URL}
    assert task.deadline == 120


def test_a_queue_that_does_not_exist_is_an_error(tasks: CloudTasks) -> None:
    queue = tasks_queue(tasks, DISPATCH_URL)
    tasks.queue = "projects/p/locations/europe-west1/queues/other"
    with pytest.raises(Exception, match="Queue does not exist"):
        queue.put(fakes.run())
    assert tasks.tasks == {}
