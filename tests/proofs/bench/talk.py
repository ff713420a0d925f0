"""How often a mention and the run it becomes talk to GitLab and to the store."""

import heapq
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functions.test_rates import FIRST, Day
from tests.proofs.rows import Row
from tests.support import fakes
from tests.support.event_cases import PROJECT

TRIGGER, WHOLE, STORE = 8, 20, 18


def run() -> Iterator[Row]:
    """Count the calls of a second mention, and what its pipeline's four events add."""
    stored: list[str] = []
    with Day() as day, pytest.MonkeyPatch.context() as patch:
        day.ask(FIRST, PROJECT, 5)
        day.run()
        day.gitlab.calls.clear()
        for name in ("read", "write", "delete", "listed"):
            patch.setattr(fakes.Records, name, _counted(getattr(fakes.Records, name), stored))
        day.ask(FIRST, PROJECT, 5)
        heapq.heappop(day._due)[2]()  # the mention itself
        mention = len(stored)
        day.run()
        paths = [call.path for call in day.gitlab.calls]
    start = next(number for number, path in enumerate(paths, 1) if path.endswith("/pipeline"))
    yield _row("GitLab calls up to the trigger", start, TRIGGER)
    yield _row("GitLab calls over a run's life", len(paths), WHOLE)
    yield _row("store calls of a mention", mention, STORE)


def _counted(method: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def call(*arguments: object) -> object:
        calls.append(method.__name__)
        return method(*arguments)

    return call


def _row(test: str, seen: int, bar: int) -> Row:
    return Row(test, f"≤ {bar}", str(seen), seen <= bar)
