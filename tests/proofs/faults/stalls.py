"""What the local platform depends on stands still, one by one: how long answers take at most."""

import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.proofs.faults.schedules import SEED
from tests.proofs.faults.service import Service, comment, deliver, seed
from tests.support.gitlab.server import Delivery
from tests.support.gitlab.server import GitLab as StandIn


class Stalled(NamedTuple):
    """What stood still, how many answers of which status came, and the longest wait in seconds."""

    what: str
    answers: int
    statuses: str
    longest: float
    stored: int  # answered 202


@contextmanager
def _silent_clients(service: Service, count: int = 100) -> Iterator[None]:
    """Open connections that say half a request and then nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", urlsplit(service.url).port or 0))
            )
            client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n")
        yield


@contextmanager
def _silent(server: StandIn) -> Iterator[None]:
    """Let GitLab answer nobody."""
    with server.lock:
        yield


def run(deliveries: int = 60, number: int = SEED) -> list[Stalled]:
    """Deliver 20 mentions at once while queue, GitLab, clients, or the first two stand still."""
    draw, found = random.Random(number), []  # noqa: S311
    with StandIn() as server:
        seed(server)
        with Service(server.url, "functions.local") as service:
            stalls: dict[str, tuple[Callable[[], AbstractContextManager[object]], ...]] = {
                "queue": (lambda: service.stalled("queue"),),
                "GitLab": (lambda: _silent(server),),
                "queue and GitLab": (lambda: service.stalled("queue"), lambda: _silent(server)),
                "a hundred silent clients": (lambda: _silent_clients(service),),
            }
            for what, makers in stalls.items():
                sent = [
                    server.note_hook(comment(server, "@claude fix it", draw))
                    for _ in range(deliveries)
                ]
                with ExitStack() as stack:
                    for maker in makers:
                        stack.enter_context(maker())
                    found.append(_measured(what, service, sent))
    return found


def _measured(what: str, service: Service, sent: list[Delivery]) -> Stalled:
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: deliver(service, each), sent))
    assert time.monotonic() - began < 120
    statuses = [answer.status for answer in answers]
    return Stalled(
        what,
        len(answers),
        " ".join(f"{statuses.count(status)}×{status}" for status in sorted(set(statuses))),
        max(answer.seconds for answer in answers),
        statuses.count(202),
    )
