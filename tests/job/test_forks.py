"""A run that reads a fork's merge request: what it may not use, and what it does not do."""

import pytest

from job import forks
from job.failures import Failure
from job.inputs import Inputs
from job.request import Request

READING = Request("r", "mention", "", {}, kind="merge_request", iid=3, read_only=True)


def test_whatever_the_include_allows_a_run_that_reads_has_no_tool_server_skill_or_past() -> None:
    given = Inputs(
        allowed_tools=("Bash(npm test)", "WebFetch"),
        environment=("NPM_TOKEN",),
        mcp="gitlab",
        mcp_config="servers.json",
        skills="skills",
        resume=True,
        prompt="Be brief.",
        max_turns=7,
    )
    assert forks.lowered(given, READING) == Inputs(prompt="Be brief.", max_turns=7)
    assert forks.lowered(given, READING._replace(read_only=False)) == given


@pytest.mark.parametrize(
    ("text", "command", "is_done"),
    [
        ("review", "review", True),
        ("explain why this is slower", "explain", True),
        ("Why does the pipeline fail?", "", True),
        ("Does it conflict with !7?", "", True),
        ("是否有冲突？", "", True),
        ("fix the typo", "fix", False),
        ("do it", "implement", False),
        ("make the pipeline green", "", False),
        ("resolve the conflicts", "", False),
        ("rebase", "", False),
    ],
)
def test_an_order_to_change_something_is_answered_without_claude(
    text: str, command: str, is_done: bool
) -> None:
    asked = READING._replace(input=text, command=command)
    forks.check(asked._replace(read_only=False))
    if is_done:
        forks.check(asked)
        return
    with pytest.raises(Failure, match="comes from a fork: Claude reads its diff and changes noth"):
        forks.check(asked)
