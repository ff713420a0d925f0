"""What can go wrong at which step of `dispatch`, as values; it makes nothing go wrong itself."""

from collections import deque
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

# seconds after which GitLab may still do what a caller has given up on: its workers stop at 60
GRIEF = 45.0


class Fault(NamedTuple):
    """One call's fate.

    `acts`: GitLab (or the store) does what was asked; `late`: only GRIEF seconds after the call.
    `status`: its error (0: none came), None: the right answer. `killed`: the process ends, after
    the act if it acts. `twin`: at this moment another worker gets the same request, `paused`
    seconds after this one stopped moving.
    """

    name: str
    acts: bool = False
    status: int | None = None
    after: float = 0.0
    sent: bool = True
    seconds: float = 0.1
    late: bool = False
    killed: bool = False
    twin: bool = False
    paused: float = 0.0


FINE = Fault("fine", acts=True)

# Any call to GitLab.
_CALL = (
    Fault("429", status=429),
    Fault("429, Retry-After", status=429, after=37),
    *(Fault(f"{status}", status=status) for status in (500, 502, 503, 504)),
    Fault("connect time-out", status=0, sent=False, seconds=3),
    Fault("time-out", status=0, seconds=13),
    Fault("reset before", status=0),
    Fault("broken JSON", status=0, acts=True),
    *(Fault(f"{status}", status=status) for status in (401, 403, 404)),
    Fault("killed before", killed=True),
    Fault("killed after", acts=True, killed=True),
    Fault("slow", acts=True, seconds=12),
    Fault("twin", acts=True, twin=True),
)
# A call for the context, which goes on without: what its faults have in common is tried once.
_HELPFUL = tuple(
    fault
    for fault in _CALL
    if fault.name not in ("429", "500", "502", "504", "connect time-out", "reset before")
)
# A call that changes something there.
_WRITE = (
    *(Fault(f"{status}, acted", status=status, acts=True) for status in (500, 502, 503, 504)),
    Fault("time-out, acted", status=0, acts=True, seconds=13),
    Fault("reset after", status=0, acts=True),
)
_LATE = (
    Fault("time-out, acts late", status=0, acts=True, late=True, seconds=13),
    Fault("502, acts late", status=502, acts=True, late=True),
    Fault("killed, acts late", acts=True, late=True, killed=True),
)
# An attempt that stands still for longer than its lease, while another takes over.
_OVERTAKEN = (Fault("overtaken", acts=True, twin=True, paused=130),)
_STORE = (
    Fault("killed before", killed=True),
    Fault("killed after", acts=True, killed=True),
    Fault("store fails before", status=0),
    Fault("store fails after", status=0, acts=True),
    Fault("store busy", status=503),
    Fault("twin", acts=True, twin=True),
    *_OVERTAKEN,
)

_READ = (Fault("store fails before", status=0), Fault("store busy", status=503))

STEPS: dict[str, tuple[Fault, ...]] = {
    "user": _CALL + _OVERTAKEN,
    "member": _CALL + _OVERTAKEN,
    "project": _CALL + _OVERTAKEN,
    "target": _CALL + _OVERTAKEN,
    "note": _CALL + _OVERTAKEN,
    "award": _CALL + _WRITE + _OVERTAKEN,
    "notes": _HELPFUL + _OVERTAKEN,
    "roles": _HELPFUL + _OVERTAKEN,
    "discussion": _HELPFUL + _OVERTAKEN,
    "diffs": _HELPFUL + _OVERTAKEN,
    "trigger": _CALL + _WRITE + _LATE,
    "find_pipeline": (*_CALL, *_OVERTAKEN, Fault("very slow", acts=True, seconds=110)),
    "replied": _CALL,
    "reply": _CALL + _WRITE + _LATE,
    "jobs": _HELPFUL + _OVERTAKEN,
    "progress": _CALL,
    "cancel": _CALL + _WRITE,
    "file": _CALL + _OVERTAKEN,
    "delete reply": _CALL + _WRITE,
    "read reply": _CALL,
    "edit reply": _CALL + _WRITE + _LATE,
    "withdraw": _CALL + _WRITE,
    "secrets": (Fault("store fails before", status=0),),
    "log": (Fault("cannot be written", status=0),),
    "read run": _READ + _OVERTAKEN,
    "read index": _READ,
    "read turns": _READ,
    "list waits": _READ,
    "write taken": _STORE,
    "write triggering": _STORE,
    "write not triggered": _STORE,
    "write triggered": _STORE,
    "write finished": _STORE,
    "write refused": _STORE,
    "write released": _STORE,
    "write dead": _STORE,
    "write dead letters": _STORE,
    "write waiting": _STORE,
    "write limit": _STORE,
    "write turns": _STORE,
    "write waits": _STORE,
    "write stranger": _STORE,
    "delete waits": _STORE,
    "delete dead": _STORE,
    "delete live": _STORE,
    "write command limit": _STORE,
    "write live": _STORE,
    "write thread": _STORE,
    "write projects": _STORE,
}

