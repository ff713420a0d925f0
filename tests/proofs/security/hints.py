"""A delivery is a hint: whoever holds a webhook's secret forges, and GitLab changes between calls.

`forged` sends deliveries that GitLab would not have sent to the local platform; `swapped` changes
what GitLab says before each call of a run, one after the other.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count, product
from typing import Any, NamedTuple

from functions.gitlab import GitLab as Adapter
from shared.dispatch import dispatch
from shared.installation.secrets import Cached, GitLabSecrets
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import ATTEMPTS
from shared.services import Services
from tests.proofs.faults.service import Service
from tests.proofs.security import journeys
from tests.support import fakes
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab as StandIn

ADA, EVE, MALLORY, OURS = 42, 43, 44, 99
SERVED, OTHERS, FORK, UNSEEN = 7, 8, 9, 10
EVIL = "EVIL"
_YEARS = 2 * 365 * 24 * 3600.0
_LONG = "x" * 70_000  # too long to travel: read from GitLab again

Payload = dict[str, Any]


def seed(server: StandIn) -> None:
    """Fill the stand-in: Ada may ask in project 7, Mallory in a project of their own."""
    for number, name in ((ADA, "ada"), (EVE, "eve"), (MALLORY, "mallory")):
        server.user(number, name)
    server.user(OURS, "claude", bot=True)
    server.api_token(fakes.API_TOKEN, OURS)
    for number in (SERVED, OTHERS, FORK, UNSEEN):
        server.project(number, f"group/app-{number}")
        if number != UNSEEN:
            server.member(number, OURS, 40)
    server.member(SERVED, ADA, 30)
    server.member(SERVED, EVE, 10)
    server.member(OTHERS, MALLORY, 50)
    server.trigger_token(f"{fakes.TRIGGER_TOKEN}-{SERVED}", SERVED, OURS)


class Forger:
    """Makes deliveries by the webhook's secret; each has an issue or merge request of its own."""

    def __init__(self, server: StandIn) -> None:
        """Take the GitLab that did not send them."""
        self._server, self._numbers = server, count(10)

    def true(self, text: str = "@claude fix it", author: int = ADA, **at: Any) -> Payload:
        """Return the delivery of a comment that GitLab has."""
        return self._told(self._note(text, author, **at))

    def absent(self) -> Payload:
        return _with(self.true(), id=987_654)

    def of_another_author(self) -> Payload:
        return _with(self.true(author=EVE), author_id=ADA) | {"user": {"id": ADA}}

    def with_another_text(self) -> Payload:
        return _with(self.true("@claude is fine"), note=f"@claude {EVIL}")

    def of_another_project(self) -> Payload:
        found = self.true(author=MALLORY, project=OTHERS)
        issue = self._server.issue(SERVED, found["issue"]["iid"])
        told = _with(found, author_id=ADA, noteable_id=issue["id"], project_id=SERVED)
        return told | {"project_id": SERVED, "project": self.true()["project"]}

    def of_a_project_not_shown_to_us(self) -> Payload:
        return self.true(project=UNSEEN)

    def of_another_issue(self) -> Payload:
        return self.true() | {"issue": self.true("hello")["issue"]}

    def years_old(self) -> Payload:
        note = self._note("@claude fix it", ADA)
        told = self._told(note)
        note["created_at"] = note["updated_at"] = time.time() - _YEARS
        return told

    def deleted(self) -> Payload:
        note = self._note("@claude fix it", ADA)
        told = self._told(note)
        self._server.remove_note(note)
        return told

    def edited(self) -> Payload:
        note = self._note("@claude fix it", ADA)
        told = self._told(note)
        note["body"] = "@claude fix it, or not"
        return told

    def on_a_branch_of_its_own(self) -> Payload:
        number = next(self._numbers)
        self._server.merge_request(SERVED, number, source_branch="f", source_project_id=FORK)
        said = self._server.note(
            SERVED, "merge_request", number, author_id=ADA, body="@claude fix it"
        )
        told = self._told(said)
        told["merge_request"] |= {"source_branch": "evil", "source_project_id": SERVED}
        return told

    def on_a_merge_request_of_its_own(self) -> Payload:
        told = self.on_a_branch_of_its_own()
        told["merge_request"] |= {"iid": 4711}
        return told

    def description(self) -> Payload:
        issue = self._issue()
        _, body = self._server.issue_hook(issue)
        return _with(json.loads(body), description=f"@claude {EVIL}", action="open")

    def assigned(self) -> Payload:
        issue = self._issue()
        _, body = self._server.issue_hook(issue)
        changes = {"assignees": {"previous": [], "current": [{"username": "claude"}]}}
        return _with(json.loads(body), action="update") | {"changes": changes}

    def _issue(self) -> Record:
        return self._server.issue(SERVED, next(self._numbers), description="So.", author_id=ADA)

    def _note(self, text: str, author: int, project: int = SERVED) -> Record:
        number = next(self._numbers)
        self._server.issue(project, number, author_id=author)
        return self._server.note(project, "issue", number, author_id=author, body=text)

    def _told(self, note: Record) -> Payload:
        _, body = self._server.note_hook(note)
        found: Payload = json.loads(body)
        return found


