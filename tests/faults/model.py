"""GitLab and the records in memory, on a clock that moves when told: each call meets the fault of its schedule."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from shared.access import Member, User
from shared.claim import ENDED, Claim, State
from shared.event import Branches, NoteEvent
from shared.outcome import Reason, Retry
from shared.ports import Comment, GitLabError, Hook, Pipeline, Project
from shared.secret import Secret
from tests.fakes import NOW
from tests.faults.catalogue import GRIEF, Fault, Schedule

Value = TypeVar("Value")


class Killed(BaseException):
    """The process ends here."""


class StoreError(Exception):
    """What a cloud's SDK raises: nobody knows it by name."""


class Doubled(AssertionError):
    """A second pipeline for one run."""


class Clock:
    """A clock that moves when told, and makes happen what was to happen meanwhile."""

    def __init__(self) -> None:
        """Begin at a fixed time."""
        self.time = NOW
        self._later: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.time

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
        """Take the clock and the schedule; `twin` is called when another worker gets the request."""
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


class GitLab:
    """A GitLab with one project and one thread; `forbids` variables, does not `know` the author, as its scene says."""

    def __init__(self, trouble: Trouble, text: str, *, forbids: bool = False, knows: bool = True) -> None:
        """Begin with a comment and nothing else."""
        self._call, self._text, self._forbids, self._knows = trouble.call, text, forbids, knows
        self._now = trouble.clock
        self.pipelines: dict[str, tuple[Pipeline, float]] = {}
        self.replies: list[str] = []

    def user(self, user_id: int) -> User | None:
        return self._found("user", lambda: User(user_id, "ada", bot=False, state="active"))

    def own_id(self) -> int:
        raise NotImplementedError

    def member(self, project_id: int, user_id: int) -> Member | None:  # noqa: ARG002
        return self._found("member", lambda: Member(user_id, 30, "active", "active", None) if self._knows else None)

    def note_text(self, note: NoteEvent) -> str:  # noqa: ARG002
        return self._call("note_text", lambda: self._text)

    def award(self, note: NoteEvent, emoji: str) -> None:  # noqa: ARG002
        self._call("award", lambda: None, writes=True)

    def reply(self, note: NoteEvent, body: str) -> None:  # noqa: ARG002
        self._call("reply", lambda: self.replies.append(body), writes=True)

    def replied(self, note: NoteEvent, text: str) -> bool:  # noqa: ARG002
        return self._call("replied", lambda: any(text in reply for reply in self.replies))

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, Any]) -> Pipeline:  # noqa: ARG002
        def create() -> Pipeline | None:
            if self._forbids and "variables" in body:
                return None
            run = body["ai_flow"]["id"]
            if run in self.pipelines:
                raise Doubled(run)
            number = len(self.pipelines) + 1
            pipeline = Pipeline(number, f"https://gitlab.com/group/app/-/pipelines/{number}")
            self.pipelines[run] = pipeline, self._now()
            return pipeline

        created = self._call("trigger", create, writes=True)
        if created is None:
            raise GitLabError(400, "{'base': ['Insufficient permissions to set pipeline variables']}")
        return created

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:  # noqa: ARG002
        def look() -> Pipeline | None:
            pipeline, created = self.pipelines.get(run_id, (None, 0.0))
            return pipeline if created >= since else None

        return self._call("find_pipeline", look)

    def project(self, project_id: str) -> Project | None:
        raise NotImplementedError

    def comments(self, project: Project, since: float) -> Iterator[Comment]:
        raise NotImplementedError

    def branches(self, note: NoteEvent) -> Branches:
        raise NotImplementedError

    def hooks(self, project_id: int) -> list[Hook]:
        raise NotImplementedError

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        raise NotImplementedError

    def _found(self, step: str, look: Callable[[], Value | None]) -> Value | None:
        try:
            return self._call(step, look)
        except GitLabError as error:
            if error.status == 404:
                return None  # as functions/gitlab.py reads it
            raise


class Records:
    """A table of texts with compare-and-set, each write a step of its own name."""

    def __init__(self, trouble: Trouble) -> None:
        """Begin empty."""
        self._trouble = trouble
        self.stored: dict[str, tuple[str, int]] = {}

    def read(self, key: str) -> tuple[str | None, object]:
        if key.startswith("run/"):
            self._meet("read claim", lambda: None)
        return self.stored.get(key, (None, None))

    def write(self, key: str, text: str, version: object, expires: int) -> object:  # noqa: ARG002
        def store() -> int | None:
            before = self.stored.get(key, (None, None))[1]
            if before != version:
                return None
            self.stored[key] = text, (before or 0) + 1
            return (before or 0) + 1

        return self._meet(f"write {self._name(key, text)}", store)

    def claim(self, run_id: str) -> Claim | None:
        return next((claim for claim in self.claims() if claim.run == run_id), None)

    def claims(self) -> list[Claim]:
        return [Claim.from_json(text) for key, (text, _) in self.stored.items() if key.startswith("run/")]

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
        kind = key.partition("/")[0]
        if kind != "run":
            return {"dead": "letter" if "/" in key else "letters"}.get(kind, kind)
        after = Claim.from_json(text)
        stored = self.stored.get(key)
        before = Claim.from_json(stored[0]) if stored else None
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
        return any(all(line.get(name) == value for name, value in fields.items()) for line in self.lines)

    def text(self) -> str:
        """Return all of it."""
        return json.dumps(self.lines)