# What the context reads, and the names that tell the job what it lacks.
UNREAD = {
    "notes": "thread",
    "roles": "roles",
    "discussion": "discussion",
    "diffs": "changed_files",
}

# The steps that no mention takes which starts a pipeline at once.
ELSEWHERE = (
    *("progress", "cancel", "read reply", "withdraw", "delete live", "file", "delete reply"),
    *("list waits", "write waits", "write waiting", "delete waits"),
    *("write stranger", "write command limit"),
)

Point = tuple[str, Fault]
POINTS: list[Point] = [(step, fault) for step, faults in STEPS.items() for fault in faults]

_BY_NAME = {(step, fault.name): (step, fault) for step, fault in POINTS}


def point(step: str, name: str) -> Point:
    """Return a point of the catalogue by its names."""
    return _BY_NAME[step, name]


# What has to go wrong first for a step to be reached at all; each is tried.
PREAMBLES: dict[str, tuple[tuple[Point, ...], ...]] = {
    "find_pipeline": ((point("trigger", "time-out"),), (point("trigger", "time-out, acted"),)),
    "replied": ((point("reply", "503"),), (point("reply", "time-out, acted"),)),
    "write not triggered": ((point("trigger", "429"),),),
    "write released": (
        (point("trigger", "429"),),
        (point("trigger", "time-out, acted"),),
        (point("reply", "503"),),
    ),
    "write dead": (
        (point("user", "500"),),
        (point("trigger", "time-out, acted"),),
        (point("reply", "503"),),
    ),
    "write dead letters": ((point("user", "500"),), (point("trigger", "time-out, acted"),)),
    "delete dead": ((point("user", "500"),), (point("trigger", "time-out, acted"),)),
    "write refused": (
        (point("trigger", "404"),),
        (point("trigger", "404"), point("reply", "time-out, acted")),
    ),
}


def with_preamble(points: tuple[Point, ...]) -> Iterable[tuple[Point, ...]]:
    """Yield the points, each with every combination of what must come before it."""
    steps = {step for step, _ in points} & PREAMBLES.keys()
    if not steps:
        yield points
        return
    needed = [((), *PREAMBLES[step]) for step in PREAMBLES if step in steps]
    seen = set()
    for chosen in product(*needed):
        before = tuple(dict.fromkeys(each for preamble in chosen for each in preamble))
        if before not in seen:
            seen.add(before)
            yield before + points


class Schedule:
    """The faults of one journey: each step meets its own, one per call; then all is well."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        """Take the points in order."""
        self._waiting: dict[str, deque[Fault]] = {}
        self.met: list[str] = []
        for point in points:
            self.add(point)

    def add(self, point: Point) -> None:
        """Let one more go wrong."""
        step, fault = point
        self._waiting.setdefault(step, deque()).append(fault)

    def meet(self, step: str) -> Fault:
        """Return the fate of the next call of a step."""
        waiting = self._waiting.get(step)
        if not waiting:
            return FINE
        fault = waiting.popleft()
        self.met.append(f"{step}: {fault.name}")
        return fault

    def heal(self) -> int:
        """Let nothing go wrong any more; return how many faults no call has met."""
        left = sum(map(len, self._waiting.values()))
        self._waiting.clear()
        return left
