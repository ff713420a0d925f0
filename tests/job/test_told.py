"""What was told is not told again; what was mended is resolved if nobody else is in it."""

from collections.abc import Sequence
from typing import Any

import pytest

from job import findings, lines, told
from shared.contract import marks
from tests.support.gitlab import diffs

OURS, ADA = 1, 42
TEXT = ["def f():", "  return 1", "x = f()"]
DIFF = lines.read(diffs.change("a.py", None, "\n".join(TEXT) + "\n"))
FINDING = findings.Finding("a.py", 2, 2, "new", "major", "It is wrong.", None)
LINE = DIFF.lines["new", 2]


def thread(
    *more: int, author: int = OURS, line: int = 2, body: str = "", **note: Any
) -> dict[str, Any]:
    """A discussion of ours about line 2, with replies of these users."""
    mark = marks.of_finding(told.place([LINE]), FINDING.digest, 1)
    position = {"old_path": "a.py", "new_path": "a.py", "new_line": line, "head_sha": "h"}
    first: dict[str, Any] = {"author": {"id": author}, "body": body or f"It is wrong.\n\n{mark}"}
    first |= {"position": position, "resolvable": True, "resolved": False, **note}
    replies = [{"author": {"id": user}, "body": "why?"} for user in more]
    return {"id": "d1", "notes": [first, *replies]}


def before(discussion: dict[str, Any], text: Sequence[str] | None = TEXT) -> told.Before:
    return told.Before(told.read([discussion], OURS), [DIFF], lambda _: text, "h")


@pytest.mark.parametrize(
    "finding",
    [FINDING, FINDING._replace(text="IT IS - wrong"), FINDING._replace(text="Other words.")],
)
def test_the_same_line_is_told_once_whatever_the_words(finding: findings.Finding) -> None:
    assert before(thread()).has(finding, DIFF, [LINE])


def test_the_same_code_elsewhere_is_another_finding() -> None:
    other = LINE._replace(new=3, at_new=3)
    assert not before(thread()).has(FINDING._replace(text="Other words."), DIFF, [other])


def test_the_same_words_about_lines_that_changed_are_told() -> None:
    changed = LINE._replace(text="  return 2")
    assert before(thread(), ["def f():", "  return 2"]).has(FINDING, DIFF, [changed])
    assert not before(thread()).has(FINDING, DIFF, [changed])  # the old line is there, too


@pytest.mark.parametrize(
    "discussion",
    [
        thread(author=ADA),
        thread(body="no mark"),
        thread(body=f"{marks.of_finding('ab', 'cd', 1)}\n\nquoted"),
        thread(position=None),
        {"id": "d", "notes": []},
    ],
)
def test_a_mark_counts_only_at_the_end_of_a_note_of_ours(discussion: dict[str, Any]) -> None:
    assert told.read([discussion], OURS) == []
    assert told.read([thread()], None) == []


@pytest.mark.parametrize(
    ("discussion", "text", "resolved"),
    [
        (thread(), ["def f():", "x = f()"], ["d1"]),
        (thread(OURS), ["def f():"], ["d1"]),
        (thread(), TEXT, []),
        (thread(), ["  moved", "return   1"], []),
        (thread(ADA), ["def f():"], []),
        (thread(resolved=True), ["def f():"], []),
        (thread(resolvable=False), ["def f():"], []),
        (thread(), None, []),
    ],
)
def test_a_thread_is_resolved_if_its_lines_changed_and_nobody_else_wrote(
    discussion: dict[str, Any], text: Sequence[str] | None, resolved: list[str]
) -> None:
    assert before(discussion, text).mended([]) == resolved
    assert before(discussion, text).mended(["a.py"]) == []


def test_a_thread_whose_finding_is_found_again_stays_open() -> None:
    known = before(thread(), ["def f():", "  return 2"])
    assert known.has(FINDING, DIFF, [LINE._replace(text="  return 2")])
    assert known.mended([]) == []
