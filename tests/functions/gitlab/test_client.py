"""How calls end: what may have reached GitLab, time limits, redirects, rotated tokens, huge answers."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from functions.gitlab import GitLab, client
from shared.gitlab.values import Cause, GitLabError
from shared.installation.secrets import MIN_AGE, Cached, GitLabSecrets, Secret
from tests.support.fakes import API_TOKEN, NOTE, TRIGGER_TOKEN, Clock
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.gitlab_adapter import BODY, TRIGGER, secrets
from tests.support.network import behind_tls, private_ca, proxy


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


def test_an_answer_larger_than_a_function_can_hold_is_no_answer(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_LARGEST", 20_000)
    server.issue(7, 8, description="x" * 10_000)
    here = NOTE._replace(iid=8)
    assert len(gitlab.target(here).description) == 10_000
    server.issue(7, 9, description="x" * 20_000)
    with pytest.raises(GitLabError) as error:
        gitlab.target(NOTE._replace(iid=9))
    assert (error.value.status, error.value.unsure) == (0, False)


@pytest.mark.parametrize(
    ("route", "call"),
    [
        ("GET /api/v4/users/42", lambda gitlab: gitlab.user(42)),
        ("GET /api/v4/projects/7/hooks", lambda gitlab: gitlab.hooks(7)),
        ("GET /api/v4/projects/7/issues/5", lambda gitlab: gitlab.target(NOTE)),
    ],
)
def test_json_of_another_shape_is_no_answer(
    server: StandIn, gitlab: GitLab, route: str, call: Callable[[GitLab], object]
) -> None:
    headers = (("Content-Type", "application/json"),)
    server.fault(route, Fault("a word", acts=False, answer=(200, headers, b'"down for a moment"')))
    with pytest.raises(GitLabError) as error:
        call(gitlab)
    assert (error.value.status, error.value.unsure) == (0, False)


def cause(url: str) -> Cause:
    with pytest.raises(GitLabError) as error:
        GitLab(url, secrets(API_TOKEN)).user(42)
    assert error.value.status == 0
    assert str(error.value) == str(error.value.cause)
    return error.value.cause


@pytest.fixture
def closed_port() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{free.getsockname()[1]}"


def test_what_failed_on_the_way_is_told_apart(
    server: StandIn, closed_port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, certificate = private_ca(tmp_path)
    port = int(server.url.rpartition(":")[2])
    assert cause("http://gitlab.invalid") is Cause.DNS
    assert cause(f"http://{closed_port}") is Cause.TCP
    with behind_tls(port, certificate) as url:
        assert cause(url) is Cause.TLS
    server.fault("GET /api/v4/users/42", Fault.reset_before(), Fault.broken_json())
    assert cause(server.url) is Cause.BROKEN
    assert cause(server.url) is Cause.NOT_GITLAB
    monkeypatch.setattr(client, "TIMEOUT", (0.2, 0.2))
    server.fault("GET /api/v4/users/42", Fault.hang(30))
    assert cause(server.url) is Cause.TIMEOUT
    monkeypatch.setenv("HTTPS_PROXY", f"http://{closed_port}")
    assert cause("https://gitlab.invalid") is Cause.PROXY


def test_a_private_ca_and_a_proxy_are_settings_of_the_environment(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = private_ca(tmp_path)
    port, seen = int(server.url.rpartition(":")[2]), list[str]()
    with behind_tls(port, certificate) as url, proxy(seen) as way:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        monkeypatch.setenv("HTTPS_PROXY", way)
        assert GitLab(url, secrets(API_TOKEN)).user(42)
    assert seen == [url.removeprefix("https://")]


def test_a_call_without_our_token_carries_no_login_of_the_environment(
    server: StandIn, gitlab: GitLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login olga password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert "authorization" not in server.calls[-1].headers


def test_a_private_ca_beside_the_sources_and_a_proxy_of_the_settings_are_used(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = private_ca(tmp_path)
    port, seen = int(server.url.rpartition(":")[2]), list[str]()
    monkeypatch.setattr(client, "CA_FILE", authority)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with behind_tls(port, certificate) as url, proxy(seen) as way:
        assert GitLab(url, secrets(API_TOKEN), way).user(42)
    assert seen == [url.removeprefix("https://")]


def test_a_proxy_s_login_is_of_the_secrets_and_shows_nowhere(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = private_ca(tmp_path)
    port, seen = int(server.url.rpartition(":")[2]), list[str]()
    monkeypatch.setattr(client, "CA_FILE", authority)
    documents = [
        json.dumps({"api_token": API_TOKEN, "trigger_tokens": {"*": "t"}, "proxy_login": login})
        for login in ("olga:p@ss/1", "olga:canary")
    ]
    with behind_tls(port, certificate) as url, proxy(seen, "olga:p@ss/1") as way:
        right, wrong = (
            GitLab(url, Cached(lambda text=text: text, GitLabSecrets.parse, time.time), way)  # type: ignore[misc]
            for text in documents
        )
        assert right.user(42)
        with pytest.raises(GitLabError) as refused:
            wrong.user(42)
    assert (refused.value.cause, "canary" in repr(refused.value)) == (Cause.PROXY, False)
    assert seen == [url.removeprefix("https://")]


HTML = (("Content-Type", "text/html"),)
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"
READ_ONLY = "You cannot perform write operations on a read-only instance"


def answered(status: int, *, acts: bool = False) -> Fault:
    """Return a page of whatever stands before GitLab."""
    return Fault(f"page {status}", acts=acts, answer=(status, HTML, PAGE))


@pytest.mark.parametrize("status", [200, 201, 401, 403, 404, 409, 413, 422])
def test_what_is_no_answer_of_gitlab_s_api_is_none(
    server: StandIn, gitlab: GitLab, status: int
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY),
        lambda: gitlab.reply(NOTE._replace(note_id=0, discussion_id=""), "text"),
        lambda: gitlab.award(NOTE._replace(note_id=0), "eyes"),
        lambda: gitlab.edit_reply(NOTE, 1, "text"),
        lambda: gitlab.cancel(7, 1),
    ]
    for call in calls:
        server.fault("*", answered(status))
        with pytest.raises(GitLabError) as error:
            call()
        assert (error.value.status, error.value.unsure) == (0, True)
    for look in (lambda: gitlab.user(42), lambda: gitlab.member(7, 42), lambda: gitlab.note(NOTE)):
        server.fault("GET *", answered(status))
        with pytest.raises(GitLabError) as error:
            look()
        assert (error.value.status, error.value.unsure) == (0, False)


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"null", b'{"id": "7"}', b"7"])
def test_a_reply_that_has_no_id_may_be_there_or_not(
    server: StandIn, gitlab: GitLab, answer: bytes
) -> None:
    server.fault("POST *", Fault("no id", acts=False, answer=(201, (), answer)))
    with pytest.raises(GitLabError) as error:
        gitlab.reply(NOTE._replace(note_id=0, discussion_id=""), "text")
    assert (error.value.status, error.value.unsure) == (0, True)


def test_in_maintenance_mode_gitlab_is_away_for_what_writes(
    server: StandIn, gitlab: GitLab
) -> None:
    server.fault(TRIGGER, Fault.status(403, message=READ_ONLY))
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert (error.value.status, error.value.unsure) == (503, False)


def test_a_pause_that_gitlab_asks_for_has_a_limit(server: StandIn, gitlab: GitLab) -> None:
    server.fault("GET *", Fault.status(429, retry_after=99_999))
    with pytest.raises(GitLabError) as error:
        gitlab.user(42)
    assert error.value.after == 1800


def test_the_calls_of_an_attempt_have_one_deadline(server: StandIn, gitlab: GitLab) -> None:
    gitlab.within(0.4)
    server.fault("GET *", Fault.hang(30))
    began = time.monotonic()
    with pytest.raises(GitLabError):
        gitlab.user(42)
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert time.monotonic() - began < 2
    assert (error.value.status, error.value.unsure) == (0, False)  # it was not sent
    assert len(server.calls) == 1
    gitlab.within(60)
    assert gitlab.user(42)


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_an_answer_that_drips_ends_with_the_deadline(status: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
                for _ in range(200):
                    connection.sendall(b"1\r\n \r\n")
                    time.sleep(0.02)

        dripping = Thread(target=drip)
        dripping.start()
        gitlab = GitLab(f"http://127.0.0.1:{listener.getsockname()[1]}", secrets(API_TOKEN))
        gitlab.within(0.3)
        began = time.monotonic()
        with pytest.raises(GitLabError) as error:
            gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
        assert time.monotonic() - began < 2
        assert (error.value.status, error.value.unsure) == (0, True)
        dripping.join()
