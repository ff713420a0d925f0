"""What only Google Cloud has: its cold start, its clients' time limits, its tasks, its logs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from functions.gcp import adapters
from shared.contract.version import VERSION
from shared.installation.secrets import Cached, WebhookSecrets
from shared.outcome.reasons import Reason
from shared.runs import store
from shared.runs.record import Record, State, key_of
from tests import ROOT
from tests.support import fakes
from tests.support.gitlab.server import Fault, GitLab
from tests.support.gitlab_adapter import one_project
from tests.support.platforms import Answer
from tests.support.platforms.cloud_tasks import CloudTasks, Limits, Task
from tests.support.platforms.gcp import (
    INVOKER,
    QUEUE,
    Function,
    Gcp,
    Mounted,
    request,
)

BUDGET = 3.0  # seconds `receive` may take whatever hangs
DISPATCH_URL = "https://dispatch-123.europe-west1.run.app"
RECEIVE = {
    "QUEUE": QUEUE,
    "DISPATCH_URL": DISPATCH_URL,
    "INVOKER_SERVICE_ACCOUNT": INVOKER,
    "WEBHOOK_SECRETS_FILE": "/nowhere/webhook",
}
DISPATCH = {"GOOGLE_CLOUD_PROJECT": "p", "GITLAB_SECRETS_ID": "projects/p/secrets/gitlab"}
CANARIES = (fakes.SIGNING_TOKEN, fakes.SECRET_TOKEN, fakes.API_TOKEN, fakes.TRIGGER_TOKEN)

needs_emulator = pytest.mark.skipif(Gcp.available() is not None, reason=str(Gcp.available()))


# The cold start.

COLD = """
import json, sys
before = set(sys.modules)
from functions.gcp import handlers

class Request:
    method, headers, content_length = "POST", json.loads(sys.argv[1]), len(sys.argv[2])
    def get_data(self, cache):
        return sys.argv[2].encode()

