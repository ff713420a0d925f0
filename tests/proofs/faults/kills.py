"""`kill -9` of the local platform at random: what was answered 202 has one pipeline."""

import random
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from threading import Event, Thread
from typing import NamedTuple

from shared.runs.request import run_id
from tests.proofs.faults.schedules import SEED
from tests.proofs.faults.service import OURS, Service, comment, deliver, seed
from tests.support import canaries
from tests.support.gitlab.server import GitLab as StandIn

LIFE = 1.2  # seconds a process lives at most once it listens
_EARLY = 0.1  # of the kills come while it starts
_PAUSE = 0.05  # seconds between two comments of one sender
_SENDERS = 2
_PATIENCE = (
    6.0,
    12.0,
    60.0,
)  # seconds for the rest once nobody kills any more, before each further start


class Killed(NamedTuple):
    """What came in between the kills, and what came of it."""

    kills: int
    sent: int
    stored: int  # answered 202
    pipelines: int
    lost: int
    doubled: int
    replies_twice: int
    untold: int
    dead_letters: int
    leaks: int
    seconds: float


class _Senders:
    """People who comment, and GitLab, which delivers once."""

    def __init__(self, server: StandIn, service: Service, host: str, seed_: int) -> None:
        self._server, self._service, self._host = server, service, host
        self._end, self.sent, self.stored = Event(), 0, set[str]()
        self._threads = [
            Thread(target=self._write, args=(seed_ + each,)) for each in range(_SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _write(self, seed_: int) -> None:
        draw = random.Random(seed_)  # noqa: S311
        while not self._end.wait(_PAUSE):
            note = comment(self._server, "@claude fix it", draw)
            self.sent += 1
            try:
                answer = deliver(self._service, self._server.note_hook(note))
            except (
                OSError,
                HTTPException,
            ):  # nobody there, or killed before it answered: GitLab does not send it again
                continue
            if answer.status == 202:
                self.stored.add(run_id(self._host, note["project_id"], "note", note["id"]))


def run(kills: int = 200, number: int = SEED) -> Killed:
    """Kill so often, then wait until all is done, and count."""
    began, draw = time.monotonic(), random.Random(number)  # noqa: S311
    with StandIn() as server:
        seed(server)
        with Service(server.url) as service:
            senders = _Senders(server, service, server.url.removeprefix("http://"), number)
            try:
                for _ in range(kills):
                    early = draw.random() < _EARLY
                    time.sleep(draw.uniform(0, 0.3 if early else LIFE))
                    service.kill()
                    if draw.random() < _EARLY:
                        service.launch()
                    else:
                        service.start()
                service.kill()
            finally:
                senders.stop()
            service.start()
            _settle(service)
            dead = _dead_letters(service)
            leaks = len(canaries.found_in(service.output()))
        return _counted(
            server, senders, Killed(kills, senders.sent, 0, 0, 0, 0, 0, 0, dead, leaks, 0)
        )._replace(seconds=time.monotonic() - began)


def _settle(service: Service) -> None:
    """Wait until the queue is empty; a restart makes what pauses due at once."""
    *sooner, last = _PATIENCE
    for seconds in sooner:
        with suppress(TimeoutError):
            service.settle(seconds)
            return
        service.kill()
        service.start()
    service.settle(last)


def _counted(server: StandIn, senders: _Senders, so_far: Killed) -> Killed:
    made = Counter(
        variable["value"]
        for pipeline in server.pipelines.values()
        for variable in pipeline["variables"]
        if variable["key"] == "AI_FLOW_ID"
    )
    replies = Counter(
        str(note["body"]).rpartition("run=")[2].removesuffix(" -->")
        for note in list(server.notes.values())
        if note["author_id"] == OURS
    )
    return so_far._replace(
        stored=len(senders.stored),
        pipelines=len(server.pipelines),
        lost=len(senders.stored - set(made)),
        doubled=sum(count - 1 for count in made.values()),
        replies_twice=sum(count - 1 for count in replies.values()),
        untold=len(set(made) - set(replies)),
    )


def _dead_letters(service: Service) -> int:
    connection = sqlite3.connect(service.state / "state.sqlite3")
    try:
        return int(
            connection.execute("SELECT count(*) FROM records WHERE key LIKE 'dead/%'").fetchone()[0]
        )
    finally:
        connection.close()
