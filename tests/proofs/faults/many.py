"""Days of sweeps over thousands of projects in simulated time: is anybody left out, at what price?

GitLab answers each call in a tenth of a second and keeps its time of last activity as it does: the
first event of an hour. Now and then it forgets to. No delivery arrives at all, so each mention is
the sweep's to find; a sweep that takes longer than its function may is killed.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from shared.gitlab.values import Hook, Project, SweptNote
from shared.incoming.event import Event
from shared.runs import projects
from shared.runs.record import Record, State, key_of
from shared.runs.request import RunRequest, TrackRequest
from shared.runs.store import KEPT
from shared.sweep import ROUND, sweep
from tests.proofs.faults.schedules import SEED
from tests.support import fakes
from tests.support.fakes import NOTE, NOW

CALL, LIMIT, EVERY = 0.1, 100.0, 300  # seconds: a call, a function, from one sweep to the next
DAY = 86_400.0
_PAGE = 100
_KNOWN = 300.0  # seconds the adapter uses what it knows of a project
_COMMENTS = 5  # of an active project in a day, one of them a mention
_FORGOTTEN = 100  # of so many active projects GitLab forgets to write down that one is


class Many(NamedTuple):
    """What days of sweeps came to; times in seconds.

    `after` and `latest` are the times to half of the mentions and to the last of those that GitLab's
    list of active projects told of, `unlisted` to the last that it did not tell of. `oldest` is the
    longest that a project went unseen, `starved` how many did for longer than a round and an hour.
    """

    mentions: int
    lost: int
    after: float
    latest: float
    unlisted: float
    first_round: float
    oldest: float
    starved: int
    killed: int
    longest: float
    calls_a_day: int


class _Comment(NamedTuple):
    """A comment, and whether GitLab writes down that something happened in its project."""

    at: float
    project_id: int
    note_id: int
    told: bool

    @property
    def asks(self) -> bool:
        """Tell whether it mentions us."""
        return self.note_id % _COMMENTS == 0


class _Killed(BaseException):
    """The function's time is over."""


class _GitLab(fakes.GitLab):
    """Projects by number; `wrote` lets somebody comment."""

    def __init__(self, number: int, clock: fakes.Clock) -> None:
        super().__init__()
        self.projects = [
            Project(each, f"group/{each}", "main", public=False) for each in range(1, number + 1)
        ]
        self.webhooks = [Hook(1, disabled=False)]
        self.clock, self.calls, self.deadline = clock, 0, float("inf")
        self._active: dict[int, float] = {}
        self._comments: dict[int, list[_Comment]] = {}
        self._known: dict[int, float] = {}

    def hears_of(self, comment: _Comment) -> None:
        """Let a comment appear, and the project's time of last activity follow."""
        self._comments.setdefault(comment.project_id, []).append(comment)
        if comment.told and comment.at - self._active.get(comment.project_id, 0.0) > 3600:
            self._active[comment.project_id] = comment.at

    def project(self, project_id: str) -> Project | None:
        number = int(project_id)
        if self.clock() - self._known.get(number, 0.0) > _KNOWN:
            self._call()
            self._known[number] = self.clock()
        return self.projects[number - 1]

    def active_projects(self, since: float) -> Iterator[tuple[int, float]]:
        found = [each for each in sorted(self._active.items()) if each[1] >= since]
        for index, each in enumerate(found or [(0, 0.0)]):
            if index % _PAGE == 0:
                self._call()
            if found:
                self._known[each[0]] = self.clock()
                yield each

    def comments(self, project: Project, since: float) -> Iterator[SweptNote]:
        self._call()
        for each in self._comments.get(project.id, []):
            if each.at >= since:
                event = NOTE._replace(project_id=project.id, note_id=each.note_id, at=each.at)
                text = "@claude fix it" if each.asks else "looks good to me"
                yield SweptNote(each.at, event._replace(texts=(text,)))

    def changed_targets(self, project: Project, since: float) -> Iterator[Event]:
        self._call()
        self._call()
        yield from super().changed_targets(project, since)

    def hooks(self, project_id: int) -> list[Hook]:
        self._call()
        return super().hooks(project_id)

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        self._call()
        self._call()
        yield from super().failed_deliveries(project_id, hook_id, since)

    def _call(self) -> None:
        self.calls += 1
        self.clock.time += CALL
        if self.clock() > self.deadline:
            raise _Killed


