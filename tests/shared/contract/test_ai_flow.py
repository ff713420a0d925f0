import json
import re

import pytest

from shared.contract import ai_flow
from tests import ROOT

EVENTS = ("mention", "assign", "assign_reviewer", "label")
SCHEMA = json.loads((ROOT / "docs" / "ai-flow-context.schema.json").read_text())["properties"]


def test_the_names_are_those_that_the_schema_of_the_context_tells() -> None:
    events = (ai_flow.MENTION, ai_flow.ASSIGN, ai_flow.ASSIGN_REVIEWER, ai_flow.LABEL, ai_flow.AUTO)
    assert list(events) == SCHEMA["event"]["enum"]
    assert SCHEMA["version"]["const"] == ai_flow.VERSION
    assert {ai_flow.ISSUE, ai_flow.MERGE_REQUEST} <= set(SCHEMA)
    discussion = SCHEMA["thread"]["properties"]["discussion_id"]["pattern"]
    assert discussion == f"^{ai_flow.DISCUSSION_ID.pattern}$"


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("kind", ["issue", "merge_request", "commit", "snippet"])
def test_an_event_without_words_is_a_command_where_only_one_is_meant(event: str, kind: str) -> None:
    expected = {
        ("assign", "issue"): "implement",
        ("label", "issue"): "implement",
        ("assign_reviewer", "merge_request"): "review",
    }
    assert ai_flow.command_of(event, kind) == expected.get((event, kind), "")


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        (ai_flow.RUN_ID, ("a", "0f-A", "x" * 64), ("", "x" * 65, "a b", "a_b", "é", "a\n")),
        (ai_flow.DISCUSSION_ID, ("a", "0fA", "x" * 64), ("", "x" * 65, "a-b", "a/b", "é", "a\n")),
        (ai_flow.SHA, ("a" * 40, "0" * 64), ("", "a" * 39, "a" * 41, "a" * 63, "A" * 40, "g" * 40)),
        (ai_flow.USERNAME, ("ada", "a.b_c-D", "x" * 255), ("", "x" * 256, "@ada", "a b", "é")),
    ],
    ids=["run id", "discussion id", "commit", "user name"],
)
def test_an_id_holds_nothing_that_could_act(
    pattern: re.Pattern[str], right: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    assert all(pattern.fullmatch(each) for each in right)
    assert not any(pattern.fullmatch(each) for each in wrong)
