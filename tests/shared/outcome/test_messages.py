import re

import pytest

from shared.outcome import messages
from shared.outcome.reasons import Reason
from shared.runs.command import Options


def test_nothing_that_can_happen_lacks_its_words() -> None:
    assert set(messages.REASONS) == {reason.name for reason in Reason}
    assert set(messages.STATES) == set(messages.STATE_NAMES)
    assert set(messages.OPTIONS) == set(messages.HELP_OPTIONS) == set(Options._fields) - {"command"}


@pytest.mark.parametrize(
    "text",
    [
        *messages.STATES.values(),
        *messages.CAUSES.values(),
        messages.HELP,
        messages.UNDERSTOOD,
    ],
)
def test_no_words_begin_a_line_that_gitlab_carries_out(text: str) -> None:
    assert not re.search(r"^\s*/", text, re.MULTILINE)
