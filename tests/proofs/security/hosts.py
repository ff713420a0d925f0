"""Signed payloads full of hostile addresses, through the real GitLab adapter: who is called.

Sockets are watched: names looked up and addresses connected to. A witness listens on a port that
the payloads name.
"""

import json
import multiprocessing
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

from functions.gitlab import GitLab
from tests.proofs.security import journeys
from tests.support import fakes
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.gitlab_adapter import one_project

SEED = 11
REDIRECTED = 0.05  # of the journeys meet a redirect to the witness
_SEGMENT = re.compile(r"[a-z_]+")
_FIRST_MADE = 1001  # the stand-in numbers what it makes from here
CALLS = (
    "*/users/*", "*/members/all/*", "*/award_emoji", "*/trigger/pipeline", "*/notes",
    "*/discussions*",
)  # fmt: skip
URL_KEYS = (
    "web_url", "git_http_url", "git_ssh_url", "http_url", "ssh_url", "url", "homepage",
    "avatar_url", "api_url",
)  # fmt: skip
NAME_KEYS = (
    "path_with_namespace", "namespace", "name", "username", "default_branch", "source_branch",
    "target_branch", "email",
)  # fmt: skip
HEADERS = (
    "X-Gitlab-Instance", "Host", "X-Forwarded-Host", "X-Forwarded-For", "Referer", "Origin",
    "X-Gitlab-Webhook-UUID",
)  # fmt: skip


class Seen(NamedTuple):
    """Journeys, pipelines started, requests sent, addresses met, and what was asked wrongly."""

    journeys: int
    pipelines: int
    requests: int
    hosts: tuple[str, ...]
    wrong: tuple[str, ...]


def addresses(witness: int) -> tuple[str, ...]:
    """Return hostile addresses and names; those with a port would reach the witness."""
    here = f"127.0.0.1:{witness}"
    return (
        f"http://{here}/",
        f"http://{here}/api/v4/projects/7/trigger/pipeline",
        f"http://gitlab.com@{here}/",
        f"//{here}/x",
        f"http://localhost:{witness}#gitlab.com",
        "https://evil.example/",
        "https://gitlab.com.evil.example/",
        "https://gitlab.com:443@evil.example/",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "http://[::1]:80/",
        "http://0x7f000001/",
        "file:///etc/passwd",
        "gopher://evil.example:70/_x",
        "../../../api/v4/users/666",
        "..%2f..%2fusers%2f666",
        "group/app/../../users/666",
        "group/app@evil.example",
        "@evil.example/x",
        "group/app?private_token=x",
        "group/app#x",
        "group/app\r\nHost: evil.example",
        "$(curl evil.example)",
        "--upload-pack=x",
        "a;b",
        "\\\\evil.example\\x",
        "http://evil。example/",
        "http://ⓔvil.example/",
    )


def hostile(payload: Any, rng: Random, bad: tuple[str, ...]) -> Any:
    """Return the payload with hostile addresses wherever an address or a name stands, or could."""
    if isinstance(payload, list):
        return [hostile(each, rng, bad) for each in payload]
    if not isinstance(payload, dict):
        return payload
    changed = {key: hostile(value, rng, bad) for key, value in payload.items()}
    for key, value in payload.items():
        if (
            key in URL_KEYS
            or (isinstance(value, str) and "://" in value)
            or (key in NAME_KEYS and rng.random() < 0.7)
        ):
            changed[key] = rng.choice(bad)
    return changed | {key: rng.choice(bad) for key in rng.sample(URL_KEYS, 2)}


