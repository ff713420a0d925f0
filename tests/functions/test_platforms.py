"""The same deliveries through the real front ends of all platforms: the same answers and calls.

Every case is played on the local platform. A cloud's own code sees methods, headers, bytes, and how
a run ends, but not what people write: there it is every odd request, every way to ask, and of what
is written the first case of each kind. `make faults` plays all of them on the clouds (`--whole`).
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from functions.gcp import adapters
from shared.dispatch import dispatch
from shared.gitlab.values import User
from shared.incoming.mention import sanitized
from shared.outcome.reasons import Reason
from shared.receive import receive
from shared.runs.request import RunRequest, from_json
from tests import DATA
from tests.support import canaries, fakes
from tests.support.fakes import API_TOKEN, GITLAB_SECRETS, TRIGGER_TOKEN, WEBHOOK_SECRETS, sign
from tests.support.gitlab import contract
from tests.support.gitlab.diffs import file
from tests.support.gitlab.server import GitLab
from tests.support.gitlab.told import know
from tests.support.platforms import Platform
from tests.support.platforms.aws import Aws
from tests.support.platforms.cases import (
    AUTHOR,
    BOT,
    CANARY,
    FIRST,
    OURS,
    PROJECT,
    SHA,
    SNIPPET,
    STRANGER,
    TEXTS,
    Case,
    conversation,
    encoded,
    note,
    odd,
    written,
)
from tests.support.platforms.gcp import Gcp
from tests.support.platforms.local import Local

UNLIMITED = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0", "RUNS_PER_DAY": "0"}
PLATFORMS = [
    pytest.param(Local, id="local"),
    pytest.param(Aws, id="aws"),
    pytest.param(
        Gcp,
        id="gcp",
        marks=pytest.mark.skipif(Gcp.available() is not None, reason=str(Gcp.available())),
    ),
]


def seed(gitlab: GitLab) -> None:
    gitlab.user(AUTHOR, "ada")
    gitlab.user(STRANGER, "eve")
    gitlab.user(BOT, "renovate", bot=True)
    gitlab.user(OURS, "claude", bot=True)
    gitlab.api_token(API_TOKEN, OURS)
    gitlab.project(PROJECT, "group/app")
    gitlab.trigger_token(TRIGGER_TOKEN, PROJECT, OURS)
    for user, level in ((AUTHOR, 30), (BOT, 30), (OURS, 40)):
        gitlab.member(PROJECT, user, level)
    changed = [file("app.py", lines=5)]
    gitlab.issue(PROJECT, 5).update(TEXTS)
    gitlab.merge_request(PROJECT, 3, source_branch="feature", diffs=changed).update(TEXTS)
    gitlab.known_commit(PROJECT, SHA)
    gitlab.snippet(PROJECT, SNIPPET)
    for path in (DATA / "payloads").rglob("*.json"):
        number = json.loads(path.read_text()).get("project_id")
        # Our user sees it, the recorded authors are no members.
        if number and number not in gitlab.projects:
            gitlab.project(number, f"recorded/{number}")
            gitlab.member(number, OURS, 40)


def write(gitlab: GitLab, case: Case) -> None:
    """Let GitLab hold what a case tells of."""
    with suppress(ValueError, RecursionError):  # broken JSON tells of nothing
        know(gitlab, json.loads(case.body))


class Installation(NamedTuple):
    """A platform in front of its own GitLab; `whole` plays all that there is."""

    platform: Platform
    gitlab: GitLab
    whole: bool

    def told(self, run_id: str) -> list[str]:
        """Return our replies to a run."""
        notes = list(self.gitlab.notes.values())
        ours = [each["body"] for each in notes if each["author_id"] == OURS]
        return [body for body in ours if f"run={run_id} " in body]

    def triggered(self) -> dict[str, Any]:
        """Return the bodies of the trigger calls that created a pipeline, by run id."""
        calls = [
            call
            for call in self.gitlab.calls
            if call.path.endswith("/trigger/pipeline") and call.status == 201
        ]
        bodies = {call.json["ai_flow"]["id"]: call.json for call in calls}
        assert len(bodies) == len(calls) == len(self.gitlab.pipelines)
        return bodies


@pytest.fixture(params=PLATFORMS, scope="module")
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    with GitLab() as gitlab:
        seed(gitlab)
        with request.param(gitlab.url, WEBHOOK_SECRETS, GITLAB_SECRETS, **UNLIMITED) as platform:
            whole = request.param is Local or request.config.getoption("--whole")
            yield Installation(platform, gitlab, whole)
        assert not gitlab.unknown_calls
        assert not [problem for call in gitlab.calls for problem in contract.check(call)]


def reference(case: Case, gitlab_url: str) -> tuple[int, str, fakes.Queue]:
    """What the core itself answers, and what it would queue."""
    queue, settings = fakes.Queue(), fakes.settings(GITLAB_URL=gitlab_url)
    answer = receive(
        case.sent(),
        settings=settings,
        secrets=fakes.tokens(now=time.time),
        queue=queue,
        now=time.time,
        log=fakes.Log(),
    )
    return answer.status, "" if case.method == "HEAD" else answer.body, queue


def carried(run: RunRequest, case: Case) -> Reason:
    """Return how the run ends by the core itself, where GitLab says what the delivery said."""
    gitlab, said = fakes.GitLab(), json.loads(case.body)["object_attributes"]
    gitlab.users[BOT] = User(BOT, "renovate", bot=True, state="active")
    if run.event.note_id:
        gitlab.said[run.event.note_id] = said["note"].encode("utf-8", "replace").decode()
    else:
        ours = ("claude",)
        gitlab.described = gitlab.described._replace(
            title=said["title"],
            description=said["description"],
            labels=ours,
            assignees=ours,
            reviewers=ours,
        )
    services = fakes.services(gitlab, fakes.Records(), fakes.Clock(), fakes.Log())
    return dispatch(from_json(run.to_json()), services)


def _input(run: RunRequest) -> str | None:
    """Return what the trigger tells of a run: its text without the options of `conversation`."""
    if run.event.internal:
        return None
    text = (
        sanitized(run.instruction, ("@claude",)) if run.instruction is not None else "好" * 100_000
    )
    return text.replace("--turns 5 ", "")


def of_each_kind(cases: list[Case], gitlab_url: str) -> list[Case]:
    """Return the first case of each answer, event, place and end."""
    found: dict[object, Case] = {}
    for case in cases:
        status, body, queue = reference(case, gitlab_url)
        ends = [(run.event.name, run.event.kind, carried(run, case)) for run in queue.runs]
        found.setdefault((status, json.loads(body)["reason"], *ends), case)
    return list(found.values())


def test_every_delivery_is_answered_and_carried_as_the_core_says(
    installation: Installation,
) -> None:
    platform, gitlab, whole = installation
    queued: dict[str, tuple[Case, RunRequest]] = {}
    statuses = set()
    tracked: list[str] = []
    vectors = written() if whole else of_each_kind(written(), gitlab.url)
    assert len(vectors) >= (200 if whole else 12)
    for case in [*vectors, *conversation(), *odd()]:
        write(gitlab, case)
        status, body, queue = reference(case, gitlab.url)
        request = case.sent()
        headers = {
            name.upper() if case.capitals else name: value
            for name, value in request.headers.items()
        }
        answer = platform.deliver(request.method, headers, request.body)
        assert (case.name, answer.status, answer.body) == (case.name, status, body)
        statuses.add(status)
        queued |= {run.id: (case, run) for run in queue.runs}
        tracked += [case.name] * len(queue.tracks)
    assert statuses == {200, 202, 401, 405}
    platform.settle(90)
    triggered = installation.triggered()
    ends = {run_id: carried(run, case) for run_id, (case, run) in queued.items()}
    assert {queued[run_id][0].name for run_id in triggered} == {
        queued[run_id][0].name for run_id, end in ends.items() if end is Reason.TRIGGERED
    }
    for run_id, body in triggered.items():
        (name, *_), run = queued[run_id]
        flow = body["ai_flow"]
        assert body["ref"] == "main"
        assert flow["event"] == run.event.name
        assert flow["input"] == _input(run), name
        assert flow["version"] == (2 if run.event.internal else 1)
        texts = {"AI_FLOW_INPUT", "AI_FLOW_CONTEXT"} & body["variables"].keys()
        assert bool(texts) is not run.event.internal
        assert flow["context"]["note"]["id"] == (run.event.note_id or None)
        assert not flow["context"]["unread"], name
    for run_id, ((name, *_), run) in queued.items():
        if run.event.project_id == PROJECT and name in {case.name for case in conversation()}:
            assert len(installation.told(run_id)) == 1, name
    words = {case.name: installation.told(run_id) for run_id, (case, _) in queued.items()}
    assert "`@claude review …`" in words["help"][0]
    assert Reason.TARGET_NOT_SERVED.sentence in words["a commit"][0]
    assert Reason.TARGET_NOT_SERVED.sentence in words["a snippet"][0]
    assert {queued[run_id][1].event.name for run_id in triggered} == {
        "mention",
        "assign",
        "assign_reviewer",
        "label",
    }
    assert any(run.event.internal for run_id, (_, run) in queued.items() if run_id in triggered)
    assert "a pipeline of ours" in tracked
    assert not canaries.found_in(platform.output(), [*canaries.SECRETS, CANARY])


def in_the_next_slot(platform: Gcp, patch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Move this process into the next slot of task names; return the runs that wait in this one."""
    patch.setattr(adapters, "time", SimpleNamespace(time=lambda: time.time() + adapters.SAME))
    found = (from_json(task.body) for task in platform.tasks.tasks.values())
    return [*{each.queue_key: each for each in found if isinstance(each, RunRequest)}.values()]


