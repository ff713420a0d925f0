"""A thread of 5,000 comments and a merge request of 3,000 files: dispatch by the real adapter stays small and quick."""

import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from shared.outcome.reasons import Reason
from shared.outgoing.payload import safe_json
from tests.support.event_cases import ADA, PROJECT, REPORTER
from tests.support.event_checks import Worker
from tests.support.gitlab import contract, diffs
from tests.support.gitlab.records import Record

NOTES, FILES = 5_000, 3_000
NEAR, FAR = 450, 2_900  # the file a comment stands in: among the first 500, and beyond
LONG = "It is as the log says: " + "the kettle boils over. " * 12


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        gitlab = worker.gitlab
        gitlab.diff_max_files = FILES
        gitlab.issue(PROJECT, 5, author_id=ADA)
        gitlab.merge_request(
            PROJECT,
            3,
            source_branch="large",
            author_id=ADA,
            diffs=diffs.many(FILES, lines=20, folder="src/some/folder"),
        )
        for kind, iid in (("issue", 5), ("merge_request", 3)):
            for number in range(NOTES):
                worker.clock.time += 1
                text = f"{number}: {LONG if number % 7 == 0 else 'I agree.'}"
                gitlab.note(PROJECT, kind, iid, author_id=(ADA, REPORTER)[number % 2], body=text)
        worker.adapter.project(str(PROJECT))  # asked for once in five minutes
        yield worker
        assert not gitlab.unknown_calls
        assert not [problem for call in gitlab.calls for problem in contract.check(call)]


def line(file: int) -> Record:
    path = f"src/some/folder/{file:04}.py"
    return {
        "new_path": path,
        "old_path": path,
        "new_line": 7,
        "old_line": None,
        "head_sha": "a" * 40,
    }


def ask(worker: Worker, kind: str, **fields: Any) -> tuple[dict[str, Any], int]:
    """Ask, and return the context that the job gets and the number of calls it took."""
    gitlab = worker.gitlab
    worker.clock.time += 60
    note = gitlab.note(
        PROJECT, kind, 5 if kind == "issue" else 3, author_id=ADA, body="@claude fix it", **fields
    )
    before = len(gitlab.calls)
    assert worker.carry(gitlab.note_hook(note)) is Reason.TRIGGERED
    calls = gitlab.calls[before:]
    [trigger] = [call for call in calls if call.path.endswith("/trigger/pipeline")]
    context = trigger.json["ai_flow"]["context"]
    assert json.loads(trigger.json["variables"]["AI_FLOW_CONTEXT"]) == context
    assert len(safe_json(context)) <= 96 * 1024
    assert context["unread"] == [] or fields
    return context, len(calls)


def check_thread(context: dict[str, Any]) -> None:
    """The newest comments are there, oldest first and none left out, and it is said that there were more."""
    numbers = [
        int(note["text"].partition(":")[0])
        for note in context["thread"]["notes"]
        if note["text"][0].isdigit()
    ]
    assert numbers == list(range(NOTES - len(numbers), NOTES))
    assert len(numbers) >= 100
    assert context["thread"]["cut"] is True


def test_a_long_thread_is_read_from_its_end(worker: Worker) -> None:
    context, calls = ask(worker, "issue")
    check_thread(context)
    # user, member, issue, 3 pages of notes, 👀, discussion, roles, trigger, pipeline, jobs, reply
    assert calls == 12


def test_a_line_among_the_first_500_files_is_found(worker: Worker) -> None:
    context, calls = ask(worker, "merge_request", position=line(NEAR))
    check_thread(context)
    assert context["hunk"].startswith("@@ -1,20 +1,20 @@")
    assert f"+new line 7 of src/some/folder/{NEAR:04}.py" in context["hunk"]
    assert context["unread"] == []
    paths = [file["path"] for file in context["changed_files"]]
    assert paths == [f"src/some/folder/{number:04}.py" for number in range(len(paths))]
    assert len(paths) >= 100
    assert context["changed_files_cut"] is True
    # as above, and 5 pages of files
    assert calls == 17


def test_a_line_beyond_them_is_said_to_be_unread(worker: Worker) -> None:
    context, calls = ask(worker, "merge_request", position=line(FAR))
    assert (context["hunk"], context["unread"]) == (None, ["hunk"])
    assert (context["position"]["new_path"], context["position"]["new_line"]) == (
        line(FAR)["new_path"],
        7,
    )
    assert calls == 17


def test_without_a_line_no_more_files_are_read_than_are_told(worker: Worker) -> None:
    context, calls = ask(worker, "merge_request")
    assert context["changed_files_cut"] is True
    # 3 pages of files and 4 of notes are more than fits
    assert calls == 16


@pytest.mark.parametrize("kind", ["issue", "merge_request"])
def test_it_takes_little_time_and_memory(worker: Worker, kind: str) -> None:
    fields = {"position": line(FAR)} if kind == "merge_request" else {}
    began = time.perf_counter()
    ask(worker, kind, **fields)
    assert time.perf_counter() - began <= 10
    tracemalloc.start()  # the stand-in's own work, and what it remembers of the calls, count as well
    try:
        ask(worker, kind, **fields)
        assert tracemalloc.get_traced_memory()[1] <= 64 * 1024 * 1024
    finally:
        tracemalloc.stop()
