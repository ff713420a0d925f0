"""The conversation of docs/conversation.md is acted out; the page shows what happened."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from shared.contract import marks
from tests import conversation
from tests.support import canaries
from tests.support.conversation_stage import CLAUDE, MALLORY, PROJECT, Stage
from tests.support.gitlab import contract


class Performance(NamedTuple):
    """A stage after the last scene, and the page."""

    stage: Stage
    page: str


@pytest.fixture(scope="module")
def performance() -> Iterator[Performance]:
    with Stage(**conversation.SETTINGS) as stage:
        yield Performance(stage, conversation.perform(stage))


def test_the_page_is_up_to_date(performance: Performance) -> None:
    written = conversation.PAGE.read_text(encoding="utf-8")
    assert written == performance.page, (
        "docs/conversation.md is out of date: python -m tests.conversation"
    )


def test_each_request_has_its_one_reply(performance: Performance) -> None:
    gitlab = performance.stage.gitlab
    runs = [
        re.findall(r"<!-- gitlab-claude-trigger run=(\w+) -->", note["body"])
        for note in gitlab.notes.values()
        if note["author_id"] == CLAUDE and not marks.finding(note["body"])
    ]
    assert set(Counter(map(tuple, runs)).values()) == {1}, "no run has two replies"
    asked = [note for note in gitlab.notes.values() if note["author_id"] not in (CLAUDE, MALLORY)]
    changed = 5  # a merge request that asks, an assignment, a label, a review and a repair unasked
    assert len(runs) == len(asked) + changed
    # One was superseded, and has no reply any more; one is the project's own.
    assert len(gitlab.pipelines) == 13


def test_every_delivery_and_every_call_was_answered(performance: Performance) -> None:
    gitlab = performance.stage.gitlab
    assert {event["response_status"] for event in gitlab.hook_events.values()} == {"200", "202"}
    assert not gitlab.unknown_calls
    refused = [
        (call.status, call.path)
        for call in gitlab.calls
        if (call.status or 0) not in (200, 201, 204)
    ]
    twice = "/award_emoji/"  # two looks at one pipeline's end may both take 👀 away
    none, gone = "/repository/files/", f"/projects/{PROJECT}/merge_requests/17/notes/"
    expected = (twice, none, gone)  # no file narrows AUTO; a reply that was deleted
    refused = [call for call in refused if not any(each in call[1] for each in expected)]
    assert refused == [(404, f"/api/v4/projects/{PROJECT}/members/all/{MALLORY}")], (
        "only a stranger is unknown"
    )
    assert not [problem for call in gitlab.calls for problem in contract.check(call)]
    assert {severity for severity, _ in performance.stage.log} == {"INFO"}


def test_page_and_log_spell_no_secret(performance: Performance) -> None:
    assert not canaries.found_in(performance.page + repr(performance.stage.log))
