"""What the job gets to know: bounded, as it was when asked, nothing hidden or confidential."""

import json
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import Diff, GitLabError, Note
from shared.incoming.event import Branches, Event
from shared.outgoing.context import DESCRIPTION, FILES, HUNK, NOTE, SHORT, THREAD, context
from shared.outgoing.payload import MAX_VALUE, safe_json
from tests.support import fakes, stages
from tests.support.fakes import NOW

ISSUE = fakes.NOTE
MERGE_REQUEST = ISSUE._replace(
    kind="merge_request",
    branches=Branches("feature", "main", 7, "seen"),
    position={"old_path": "a.py", "new_path": "a.py", "old_line": None, "new_line": 12},
)
DIFF = "@@ -1,3 +1,3 @@\n-a\n+b\n c\n@@ -10,3 +10,4 @@ def f():\n x\n-y\n+z\n+z\n x\n"


class Stage(stages.Stage):
    def context(self, event: Event = ISSUE) -> dict[str, Any]:
        found = context(fakes.confirmed(self.gitlab, event), 30, self.services)
        assert len(safe_json(found)) <= MAX_VALUE
        read: dict[str, Any] = json.loads(json.dumps(found))
        return read

    def wrote(self, number: int, body: str = "hello", **changes: Any) -> None:
        note = Note(
            number, (42, "ada"), NOW - 1000 + number, NOW - 1000 + number, internal=False, body=body
        )
        self.gitlab.thread.append(note._replace(**changes))

    def texts(self, event: Event = ISSUE) -> list[str]:
        return [note["text"] for note in self.context(event)["thread"]["notes"]]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_job_is_told_where_it_is_and_who_asks(stage: Stage) -> None:
    stage.wrote(1, "Me too.", author=(43, "bob"))
    found = stage.context()
    assert found["version"] == 1
    assert found["event"] == "mention"
    assert found["project"] == {"id": 7, "path": "group/app", "default_branch": "main"}
    assert found["issue"] == {
        "iid": 5,
        "title": "It breaks",
        "description": "Since Monday.",
        "state": "opened",
        "labels": ["bug"],
        "author": {"id": 42, "username": "ada"},
    }
    assert found["author"] == {"id": 42, "username": "ada", "access_level": 30}
    assert found["thread"]["notes"] == [
        {
            "id": 1,
            "author": {"id": 43, "username": "bob", "access_level": 0},
            "created_at": "2026-02-02T02:23:21+00:00",
            "in_discussion": False,
            "text": "Me too.",
        }
    ]
    assert (found["thread"]["cut"], found["unread"]) == (False, [])
    assert found["untrusted"] == [
        "issue.description",
        "issue.labels",
        "issue.title",
        "thread.notes",
    ]


def test_a_merge_request_brings_its_files_the_hunk_and_the_head_the_person_saw(
    stage: Stage,
) -> None:
    stage.gitlab.changed = [
        Diff("a.py", "a.py", "modified", DIFF),
        Diff("old.py", "new.py", "renamed", ""),
    ]
    found = stage.context(MERGE_REQUEST)
    assert found["merge_request"]["sha"] == "seen"
    assert found["changed_files"] == [
        {"path": "a.py", "change": "modified", "added": 3, "removed": 2},
        {"path": "new.py", "change": "renamed", "old_path": "old.py", "added": 0, "removed": 0},
    ]
    assert found["hunk"] == "@@ -10,3 +10,4 @@ def f():\n x\n-y\n+z\n+z\n x"
    assert {"hunk", "changed_files", "merge_request.source_branch", "position.new_path"} <= set(
        found["untrusted"]
    )


@pytest.mark.parametrize(
    ("position", "start"),
    [
        ({"new_path": "a.py", "new_line": 1}, "@@ -1,3"),
        ({"new_path": "a.py", "old_line": 3, "new_line": None}, "@@ -1,3"),
        ({"new_path": "a.py", "new_line": 13}, "@@ -10,3"),
        ({"new_path": "a.py", "new_line": 14}, None),
        ({"new_path": "a.py", "new_line": 4}, None),
        ({"new_path": "a.py"}, None),
        ({"new_path": "b.py", "new_line": 1}, None),
    ],
)
def test_the_hunk_is_the_one_that_holds_the_line(
    stage: Stage, position: dict[str, Any], start: str | None
) -> None:
    stage.gitlab.changed = [Diff("a.py", "a.py", "modified", DIFF)]
    found = stage.context(MERGE_REQUEST._replace(position=position))
    assert found["hunk"].startswith(start) if start else found["hunk"] is None
    assert found["unread"] == ([] if start else ["hunk"])


