"""The single faults once more over HTTP: python-gitlab against the stand-in, in virtual time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any, TypeVar
from unittest.mock import patch

from functions.gitlab import GitLab, client, people, surroundings
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import (
    Diff,
    GitLabError,
    Job,
    Member,
    Note,
    Pipeline,
    Project,
    Reply,
    Target,
    User,
)
from shared.incoming.event import Branches, Event
from shared.installation.secrets import Cached, GitLabSecrets, Secret
from shared.runs.detect import request
from shared.runs.request import from_json
from tests.proofs.faults.catalogue import GRIEF, POINTS, Fault, Point, Schedule, with_preamble
from tests.proofs.faults.journey import SQS, Journey
from tests.proofs.faults.model import Clock, Killed, Trouble
from tests.proofs.faults.schedules import Tally, Wrong
from tests.support.fakes import API_TOKEN, GITLAB_SECRETS, NOTE, TRIGGER_TOKEN
from tests.support.gitlab import contract, diffs
from tests.support.gitlab.server import Fault as Happening
from tests.support.gitlab.server import GitLab as StandIn

Value = TypeVar("Value")

LIMITS = (0.4, 0.4)  # seconds to connect and between bytes, instead of 3 and 10
_OURS = 99
_TEXT = "\N{BROOM}" * 6_000  # 72,000 bytes of JSON, soon read
_THREAD = "/api/v4/projects/7/merge_requests/3"
_PATHS = {
    "user": "GET /api/v4/users/*",
    "member": "GET /api/v4/projects/7/members/all/*",
    "project": "GET /api/v4/projects/7",
    "note": f"GET {_THREAD}/notes/*",
    "award": f"POST {_THREAD}/notes/*/award_emoji",
    "target": f"GET {_THREAD}",
    "notes": f"GET {_THREAD}/notes",
    "roles": "GET /api/v4/projects/7/members/all",
    "discussion": f"GET {_THREAD}/discussions/*",
    "diffs": f"GET {_THREAD}/diffs",
    "trigger": "POST /api/v4/projects/7/trigger/pipeline",
    "jobs": "GET /api/v4/projects/7/pipelines/*/jobs",
    "find_pipeline": "GET /api/v4/projects/7/pipelines",
    "replied": f"GET {_THREAD}/discussions/*",
    "reply": f"POST {_THREAD}/discussions/*/notes",
}


class _Wired(GitLab):
    """The real adapter; before each call the stand-in is told what will go wrong with it."""

    def __init__(self, server: StandIn, trouble: Trouble) -> None:
        secrets = Cached(lambda: GITLAB_SECRETS, GitLabSecrets.parse, trouble.clock)
        super().__init__(server.url, secrets)
        self._server, self._trouble = server, trouble
        self._real = GitLab(server.url, secrets)
        self._unreachable = GitLab("http://127.0.0.1:1", secrets)

    def user(self, user_id: int) -> User | None:
        return self._meet("user", lambda there: there.user(user_id))

    def member(self, project_id: int, user_id: int) -> Member | None:
        return self._meet("member", lambda there: there.member(project_id, user_id))

    def note(self, event: Event) -> Note:
        return self._meet("note", lambda there: there.note(event))

    def project(self, project_id: str) -> Project | None:
        return self._meet("project", lambda there: there.project(project_id))

    def award(self, event: Event, emoji: str) -> int:
        return self._meet("award", lambda there: there.award(event, emoji))

    def jobs(self, project_id: int, pipeline_id: int, *, retried: bool = False) -> tuple[Job, ...]:
        return self._meet(
            "jobs", lambda there: there.jobs(project_id, pipeline_id, retried=retried)
        )

    def target(self, event: Event) -> Target:
        return self._meet("target", lambda there: there.target(event))

    def notes(self, event: Event) -> Iterator[Note]:
        yield from self._meet("notes", lambda there: list(there.notes(event)))

    def discussion(self, event: Event) -> list[int]:
        return self._meet("discussion", lambda there: there.discussion(event))

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        return self._meet("roles", lambda there: there.roles(project_id, user_ids))

    def diffs(self, event: Event) -> Iterator[Diff]:
        yield from self._meet("diffs", lambda there: list(there.diffs(event)))

    def reply(self, event: Event, body: str) -> int:
        return self._meet("reply", lambda there: there.reply(event, body))

    def replied(self, event: Event, mark: str) -> Reply | None:
        return self._meet("replied", lambda there: there.replied(event, mark))

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        return self._meet("trigger", lambda there: there.trigger(project_id, token, body))

    def find_pipeline(self, project_id: int, mark: str, since: float) -> Pipeline | None:
        return self._meet(
            "find_pipeline", lambda there: there.find_pipeline(project_id, mark, since)
        )

    def _meet(self, step: str, call: Callable[[GitLab], Value]) -> Value:
        fault, there = self._trouble.schedule.meet(step), self._real
        self._trouble.before(fault)
        if fault.late:
            self._trouble.clock.later(GRIEF, lambda: _unheard(call, there))
        if not fault.sent:
            return call(self._unreachable)
        if fault.killed:
            if not fault.late:
                _unheard(call, there)
            raise Killed
        happening = _happening(fault)
        if happening:
            self._server.fault(_PATHS[step], happening)
        try:
            return call(there)
        finally:
            self._trouble.clock.wait(fault.seconds)


def _unheard(call: Callable[[GitLab], object], there: GitLab) -> None:
    with suppress(GitLabError):
        call(there)


def _happening(fault: Fault) -> Happening | None:
    """Return the stand-in's word for a fault; None where its call goes well."""
    acts = fault.acts and not fault.late
    if fault.status:
        return Happening.status(fault.status, retry_after=int(fault.after) or None, acts=acts)
    if fault.name.startswith("time-out"):
        return Happening.act_then_hang(2) if acts else Happening.hang(2)
    return {
        "reset before": Happening.reset_before(),
        "reset after": Happening.act_then_reset(),
        "broken JSON": Happening.broken_json(),
    }.get(fault.name)