answer = handlers.receive(Request())
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([answer[1], sorted(roots - sys.stdlib_module_names), sorted(sys.modules)]))
"""


def cold(headers: dict[str, str], body: str, **environment: str) -> tuple[int, set[str], set[str]]:
    """Answer a delivery in a fresh interpreter; return status, foreign packages, all modules."""
    command = [sys.executable, "-c", COLD, json.dumps(list(headers.items())), body]
    given = (
        {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FUNCTION_TARGET": "receive"}
        | RECEIVE
        | environment
    )
    done = subprocess.run(
        command, env=given, capture_output=True, text=True, timeout=30, check=True
    )
    status, foreign, modules = json.loads(done.stdout)
    return status, set(foreign) - {"functions", "shared"}, set(modules)


def test_a_delivery_without_credentials_is_refused_before_any_library_is_loaded() -> None:
    status, foreign, _ = cold({"X-Gitlab-Event": "Note Hook"}, "{}")
    assert status == 401
    assert foreign == set()


def test_a_delivery_without_a_mention_is_answered_before_any_library_is_loaded(
    webhook: Mounted,
) -> None:
    body = json.dumps(fakes.payload("it works now"))
    headers = fakes.sign(body.encode(), time.time())
    status, foreign, modules = cold(headers, body, WEBHOOK_SECRETS_FILE=str(webhook.path))
    assert status == 200
    assert foreign == set()
    assert "shared.dispatch" not in modules


@pytest.mark.parametrize(
    ("target", "missing"),
    [*(("receive", name) for name in RECEIVE), *(("dispatch", name) for name in DISPATCH)],
)
def test_a_function_without_a_setting_it_needs_does_not_start_and_says_which(
    target: str, missing: str, tmp_path: Path
) -> None:
    environment = {"receive": RECEIVE, "dispatch": DISPATCH}[target]
    function = Function(
        target, tmp_path, **{name: value for name, value in environment.items() if name != missing}
    )
    try:
        assert function.wait_until_it_ends() != 0
        assert f"{missing}: found None, expected" in function.output().splitlines()[-1]
    finally:
        function.stop()


def test_a_function_with_a_wrong_setting_does_not_start_and_says_what_is_expected(
    tmp_path: Path,
) -> None:
    function = Function("receive", tmp_path, **RECEIVE, MINIMUM_ROLE="king")
    try:
        assert function.wait_until_it_ends() != 0
        assert "MINIMUM_ROLE: found 'king', expected one of guest" in function.output()
    finally:
        function.stop()


# `receive`, on its own.


@pytest.fixture
def webhook(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path / "webhook", fakes.WEBHOOK_SECRETS)


@pytest.fixture
def receive(webhook: Mounted, tasks: CloudTasks, tmp_path: Path) -> Iterator[Function]:
    """The function, cold: it has answered nothing that needs a secret or a client."""
    places = {"WEBHOOK_SECRETS_FILE": str(webhook.path), "CLOUD_TASKS_ENDPOINT": tasks.url}
    function = Function("receive", tmp_path, **RECEIVE | places)
    try:
        function.wait_until_it_answers()
        yield function
    finally:
        function.stop()


def deliver(function: Function, text: str = "@claude fix it", **changes: str) -> Answer:
    body = json.dumps(fakes.payload(text)).encode()
    return request(function.port, "POST", fakes.sign(body, time.time()) | changes, body)


def reason(answer: Answer) -> str:
    return str(json.loads(answer.body)["reason"])


def test_secrets_that_hang_are_503_in_time_even_on_a_cold_start_and_asked_again_next_time(
    receive: Function, webhook: Mounted, tasks: CloudTasks
) -> None:
    with webhook.stalled():
        answer = deliver(receive)
    assert (answer.status, reason(answer)) == (503, "secrets_unavailable")
    assert answer.seconds < BUDGET
    assert deliver(receive).status == 202
    assert len(tasks.tasks) == 1


def test_a_queue_that_hangs_is_503_in_time_even_on_a_cold_start(
    receive: Function, tasks: CloudTasks
) -> None:
    with tasks.stalled():
        answer = deliver(receive)
    assert (answer.status, reason(answer)) == (503, "queue_unavailable")
    assert answer.seconds < BUDGET
    assert deliver(receive).status == 202


def test_the_secret_that_the_bootstrap_makes_answers_503_until_it_holds_a_token(
    receive: Function, webhook: Mounted
) -> None:
    webhook.write("{}")
    assert reason(deliver(receive)) == "secrets_unavailable"
    assert "WEBHOOK_SECRETS holds no token" in receive.output()
    webhook.write(fakes.WEBHOOK_SECRETS)
    assert deliver(receive).status == 202


def test_a_new_version_is_read_once_the_last_is_half_a_minute_old(
    webhook: Mounted,
) -> None:
    clock = [fakes.NOW]
    tokens = Cached(adapters.mounted(str(webhook.path)), WebhookSecrets.parse, lambda: clock[0])
    assert tokens.get().signing_keys
    webhook.write(json.dumps({"secret_tokens": [fakes.SECRET_TOKEN]}))
    assert not tokens.get(fresh=True).secret_tokens
    clock[0] += 31
    assert tokens.get(fresh=True).secret_tokens
    webhook.path.unlink()
    clock[0] += 31
    assert tokens.get(fresh=True).secret_tokens


def test_what_is_ignored_is_not_logged_and_what_is_refused_is_counted(receive: Function) -> None:
    assert request(receive.port, "POST", {}, b"{}").status == 401
    assert reason(deliver(receive, "no mention")) == "no_mention"
    assert receive.output() == ""
    assert deliver(receive, **{"webhook-signature": "v1,AAAA"}).status == 401
    [line] = receive.output().splitlines()
    fields = {"outcome": "refused", "reason": "signature_wrong", "count": 1, "version": VERSION}
    assert json.loads(line) == {"severity": "WARNING", "message": "signature_wrong", **fields}


def test_what_is_queued_or_fails_is_one_line_of_json_with_severity_and_message(
    receive: Function, tasks: CloudTasks
) -> None:
    deliver(receive)
    with tasks.stalled():
        deliver(receive)
    lines = [json.loads(line) for line in receive.output().splitlines()]
    said = [(line["severity"], line["message"]) for line in lines]
    assert said == [("INFO", "queued"), ("ERROR", "queue_unavailable")]
    assert all(line["run"] == lines[0]["run"] and line["note_id"] == 101 for line in lines)


@pytest.fixture(scope="module")
def warm() -> Iterator[Function]:
    """The function for whatever leaves no trace, with a secret token instead of a signing token."""
    with TemporaryDirectory() as folder:
        tokens = json.dumps({"secret_tokens": [fakes.SECRET_TOKEN]})
        secret = Mounted(Path(folder) / "webhook", tokens)
        places = {"WEBHOOK_SECRETS_FILE": str(secret.path)}
        function = Function("receive", Path(folder), **RECEIVE | places)
        try:
            function.wait_until_it_answers()
            yield function
        finally:
            function.stop()


def test_two_values_of_one_header_are_one_value_that_no_token_equals(warm: Function) -> None:
    body = json.dumps(fakes.payload("no mention")).encode()
    once = request(warm.port, "POST", {"X-Gitlab-Token": fakes.SECRET_TOKEN}, body)
    twice = request(
        warm.port, "POST", {"X-Gitlab-Token": [fakes.SECRET_TOKEN, fakes.SECRET_TOKEN]}, body
    )
    assert (once.status, reason(once)) == (200, "no_mention")
    assert (twice.status, reason(twice)) == (401, "token_wrong")


def test_a_body_sent_in_chunks_is_read_whole(warm: Function) -> None:
    body = json.dumps(fakes.payload(system=True)).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:], b""))
    headers = {"X-Gitlab-Token": fakes.SECRET_TOKEN, "Transfer-Encoding": "chunked"}
    assert reason(request(warm.port, "POST", headers, chunks)) == "system_note"


def test_a_body_above_gitlabs_limit_is_413(warm: Function) -> None:
    answer = request(warm.port, "POST", {"X-Gitlab-Token": "x"}, bytes(26 * 1024 * 1024))
    assert (answer.status, reason(answer)) == (413, "body_too_large")


def test_every_path_is_served_and_get_tells_that_it_lives(warm: Function) -> None:
    assert request(warm.port, "GET", {}, b"", path="/").status == 200
    assert request(warm.port, "GET", {}, b"", path="/any/other?path=%ff").status == 200
    assert request(warm.port, "PUT", {}, b"").status == 405


# Both functions.


@pytest.fixture(scope="module")
def gitlab() -> Iterator[GitLab]:
    with GitLab() as server:
        one_project(server)
        yield server


@pytest.fixture(scope="module")
def gcp(gitlab: GitLab) -> Iterator[Gcp]:
    platform = Gcp(gitlab.url, fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.limits = Limits(attempts=3)
    with platform:
        yield platform


def mention(gitlab: GitLab, gcp: Gcp, text: str = "@claude fix it") -> str:
    """Write a comment, deliver it, and return its run's id."""
    note = gitlab.note(7, "issue", 5, author_id=42, body=text)
    headers, body = gitlab.note_hook(note)
    answer = gcp.deliver("POST", gitlab.sign(headers, body, fakes.SIGNING_TOKEN), body)
    assert answer.status == 202, answer
    return str(json.loads(answer.body)["run"])