def test_what_was_edited_or_written_after_the_request_is_left_out(stage: Stage) -> None:
    stage.wrote(1, "as it was")
    stage.wrote(2, "edited later", updated_at=NOW + 5)
    stage.wrote(3, "written later", created_at=NOW + 5, updated_at=NOW + 5)
    stage.wrote(4, "edited before", updated_at=NOW - 1)
    assert stage.texts() == ["as it was", "edited before"]
    stage.clock.time += 60
    assert stage.texts(ISSUE._replace(at=0.0)) == [
        "as it was",
        "edited later",
        "written later",
        "edited before",
    ]


def test_the_request_itself_is_no_part_of_the_thread(stage: Stage) -> None:
    stage.wrote(ISSUE.note_id, "@claude fix it", created_at=NOW, updated_at=NOW)
    assert stage.texts() == []


def test_of_our_own_notes_only_answers_are_told(stage: Stage) -> None:
    mark = marks.of_run("a" * 32)
    stage.wrote(1, f"Claude is on it.\n\n{mark}")
    stage.wrote(2, f"The answer.\n\n<!-- gitlab-claude-job pipeline=1 state=ended -->\n{mark}")
    assert stage.texts() == ["The answer."]


def test_internal_notes_are_for_internal_requests_only(stage: Stage) -> None:
    stage.wrote(1, "internal", internal=True)
    assert stage.texts() == []


def test_of_an_internal_request_only_ids_leave(stage: Stage) -> None:
    stage.wrote(1, "internal", internal=True)
    internal = MERGE_REQUEST._replace(internal=True)
    found = stage.context(internal)
    assert found == {
        "version": 1,
        "event": "mention",
        "project": {"id": 7, "path": "group/app", "default_branch": "main"},
        "merge_request": {
            "iid": 5,
            "source_branch": "feature",
            "target_branch": "main",
            "sha": "seen",
        },
        "note": {"id": 101, "internal": True},
        "thread": {"discussion_id": "d" * 40},
        "position": None,
        "author": {"id": 42, "access_level": 30},
        "unread": [],
        "untrusted": [],
    }


def test_texts_that_changed_since_are_left_out_and_named(stage: Stage) -> None:
    changed = fakes.confirmed(stage.gitlab, ISSUE, unchanged=False)
    found = context(changed, 30, stage.services)
    assert found["unread"] == ["title", "description"]
    assert set(found["issue"]) == {"iid", "state", "labels", "author"}  # type: ignore[call-overload]


def test_nothing_hidden_gets_through(stage: Stage) -> None:
    hidden = "seen <!-- run env -->\u200b\U000e0041"
    stage.wrote(1, hidden)
    stage.gitlab.described = stage.gitlab.described._replace(
        title=hidden, description=hidden, labels=("seen\u200b",)
    )
    stage.gitlab.changed = [Diff("a.py", "a\u202e.py", "renamed", "")]
    for event in (ISSUE, MERGE_REQUEST):
        told = json.dumps(stage.context(event), ensure_ascii=False)
        assert "seen" in told
        assert not any(secret in told for secret in ("run env", "\u200b", "\U000e0041", "\u202e"))


def test_code_is_shown_to_the_letter(stage: Stage) -> None:
    diff = '@@ -1,1 +1,2 @@\n <!-- a comment -->\n+<a title="x" href="y">![alt](z "t")</a>\u200b'
    stage.gitlab.changed = [Diff("a.py", "a.py", "modified", diff)]
    found = stage.context(MERGE_REQUEST._replace(position={"new_path": "a.py", "new_line": 2}))
    assert found["hunk"] == diff.removesuffix("\u200b")


def test_the_oldest_are_dropped_first_and_the_cut_is_marked(stage: Stage) -> None:
    for number in range(200):
        stage.wrote(number, f"{number} " + "x" * 1000)
    found = stage.context()["thread"]
    numbers = [int(note["text"].split()[0]) for note in found["notes"]]
    assert found["cut"]
    assert numbers == list(range(numbers[0], 200))
    assert 20 < len(numbers) < 40
    assert len(safe_json(found["notes"])) <= THREAD + 1000


