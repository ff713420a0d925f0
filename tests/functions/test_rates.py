"""GitLab.com's rate limits: what a run costs, a steady day without 429, a burst that waits."""

import heapq
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import ClassVar, NamedTuple

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from shared.dispatch import dispatch
from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.payloads import parse
from shared.outcome.reasons import Retry
from shared.runs.detect import ask
from shared.runs.record import ATTEMPTS, pause
from shared.runs.request import RunRequest, TrackRequest
from tests.support.event_cases import OURS, PROJECT
from tests.support.event_checks import Worker
from tests.support.gitlab import contract
from tests.support.gitlab.limits import GITLAB_COM

pytestmark = pytest.mark.timeout(300)  # 15,000 calls, on a machine used by others too
FIRST = 1_000  # ids of people
STATUSES = {1: "pending", 20: "running", 120: "success"}  # seconds after the run began
ON = "projects/:id/issues/:iid"
COST = {
    "GET users/:user_id": 1,
    "GET projects/:id/members/all/:user_id": 1,
    f"POST {ON}/notes/:note_id/award_emoji": 2,  # 👀, ✅
    f"GET {ON}": 1,
    f"GET {ON}/notes": 1,
    f"GET {ON}/discussions/:discussion_id": 1,
    "POST projects/:id/trigger/pipeline": 1,
    f"POST {ON}/discussions/:discussion_id/notes": 1,  # the one note
    "GET projects/:id/pipelines/:pipeline_id": 3,  # again where something was written, but an end
    "GET projects/:id/pipelines/:pipeline_id/jobs": 3,
    f"GET {ON}/notes/:note_id": 2,
    f"PUT {ON}/notes/:note_id": 2,  # at work, finished; `pending` is what the first reply says
    f"DELETE {ON}/notes/:note_id/award_emoji/:award_id": 1,
}


_LIMITS = {"users": "users", "members": "members", "discussions": "notes"}


