"""The GitLab port over python-gitlab, against the stand-in; every call is checked against GitLab's OpenAPI file."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from functions.gitlab import client
from functions.gitlab.thread import GitLab
from shared.gitlab.values import GitLabError, Member, User
from shared.installation.secrets import MIN_AGE, Cached, GitLabSecrets, Secret
from tests.support.fakes import API_TOKEN, TRIGGER_TOKEN, Clock
from tests.support.gitlab import contract
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn

BODY = {"ref": "main", "variables": {"AI_FLOW_EVENT": "mention"}, "ai_flow": {"id": "0123abcd"}}
TRIGGER = "POST /api/v4/projects/7/trigger/pipeline"


@contextmanager
def installed() -> Iterator[StandIn]:
    """A stand-in with a project, a developer and our own user; at the end all calls are held against GitLab's API."""
    with StandIn() as server:
        server.user(42, "ada")
        server.user(99, "claude", bot=True)
        server.project(7, "group/app")
        server.member(7, 42, 30)
        server.member(7, 99, 40)
        server.api_token(API_TOKEN, 99)
        server.trigger_token(TRIGGER_TOKEN, 7, 99)
        server.issue(7, 5)
        yield server
        assert not server.unknown_calls
        assert not [
            problem for call in server.calls if not call.fault for problem in contract.check(call)
        ]


def secrets(*tokens: str, clock: Clock | None = None) -> Cached[GitLabSecrets]:
    waiting = list(tokens)
    document = {"trigger_tokens": {"*": TRIGGER_TOKEN}}
    return Cached(
        lambda: json.dumps(document | {"api_token": waiting.pop(0)}),
        GitLabSecrets.parse,
        clock or Clock(),
    )


@pytest.fixture
def server() -> Iterator[StandIn]:
    with installed() as server:
        yield server


@pytest.fixture
def gitlab(server: StandIn) -> GitLab:
    return GitLab(server.url, secrets(API_TOKEN))


def test_a_user_is_told_from_a_bot(gitlab: GitLab) -> None:
    assert gitlab.user(42) == User(42, "ada", bot=False, state="active")
    bot = gitlab.user(99)
    assert bot
    assert bot.bot
    assert gitlab.user(4711) is None
    assert gitlab.own_id() == 99


def test_a_member_is_known_by_id(server: StandIn, gitlab: GitLab) -> None:
    assert gitlab.member(7, 42) == Member(42, 30, "active", "active", None)
    server.remove_member(7, 42)
    assert gitlab.member(7, 42) is None


def test_a_project_our_token_cannot_see_is_no_answer_about_the_author(
    server: StandIn, gitlab: GitLab
) -> None:
    server.remove_member(7, 99)
    with pytest.raises(GitLabError) as error:
        gitlab.member(7, 42)
    assert error.value.status == 404


def test_a_trigger_creates_a_pipeline_and_the_token_travels_in_the_body(
    server: StandIn, gitlab: GitLab
) -> None:
    pipeline = gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert pipeline.id in server.pipelines
    assert pipeline.url == f"{server.url}/group/app/-/pipelines/{pipeline.id}"
    [call] = server.calls
    assert call.json == BODY | {"token": TRIGGER_TOKEN}
    assert TRIGGER_TOKEN not in f"{call.path} {call.query} {call.headers}"
    assert "private-token" not in call.headers


def test_a_refusal_brings_gitlab_s_message_for_comparing(gitlab: GitLab) -> None:
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ref": "gone"})
    assert (error.value.status, error.value.unsure) == (400, False)
    assert "Reference not found" in error.value.message
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret("glptt-other"), BODY)
    assert error.value.status == 404


@pytest.mark.parametrize(
    ("fault", "status", "unsure"),
    [
        (Fault.status(500), 500, True),
        (Fault.status(502), 502, True),
        (Fault.status(429, retry_after=7), 429, False),
        (Fault.reset_before(), 0, True),
        (Fault.act_then_reset(), 0, True),
        (Fault.broken_json(), 0, True),
        (Fault.redirect("http://127.0.0.1:1/elsewhere"), 302, False),
        (Fault.redirect("/api/v4/elsewhere", status=307), 307, False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_what_may_have_reached_gitlab_is_told_from_what_did_not(
    server: StandIn,
    gitlab: GitLab,
    fault: Fault,
    status: int,
    unsure: bool,
) -> None:
    server.fault(TRIGGER, fault)
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert (error.value.status, error.value.unsure) == (status, unsure)
    assert error.value.after == (7 if status == 429 else 0)
    assert len(server.calls) == 1
    assert not server.pending_faults


def test_reading_is_never_unsure_and_follows_no_redirect(server: StandIn, gitlab: GitLab) -> None:
    for fault in (
        Fault.status(503),
        Fault.reset_before(),
        Fault.broken_json(),
        Fault.redirect(f"{server.url}/api/v4/user"),
    ):
        server.fault("GET /api/v4/users/42", fault)
        with pytest.raises(GitLabError) as error:
            gitlab.user(42)
        assert not error.value.unsure
    assert {call.path for call in server.calls} == {"/api/v4/users/42"}


def test_nobody_listening_means_never_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gitlab = GitLab(f"http://127.0.0.1:{free.getsockname()[1]}", secrets(API_TOKEN))
        with pytest.raises(GitLabError) as error:
            gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert (error.value.status, error.value.unsure) == (0, False)


def test_a_silent_gitlab_is_waited_for_no_longer_than_the_limit(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", (0.2, 0.2))
    server.fault("GET /api/v4/users/42", Fault.hang(30))
    began = time.monotonic()
    with pytest.raises(GitLabError):
        GitLab(server.url, secrets(API_TOKEN)).user(42)
    assert time.monotonic() - began < 2


def test_an_api_token_rotated_in_the_store_is_read_on_the_first_401(server: StandIn) -> None:
    clock = Clock()
    gitlab = GitLab(server.url, secrets("glpat-old", API_TOKEN, clock=clock))
    with pytest.raises(GitLabError) as error:
        gitlab.user(42)
    assert error.value.status == 401
    clock.time += MIN_AGE
    assert gitlab.user(42)


def test_an_error_holds_nothing_that_was_sent_or_said(server: StandIn, gitlab: GitLab) -> None:
    server.fault(TRIGGER, Fault.status(400, message=f"canary {TRIGGER_TOKEN}"))
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert "canary" not in f"{error.value} {error.value!r} {error.value.__cause__!r}"