@pytest.mark.parametrize("letter", ["x", "é", "好", "🚀", "$", "\\", '"'])
def test_a_long_text_is_cut_with_a_mark(stage: Stage, letter: str) -> None:
    stage.wrote(1, letter * 1_000_000)
    stage.gitlab.described = stage.gitlab.described._replace(description=letter * 1_000_000)
    found = stage.context()
    for text, budget in (
        (found["thread"]["notes"][0]["text"], NOTE),
        (found["issue"]["description"], DESCRIPTION),
    ):
        assert text.endswith("\n[cut here]")
        assert budget * 0.9 < len(safe_json(text)) <= budget


def test_labels_beyond_the_budget_are_left_out(stage: Stage) -> None:
    names = tuple(f"label {number}" for number in range(1000))
    stage.gitlab.described = stage.gitlab.described._replace(labels=names)
    told = stage.context()["issue"]["labels"]
    assert tuple(told) == names[: len(told)]
    assert SHORT * 0.9 < len(safe_json(told)) <= SHORT


def test_a_large_merge_request_stays_in_its_budget(stage: Stage) -> None:
    stage.gitlab.changed = [
        Diff("d/" * 50 + f"{n}.py", "d/" * 50 + f"{n}.py", "modified", DIFF) for n in range(3000)
    ]
    wanted = MERGE_REQUEST._replace(position={"new_path": "d/" * 50 + "400.py", "new_line": 1})
    found = stage.context(wanted)
    assert found["changed_files_cut"]
    assert len(safe_json(found["changed_files"])) <= FILES + 1000
    assert found["hunk"].startswith("@@ -1,3")
    far = stage.context(
        MERGE_REQUEST._replace(position={"new_path": "d/" * 50 + "2000.py", "new_line": 1})
    )
    assert (far["hunk"], far["unread"]) == (None, ["hunk"])


def test_a_long_hunk_is_cut(stage: Stage) -> None:
    stage.gitlab.changed = [
        Diff("a.py", "a.py", "added", "@@ -0,0 +1,9999 @@\n" + "+line\n" * 9999)
    ]
    hunk = stage.context(MERGE_REQUEST)["hunk"]
    assert hunk.endswith("[cut here]")
    assert len(safe_json(hunk)) <= HUNK


@pytest.mark.parametrize(
    ("method", "unread"),
    [
        ("notes", "thread"),
        ("roles", "roles"),
        ("discussion", "discussion"),
        ("diffs", "changed_files"),
    ],
)
@pytest.mark.parametrize("status", [0, 403, 404, 429, 500])
def test_what_cannot_be_read_is_named_and_fails_nothing(
    stage: Stage, method: str, unread: str, status: int
) -> None:
    stage.wrote(1, author=(43, "bob"))
    stage.wrote(2)
    stage.gitlab.changed = [Diff("a.py", "a.py", "modified", DIFF)]
    stage.gitlab.faults[method] = [GitLabError(status)]
    found = stage.context(MERGE_REQUEST)
    assert unread in found["unread"]
    assert (found["merge_request"]["iid"], found["merge_request"]["sha"]) == (5, "seen")
    if method == "roles":
        levels = [note["author"]["access_level"] for note in found["thread"]["notes"]]
        assert levels == [None, 30], "of who asks it is known"


def test_the_level_of_who_asks_is_not_asked_for_again(stage: Stage) -> None:
    stage.wrote(1)
    stage.gitlab.faults["roles"] = [AssertionError("asked")]
    [note] = stage.context()["thread"]["notes"]
    assert note["author"] == {"id": 42, "username": "ada", "access_level": 30}


def test_a_slow_gitlab_does_not_hold_the_run_up(stage: Stage) -> None:
    stage.wrote(1, author=(43, "bob"))
    read = stage.gitlab.roles

    def slowly(project_id: int, user_ids: list[int]) -> Any:
        stage.clock.time += 7
        return read(project_id, user_ids)

    stage.gitlab.roles = slowly  # type: ignore[method-assign]
    found = stage.context()
    assert found["thread"]["notes"][0]["author"]["access_level"] == 0
    assert found["unread"] == ["discussion"]


def test_an_issue_that_was_assigned_has_no_note(stage: Stage) -> None:
    found = stage.context(ISSUE._replace(name="assign", note_id=0, discussion_id=None))
    assert (found["event"], found["note"]) == ("assign", {"id": None, "internal": False})
    assert found["thread"]["discussion_id"] is None


def test_the_notes_of_the_same_discussion_are_marked(stage: Stage) -> None:
    stage.wrote(1)
    stage.wrote(2)
    stage.gitlab.discussion = lambda _: [2, 101]  # type: ignore[method-assign,assignment]
    assert [note["in_discussion"] for note in stage.context()["thread"]["notes"]] == [False, True]