class Day(Worker):
    """A queue and its clock: what is due is done in order, one request of a thread at a time."""

    running: "ClassVar[Day]"

    def __init__(self) -> None:
        super().__init__()
        Day.running = self
        self.clock.time -= self.clock.time % 600  # where GitLab's windows begin
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._threads: dict[str, deque[RunRequest | TrackRequest]] = defaultdict(deque)
        self._attempts: Counter[str] = Counter()
        self._count = itertools.count()
        self.asked: list[RunRequest] = []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._due, (self.clock.time + seconds, next(self._count), action))

    def run(self) -> None:
        """Let time pass until nothing is left to do."""
        while self._due:
            moment, _, action = heapq.heappop(self._due)
            self.clock.time = max(self.clock.time, moment)
            action()

    def ask(self, author: int, project: int, issue: int) -> None:
        """Let somebody ask, and the delivery of it come in."""
        if author not in self.gitlab.users:
            self.gitlab.user(author, f"user-{author}")
        self.gitlab.member(project, author, 30)
        if (project, issue) not in self.gitlab.issues:
            self.gitlab.issue(project, issue, author_id=author)
        note = self.gitlab.note(project, "issue", issue, author_id=author, body="@claude fix it")
        request = ask(
            parse(VerifiedDelivery(self.gitlab.note_hook(note)[1])), self.services.settings
        )
        assert isinstance(request, RunRequest)
        self.asked.append(request)
        self.put(request)

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Queue a request."""
        waiting = self._threads[request.thread]
        waiting.append(request)
        if len(waiting) == 1:
            self.later(0, lambda: self._carry(waiting))

    def follow(self, pipeline: int) -> None:
        """Let a pipeline move on and its events come in."""
        for seconds, status in STATUSES.items():
            self.later(seconds, lambda status=status: self._moves(pipeline, status))  # type: ignore[misc]

    def _moves(self, pipeline: int, status: str) -> None:
        self.gitlab.set_pipeline(pipeline, status)
        self.put(
            ask(
                parse(VerifiedDelivery(self.gitlab.pipeline_hook(pipeline)[1])),
                self.services.settings,
            )
        )

    def _carry(self, waiting: deque[RunRequest | TrackRequest]) -> None:
        request, before = waiting[0], set(self.gitlab.pipelines)
        self._attempts[request.id] += 1
        attempt = self._attempts[request.id]
        try:
            dispatch(request, self.services, last=attempt >= ATTEMPTS)
        except Retry as error:
            self.later(max(error.after, pause(attempt)), lambda: self._carry(waiting))
        else:
            waiting.popleft()
            if waiting:
                self.later(0, lambda: self._carry(waiting))
        for pipeline in self.gitlab.pipelines.keys() - before:
            self.follow(pipeline)

    def check(self) -> None:
        """No run is lost or doubled, and each has its one reply: it has finished."""
        gitlab = self.gitlab
        runs = Counter(
            call.json["ai_flow"]["id"]
            for call in gitlab.calls
            if call.path.endswith("/trigger/pipeline") and call.status == 201
        )
        assert runs == Counter(request.id for request in self.asked)
        assert len(runs) == len(gitlab.pipelines)
        for request in self.asked:
            thread = [
                gitlab.notes[number]
                for number in gitlab.ids("discussion", request.event.discussion_id)
            ]
            [reply] = [note["body"] for note in thread if note["author_id"] == OURS]
            assert reply.startswith("Claude has finished")
            awards = [
                gitlab.emoji[number]["name"]
                for number in gitlab.ids("emoji", "Note", request.event.note_id)
            ]
            assert awards == ["white_check_mark"]
        assert len([note for note in gitlab.notes.values() if note["author_id"] == OURS]) == len(
            runs
        )
        assert not gitlab.unknown_calls
        assert not [problem for call in gitlab.calls[::50] for problem in contract.check(call)]

    def refusals(self) -> Counter[str]:
        """Count refusals by limit: 400 is for pipelines, plain text for all calls, else one's own."""
        found: Counter[str] = Counter()
        for call in self.gitlab.calls:
            if call.status == 400:
                found["pipelines"] += "Too many pipelines" in str(call.response)
            elif call.status == 429:
                found[
                    "api"
                    if call.response == "Retry later\n"
                    else next(name for part, name in _LIMITS.items() if f"/{part}/" in call.path)
                ] += 1
        return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look for a proxy before each call, which would be a fifth of the test, and no socket."""
    monkeypatch.setattr("requests.sessions.get_environ_proxies", lambda *_, **__: {})
    monkeypatch.setattr(HTTPAdapter, "send", direct)


def direct(adapter: HTTPAdapter, request: PreparedRequest, **_: object) -> Response:
    """Let the GitLab of the running day answer a request as it answers one from the network."""
    body = request.body or b""
    answer = Day.running.gitlab._answer(
        str(request.method),
        request.path_url,
        {name.lower(): str(value) for name, value in request.headers.items()},
        body if isinstance(body, bytes) else str(body).encode(),
    )
    assert answer is not None, "a day without faults"
    status, headers, content = answer
    raw = HTTPResponse(BytesIO(content), dict(headers), status, preload_content=False)
    return adapter.build_response(request, raw)


class Burst(NamedTuple):
    """200 mentions at once: in how many projects, threads, and by how many people."""

    projects: int
    threads: int
    people: int


def test_one_run_costs_so_many_calls_of_each_kind() -> None:
    with Day() as day:
        day.ask(FIRST, PROJECT, 5)
        day.run()
        day.check()
        first = {kind: tally.total for kind, tally in day.gitlab.tally().items()}
        day.ask(FIRST, PROJECT, 5)
        day.run()
        second = {
            kind: tally.total - first.get(kind, 0) for kind, tally in day.gitlab.tally().items()
        }
    assert {kind: count for kind, count in second.items() if count} == COST
    # A project comes once in five minutes, and the first comment of a thread has no others.
    assert first.keys() - COST.keys() == {"GET projects/:id"}


def test_runs_at_20_a_minute_meet_no_limit(request: pytest.FixtureRequest) -> None:
    # 240 fill GitLab's longest window, ten minutes, and go on; `make faults` plays twice as many.
    runs = 500 if request.config.getoption("--whole") else 240
    with Day() as day:
        day.gitlab.gitlab_com_limits()
        for number in range(runs):
            person, issue = FIRST + number % 40, 5 + number % 100
            day.later(3 * number, partial(day.ask, person, PROJECT, issue))
        day.run()
        day.check()
        assert not day.refusals()
        tallies = day.gitlab.tally(user_id=OURS)
        replies = tallies[f"POST {ON}/discussions/:discussion_id/notes"]
        assert replies.total == runs
        assert replies.minute <= 20 <= GITLAB_COM["notes"][0]
        assert tallies["GET users/:user_id"].ten_minutes == 200 <= GITLAB_COM["users"][0]
        calls = sum(tally.minute for tally in tallies.values())
        assert calls <= 20 * (sum(COST.values()) + 1) <= GITLAB_COM["api"][0]


@pytest.mark.parametrize(
    ("burst", "limits", "longest"),
    [
        (Burst(projects=1, threads=50, people=20), {"pipelines", "users"}, 1800),
        pytest.param(
            Burst(projects=5, threads=200, people=200),
            {"pipelines", "notes"},
            600,
            marks=pytest.mark.whole,
        ),
    ],
    ids=["one project", "five projects"],
)
def test_200_mentions_at_once_are_all_served(
    burst: Burst, limits: set[str], longest: float
) -> None:
    projects = range(PROJECT, PROJECT + burst.projects)
    with Day() as day:
        day.gitlab.gitlab_com_limits()
        for project in projects:
            day.gitlab.projects[project].ci, day.gitlab.projects[project].variables_role = (
                "ours",
                "developer",
            )
            day.gitlab.projects[project].branches["main"] = f"{project:040x}"
        for number in range(200):
            thread = number % burst.threads
            day.ask(FIRST + number % burst.people, projects[thread % len(projects)], 5 + thread)
        began = day.clock.time
        day.run()
        day.check()
        assert day.refusals().keys() == limits
        assert day.clock.time - began <= longest
        contexts = [
            call.json["ai_flow"]["context"]
            for call in day.gitlab.calls
            if call.path.endswith("/trigger/pipeline")
        ]
        assert all(context["unread"] == [] for context in contexts), (
            "a refused look is no reason to know less"
        )
        awards = Counter(
            call.status
            for call in day.gitlab.calls
            if call.path.endswith("/award_emoji") and call.json
        )
        assert awards[201] == 2 * len(day.asked), "👀 and ✅ for each"
