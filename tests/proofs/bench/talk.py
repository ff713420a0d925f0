"""How often a mention and the run it becomes talk to GitLab and to the store."""

from collections.abc import Iterator

from tests.functions.test_rates import FIRST, Day
from tests.proofs.rows import Row
from tests.support.event_cases import PROJECT

TRIGGER, WHOLE = 8, 20


def run() -> Iterator[Row]:
    """Count the calls of a second mention, and what its pipeline's four events add."""
    with Day() as day:
        day.ask(FIRST, PROJECT, 5)
        day.run()
        day.gitlab.calls.clear()
        day.ask(FIRST, PROJECT, 5)
        day.run()
        paths = [call.path for call in day.gitlab.calls]
    start = next(number for number, path in enumerate(paths, 1) if path.endswith("/pipeline"))
    yield _row("GitLab calls up to the trigger", start, TRIGGER)
    yield _row("GitLab calls over a run's life", len(paths), WHOLE)


def _row(test: str, seen: int, bar: int) -> Row:
    return Row(test, f"≤ {bar}", str(seen), seen <= bar)
