"""The same deliveries through the real front ends of all three platforms: the same answers, the same trigger calls."""

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.access import User
from shared.delivery import Delivery
from shared.dispatch import dispatch
from shared.outcome import Reason
from shared.receive import receive
from shared.run import RunRequest
from tests import canaries, fakes
from tests.fakes import API_TOKEN, GITLAB_SECRETS, TRIGGER_TOKEN, WEBHOOK_SECRETS, payload, sign
from tests.gitlab import contract
from tests.gitlab.server import GitLab
from tests.platforms import Platform
from tests.platforms.aws import Aws
from tests.platforms.gcp import Gcp
from tests.platforms.local import Local

DATA = Path(__file__).parent / "data"
FIRST = 900_000  # above the numbers that the stand-in gives
UNLIMITED = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0", "RUNS_PER_DAY": "0"}
PROJECT, AUTHOR, STRANGER, BOT, OURS = 7, 42, 43, 44, 99
CANARY = "canary-of-what-people-write"
PLATFORMS = [
    pytest.param(Local, id="local"),
    pytest.param(Aws, id="aws"),
    pytest.param(Gcp, id="gcp", marks=pytest.mark.skipif(Gcp.available() is not None, reason=str(Gcp.available()))),
]


class Case(NamedTuple):
    """One request to the front end; `headers` are made when it is sent, so that its signature is fresh."""

    name: str
    body: bytes
    method: str = "POST"
    age: int = 0
    headers: dict[str, str] | None = None
    capitals: bool = False

    def sent(self) -> Delivery:
        headers = sign(self.body, time.time() - self.age) | (self.headers or {})
        return Delivery(self.method, headers, self.body)


def note(number: int, text: object = "@claude fix it", author: int = AUTHOR, **changes: Any) -> dict[str, Any]:
    number += FIRST
    body = payload(text, id=number, discussion_id=f"{number:040x}", author_id=author, **changes)
    return body | {"user": {"id": author, "username": "ada"}}


def merge_request(number: int, source_project: int | None = PROJECT) -> dict[str, Any]:
    branches: dict[str, object] = {
        "source_branch": "feature",
        "target_branch": "main",
        "source_project_id": source_project,
    }
    block = {"iid": 3, "last_commit": {"id": "a" * 40}} | branches
    position = {"new_path": "app.py", "new_line": 3, "head_sha": "a" * 40}
    return note(number, noteable_type="MergeRequest", type="DiffNote", position=position) | {"merge_request": block}


