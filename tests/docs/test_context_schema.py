"""`docs/ai-flow-context.schema.json` held against contexts as they are made, up to the largest."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]

from shared.gitlab.values import Diff, GitLabError, Member, Note
from shared.incoming.event import Branches, Event
from shared.outgoing import context as source
from shared.outgoing.context import SECONDS, context
from shared.outgoing.payload import MAX_VALUE, safe_json
from tests import ROOT
from tests.support.fakes import NOTE, NOW, Clock, GitLab, Log, Records, confirmed, services

PAGE = 100  # the most that GitLab gives at once
SCHEMA = json.loads((ROOT / "docs" / "ai-flow-context.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
HOSTILE = (
    "\U0001f916",  # twelve bytes of JSON
    "\u202e\U000e0041\u200b",  # nothing of it is seen
    "$HOME %PATH% ${CI_JOB_TOKEN} ",
    '\x00\x1b"\\\x07',
    "<!-- ",
    "![a](b 'c') [d]: <e> ",
    "`" * 3 + "\n> ",
)
ASSIGNED = NOTE._replace(
    note_id=0, discussion_id=None, texts=("It breaks", ""), name="assign", occasion="900"
)
CONFIDENTIAL = NOTE._replace(internal=True)
BRANCHES = Branches("feature/$x", "main", 7, "a" * 40)
POSITION = {
    "base_sha": "b" * 40,
    "start_sha": "c" * 40,
    "head_sha": "a" * 40,
    "old_path": "src/app.py",
    "new_path": "src/app.py",
    "new_line": 12,
}
DIFF_NOTE = NOTE._replace(kind="merge_request", branches=BRANCHES, position=POSITION)
REVIEW = DIFF_NOTE._replace(
    note_id=0, discussion_id=None, position=None, name="assign_reviewer", occasion="901|x|y"
)
EVENTS = {
    "issue comment": NOTE,
    "assigned": ASSIGNED,
    "confidential": CONFIDENTIAL,
    "diff note": DIFF_NOTE,
    "review": REVIEW,
}
HUNKS = "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n@@ -10,2 +10,4 @@ def f():\n x\n+y\n+z\n w\n"
CHANGED = [
    Diff("src/app.py", "src/app.py", "modified", HUNKS),
    Diff("old.txt", "new.txt", "renamed", ""),
    Diff("logo.png", "logo.png", "added", ""),
]


def note(
    number: int, text: str = "I see it too.", author: tuple[int, str] = (42, "ada"), **changes: Any
) -> Note:
    written = NOW - 10_000 + number
    return Note(number, author, written, written, internal=False, body=text)._replace(**changes)


THREAD = [
    note(1, author=(43, "bob")),
    note(2, "Secret.", internal=True),
    note(101, "@claude fix it"),
]


@pytest.fixture
def gitlab() -> GitLab:
    gitlab = GitLab()
    gitlab.thread, gitlab.changed = list(THREAD), list(CHANGED)
    return gitlab


def made(event: Event, gitlab: GitLab, clock: Clock | None = None) -> dict[str, Any]:
    """Return the context as a job reads it."""
    here = services(gitlab, Records(), clock or Clock(), Log())
    found = context(confirmed(gitlab, event), 30, here)
    return dict(json.loads(safe_json(found)))


def wrong(found: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(found)]


def size(event: Event, gitlab: GitLab) -> int:
    return len(safe_json(made(event, gitlab)))


# --- what is made is what is told ---


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", EVENTS)
def test_a_context_is_what_the_schema_tells(gitlab: GitLab, name: str) -> None:
    found = made(EVENTS[name], gitlab)
    assert wrong(found) == []
    assert found["unread"] == []


def test_an_issue_comment_s_context_names_thread_and_people(gitlab: GitLab) -> None:
    found = made(NOTE, gitlab)
    assert found["note"] == {"id": 101, "internal": False}
    (seen,) = found["thread"]["notes"]  # neither the internal one nor the one that asks
    assert (seen["text"], seen["author"]) == (
        "I see it too.",
        {"id": 43, "username": "bob", "access_level": 0},
    )
    assert "hunk" not in found


def test_a_diff_note_s_context_has_its_hunk_and_the_changed_files(gitlab: GitLab) -> None:
    found = made(DIFF_NOTE, gitlab)
    assert found["hunk"] == HUNKS[HUNKS.index("@@ -10") :].strip()
    assert [
        (each["path"], each["change"], each["added"], each["removed"])
        for each in found["changed_files"]
    ] == [
        ("src/app.py", "modified", 3, 1),
        ("new.txt", "renamed", 0, 0),
        ("logo.png", "added", 0, 0),
    ]
    assert found["changed_files"][1]["old_path"] == "old.txt"


def test_an_assignment_s_context_has_no_note(gitlab: GitLab) -> None:
    found = made(ASSIGNED, gitlab)
    assert (found["event"], found["note"]["id"], found["thread"]["discussion_id"]) == (
        "assign",
        None,
        None,
    )


def test_an_internal_request_s_context_holds_ids_only(gitlab: GitLab) -> None:
    for event in (CONFIDENTIAL, DIFF_NOTE._replace(internal=True)):
        found = made(event, gitlab)
        assert wrong(found) == []
        assert found["note"]["internal"] is True
        assert found["thread"] == {"discussion_id": event.discussion_id}
        assert found["author"] == {"id": 42, "access_level": 30}
        assert not {"title", "description"} & set(found[event.kind])


def test_texts_that_may_have_changed_are_named_and_missing(gitlab: GitLab) -> None:
    here = services(gitlab, Records(), Clock(), Log())
    for event in (NOTE, DIFF_NOTE):
        found = context(confirmed(gitlab, event, unchanged=False), 30, here)
        assert wrong(json.loads(safe_json(found))) == []
        assert found["unread"] == ["title", "description"]


PARTS = {
    "notes": {"thread"},
    "roles": {"roles"},
    "discussion": {"discussion"},
    "diffs": {"changed_files", "hunk"},
}


@pytest.mark.parametrize("method", PARTS)
def test_what_could_not_be_read_is_named_and_missing(gitlab: GitLab, method: str) -> None:
    if method in (
        "notes",
        "diffs",
    ):  # these give page after page: the first call is the one that fails
        gitlab.faults[method] = [GitLabError(502)]
    else:
        gitlab.faults[method] = [GitLabError(403)]
    found = made(DIFF_NOTE, gitlab)
    assert wrong(found) == []
    assert set(found["unread"]) == PARTS[method]
    if method == "roles":
        assert found["thread"]["notes"][0]["author"]["access_level"] is None


@pytest.mark.parametrize(
    "event", [NOTE, DIFF_NOTE, REVIEW], ids=["issue comment", "diff note", "review"]
)
def test_a_gitlab_that_answers_nothing_leaves_a_context(gitlab: GitLab, event: Event) -> None:
    down: list[Exception | None] = [GitLabError(0)]
    gitlab.faults = {name: list(down) for name in ("notes", "roles", "discussion", "diffs")}
    found = made(event, gitlab)
    assert wrong(found) == []
    assert "thread" in found["unread"]


def test_when_the_time_is_up_the_rest_is_unread(gitlab: GitLab) -> None:
    clock = Clock()

    class Slow(GitLab):
        def roles(self, project_id: int, user_ids: list[int]) -> Any:
            clock.time += SECONDS + 0.1
            return super().roles(project_id, user_ids)

    slow = Slow()
    slow.thread, slow.changed = gitlab.thread, gitlab.changed
    found = made(DIFF_NOTE, slow, clock)
    assert wrong(found) == []
    assert found["unread"] == ["discussion"]


def test_the_docs_example_is_one() -> None:
    page = (ROOT / "docs" / "trigger-call.md").read_text()
    examples = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    public, withheld = (each for each in examples if "untrusted" in each)
    assert wrong(public) == wrong(withheld) == []


# --- what is not made is not told ---


def paths(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of every object in a context."""
    if isinstance(value, dict):
        yield at
        for key, each in value.items():
            yield from paths(each, (*at, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from paths(each, (*at, number))


def at(value: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


@pytest.mark.parametrize("name", EVENTS)
def test_a_field_that_is_not_told_fails_anywhere(gitlab: GitLab, name: str) -> None:
    found = made(EVENTS[name], gitlab)
    places = list(paths(found))
    assert len(places) > 5
    for place in places:
        changed = deepcopy(found)
        at(changed, place)["new_field"] = "x"
        assert wrong(changed), place


@pytest.mark.parametrize("name", EVENTS)
def test_a_field_that_is_missing_or_of_another_type_fails_anywhere(
    gitlab: GitLab, name: str
) -> None:
    found = made(EVENTS[name], gitlab)
    optional = {"old_path", *POSITION}
    for place in paths(found):
        for key in at(found, place):
            changed = deepcopy(found)
            at(changed, place)[key] = 1.5
            assert wrong(changed), (*place, key)
            if key not in optional:
                del at(changed, place)[key]
                assert wrong(changed), (*place, key)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 2),
        (("event",), "edited"),
        (("unread",), ["weather"]),
        (("unread",), ["thread", "thread"]),
        (("untrusted",), ["note.id"]),
        (("note", "id"), 0),
        (("project", "id"), -1),
        (("issue", "title"), "x" * 8191),
        (("issue", "labels"), ["x"] * 51),
        (("issue", "labels"), ["x" * 511]),
        (("thread", "discussion_id"), "../.."),
        (("thread", "notes", 0, "created_at"), "yesterday"),
        (("thread", "notes", 0, "text"), None),
        (("position",), {}),
        (("author", "access_level"), None),
    ],
)
def test_a_value_out_of_bounds_fails(
    gitlab: GitLab, place: tuple[str | int, ...], value: object
) -> None:
    found = made(NOTE, gitlab)
    at(found, place[:-1])[place[-1]] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(found)