def task_of(gcp: Gcp, run: str) -> Task:
    (task,) = (task for name, task in gcp.tasks.tasks.items() if run in name)
    return task


@needs_emulator
def test_a_mention_becomes_a_pipeline_and_a_finished_claim(gitlab: GitLab, gcp: Gcp) -> None:
    before = len(gitlab.pipelines)
    run = mention(gitlab, gcp)
    gcp.settle()
    text, _ = gcp.records().read(key_of(run))
    record = Record.from_json(str(text))
    assert (record.state, record.reason) == (State.FINISHED, str(Reason.TRIGGERED))
    assert len(gitlab.pipelines) == before + 1
    assert task_of(gcp, run).attempts == [200]


@needs_emulator
def test_a_task_that_comes_twice_starts_one_pipeline(gitlab: GitLab, gcp: Gcp) -> None:
    run = mention(gitlab, gcp)
    gcp.settle()
    before = len(gitlab.pipelines)
    gcp.tasks.run(next(name for name in gcp.tasks.tasks if run in name))
    gcp.settle()
    assert len(gitlab.pipelines) == before
    assert task_of(gcp, run).attempts == [200, 200]


@needs_emulator
def test_what_heals_is_answered_503_and_the_task_comes_again(gitlab: GitLab, gcp: Gcp) -> None:
    gitlab.fault("GET /api/v4/users/42", Fault.status(502))
    before = len(gitlab.pipelines)
    run = mention(gitlab, gcp)
    gcp.settle()
    assert task_of(gcp, run).attempts == [503, 200]
    assert task_of(gcp, run).asked == [6, 0]
    assert len(gitlab.pipelines) == before + 1
    assert gitlab.pending_faults == []


