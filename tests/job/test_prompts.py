"""What Claude is told by us: the rules of the frame, and a prompt for each command."""

import pytest

from job.prompts import COMMANDS, FRAME
from shared.contract import ai_flow


@pytest.mark.parametrize(
    "said",
    ["`context.unread`", "`context.thread.cut`", "untrusted", "author and role", "\\u0040"],
)
def test_the_frame_says_what_is_data_and_what_is_missing(said: str) -> None:
    assert said in FRAME.format(project="p", target="issue 5")


def test_each_command_of_the_contract_has_a_prompt() -> None:
    assert set(COMMANDS) == {ai_flow.REVIEW, ai_flow.FIX, ai_flow.EXPLAIN, ai_flow.IMPLEMENT}