def test_a_context_is_of_an_issue_or_of_a_merge_request(gitlab: GitLab) -> None:
    one, other = made(NOTE, gitlab), made(DIFF_NOTE, gitlab)
    assert wrong(one | {"merge_request": other["merge_request"]})
    assert wrong(other | {"issue": one["issue"]})
    assert wrong(one | {"hunk": None})


# --- how large it may become ---


class Counting(GitLab):
    """A GitLab that counts what is taken of its lists."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = {"notes": 0, "diffs": 0}

    def notes(self, event: Event) -> Iterator[Note]:
        for each in super().notes(event):
            self.taken["notes"] += 1
            yield each

    def diffs(self, event: Event) -> Iterator[Diff]:
        for each in super().diffs(event):
            self.taken["diffs"] += 1
            yield each


def crowded(text: str, path: str) -> Counting:
    """Return a GitLab with 5,000 notes, 3,000 changed files, and texts as long as it takes."""
    gitlab = Counting()
    gitlab.described = gitlab.described._replace(
        title=(text * 255)[:255],
        description=(text * 100_000)[:200_000],
        labels=tuple(f"{number}{text * 255}"[:255] for number in range(3)),
    )
    body = (text * 10_000)[:20_000]
    gitlab.thread = [note(number, body, (number % 90 + 1, "ada")) for number in range(1, 5_001)]
    gitlab.members = {
        (7, user): Member(user, 30, "active", "active", None) for user in range(1, 91)
    }
    far = f"{path * 300}"[:1000]
    gitlab.changed = [Diff(f"old/{far}/{n}", f"{far}/{n}", "renamed", HUNKS) for n in range(3_000)]
    return gitlab


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("event", [NOTE, DIFF_NOTE], ids=["issue comment", "diff note"])
def test_the_largest_context_fits_into_a_variable(event: Event, text: str) -> None:
    gitlab = crowded(text, text.replace("\x00", "x"))
    written = f"@@ -1,{10**6} +1,{10**6} @@\n" + f"+{text * 20}\n".replace("\x00", "") * 2_000
    gitlab.changed.insert(0, Diff("src/app.py", "src/app.py", "modified", written))
    found = made(event, gitlab)
    assert wrong(found) == []
    assert found["thread"]["cut"] is True
    assert len(safe_json(found)) <= MAX_VALUE


def test_of_5_000_notes_and_3_000_files_five_pages_each_are_read_at_most() -> None:
    gitlab = crowded("<!-- ", "x")  # what no reader sees takes no room
    gitlab.thread = [
        each._replace(internal=True) for each in gitlab.thread
    ]  # likewise what is not for this reader
    made(DIFF_NOTE, gitlab)
    assert gitlab.taken["notes"] <= source._NOTES == 5 * PAGE
    assert gitlab.taken["diffs"] <= source._FILES == 5 * PAGE


def test_long_notes_end_the_reading_early() -> None:
    gitlab = crowded("\U0001f916", "x")
    made(DIFF_NOTE._replace(position=None), gitlab)
    assert gitlab.taken["notes"] < PAGE
    assert gitlab.taken["diffs"] < PAGE


def test_a_thread_of_many_short_notes_fits() -> None:
    gitlab = Counting()
    gitlab.thread = [note(number, "ok", (number % 90 + 1, "a" * 255)) for number in range(1, 5_001)]
    assert wrong(made(NOTE, gitlab)) == []
    assert size(NOTE, gitlab) <= MAX_VALUE


def test_fifty_long_labels_fit_beside_all_else() -> None:
    gitlab = crowded("\U0001f916", "\U0001f916")
    gitlab.described = gitlab.described._replace(labels=("\U0001f916" * 255,) * 50)
    gitlab.changed.insert(
        0,
        Diff("src/app.py", "src/app.py", "modified", "@@ -1,99 +1,99 @@\n" + "+\U0001f916" * 9_999),
    )
    assert wrong(made(DIFF_NOTE, gitlab)) == []
    assert size(DIFF_NOTE, gitlab) <= MAX_VALUE


@pytest.mark.parametrize("part", ["user names", "paths"])
def test_all_that_is_long_at_once_fits(part: str) -> None:
    gitlab = crowded("\U0001f916", "\U0001f916")
    gitlab.described = gitlab.described._replace(labels=("\U0001f916" * 255,) * 50)
    gitlab.changed.insert(
        0,
        Diff("src/app.py", "src/app.py", "modified", "@@ -1,99 +1,99 @@\n" + "+\U0001f916" * 9_999),
    )
    event = DIFF_NOTE
    if part == "user names":
        gitlab.thread = [
            note(number, "ok", (number % 90 + 1, "a" * 255)) for number in range(1, 5_001)
        ]
    else:
        event = event._replace(position=POSITION | {"old_path": "\U0001f916" * 1000})
    assert size(event, gitlab) <= MAX_VALUE
