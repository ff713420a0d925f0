"""What only AWS has: the cold path, the function URL's events, batches, visibility, log lines."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.event import Event
from shared.incoming.payloads import parse
from shared.runs.detect import request
from shared.runs.record import Record, State, key_of
from shared.runs.request import RunRequest
from tests import ROOT
from tests.support import fakes
from tests.support.gitlab.server import Fault, GitLab
from tests.support.platforms.aws import Aws
from tests.support.platforms.aws_events import url_event
from tests.support.platforms.aws_runtime import FunctionError, Sandbox

NOWHERE = "http://127.0.0.1:9"
REQUIRED = {
    "QUEUE_URL": "the SQS queue's URL",
    "WEBHOOK_SECRETS_ID": "a secret's name or ARN",
    "CLAIMS_TABLE": "the DynamoDB table's name",
    "GITLAB_SECRETS_ID": "a secret's name or ARN",
}

# Invokes `receive` with each event on standard input; tells which modules each step loaded, what it printed, and how
# many clients have been made so far.
PROBE = """
import contextlib, io, json, sys
known = set(sys.modules)
def step(action):
    global known
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = action()
    loaded, known = sorted(set(sys.modules) - known), set(sys.modules)
    clients = calls.session.cache_info().misses
    print(json.dumps({"status": status, "loaded": loaded, "printed": printed.getvalue(), "clients": clients}))
def load():
    global calls, handlers
    import functions.aws.calls as calls, functions.aws.handlers as handlers
step(load)
for line in sys.stdin:
    step(lambda: handlers.receive(json.loads(line), None)["statusCode"])
"""


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as gitlab:
        gitlab.user(1, "claude", bot=True)
        gitlab.user(42, "ada")
        gitlab.user(43, "bob")
        gitlab.project(7, "group/app")
        for user_id, level in ((1, 40), (42, 30), (43, 30)):
            gitlab.member(7, user_id, level)
        gitlab.api_token(fakes.API_TOKEN, 1)
        gitlab.trigger_token(fakes.TRIGGER_TOKEN, 7, 1)
        for iid in (5, 6):
            gitlab.issue(7, iid)
        yield gitlab


@contextmanager
def unread() -> Iterator[Aws]:
    """An installation whose queue nobody reads."""
    platform = Aws(NOWHERE, fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.dispatchers = 0
    with platform:
        yield platform


@pytest.fixture
def aws() -> Iterator[Aws]:
    """One of a test's own, which nobody has called."""
    with unread() as platform:
        yield platform


@pytest.fixture(scope="module")
def warm() -> Iterator[Aws]:
    """One for tests that look at answers alone."""
    with unread() as platform:
        yield platform