@needs_emulator
def test_a_task_that_cannot_be_read_is_not_taken_for_done(gcp: Gcp) -> None:
    """A newer `receive` may have written it: the `dispatch` about to be deployed can read it."""
    name = f"{QUEUE}/tasks/{uuid4().hex}"
    body = {
        "task": {
            "name": name,
            "httpRequest": {"url": gcp.dispatch.url, "body": "eyJ2ZXJzaW9uIjoyfQ=="},
        }
    }
    connection = HTTPConnection("127.0.0.1", int(gcp.tasks.url.rpartition(":")[2]))
    connection.request("POST", f"/v2/{QUEUE}/tasks", json.dumps(body))
    assert connection.getresponse().status == 200
    connection.close()
    gcp.settle()
    assert gcp.tasks.tasks[name] in gcp.tasks.dead
    assert gcp.tasks.tasks[name].attempts == [409] * 3  # 503 would slow others down
    headers = {"X-CloudTasks-TaskName": "short-name", "X-CloudTasks-TaskRetryCount": "12"}
    last = request(gcp.dispatch.port, "POST", headers, b"canary")
    assert (last.status, last.body) == (200, "dead_letter\n")
    assert store.dead_letter("short-name", gcp.records()).body == "canary"  # type: ignore[union-attr]
    lines = [json.loads(line) for line in gcp.output().splitlines()]
    ends = [(line["reason"], line["severity"]) for line in lines if "short-name" in str(line)]
    assert ends == [("request_unreadable", "ERROR"), ("dead_letter", "ERROR")]
    assert "canary" not in gcp.output()


@needs_emulator
def test_dispatch_logs_json_and_no_line_of_either_function_holds_a_secret(gitlab: GitLab) -> None:
    with Gcp(gitlab.url, fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS) as platform:
        gitlab.fault("GET /api/v4/users/42", Fault.status(502))
        run = mention(gitlab, platform)
        platform.settle()
    lines = [json.loads(line) for line in platform.output().splitlines()]
    assert {line["run"] for line in lines} == {run}
    said = [(line["severity"], line["message"]) for line in lines]
    assert sorted(said) == [
        ("INFO", "queued"),
        ("INFO", "triggered"),
        ("WARNING", "gitlab_unavailable"),
    ]
    assert not [canary for canary in CANARIES if canary in platform.output()]


@needs_emulator
def test_nothing_is_left_of_an_installation_that_was_stopped(gitlab: GitLab) -> None:
    platform = Gcp(gitlab.url, fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    with platform:
        ports = [function.port for function in platform.functions]
        ports += [
            int(url.rpartition(":")[2]) for url in (platform.tasks.url, platform.secret_manager.url)
        ]
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            for _ in range(100):  # a worker that was killed may not have let go of it yet
                with suppress(ConnectionResetError):
                    request(port, "GET", {}, b"")
                    break
                time.sleep(0.01)