def test_notes_delivered_twelve_times_each_at_once_are_a_pipeline_each(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, gitlab, whole = installation
    notes, before = 40 if whole else 4, len(gitlab.pipelines)
    bodies = [encoded(note(5000 + number)) for number in range(notes)]
    for body in bodies:
        write(gitlab, Case("", body))

    def deliver(number: int) -> int:
        body = bodies[number % notes]
        return platform.deliver("POST", sign(body, time.time(), f"hook-{number}"), body).status

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(deliver, range(12 * notes))) == {202}
        if isinstance(platform, Gcp):  # later deliveries have new names: tasks come a second time
            known, queue = len(platform.tasks.tasks), platform.queue()
            again = in_the_next_slot(platform, monkeypatch)
            ours = [each for each in again if each.event.note_id >= FIRST + 5000]
            assert len(list(pool.map(queue.put, 3 * ours))) == 3 * notes
            assert len(platform.tasks.tasks) == known + notes
    platform.settle(90)
    assert len(gitlab.pipelines) - before == notes
    threads = [
        int(each["discussion_id"], 16) - FIRST - 5000
        for each in gitlab.notes.values()
        if each["author_id"] == OURS
    ]
    assert sorted(thread for thread in threads if thread in range(notes)) == list(range(notes))


def test_the_answer_leaves_within_three_seconds_when_the_queue_hangs(
    installation: Installation,
) -> None:
    platform = installation.platform
    body = encoded(note(6000))
    with platform.stalled("queue"):
        answer = platform.deliver("POST", sign(body, time.time()), body)
    assert answer.status == 503
    assert answer.seconds < 3


def test_the_answer_does_not_wait_for_gitlab(installation: Installation) -> None:
    platform, gitlab, _ = installation
    body = encoded(note(6001))
    write(gitlab, Case("", body))
    with gitlab.lock:  # GitLab answers nobody
        answer = platform.deliver("POST", sign(body, time.time()), body)
    assert (answer.status, answer.seconds < 3) == (202, True)
    platform.settle(90)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_a_readable_secret_the_answer_is_503_in_time(platform: type[Platform]) -> None:
    if platform is Local:
        pytest.skip(
            "the local platform's secrets are in its environment: it does not start without them"
        )
    body = encoded(note(6002))
    with (
        platform("http://127.0.0.1:1", WEBHOOK_SECRETS, GITLAB_SECRETS) as running,
        running.stalled("secrets"),
    ):
        answer = running.deliver("POST", sign(body, time.time()), body)
    assert answer.status == 503
    assert answer.seconds < 3