@pytest.fixture
def served(gitlab: GitLab) -> Iterator[Aws]:
    """An installation in front of the GitLab, whose queue is read only when a test does."""
    platform = Aws(gitlab.url, fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.polls, platform.dispatchers, platform.visibility = False, 1, 60
    platform.receivers = 0
    with platform:
        yield platform


def body(text: str) -> bytes:
    return json.dumps(fakes.payload(text)).encode()


def signed(data: bytes) -> dict[str, str]:
    return fakes.sign(data, time.time())


def event(data: bytes, *, encode: bool = False) -> dict[str, Any]:
    return url_event("POST", "/", signed(data), data, encode=encode)


def mention(gitlab: GitLab, iid: int = 5, author_id: int = 42) -> RunRequest:
    note = gitlab.note(7, "issue", iid, author_id=author_id, body="@claude fix it")
    _, data = gitlab.note_hook(note)
    event = parse(VerifiedDelivery(data))
    assert isinstance(event, Event)
    return request(event, "fix it", urlsplit(gitlab.url).netloc)


def lines(platform: Aws) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the log lines and the metric lines."""
    written = [json.loads(line) for line in platform.output().splitlines()]
    return [line for line in written if "_aws" not in line], [
        line for line in written if "_aws" in line
    ]


# The cold path


def printed(platform: Aws, program: str, *events: dict[str, Any]) -> list[Any]:
    """Run a program in `receive`'s environment; return the JSON of each line that it prints."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input="".join(json.dumps(each) + "\n" for each in events),
        cwd=ROOT,
        env=platform.environment("receive"),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def probe(platform: Aws, *events: dict[str, Any]) -> list[dict[str, Any]]:
    return printed(platform, PROBE, *events)


def foreign(loaded: list[str]) -> set[str]:
    return (
        {name.partition(".")[0] for name in loaded}
        - sys.stdlib_module_names
        - {"shared", "functions"}
    )


# All that a cold start loads beside what Python and Lambda's client have loaded by then. A module
# more is paid for by every new instance: what most deliveries do without belongs into a function.
COLD = {
    *("functions", "functions.aws", "functions.aws.adapters", "functions.aws.calls"),
    *("functions.aws.handlers", "functions.wiring"),
    *("shared", "shared.contract", "shared.contract.ai_flow"),
    *("shared.contract.version", "shared.incoming", "shared.incoming.delivery"),
    *("shared.incoming.mention", "shared.installation"),
    *("shared.installation.providers", "shared.installation.readers"),
    *("shared.installation.secrets", "shared.installation.settings", "shared.outcome"),
    *("shared.outcome.messages", "shared.outcome.reasons", "shared.receive"),
    *("gc", "typing"),
}


def test_a_cold_start_loads_these_modules_alone(warm: Aws) -> None:
    program = (
        "import awslambdaric.bootstrap, json, sys; known = set(sys.modules);"
        "import functions.aws.handlers; print(json.dumps(sorted(set(sys.modules) - known)))"
    )
    [names] = printed(warm, program)
    # What is private, and the parts that typing has on Python 3.11 and 3.12, go with another.
    loaded = {name for name in names if not name.startswith(("_", "typing."))}
    assert loaded == COLD


def test_a_cold_start_and_a_rejected_delivery_load_no_library(warm: Aws) -> None:
    unsigned = url_event("POST", "/", {"x-gitlab-event": "Note Hook"}, body("@claude fix it"))
    start, rejected = probe(warm, unsigned)
    assert "shared.receive" in start["loaded"]
    assert foreign(start["loaded"]) == set()
    assert not {"asyncio", "dataclasses", "http", "inspect", "logging", "ssl"} & set(
        start["loaded"]
    )
    assert rejected == {"status": 401, "loaded": [], "printed": "", "clients": 0}


def test_once_the_secret_is_read_a_delivery_without_a_mention_loads_and_prints_nothing(
    warm: Aws,
) -> None:
    idle, forged = event(body("nothing for you")), event(body("@claude fix it"))
    forged["headers"]["webhook-signature"] = "v1,AAAA"
    _, first, second, third, fourth = probe(warm, idle, idle, forged, forged)
    assert "botocore" in foreign(first["loaded"])
    assert "boto3" not in foreign(first["loaded"])  # with its clients half a cold start
    assert first["printed"] == ""
    assert second == {"status": 200, "loaded": [], "printed": "", "clients": 1}
    assert "signature_wrong" in third["printed"]  # counted from here on, and told once a second
    assert fourth == {"status": 401, "loaded": [], "printed": "", "clients": 1}


def test_a_client_is_made_once_and_kept(aws: Aws) -> None:
    asked = event(body("@claude fix it"))
    assert [step["clients"] for step in probe(aws, asked, asked, asked)] == [0, 2, 2, 2]
    assert aws.connections("secrets") == 1
    assert aws.connections("queue") == 3


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        ("receive", "QUEUE_URL"),
        ("receive", "WEBHOOK_SECRETS_ID"),
        ("dispatch", "QUEUE_URL"),
        ("dispatch", "CLAIMS_TABLE"),
        ("dispatch", "GITLAB_SECRETS_ID"),
    ],
)
def test_a_function_that_lacks_a_setting_does_not_start_and_names_it(
    function: str, missing: str
) -> None:
    environment = {name: "set" for name in REQUIRED if name != missing}
    with tempfile.TemporaryFile() as output:
        sandbox = Sandbox(f"functions.aws.handlers.{function}", environment, output)
        try:
            with pytest.raises(FunctionError) as failed:
                sandbox.wait_ready()
        finally:
            sandbox.stop()
    assert f"(exit 1): {missing}: found None, expected {REQUIRED[missing]}" in str(failed.value)


