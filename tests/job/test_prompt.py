"""The prompt: strangers' text is one JSON value in which nothing acts, and the team's words come first."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.outcome import Failure
from job.prompt import CONTEXT, DIFF, Prompt, as_data, build
from job.request import Request

FILES = {
    "CLAUDE.md": "Use tabs.",
    ".gitlab/claude/review.md": "Our review.",
    ".gitlab/claude/default.md": "Our default.",
    ".gitlab/claude/polish.md": "Our own command.",
    "prompt.md": "One for all.",
}


def made(text: str, prompt_file: str = "", files: Mapping[str, str] = FILES, **request: Any) -> Prompt:
    wanted = Request(
        id="r", event="mention", input=text, context=request.pop("context", {}), kind="merge_request", iid=3, **request
    )
    return build(wanted, project="group/app", prompt="Be brief.", prompt_file=prompt_file, file=files.get, diff=b"+x\n")


@given(st.text())
def test_what_people_wrote_reads_back_to_the_letter(text: str) -> None:
    assert json.loads(as_data({"request": text})) == {"request": text}


@given(st.text(alphabet="@/<>$%`\\\"'\n \u200b\u202eab\U000e0041"))
def test_in_data_nothing_acts_or_hides(text: str) -> None:
    shown = as_data({"request": text})
    assert not set(shown) & set("@<>\u200b\u202e\U000e0041")
    assert shown.startswith("{")


def test_half_a_surrogate_pair_can_be_sent() -> None:
    assert as_data("\ud800").encode()


def test_the_default_branch_s_claude_md_is_in_the_system_prompt() -> None:
    assert "Use tabs." in made("fix it").system
    assert "from its default branch" not in made("fix it", files={}).system
    assert "merge request 3" in made("fix it").system


def test_the_team_s_words_come_before_the_request() -> None:
    message = made("fix it").message
    assert message.index("Be brief.") < message.index("smallest change") < message.index('"request": "fix it"')


@pytest.mark.parametrize(
    ("text", "prompt_file", "found"),
    [
        ("review this", "", "Review the merge request."),
        ("explain", "", "at most 300 words"),
        ("implement it", "", "cover the change with tests"),
        ("review this", ".gitlab/claude/*.md", "Our review."),
        ("polish it", ".gitlab/claude/*.md", "Our own command."),
        ("fix it", ".gitlab/claude/*.md", "Our default."),
        ("anything", "prompt.md", "One for all."),
    ],
)
def test_the_first_word_chooses_among_prompts_that_exist(text: str, prompt_file: str, found: str) -> None:
    assert found in made(text, prompt_file).message


@pytest.mark.parametrize("text", ["../../etc/passwd", "Review", "--help", "", "a" * 40])
def test_no_word_is_a_path(text: str) -> None:
    asked: list[str] = []

    def file(name: str) -> None:
        asked.append(name)

    build(Request("r", "mention", text, {}), project="p", prompt="", prompt_file="x/*.md", file=file, diff=b"")
    assert set(asked) <= {"CLAUDE.md", "x/default.md"}


def test_a_prompt_file_that_is_not_there_is_said() -> None:
    with pytest.raises(Failure, match=r"gone\.md"):
        made("fix it", "gone.md")


def test_a_short_context_travels_along_and_a_long_one_is_a_file() -> None:
    short, long = made("x", context={"title": "T"}), made("x", context={"title": "T" * 100_000})
    assert '"title": "T"' in short.message
    assert list(short.files) == [DIFF]
    assert len(long.message) < 3000
    assert json.loads(long.files[CONTEXT]) == {"title": "T" * 100_000}
