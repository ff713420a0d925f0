"""What the kernel counts for processes, and rows of ratios.

Times are of a processor: what else the machine does is not in them.
"""

import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.proofs.rows import Row


def spent(processes: Iterable[int]) -> float:
    """Return the milliseconds of a processor that processes have taken so far."""
    tasks = [task for pid in processes for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def memory(process: int) -> float:
    """Return the MB that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def session(leader: int) -> list[int]:
    """Return the processes of a session, such as a server's master and workers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == leader:
            found.append(int(stat.parent.name))
    return found


def pairs(
    ours: Callable[[], float], theirs: Callable[[], float], count: int
) -> list[tuple[float, float]]:
    """Measure both in turn, so often: both meet the same hours of the machine."""
    return [(ours(), theirs()) for _ in range(count)]


def ratio(test: str, seen: list[tuple[float, float]], bar: float, unit: str) -> Row:
    """Return the row of a ratio, the median of pairs, that is to be at most `bar`."""
    found = statistics.median(ours / theirs for ours, theirs in seen)
    ours, theirs = map(statistics.median, zip(*seen, strict=True))
    return Row(test, f"≤ {bar}", f"{found:.2f} ({ours:.2f} / {theirs:.2f} {unit})", found <= bar)
