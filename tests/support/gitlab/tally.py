"""How many calls of each kind were made, in all and at the busiest, as a rate limit sees them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls of one kind: all of them, and the most within any 60 and any 600 seconds."""

    total: int
    minute: int
    ten_minutes: int


def tally(calls: Iterable[tuple[str, float]]) -> dict[str, Tally]:
    """Count (kind, time) by kind, the most frequent first."""
    times: dict[str, list[float]] = defaultdict(list)
    for kind, moment in calls:
        times[kind].append(moment)
    found = {
        kind: Tally(len(each), busiest(each, 60), busiest(each, 600))
        for kind, each in times.items()
    }
    return dict(sorted(found.items(), key=lambda item: -item[1].total))


def busiest(times: Iterable[float], seconds: float) -> int:
    """Return the most moments within any window of that length, its end excluded."""
    ordered, first, most = sorted(times), 0, 0
    for number, moment in enumerate(ordered, 1):
        while moment - ordered[first] >= seconds:
            first += 1
        most = max(most, number - first)
    return most