class _Net:
    """What the code under test looked up and connected to."""

    def __init__(self) -> None:
        self.met: set[str] = set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch while entered."""
        lookup, connect, met = socket.getaddrinfo, socket.socket.connect, self.met

        def looked_up(host: Any, *args: Any, **more: Any) -> Any:
            met.add(str(host))
            return lookup(host, *args, **more)

        def connected(self: socket.socket, address: Any) -> None:
            met.add(f"{address[0]}:{address[1]}")
            connect(self, address)

        socket.getaddrinfo, socket.socket.connect = looked_up, connected  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            socket.getaddrinfo, socket.socket.connect = lookup, connect  # type: ignore[method-assign]


@contextmanager
def _scene() -> Iterator[tuple[StandIn, GitLab, socket.socket]]:
    secrets = fakes.services(fakes.GitLab(), fakes.Records(), fakes.Clock(), fakes.Log()).secrets
    with StandIn() as server, socket.create_server(("127.0.0.1", 0)) as witness:
        one_project(server)
        server.merge_request(7, 5, source_branch="feature")
        witness.setblocking(False)  # noqa: FBT003
        yield server, GitLab(server.url, secrets), witness


def play(seed: int, count: int) -> Seen:
    """Play so many journeys in this process."""
    rng, net, wrong, requests = Random(seed), _Net(), [], 0  # noqa: S311  to play a failure again
    with _scene() as (server, gitlab, witness), net.watched():
        port = witness.getsockname()[1]
        for _ in range(count):
            server.calls.clear()
            _journey(server, gitlab, rng, addresses(port))
            requests += len(server.calls)
            wrong += [f"{call!r}" for call in server.calls if not _expected(call.path, call.query)]
        if _visited(witness):
            wrong.append("the witness was called")
        home = f"127.0.0.1:{server.url.rpartition(':')[2]}"
        hosts = {"the configured one" if met in (home, "127.0.0.1") else met for met in net.met}
        return Seen(count, len(server.pipelines), requests, tuple(sorted(hosts)), tuple(wrong[:5]))


def _journey(server: StandIn, gitlab: GitLab, rng: Random, bad: tuple[str, ...]) -> None:
    text = f"@claude see {rng.choice(bad)} --gitlab.url={rng.choice(bad)}"
    note = server.note(7, rng.choice(("issue", "merge_request")), 5, author_id=42, body=text)
    _, body = server.note_hook(note)
    payload = hostile(json.loads(body), rng, bad)
    payload["object_attributes"] |= {"note": text}
    payload["project"] |= {
        "default_branch": "main"
    }  # a branch that is not there would end the journey early
    if rng.random() < 0.2:
        payload["object_attributes"]["discussion_id"] = rng.choice(bad)
    headers = {name.lower(): rng.choice(bad) for name in HEADERS}
    if rng.random() < REDIRECTED:
        server.fault(
            f"* {rng.choice(CALLS)}",
            Fault.redirect(bad[0], status=rng.choice((301, 302, 307, 308))),
        )
    environment = {"GITLAB_URL": server.url, "RUNS_PER_THREAD": "0"}
    clock = fakes.Clock()
    answer, runs = journeys.received(payload, clock, headers, **environment)
    assert answer.status == 202, answer
    journeys.carry(runs[0], gitlab, clock, None, **environment)
    server.remove_note(note)


def _expected(path: str, query: Any) -> bool:
    """Tell whether a path holds only GitLab's own words and numbers, and our ids."""
    if not path.startswith("/api/v4/") or "evil" in json.dumps(query):
        return False
    for segment in path.removeprefix("/api/v4/").split("/"):
        number = int(segment) if segment.isascii() and segment.isdigit() else 0
        discussion = len(segment) == 40 and not set(segment) - set("0123456789abcdef")
        if not (
            _SEGMENT.fullmatch(segment)
            or discussion
            or number in (5, 7, 42, 99)
            or number >= _FIRST_MADE
        ):
            return False
    return True


def _visited(witness: socket.socket) -> bool:
    try:
        witness.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _part(task: tuple[int, int]) -> Seen:
    return play(*task)


def run(count: int, processes: int = 2) -> Seen:
    """Play so many journeys in several processes."""
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        seen = pool.map(_part, [(SEED + number, count // 10) for number in range(10)], 1)
    hosts = sorted({host for part in seen for host in part.hosts})
    wrong = tuple(story for part in seen for story in part.wrong)
    pipelines, requests = sum(part.pipelines for part in seen), sum(part.requests for part in seen)
    return Seen(sum(part.journeys for part in seen), pipelines, requests, tuple(hosts), wrong)
