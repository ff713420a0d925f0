"""What was asked internally: read with the job's own token, as it stood, or not at all."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]
import pytest

from job import withheld
from job.failures import Failure, Reason
from job.gitlab import GitLab as Client
from job.request import Request
from shared.contract.marks import ENDED, of_job, of_run
from tests import ROOT
from tests.support.gitlab.server import Fault, GitLab

OWN, ADA, BOB = 1, 42, 43
DISCUSSION = "d" * 40
SCHEMA = ROOT / "docs" / "ai-flow-context.schema.json"


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as made:
        for number, name in ((OWN, "claude"), (ADA, "ada"), (BOB, "bob")):
            made.user(number, name)
        made.project(7, "group/app", visibility="public")
        made.member(7, OWN, 30)
        made.member(7, ADA, 40)
        made.api_token("glpat-own", OWN)
        made.issue(
            7,
            5,
            confidential=True,
            author_id=ADA,
            labels=["bug"],
            title="A hole <!-- x -->",
            description="Since\n```\n<!-- code -->\n```",
        )
        made.merge_request(7, 3, source_branch="fix", title="Close it", author_id=BOB)
        yield made


def read(gitlab: GitLab, note: dict[str, Any] | None = None, **request: Any) -> Request:
    client = Client(f"{gitlab.url}/api/v4", "7", "glpat-own", pause=lambda _: None)
    created = datetime.fromtimestamp(time.time() + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = Request(
        "r", "mention", "", {}, "issue", 5, internal=True, withheld=True, author_id=ADA
    )._replace(note_id=note["id"] if note else 0, **request)
    asked = asked._replace(context=context(asked))
    return withheld.read(asked, client, {"CI_PIPELINE_CREATED_AT": created}, "THE_TOKEN")


def context(request: Request) -> dict[str, Any]:
    target: dict[str, Any] = {"iid": request.iid}
    if request.kind == "merge_request":
        target |= {"source_branch": "fix", "target_branch": "main", "sha": "c" * 40}
    return {
        "version": 1,
        "event": "mention",
        "project": {"id": 7, "path": "group/app", "default_branch": "main"},
        request.kind: target,
        "note": {"id": request.note_id or None, "internal": True},
        "thread": {"discussion_id": request.discussion_id or None},
        "position": None,
        "author": {"id": ADA, "username": "ada", "access_level": 30},
        "unread": [],
    }


def write(gitlab: GitLab, body: str, author: int = ADA, **fields: Any) -> dict[str, Any]:
    return gitlab.note(7, fields.pop("kind", "issue"), 5, author_id=author, body=body, **fields)


def later(gitlab: GitLab, note: dict[str, Any], field: str = "updated_at") -> None:
    gitlab.notes[note["id"]][field] = time.time() + 60


def test_the_comment_and_its_surroundings_are_read(gitlab: GitLab) -> None:
    write(gitlab, "I saw it <!-- not you -->too", BOB)
    note = write(gitlab, "@claude, fix <!-- not --> it\u200b", internal=True)
    request = read(gitlab, note)
    assert request.input == "fix  it\u200b"
    assert request.context["issue"] == {
        "iid": 5,
        "title": "A hole ",
        "description": "Since\n```\n<!-- code -->\n```",
        "state": "opened",
        "labels": ["bug"],
        "author": {"id": ADA, "username": "ada"},
    }
    (other,) = request.context["thread"]["notes"]
    assert other["text"] == "I saw it too"
    assert other["author"] == {"id": BOB, "username": "bob", "access_level": 0}
    assert other["internal"] is False


def test_the_context_has_the_form_that_the_trigger_s_has(gitlab: GitLab) -> None:

    write(gitlab, "Yes.", internal=True, discussion_id=DISCUSSION)
    note = write(gitlab, "@claude fix it", internal=True, discussion_id=DISCUSSION)
    found = read(gitlab, note, discussion_id=DISCUSSION).context
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    assert [each["in_discussion"] for each in found["thread"]["notes"]] == [True]


def test_the_thread_is_as_it_stood(gitlab: GitLab) -> None:
    for field in ("created_at", "updated_at"):
        later(gitlab, write(gitlab, "INJECTED", BOB), field)
    write(gitlab, f"Queued.\n\n{of_run('ab')}", OWN)
    write(gitlab, f"An answer.\n\n{of_job(7, ENDED)}\n{of_run('ab')}", OWN)
    note = write(gitlab, "fix it", internal=True)
    notes = read(gitlab, note).context["thread"]["notes"]
    assert [each["text"].partition("\n")[0] for each in notes] == ["An answer."]


def test_a_long_thread_loses_its_oldest(gitlab: GitLab) -> None:
    for number in range(8):
        write(gitlab, f"{number}" * 9_000, BOB)
    note = write(gitlab, "fix it", internal=True)
    thread = read(gitlab, note).context["thread"]
    assert [each["text"][0] for each in thread["notes"]] == ["4", "5", "6", "7"]
    assert thread["cut"]
    assert all(each["text"].endswith("\n[cut here]") for each in thread["notes"])


def test_the_description_is_what_is_asked_where_no_comment_is(gitlab: GitLab) -> None:
    assert read(gitlab).input == "A hole \n\nSince\n```\n<!-- code -->\n```"
    assert read(gitlab, input="Implement the issue.").input == "Implement the issue."


@pytest.mark.parametrize("which", ["another's comment", "edited", "another's description"])
def test_what_is_not_what_was_asked_is_not_run(gitlab: GitLab, which: str) -> None:
    note = None
    if "comment" in which:
        note = write(gitlab, "fix it", BOB)
    elif which == "edited":
        note = write(gitlab, "fix it")
        later(gitlab, note)
    with pytest.raises(Failure) as failure:
        read(gitlab, note, **({} if note else {"author_id": BOB}))
    assert failure.value.reason is Reason.REQUEST_CHANGED


@pytest.mark.parametrize("status", [403, 404])
def test_what_cannot_be_read_names_the_token(gitlab: GitLab, status: int) -> None:
    note = write(gitlab, "fix it", internal=True)
    gitlab.fault("GET *notes/*", Fault.status(status))
    with pytest.raises(Failure) as failure:
        read(gitlab, note)
    assert failure.value.reason is Reason.REQUEST_UNREADABLE
    assert "THE_TOKEN" in failure.value.text


def test_a_request_that_has_its_texts_is_left_alone(gitlab: GitLab) -> None:
    before = len(gitlab.calls)
    assert read(gitlab, input="fix it", withheld=False).input == "fix it"
    assert len(gitlab.calls) == before


def test_without_a_time_or_a_thread_nothing_runs(gitlab: GitLab) -> None:
    with pytest.raises(Failure, match="request_invalid"):
        read(gitlab, kind="", iid=0)


def test_roles_and_discussion_may_be_missing(gitlab: GitLab) -> None:
    write(gitlab, "Yes.", BOB)
    note = write(gitlab, "fix it", internal=True)
    gitlab.fault("GET *members*", Fault.status(403))
    gitlab.fault("GET *discussions*", Fault.status(404))
    (other,) = read(gitlab, note, discussion_id=DISCUSSION).context["thread"]["notes"]
    assert other["author"]["access_level"] is None
    assert other["in_discussion"] is False


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a <!-- b --> c <!-- d --> e", "a  c  e"),
        ("a <!-- b\nc\n--> d\n", "a  d\n"),
        ("a <!-- b\n```\n-->\n```\n<!-- c -->\n```\n", "a \n```\n<!-- c -->\n```\n"),
        ("~~~\n<!-- a -->\n```\n~~~\n<!-- b -->", "~~~\n<!-- a -->\n```\n~~~\n"),
        ("a <!-- open\nb", "a "),
        ("a --> b", "a --> b"),
        ("", ""),
    ],
)
def test_comments_are_cut_outside_fences(text: str, left: str) -> None:
    assert withheld.seen(text) == left


def test_cutting_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        withheld.seen("<!---->" * count + "\n```\n" + "<!--" * count)
        return time.process_time() - began

    few = min(seconds(20_000) for _ in range(3))
    assert min(seconds(160_000) for _ in range(2)) < 24 * few