def _with(payload: Payload, **attributes: object) -> Payload:
    return payload | {"object_attributes": payload["object_attributes"] | attributes}


FORGERIES: dict[Callable[[Forger], Payload], Reason] = {
    Forger.absent: Reason.NOTE_CHANGED,
    Forger.of_another_author: Reason.NOTE_CHANGED,
    Forger.with_another_text: Reason.NOTE_CHANGED,
    Forger.of_another_project: Reason.NOTE_CHANGED,
    Forger.of_a_project_not_shown_to_us: Reason.PROJECT_NOT_SEEN,
    Forger.of_another_issue: Reason.NOTE_CHANGED,
    Forger.years_old: Reason.NOTE_CHANGED,
    Forger.deleted: Reason.NOTE_CHANGED,
    Forger.edited: Reason.NOTE_CHANGED,
    Forger.on_a_branch_of_its_own: Reason.FORK_MERGE_REQUEST,
    Forger.on_a_merge_request_of_its_own: Reason.NOTE_CHANGED,
    Forger.description: Reason.NOTE_CHANGED,
    Forger.assigned: Reason.NOTE_CHANGED,
}


class Forged(NamedTuple):
    """How many deliveries, pipelines of true ones and of forged ones, and what ended otherwise."""

    deliveries: int
    true: int
    pipelines: int
    wrong: tuple[str, ...]


def forged() -> Forged:
    """Deliver every forgery, signed, and a true comment that lies about the default branch."""
    with StandIn() as server:
        seed(server)
        with Service(server.url) as service:
            forger = Forger(server)
            payloads = [make(forger) for make in FORGERIES]
            lying = forger.true()
            lying["project"] |= {"default_branch": "evil", "path_with_namespace": "evil/app"}
            runs = [_delivered(service, payload) for payload in [*payloads, lying]]
            service.settle(60)
            ends = _ends(service.output())
        started = {_flow(call)["id"]: call.json["ref"] for call in _triggers(server)}
        wrong = [
            f"{make.__name__}: {ends.get(run)}"
            for run, (make, end) in zip(runs[:-1], FORGERIES.items(), strict=True)
            if run in started or ends.get(run) != str(end)
        ]
        if started.get(runs[-1]) != "main":
            wrong.append(f"a true comment: {ends.get(runs[-1])}")
        true = int(runs[-1] in started)
        return Forged(len(runs), true, len(server.pipelines) - true, tuple(wrong))


def _delivered(service: Service, payload: Payload) -> str:
    body = json.dumps(payload).encode()
    answer = service.deliver("POST", fakes.sign(body, time.time()), body)
    return str(json.loads(answer.body)["run"])