class _Queue(fakes.Queue):
    """Carries each run out at once; `found` is when each comment was found."""

    def __init__(self, records: fakes.Records, clock: fakes.Clock) -> None:
        super().__init__()
        self._records, self._clock = records, clock
        self.found: dict[int, float] = {}

    def put(self, request: RunRequest | TrackRequest) -> None:
        assert isinstance(request, RunRequest)
        self.found[request.event.note_id] = self._clock()
        record = Record(request, State.FINISHED, 0.0, int(self._clock()) + KEPT)
        self._records.write(key_of(request.id), record.to_json(), None, record.expires)


class _Seen(NamedTuple):
    """What one sweep has shown, once the first day is over."""

    oldest: float
    starved: int
    calls: int


def run(number: int = 10_000, active: int = 1000, days: int = 3, seed: int = SEED) -> Many:
    """Let days pass; the first holds the first round, and counts for nothing else."""
    clock, records, end = fakes.Clock(NOW), fakes.Records(), NOW + days * DAY
    gitlab, queue = _GitLab(number, clock), _Queue(records, clock)
    services = fakes.services(gitlab, records, clock, fakes.Log())
    for project in gitlab.projects:
        projects.add(project.id, records, NOW)
    written = sorted(_comments(number, active, days, random.Random(seed)))  # noqa: S311
    coming, seen = iter([*written, _Comment(end, 0, 0, told=False)]), list[_Seen]()
    following, longest, first_round, killed = next(coming), 0.0, 0.0, 0
    for began in range(int(NOW), int(end), EVERY):
        clock.time = began
        while following.at <= began:
            gitlab.hears_of(following)
            following = next(coming)
        gitlab.deadline, before = began + LIMIT, gitlab.calls
        try:
            sweep(services, queue)
        except _Killed:
            killed += 1
        longest = max(longest, clock.time - began)
        marks = projects.known(records).values()
        if all(mark.tried for mark in marks):
            first_round = first_round or clock.time - NOW
        if began >= NOW + DAY:
            unseen = [clock.time - mark.until for mark in marks]
            starved = sum(each > ROUND + 3600 for each in unseen)
            seen.append(_Seen(max(unseen), starved, gitlab.calls - before))
    asked = [each for each in written if each.asks and NOW + DAY <= each.at < end - 1.1 * DAY]
    told, untold = (
        sorted(
            queue.found[each.note_id] - each.at
            for each in asked
            if each.told is listed and each.note_id in queue.found
        )
        for listed in (True, False)
    )
    return Many(
        mentions=len(asked),
        lost=len(asked) - len(told) - len(untold),
        after=told[len(told) // 2] if told else 0.0,
        latest=max(told, default=0.0),
        unlisted=max(untold, default=0.0),
        first_round=first_round,
        oldest=max(each.oldest for each in seen),
        starved=max(each.starved for each in seen),
        killed=killed,
        longest=longest,
        calls_a_day=round(sum(each.calls for each in seen) / (days - 1)),
    )


def _comments(number: int, active: int, days: int, draw: random.Random) -> Iterator[_Comment]:
    """Yield what is written in other projects each day."""
    note_id = 0
    for day in range(days):
        for index, project_id in enumerate(draw.sample(range(1, number + 1), active)):
            begun = NOW + day * DAY + draw.random() * DAY
            for _ in range(_COMMENTS):
                note_id += 1
                at = begun + draw.random() * 6000
                yield _Comment(at, project_id, note_id, told=index % _FORGOTTEN > 0)