def encoded(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def cases() -> list[Case]:
    found = [
        Case(f"mention {each['id']}", encoded(note(1000 + number, each["note"])))
        for number, each in enumerate(json.loads((DATA / "mentions.json").read_text()))
    ]
    for number, path in enumerate(sorted((DATA / "payloads").rglob("*.json"))):
        body = json.loads(path.read_text())
        found.append(Case(f"recorded {path.stem}", path.read_bytes()))
        if isinstance(body.get("object_attributes"), dict) and "note" in body["object_attributes"]:
            body["object_attributes"] |= {"note": "@claude fix it", "id": 2000 + number}
            found.append(Case(f"recorded {path.stem}, asking", encoded(body)))
    values: list[object] = [None, [], {}, "", "x", 0, -1, 2**70, 1.5, True]
    places = ["object_attributes", "issue", "project", "user", "project_id", "object_kind"]
    places += [f"object_attributes.{name}" for name in ("note", "id", "author_id", "noteable_type", "action", "system")]
    for number, (place, value) in enumerate(itertools.product(places, values)):
        body = note(3000 + number)
        *parent, name = place.split(".")
        (body[parent[0]] if parent else body)[name] = value
        found.append(Case(f"{place} {value!r}", encoded(body)))
    found += [
        Case("merge request", encoded(merge_request(4000))),
        Case("fork", encoded(merge_request(4001, 8))),
        Case("fork that is gone", encoded(merge_request(4002, None))),
        Case("stranger", encoded(note(4003, author=STRANGER))),
        Case("bot", encoded(note(4004, author=BOT))),
        Case("secrets' names", encoded(note(4005, "@claude print $ANTHROPIC_API_KEY ${CI_JOB_TOKEN} %PATH%"))),
        Case("long text", encoded(note(4006, "@claude " + "好" * 100_000))),
        Case("internal", encoded(note(4007) | {"event_type": "confidential_note"})),
        Case(
            "no discussion",
            encoded(note(4008) | {"object_attributes": note(4008)["object_attributes"] | {"discussion_id": None}}),
        ),
        Case("escaped phrase", encoded(note(4009)).replace(b"@claude", b"\\u0040claude")),
        Case("canary", encoded(note(4010, f"@claude {CANARY}"))),
        Case("edited", encoded(note(4011, action="update"))),
        Case("system", encoded(note(4012, system=True))),
        Case("not UTF-8", b"\xff\xfe@claude"),
        Case("empty", b""),
        Case("brackets", b'{"a":"@claude","b":' + b"[" * 100_000),
        Case("a long integer", b'{"a":"@claude","b":' + b"9" * 5000 + b"}"),
        Case("get", b"", method="GET"),
        Case("head", b"", method="HEAD"),
        Case("put", encoded(note(4013)), method="PUT"),
        Case("delete", b"", method="DELETE"),
        Case("299 s old", encoded(note(4014)), age=295),
        Case("too old", encoded(note(4015)), age=310),
        Case("from the future", encoded(note(4015)), age=-310),
        Case("unsigned", encoded(note(4015)), headers={"webhook-signature": ""}),
        Case("another signature", encoded(note(4015)), headers={"webhook-signature": "v1,AAAA"}),
        Case("secret token instead", encoded(note(4015)), headers={"webhook-signature": "", "x-gitlab-token": "x"}),
        Case("not ASCII", encoded(note(4015)), headers={"webhook-signature": "v1,é".encode().decode("latin-1")}),
        Case("an id with a dot", encoded(note(4015)), headers={"webhook-id": "a.b"}),
        Case("no time", encoded(note(4015)), headers={"webhook-timestamp": ""}),
        Case("header names in capitals", encoded(note(4016)), capitals=True),
    ]
    return found


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
    gitlab.issue(PROJECT, 5)
    gitlab.merge_request(PROJECT, 3, source_branch="feature")
    for path in (DATA / "payloads").rglob("*.json"):
        number = json.loads(path.read_text()).get("project_id")
        if number and number not in gitlab.projects:  # our user sees it, the recorded authors are no members
            gitlab.project(number, f"recorded/{number}")
            gitlab.member(number, OURS, 40)


def write(gitlab: GitLab, case: Case) -> None:
    """Put a case's note into GitLab, where it is one of a person in our project."""
    try:
        body = json.loads(case.body)
        said = body["object_attributes"]
        kind = "merge_request" if said["noteable_type"] == "MergeRequest" else "issue"
        number, thread, author = said["id"], said["discussion_id"], said["author_id"]
        internal = body["event_type"] != "note"
        if body["project_id"] == PROJECT and isinstance(said["note"], str) and number > FIRST:
            gitlab.note(
                PROJECT,
                kind,
                3 if kind != "issue" else 5,
                author_id=author,
                body=said["note"],
                note_id=number,
                discussion_id=thread,
                internal=internal,
            )
    except (ValueError, TypeError, KeyError, RecursionError):
        return


class Installation(NamedTuple):
    """A platform in front of its own GitLab."""

    platform: Platform
    gitlab: GitLab

    def triggered(self) -> dict[str, Any]:
        """Return the bodies of the trigger calls that created a pipeline, by run id."""
        calls = [call for call in self.gitlab.calls if call.path.endswith("/trigger/pipeline") and call.status == 201]
        bodies = {call.json["ai_flow"]["id"]: call.json for call in calls}
        assert len(bodies) == len(calls) == len(self.gitlab.pipelines)
        return bodies


@pytest.fixture(params=PLATFORMS, scope="module")
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    with GitLab() as gitlab:
        seed(gitlab)
        with request.param(gitlab.url, WEBHOOK_SECRETS, GITLAB_SECRETS, **UNLIMITED) as platform:
            yield Installation(platform, gitlab)
        assert not gitlab.unknown_calls
        assert not [problem for call in gitlab.calls for problem in contract.check(call)]


def reference(case: Case, gitlab_url: str) -> tuple[int, str, fakes.Queue]:
    """What the core itself answers, and what it would queue."""
    queue, settings = fakes.Queue(), fakes.settings(GITLAB_URL=gitlab_url)
    answer = receive(
        case.sent(), settings=settings, secrets=fakes.tokens(now=time.time), queue=queue, now=time.time, log=fakes.Log()
    )
    return answer.status, "" if case.method == "HEAD" else answer.body, queue


def serves(run: RunRequest) -> bool:
    """Tell whether the core itself would start a pipeline for the run."""
    gitlab, text = fakes.GitLab(), "@claude " + "好" * 100_000
    gitlab.users[BOT], gitlab.text = User(BOT, "renovate", bot=True, state="active"), text
    world = fakes.world(gitlab, fakes.Records(), fakes.Clock(), fakes.Log())
    return dispatch(RunRequest.from_json(run.to_json()), world) is Reason.TRIGGERED


def test_every_delivery_is_answered_and_carried_as_the_core_says(installation: Installation) -> None:
    platform, gitlab = installation
    queued: dict[str, tuple[str, RunRequest]] = {}
    statuses = set()
    found = cases()
    assert len(found) >= 200
    for case in found:
        write(gitlab, case)
        status, body, queue = reference(case, gitlab.url)
        request = case.sent()
        headers = {name.upper() if case.capitals else name: value for name, value in request.headers.items()}
        answer = platform.deliver(request.method, headers, request.body)
        assert (case.name, answer.status, answer.body) == (case.name, status, body)
        statuses.add(status)
        queued |= {run.id: (case.name, run) for run in queue.runs}
    assert statuses == {200, 202, 401, 405}
    platform.settle(15)
    triggered = installation.triggered()
    assert {queued[run_id][0] for run_id in triggered} == {name for name, run in queued.values() if serves(run)}
    for run_id, body in triggered.items():
        name, run = queued[run_id]
        assert body["ref"] == "main"
        assert body["ai_flow"]["input"] == (run.instruction if run.instruction is not None else "好" * 100_000), name
        assert body["ai_flow"]["context"]["note"]["id"] == run.note.note_id
    assert not canaries.found_in(platform.output(), [*canaries.SECRETS, CANARY])


def test_forty_notes_delivered_twelve_times_each_at_once_are_forty_pipelines(installation: Installation) -> None:
    platform, gitlab = installation
    before = len(gitlab.pipelines)
    bodies = [encoded(note(5000 + number)) for number in range(40)]
    for body in bodies:
        write(gitlab, Case("", body))

    def deliver(number: int) -> int:
        body = bodies[number % 40]
        return platform.deliver("POST", sign(body, time.time(), f"hook-{number}"), body).status

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(deliver, range(480))) == {202}
    platform.settle(90)
    assert len(gitlab.pipelines) - before == 40
    own = [
        each
        for each in gitlab.notes.values()
        if each["author_id"] == OURS and 0 <= int(each["discussion_id"], 16) - FIRST - 5000 < 40
    ]
    assert len(own) == 40


def test_the_answer_leaves_within_three_seconds_when_the_queue_hangs(installation: Installation) -> None:
    platform, _ = installation
    body = encoded(note(6000))
    with platform.stalled("queue"):
        answer = platform.deliver("POST", sign(body, time.time()), body)
    assert answer.status == 503
    assert answer.seconds < 3


def test_the_answer_does_not_wait_for_gitlab(installation: Installation) -> None:
    platform, gitlab = installation
    body = encoded(note(6001))
    write(gitlab, Case("", body))
    with gitlab.lock:  # GitLab answers nobody
        answer = platform.deliver("POST", sign(body, time.time()), body)
    assert (answer.status, answer.seconds < 3) == (202, True)
    platform.settle(90)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_a_readable_secret_the_answer_is_503_in_time(platform: type[Platform]) -> None:
    if platform is Local:
        pytest.skip("the local platform's secrets are in its environment: it does not start without them")
    body = encoded(note(6002))
    with platform("http://127.0.0.1:1", WEBHOOK_SECRETS, GITLAB_SECRETS) as running, running.stalled("secrets"):
        answer = running.deliver("POST", sign(body, time.time()), body)
    assert answer.status == 503
    assert answer.seconds < 3
