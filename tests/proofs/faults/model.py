"""Clock, records and log in memory: each call meets the fault of its schedule."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import ENDED, Record, State
from tests.proofs.faults.catalogue import GRIEF, Fault, Schedule
from tests.support import fakes

Value = TypeVar("Value")
_read = lru_cache(16)(Record.from_json)  # a text is written, and read as what was before the next


class Killed(BaseException):
    """The process ends here."""


class StoreError(Exception):
    """What a cloud's SDK raises: nobody knows it by name."""


class Doubled(AssertionError):
    """A second pipeline for one run."""


class Clock(fakes.Clock):
    """A clock that moves when told, and makes happen what was to happen meanwhile."""

    def __init__(self) -> None:
        """Begin with nothing to happen."""
        super().__init__()
        self._later: list[tuple[float, Callable[[], object]]] = []

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen after so many seconds."""
        self._later.append((self.time + seconds, act))

    def wait(self, seconds: float) -> None:
        """Move on."""
        end = self.time + seconds
        while self._later and min(self._later, key=lambda each: each[0])[0] <= end:
            due = min(self._later, key=lambda each: each[0])
            self._later.remove(due)
            self.time = max(self.time, due[0])
            due[1]()
        self.time = end


class Trouble:
    """Lets one call meet its fault."""

    def __init__(self, clock: Clock, schedule: Schedule) -> None:
        """Take the clock and the schedule; `twin` is called when another worker gets it too."""
        self.clock, self.schedule = clock, schedule
        self.twin: Callable[[], None] = lambda: None

    def before(self, fault: Fault) -> None:
        """Let pass what happens before the call acts."""
        if fault.twin:
            self.clock.wait(fault.paused)
            self.twin()
        if fault.killed and not fault.acts:
            raise Killed

    def call(self, step: str, act: Callable[[], Value], *, writes: bool = False) -> Value:
        """Make a call to GitLab: let it act or not, now or late, and answer or not."""
        fault = self.schedule.meet(step)
        self.before(fault)
        if fault.late:
            self.clock.later(GRIEF, act)
        acted = act() if fault.acts and not fault.late else None
        self.clock.wait(fault.seconds)
        if fault.killed:
            raise Killed
        if fault.status is not None:
            unsure = writes and fault.sent and (fault.status == 0 or fault.status >= 500)
            raise GitLabError(fault.status, f"{fault.status}", after=fault.after, unsure=unsure)
        assert fault.acts
        return acted  # type: ignore[return-value]


class Records:
    """A table of texts with compare-and-set, each write a step of its own name."""

    def __init__(self, trouble: Trouble) -> None:
        """Begin empty."""
        self._trouble = trouble
        self.stored: dict[str, tuple[str, int]] = {}

    def read(self, key: str) -> tuple[str | None, object]:
        if key.startswith("run/"):
            self._meet("read run", lambda: None)
        if key.startswith("thread/"):
            self._meet("read index", lambda: None)
        if key.startswith("turns/"):
            self._meet("read turns", lambda: None)
        return self.stored.get(key, (None, None))

    def write(self, key: str, text: str, version: object, expires: int) -> object:  # noqa: ARG002
        def store() -> int | None:
            before = self.stored.get(key, (None, None))[1]
            if before != version:
                return None
            self.stored[key] = text, (before or 0) + 1
            return (before or 0) + 1

        return self._meet(f"write {self._name(key, text)}", store)

    def delete(self, key: str) -> None:
        self._meet(f"delete {key.partition('/')[0]}", lambda: self.stored.pop(key, None))

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        self._meet(f"list {index.partition('/')[0]}", lambda: None)
        entries = sorted(each for each in self.stored.items() if each[0].startswith(f"{index}//"))
        return [(key, text) for key, (text, _) in entries[:most]]

    def run(self, run_id: str) -> Record | None:
        return next((record for record in self.runs() if record.request.id == run_id), None)

    def runs(self) -> list[Record]:
        return [
            _read(text)
            for key, (text, _) in self.stored.items()
            if key.startswith("run/") and '"version"' in text
        ]

    def free(self, now: float) -> None:
        """Do what functions/local does when it starts: nobody works on a run, so leases end."""
        for record in self.runs():
            if record.until > now:
                version = self.stored[record.key][1] + 1
                self.stored[record.key] = record.released(now).to_json(), version

    def _meet(self, step: str, act: Callable[[], Value]) -> Value:
        fault = self._trouble.schedule.meet(step)
        self._trouble.before(fault)
        if fault.status == 503:
            raise Retry(Reason.QUEUE_UNAVAILABLE)  # as the SQLite adapter when its file is locked
        done = act() if fault.acts else None
        if fault.killed:
            raise Killed
        if fault.status is not None:
            raise StoreError
        return done  # type: ignore[return-value]

    def _name(self, key: str, text: str) -> str:
        kind = "command limit" if key.startswith("limit/command/") else key.partition("/")[0]
        if kind != "run":
            return {"dead": "dead letters"}.get(kind, kind)
        after = _read(text)
        stored = self.stored.get(key)
        before = _read(stored[0]) if stored and '"version"' in stored[0] else None
        if after.state in ENDED:
            return str(after.state)
        if before is None or after.attempt > before.attempt:
            return "taken"
        if before.state is State.TRIGGERING and after.state is State.CLAIMED:
            return "not triggered"
        return "released" if before.state is after.state else str(after.state)


class Log:
    """The lines written, as text."""

    def __init__(self) -> None:
        """Begin empty."""
        self.lines: list[Mapping[str, object]] = []

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        self.lines.append({"severity": severity, **fields})

    def tells(self, **fields: object) -> bool:
        """Tell whether a line holds the fields."""
        return any(
            all(line.get(name) == value for name, value in fields.items()) for line in self.lines
        )

    def text(self) -> str:
        """Return all of it."""
        return json.dumps(self.lines)