class Scene:
    """A stand-in for one journey: a long mention on a line of a merge request's diff."""

    def __init__(self, server: StandIn) -> None:
        self._server = server
        server.user(42, "ada")
        server.user(_OURS, "claude", bot=True)
        server.project(7, "group/app")
        for user, level in ((42, 30), (_OURS, 40)):
            server.member(7, user, level)
        server.api_token(API_TOKEN, _OURS)
        server.trigger_token(TRIGGER_TOKEN, 7, _OURS)
        server.merge_request(7, 3, source_branch="feature", diffs=[diffs.file("app.py")])
        first = server.note(7, "merge_request", 3, author_id=42, body="Why is this?")
        note = server.note(
            7,
            "merge_request",
            3,
            author_id=42,
            body=f"@claude {_TEXT}",
            discussion_id=first["discussion_id"],
        )
        event = NOTE._replace(
            kind=MERGE_REQUEST,
            iid=3,
            branches=Branches("feature", "main", 7, "a" * 40),
            position={"new_path": "app.py", "new_line": 1},
            note_id=note["id"],
            discussion_id=note["discussion_id"],
            at=0.0,
        )
        self.run = from_json(request(event, _TEXT, "gitlab.com").to_json())

    def pipelines(self) -> int:
        return len(self._server.pipelines)

    def replies(self) -> list[str]:
        return [
            str(note["body"]) for note in self._server.notes.values() if note["author_id"] == _OURS
        ]


def singles() -> Iterator[tuple[Point, ...]]:
    """Yield every fault at every call of GitLab, with what it takes to get there."""
    for point in POINTS:
        if point[0] in _PATHS:
            yield from with_preamble((point,))


def play(points: tuple[Point, ...], tally: Tally) -> None:
    """Play one schedule and count its end."""
    clock = Clock()
    with ExitStack() as stack:
        stack.enter_context(patch.object(client, "TIMEOUT", LIMITS))
        for module in (people, surroundings):
            stack.enter_context(patch.object(module, "BRIEFLY", LIMITS))
        server = stack.enter_context(StandIn(clock=clock))
        scene = Scene(server)

        def wired(trouble: Trouble) -> Any:
            return _Wired(server, trouble)

        journey = Journey(scene.run, Schedule(points), wired, queue=SQS, clock=clock)
        journey.carry()
        end = journey.judge(scene)
        wrong = [*end.wrong, *(["call not in GitLab's API"] * bool(server.unknown_calls))]
        wrong += [
            problem for call in server.calls if not call.fault for problem in contract.check(call)
        ]
    tally.journeys += 1
    tally.faults += len(journey.schedule.met)
    tally.ends[end.word] += 1
    tally.twice += end.twice
    tally.met.update(journey.schedule.met)
    tally.wrong.update(wrong)
    tally.stories += [Wrong(what, "over HTTP", tuple(journey.schedule.met)) for what in wrong]


def run(every: int = 1) -> Tally:
    """Play the singles, or each so many-th of them."""
    tally = Tally()
    for number, points in enumerate(singles()):
        if number % every == 0:
            play(points, tally)
    return tally