def test_a_function_needs_only_its_own_settings() -> None:
    with tempfile.TemporaryFile() as output:
        sandbox = Sandbox(
            "functions.aws.handlers.receive",
            {"QUEUE_URL": "set", "WEBHOOK_SECRETS_ID": "set"},
            output,
        )
        try:
            sandbox.wait_ready()
        finally:
            sandbox.stop()


# The function URL's events


def test_a_body_in_base64_is_the_same_delivery(warm: Aws) -> None:
    data = body("@claude räum auf")
    answers = [warm.receive(event(data, encode=encode)) for encode in (False, True)]
    assert [answer["statusCode"] for answer in answers] == [202, 202]
    assert answers[0] == answers[1]


def test_a_body_that_is_no_text_reaches_verification_byte_for_byte(warm: Aws) -> None:
    data = b"\xff\x00\xfe no text"
    assert warm.deliver("POST", signed(data), data).status == 200
    assert warm.deliver("POST", signed(data), data + b"\xff").status == 401


def test_broken_base64_is_not_verified(warm: Aws) -> None:
    received = event(body("@claude fix it"), encode=True)
    for broken in ("A", "=", "****", "ä", "\udc80"):
        assert warm.receive(received | {"body": broken + received["body"]})["statusCode"] == 401
    assert warm.receive(received)["statusCode"] == 202


def test_header_names_may_come_in_any_case(warm: Aws) -> None:
    received = event(body("@claude fix it"))
    received["headers"] = {name.upper(): value for name, value in received["headers"].items()}
    assert warm.receive(received)["statusCode"] == 202


def test_a_get_request_without_body_is_answered_with_health(aws: Aws) -> None:
    answer = aws.deliver("GET", {}, b"")
    assert (answer.status, answer.body.startswith("gitlab-claude-trigger")) == (200, True)
    assert aws.connections("secrets") == 0


# What hangs or fails


@pytest.mark.parametrize("fault", ["stall", "fail"])
def test_a_queue_that_hangs_or_fails_is_answered_503_in_time_and_forgotten_afterwards(
    aws: Aws, fault: str
) -> None:
    data = body("@claude fix it")
    with aws.faulty("queue", fault):
        answer = aws.deliver("POST", signed(data), data)
    assert (answer.status, json.loads(answer.body)["reason"]) == (503, "queue_unavailable")
    assert answer.seconds < 3
    assert aws.take() == []
    assert aws.deliver("POST", signed(data), data).status == 202
    assert len(aws.take()) == 1


@pytest.mark.parametrize("fault", ["stall", "fail"])
def test_secrets_that_hang_or_fail_are_answered_503_in_time_and_read_again(
    aws: Aws, fault: str
) -> None:
    data = body("@claude fix it")
    with aws.faulty("secrets", fault):
        answer = aws.deliver("POST", signed(data), data)
    assert (answer.status, json.loads(answer.body)["reason"]) == (503, "secrets_unavailable")
    assert answer.seconds < 3
    assert aws.deliver("POST", signed(data), data).status == 202


def test_secrets_that_hang_later_do_not_matter_to_a_function_that_has_read_them(aws: Aws) -> None:
    data = body("@claude fix it")
    assert aws.deliver("POST", signed(data), data).status == 202
    with aws.stalled("secrets"):
        assert aws.deliver("POST", signed(data), data).status == 202
        aws.cold_start()
        assert aws.deliver("POST", signed(data), data).status == 503


def test_a_connection_that_died_while_the_function_was_frozen_is_replaced(aws: Aws) -> None:
    data = body("@claude fix it")
    assert aws.deliver("POST", signed(data), data).status == 202
    before = aws.connections("queue")
    with aws.faulty("queue", "drop"):
        assert aws.deliver("POST", signed(data), data).status == 202
    assert aws.connections("queue") == before + 2
    assert len(aws.take()) == 1