def _ends(output: str) -> dict[str, str]:
    """Return the last reason that the log names of each run."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {line["run"]: line["reason"] for line in lines if "run" in line}


def _triggers(server: StandIn) -> list[Any]:
    calls = (call for call in server.calls if call.path.endswith("/trigger/pipeline"))
    return [call for call in calls if call.status == 201]


def _flow(call: Any) -> Payload:
    found: Payload = call.json["ai_flow"]
    return found


# What changes between two calls.


class _Swapping(StandIn):
    """Lets something happen before the n-th call from now; the clock moves on with each."""

    happens: Callable[[], object] = staticmethod(lambda: None)
    before = 0

    def _answer(self, *request: Any) -> Any:
        self.clock.time += 2.0  # type: ignore[attr-defined]
        if self.before == 0:
            self.happens()
        self.before -= 1
        return super()._answer(*request)


class Asked(NamedTuple):
    """A request in its thread, as a swap finds it."""

    server: StandIn
    on: Record
    note: Record | None

    def texts(self, **fields: str) -> None:
        """Edit title or description, as whoever may in the browser."""
        edit = self.server.edit_issue if _is_issue(self.on) else self.server.edit_merge_request
        edit(SERVED, self.on["iid"], user_id=EVE, **fields)


def _text(asked: Asked) -> None:
    if asked.note:
        asked.note.update(body=f"@claude {EVIL}", updated_at=asked.server.clock())
    else:
        asked.texts(description=f"@claude {EVIL}")


def _title(asked: Asked) -> None:
    asked.texts(title=f"{EVIL}, @claude")


def _description(asked: Asked) -> None:
    asked.texts(description=EVIL)


def _branch(asked: Asked) -> None:
    asked.on.update(source_branch=EVIL, source_project_id=FORK)


def _other_comment(asked: Asked) -> None:
    others = [asked.server.notes[each] for each in asked.server.notes_on(asked.on)]
    for other in others:
        if other["author_id"] == EVE:
            other.update(body=EVIL, updated_at=asked.server.clock())


def _confidential(asked: Asked) -> None:
    asked.on["confidential"] = True


def _author(asked: Asked) -> None:
    (asked.note or asked.on)["author_id"] = EVE


def _deleted(asked: Asked) -> None:
    if asked.note and asked.note["id"] in asked.server.notes:
        asked.server.remove_note(asked.note)


def _membership(asked: Asked) -> None:
    asked.server.remove_member(SERVED, ADA)


SWAPS = (
    _text, _title, _description, _branch, _other_comment, _confidential, _author, _deleted,
    _membership,
)  # fmt: skip
KINDS = ("issue", "merge_request", "long", "opened")
CALLS = 13  # more than any of the runs makes

ENDS = {
    Reason.TRIGGERED, Reason.NOTE_CHANGED, Reason.FORK_MERGE_REQUEST, Reason.NOT_A_MEMBER,
}  # fmt: skip


def _is_issue(on: Record) -> bool:
    return bool(on["noteable_type"] == "Issue")


class Swapped(NamedTuple):
    """How many runs, their ends, how many triggers held what was approved, what went wrong."""

    runs: int
    ends: Counter[str]
    wrong: tuple[str, ...]


def trials() -> Iterator[tuple[str, Callable[[Asked], None], int]]:
    """Yield what is asked, what is swapped, and before which call."""
    yield from product(KINDS, SWAPS, range(CALLS))


def swapped(every: int = 1) -> Swapped:
    """Play each so many-th of the trials: the same call sees what was approved, or the run ends."""
    ends, wrong, runs = Counter[str](), list[str](), 0
    with ExitStack() as stack:
        server = stack.enter_context(_Swapping(clock=fakes.Clock()))
        seed(server)
        for number, (kind, swap, before) in enumerate(trials()):
            if number % every:
                continue
            end, found = _played(server, number, kind, swap, before)
            runs += 1
            ends[str(end)] += 1
            wrong += [f"{kind}, {swap.__name__} before call {before}: {each}" for each in found]
    return Swapped(runs, ends, tuple(wrong[:5]))


def _played(
    server: _Swapping, number: int, kind: str, swap: Callable[[Asked], None], before: int
) -> tuple[object, list[str]]:
    clock = server.clock
    assert isinstance(clock, fakes.Clock)
    server.before = -1
    asked, payload = _asks(server, number + 1, kind)
    environment = {"GITLAB_URL": server.url, "RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0"}
    _, [run] = journeys.received(payload, clock, None, **environment)
    clock.time += 10.0
    server.calls.clear()
    server.happens, server.before = lambda: swap(asked), before
    tokens = {str(SERVED): f"{fakes.TRIGGER_TOKEN}-{SERVED}"}
    document = json.dumps({"api_token": fakes.API_TOKEN, "trigger_tokens": tokens})
    secrets = Cached(lambda: document, GitLabSecrets.parse, clock)
    services = Services(
        journeys.settings(**environment),
        secrets,
        fakes.Records(),
        Adapter(server.url, secrets),
        clock,
        fakes.Log(),
    )
    end: object = "no end"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            end = dispatch(run, services, last=attempt == ATTEMPTS)
            break
        except Retry as error:
            clock.time += error.after
    wrong = [] if end in ENDS else [f"ended as {end}"]
    calls = _triggers(server)
    if len(calls) != (end is Reason.TRIGGERED):
        wrong.append(f"{len(calls)} pipelines of a run that ended as {end}")
    approved = _LONG if run.instruction is None else run.instruction
    return end, wrong + [each for call in calls for each in _judged(approved, call.json)]


def _judged(approved: str, body: Payload) -> list[str]:
    """Say what of a trigger call nobody had approved."""
    flow = body["ai_flow"]
    internal = flow["context"]["note"]["internal"]
    found = []
    if flow["input"] != (None if internal else approved):
        found.append("another instruction")
    if internal and {"AI_FLOW_INPUT", "AI_FLOW_CONTEXT"} & body["variables"].keys():
        found.append("an internal text in a variable")
    if EVIL in json.dumps(body):
        found.append("the swapped text")
    if body["ref"] != "main":
        found.append("another branch")
    return found


def _asks(server: StandIn, number: int, kind: str) -> tuple[Asked, Payload]:
    """Let Ada ask in a thread where Eve has said something; return the delivery of it."""
    server.member(SERVED, ADA, 30)
    texts = {"title": "It breaks", "description": "Since Monday.", "author_id": ADA}
    if kind == "opened":
        on = server.issue(SERVED, number, **texts | {"description": "@claude fix it"})  # type: ignore[arg-type]
        _, body = server.issue_hook(on)
        return Asked(server, on, None), json.loads(body)
    if kind == "merge_request":
        on = server.merge_request(SERVED, number, source_branch="feature", **texts)  # type: ignore[arg-type]
    else:
        on = server.issue(SERVED, number, **texts)  # type: ignore[arg-type]
    place = "merge_request" if kind == "merge_request" else "issue"
    server.note(SERVED, place, number, author_id=EVE, body="Me too.")
    server.clock.time += 10.0  # type: ignore[attr-defined]
    text = f"@claude {_LONG if kind == 'long' else 'fix it'}"
    note = server.note(SERVED, place, number, author_id=ADA, body=text)
    _, body = server.note_hook(note)
    return Asked(server, on, note), json.loads(body)
