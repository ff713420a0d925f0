import re

from shared.outcome import messages
from shared.outcome.reasons import Reason
from shared.runs.command import Options


def test_the_messages_are_whole() -> None:
    assert set(messages.REASONS) == {reason.name for reason in Reason}
    assert set(messages.STATES) == set(messages.STATE_NAMES)
    assert set(messages.OPTIONS) == set(messages.HELP_OPTIONS) == set(Options._fields) - {"command"}
    for text in (
        *messages.STATES.values(),
        *messages.CAUSES.values(),
        messages.HELP,
        messages.UNDERSTOOD,
    ):
        assert not re.search(r"^\s*/", text, re.MULTILINE)