# Batches


def test_of_a_batch_only_what_must_come_again_is_returned(gitlab: GitLab, served: Aws) -> None:
    gitlab.fault("GET /api/v4/users/43", Fault.status(503))
    queue = served.queue()
    again, behind, done = mention(gitlab, 6, 43), mention(gitlab, 6, 42), mention(gitlab, 5, 42)
    queue.put(again)
    queue.put(behind)
    malformed = served.send("not a run request", "other")
    queue.put(done)
    records = served.take()
    ids = [record["messageId"] for record in records]
    failed = served.dispatch(records)["batchItemFailures"]
    assert [item["itemIdentifier"] for item in failed] == ids[:3]
    assert (ids[2], len(ids)) == (malformed, 4)
    states = [
        text and Record.from_json(text).state
        for text, _ in map(served.records().read, map(key_of, (again.id, behind.id, done.id)))
    ]
    # The second one waits, untouched, for the one before it in its thread.
    assert states == [State.CLAIMED, None, State.FINISHED]
    assert len(gitlab.pipelines) == 1


def test_a_batch_that_fails_as_a_whole_is_returned_and_not_raised(served: Aws) -> None:
    for number in range(3):
        served.send("not a run request", f"group {number}")
    records = served.take()
    failed = served.dispatch(records)["batchItemFailures"]
    assert [item["itemIdentifier"] for item in failed] == [
        record["messageId"] for record in records
    ]
    assert len(failed) == 3


def test_a_message_that_is_no_run_request_ends_in_the_dead_letter_queue(gitlab: GitLab) -> None:
    platform = Aws(gitlab.url, fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.receivers, platform.dispatchers, platform.receives = 0, 1, 2
    with platform:
        platform.send('{"canary": "not a run request"}', "other")
        platform.settle(10)
        assert platform.dead_letters() == ['{"canary": "not a run request"}']
        log, metrics = lines(platform)
        why = "a request of an unknown version instead of 2"
        assert [(line["reason"], line["error"]) for line in log] == [
            ("request_unreadable", why)
        ] * 2
        assert len({line["message_id"] for line in log} - {""}) == 1
        assert [line["reason"] for line in metrics] == ["request_unreadable"] * 2
        assert "canary" not in platform.output()


def test_a_retry_comes_again_when_gitlab_said_and_not_before(gitlab: GitLab, served: Aws) -> None:
    gitlab.fault("GET /api/v4/users/42", Fault.status(503, retry_after=40))
    served.queue().put(mention(gitlab))
    records = served.take()
    assert len(served.dispatch(records)["batchItemFailures"]) == 1
    served.pass_time(30)
    assert served.take() == []
    served.pass_time(11)  # the queue's own visibility timeout is 60 seconds
    again = served.take()
    assert again[0]["attributes"]["ApproximateReceiveCount"] == "2"
    assert served.dispatch(again) == {"batchItemFailures": []}
    assert len(gitlab.pipelines) == 1


def test_each_attempt_waits_twice_as_long_or_as_long_as_gitlab_asks(
    gitlab: GitLab, served: Aws
) -> None:
    served.queue().put(mention(gitlab))
    records = served.take()
    for received, after, pause in ((1, None, 5), (4, None, 10), (4, 45, 45), (5, 4000, 1800)):
        gitlab.fault("GET /api/v4/users/42", Fault.status(503, retry_after=after))
        records[0]["attributes"]["ApproximateReceiveCount"] = str(received)
        assert len(served.dispatch(records)["batchItemFailures"]) == 1
        assert pause - 1 < served.hidden()[0] <= pause + 1


def test_a_defect_waits_like_a_retry_so_that_its_thread_is_not_blocked_for_long(
    served: Aws,
) -> None:
    served.send("not a run request", "other")
    assert len(served.dispatch(served.take())["batchItemFailures"]) == 1
    assert 0 < served.hidden()[0] <= 2
