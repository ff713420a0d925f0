import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.digests import digest
from shared.incoming.event import Branches
from shared.runs.detect import request
from shared.runs.request import (
    MAX_REQUEST,
    VERSION,
    RunRequest,
    TrackRequest,
    Unread,
    from_json,
    read,
    run_id,
)
from shared.runs.shapes import NewerError, check_version
from tests.support.fakes import NOTE, NOW, run


def read_back(text: str) -> RunRequest:
    back = from_json(text)
    assert isinstance(back, RunRequest)
    return back


@given(st.text())
def test_a_request_reads_back_as_it_was_written(instruction: str) -> None:
    asked = request(
        NOTE._replace(branches=Branches("f", "main", None, "abc"), position={"new_line": 3}),
        instruction,
        "h",
    )
    back = read_back(asked.to_json())
    assert back == asked._replace(instruction=back.instruction)
    assert back.instruction == instruction or len(instruction) > MAX_REQUEST // 12


def test_what_is_still_to_be_proved_travels_and_is_another_message() -> None:
    plain = run()
    bound = plain._replace(bound=("group", "group/app"))
    for asked in (plain, bound, bound._replace(bound=()), bound._replace(replay=2)):
        assert read_back(asked.to_json()) == asked
    assert "bound" not in plain.to_json()  # as the version before wrote and reads it
    others = [plain, bound, bound._replace(bound=("group",)), bound._replace(replay=1)]
    assert len({asked.message_id for asked in others}) == 4
    assert len({asked.queue_key for asked in others}) == 3
    assert plain.queue_key.startswith(f"{plain.id}-")


@pytest.mark.parametrize(
    "other",
    [
        run(NOTE._replace(author_id=43)),
        run(NOTE._replace(iid=6)),
        run(NOTE._replace(kind="merge_request")),
        run(NOTE._replace(texts_digest="f" * 64)),
        run(instruction="fix it all"),
        run()._replace(bound=("group",)),
    ],
)
def test_what_claims_something_else_is_another_message_of_the_run(other: RunRequest) -> None:
    assert other.queue_key != run().queue_key
    same = NOTE._replace(default_branch="x", project_path="y", author="z", swept=True)
    assert run(same).queue_key == run().queue_key


@pytest.mark.parametrize("letter", ["a", "é", "好", "🚀", '"', "\x00", "\uffff"])
def test_a_request_is_small_whatever_the_note(letter: str) -> None:
    for length in (0, 5_000, 60_000, 1_000_000):
        text = request(NOTE, letter * length, "gitlab.com").to_json()
        assert text.isascii()
        assert len(text) <= MAX_REQUEST
        assert read_back(text).digest == digest(letter * length)


def test_a_text_too_long_to_travel_leaves_its_digest() -> None:
    back = read_back(request(NOTE, "a" * MAX_REQUEST, "gitlab.com").to_json())
    assert back.instruction is None
    assert back.digest == digest("a" * MAX_REQUEST)


def test_the_longest_names_leave_room_for_the_request() -> None:
    long = "好" * 1024
    note = NOTE._replace(
        project_path=long,
        default_branch=long,
        author=long,
        branches=Branches(long, long, 7, long),
        position={"old_path": long, "new_path": long},
    )
    assert len(request(note, "x" * 100_000, "gitlab.com").to_json()) <= MAX_REQUEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 2}',
        '{"version": 2, "event": {}}',
        '{"pipeline_id": 1}',
        "7",
    ],
)
def test_anything_else_is_no_request(text: str) -> None:
    with pytest.raises(ValueError, match=r"request|JSON|Expecting"):
        from_json(text)


def test_an_unknown_field_is_no_request() -> None:
    data = json.loads(run().to_json()) | {"extra": 1}
    with pytest.raises(ValueError, match="request"):
        from_json(json.dumps(data))


def test_the_run_id_names_the_object_and_nothing_else() -> None:
    ids = {
        run_id("gitlab.com", 7, "note", 77),
        run_id("gitlab.com", 7, "issue", 77),
        run_id("gitlab.com", 8, "note", 77),
        run_id("gitlab.com", 7, "note", 78),
        run_id("gitlab.example.com", 7, "note", 77),
    }
    assert len(ids) == 5
    assert run_id("gitlab.com", 7, "note", 77) == run_id("gitlab.com", 7, "note", 77)
    assert all(len(each) == 32 and each.isalnum() for each in ids)


def test_a_thread_is_an_issue_or_merge_request() -> None:
    assert run().thread == "7/issue/5"
    assert run(NOTE._replace(note_id=102, discussion_id="e" * 40)).thread == run().thread
    assert run(NOTE._replace(kind="merge_request")).thread != run().thread


def test_a_look_at_a_pipeline_reads_back_as_it_was_written() -> None:
    asked = TrackRequest(7, 31, "waiting_for_resource")
    assert from_json(asked.to_json()) == asked
    assert (asked.id, asked.message_id, asked.thread) == (
        "track-7-31-waitingforresource",
        asked.id,
        "track/7/31",
    )
    assert TrackRequest(7, 31, "../é /x").id == "track-7-31-x"


@pytest.mark.parametrize("bound", [None, (), ("group/app",)])
def test_a_look_for_a_repair_reads_back_and_what_is_to_be_proved_is_another_message(
    bound: tuple[str, ...] | None,
) -> None:
    asked = TrackRequest(7, 31, "failed", repair=True, at=NOW, bound=bound)
    assert from_json(asked.to_json()) == asked
    assert asked.thread == "track/7/31"
    assert (asked.id == "repair-7-31-1770000000") is (bound is None)


def test_a_look_for_a_repair_is_left_to_a_later_version_by_one_that_knows_none() -> None:
    written = json.loads(TrackRequest(7, 31, "failed", repair=True).to_json())
    with pytest.raises(NewerError):
        check_version(written, VERSION)
    unread = read("m", json.dumps(written | {"version": 4}))
    assert isinstance(unread, Unread)
    assert unread.newer


def test_a_look_at_a_run_s_pipeline_is_written_as_ever() -> None:
    written = '{"project_id": 7, "pipeline_id": 31, "status": "failed", "version": 2}'
    assert TrackRequest(7, 31, "failed").to_json() == written


def test_what_cannot_be_read_keeps_its_name_and_text_and_says_why_without_quoting() -> None:
    whole = json.loads(run().to_json())
    texts: dict[str | bytes, str] = {
        "canary": "no JSON object",
        b"\xffcanary": "no JSON object",
        '{"version": "canary"}': "a request of an unknown version instead of 2",
        json.dumps(whole | {"version": 3}): "a request of version 3 instead of 2",
        json.dumps(whole | {"canary": 1}): "TypeError in a request of version 2",
        json.dumps(whole | {"id": ["canary"]}): "a field of another type in a request of version 2",
        '{"version": 2, "project_id": 7, "pipeline_id": "canary"}': (
            "a field of another type in a request of version 2"
        ),
    }
    for text, why in texts.items():
        unread = read("message-7", text)
        body = text.decode(errors="replace") if isinstance(text, bytes) else text
        assert unread == Unread("message-7", body, why, "version 3" in why)
    assert read("message-7", run().to_json()) == run()
