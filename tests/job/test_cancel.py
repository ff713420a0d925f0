"""A signal ends what goes on, once, and what comes next does not begin."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from job.cancel import Cancel
from job.claude import Claude
from job.failures import Failure, Reason

CANCELED = Failure(Reason.CANCELED).text


@pytest.fixture
def hurried() -> list[str]:
    """What GitLab's client was told."""
    return []


@pytest.fixture
def cancel(hurried: list[str]) -> Iterator[Cancel]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    made = Cancel(Claude())
    made.catch(lambda: hurried.append("hurry"))
    yield made
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_goes_on_ends_at_the_first_signal_and_the_reply_at_none(
    cancel: Cancel, hurried: list[str], number: int
) -> None:
    cancel.begin()
    with pytest.raises(Failure, match=CANCELED):
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)  # while the reply is written
    assert hurried == ["hurry"]


def test_what_comes_after_a_signal_does_not_begin(cancel: Cancel) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert cancel.canceled
    with pytest.raises(Failure, match=CANCELED):
        cancel.begin()


def test_a_pause_is_as_long_as_asked_and_ends_with_the_job(cancel: Cancel) -> None:
    began = time.monotonic()
    cancel.pause(0.01)
    assert time.monotonic() - began >= 0.01
    os.kill(os.getpid(), signal.SIGTERM)
    cancel.pause(60)
    assert time.monotonic() - began < 30
