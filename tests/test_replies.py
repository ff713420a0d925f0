import re

import pytest

from shared import replies
from shared.outcome import Reason
from shared.ports import Pipeline

RUN = "0123456789abcdef0123456789abcdef"


def test_the_reply_links_the_pipeline() -> None:
    reply = replies.started(RUN, Pipeline(12, "https://gitlab.com/group/app/-/pipelines/12"))
    assert reply.startswith("Claude is on it: [pipeline 12](https://gitlab.com/group/app/-/pipelines/12).")
    assert reply.endswith(replies.marker(RUN))


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "https://x)\n/close", "https://x y", "https://x/`@all`", "https://x/@all"]
)
def test_an_address_that_is_none_is_left_out(url: str) -> None:
    assert replies.started(RUN, Pipeline(12, url)).startswith("Claude is on it: pipeline 12.")


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_no_reply_can_act_or_call(reason: Reason) -> None:
    reply = replies.stopped(RUN, reason)
    assert reason.sentence in reply
    assert reason.cure in reply
    assert "@" not in reply
    assert not re.search(r"^\s*/", reply, re.MULTILINE)
    assert replies.MARK in reply
