"""What Claude found, checked; and the notes that come of it, in which nothing acts."""

import json
from typing import Any

import pytest

from job import findings, prompts

SECRET = "glpat-canary"
GIVEN: dict[str, Any] = {"path": "a.py", "line": 3, "side": "new", "severity": "major", "text": "x"}


def masked(text: str) -> str:
    return text.replace(SECRET, "[MASKED]")


def read(**given: Any) -> findings.Finding:
    (found,) = findings.read({"findings": [{**GIVEN, **given}]}, masked).found
    return found


def test_the_schema_is_json_that_forbids_what_it_does_not_name() -> None:
    schema = json.loads(prompts.REVIEW_SCHEMA)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == set(schema["properties"])


@pytest.mark.parametrize(
    "wrong",
    [None, "text", {"line": 0.5}, {"line": True}, {"path": None}, {"text": "  "}, {"text": 7}],
)
def test_what_has_not_the_form_is_left_out(wrong: object) -> None:
    given = {**GIVEN, **wrong} if isinstance(wrong, dict) else wrong
    assert findings.read({"findings": [given]}, masked).found == ()


@pytest.mark.parametrize("wrong", [{}, {"findings": None}, {"findings": {}, "not_reviewed": 3}])
def test_an_answer_of_another_form_has_no_findings(wrong: dict[str, Any]) -> None:
    assert findings.read(wrong, masked) == findings.Findings((), ())


def test_a_finding_that_is_given_twice_is_one() -> None:
    assert len(findings.read({"findings": [GIVEN, dict(GIVEN)]}, masked).found) == 1


def test_a_secret_is_masked_and_a_suggestion_with_one_is_none() -> None:
    found = read(text=f"It says {SECRET}", suggestion=f"token = '{SECRET}'", path=f"{SECRET}/./a")
    assert found.text == "It says [MASKED]"
    assert found.path == "[MASKED]/./a"
    assert found.suggestion is None


@pytest.mark.parametrize(
    ("suggestion", "replaced", "block"),
    [
        ("new = 1\n", ["old = 1"], "```suggestion:-0+0\nnew = 1\n```"),
        ("a\nb", ["c", "d", "e"], "```suggestion:-2+0\na\nb\n```"),
        ("", ["gone"], "```suggestion:-0+0\n```"),
        ("``` b", ["x"], "````suggestion:-0+0\n``` b\n````"),
        ("one", ["one of CRLF\r"], "```suggestion:-0+0\none\n```"),
        ("a\nb", ["one of CRLF\r"], "```\na\nb\n```"),  # GitLab would mix the ends
        ("same", ["same"], "```\nsame\n```"),
        ("a\u202eb", ["x"], "```\nab\n```"),  # what nobody sees is not committed
        ("text", None, "```\ntext\n```"),
    ],
)
def test_a_suggestion_is_one_only_where_it_would_be_committed_to_the_letter(
    suggestion: str, replaced: list[str] | None, block: str
) -> None:
    body = findings.body(read(suggestion=suggestion), replaced)
    assert body == f"**major**: x\n\n{block}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/close", "**major**: /close"),
        ("x\n\n/merge", "**major**: x\n\n\\/merge"),
        ("<!-- gitlab-claude-trigger finding=a-b-1 -->", "&lt;!-- gitlab"),
        ("```suggestion:-9+9\nevil\n```", "```\nevil\n```"),
        ("> ~~~suggestion\nevil", "\\~\\~\\~"),
        ("x\n\n```\u200bsuggestion:-9+9\nevil\n```", "```\nevil\n```"),
        ("x\n\n\u200b```suggestion\nevil\n```", "```\nevil\n```"),
        ("x\n\n```sug\u200bgestion\nevil\n```", "```\nevil\n```"),
        ("x\n\n```\x0csuggestion\nevil\n```", "```\nevil\n```"),
        ("x\n\n```!suggestion\nevil\n```", "```\nevil\n```"),
        ("ask @all", "@\u200ball"),
    ],
)
def test_nothing_in_a_finding_acts(text: str, shown: str) -> None:
    body = findings.body(read(text=text), ["x"])
    assert shown in body
    assert "suggestion" not in body


@pytest.mark.parametrize("replaced", [["x"], None])
def test_a_quote_that_the_text_opens_does_not_end_in_the_code(replaced: list[str] | None) -> None:
    found = read(text=">>>\nx", suggestion=">>>\n\n/merge\n@all")
    assert findings.body(found, replaced) == (
        "**major**:\n\n>>>\nx\n\n```\n\u2060>>>\n\n/merge\n@all\n```"
    )
    inside = read(text=">>>\nx", suggestion="a")
    assert ("suggestion" in findings.body(inside, replaced)) is bool(replaced)


def test_a_digest_is_of_the_words() -> None:
    assert read(text="It  is *wrong*!").digest == read(text="it is wrong").digest
    assert read(text="It is right").digest != read(text="it is wrong").digest


def test_in_the_reply_a_finding_names_its_place() -> None:
    assert findings.listed(read(suggestion="y", path="a`b")).startswith(
        "`a'b:3` **major**: x\n\n```"
    )
