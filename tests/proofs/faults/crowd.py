"""Thousands of mentions, each delivered ten times, to eight workers on one SQLite file."""

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

from functions.local.adapters import SqliteQueue, SqliteRecords, Store, Taken
from shared.dispatch import dispatch
from shared.gitlab.values import Member, Pipeline, User
from shared.incoming.delivery import Delivery
from shared.incoming.event import Event
from shared.installation.secrets import Cached, GitLabSecrets, Secret
from shared.installation.settings import Settings
from shared.outcome.reasons import Retry
from shared.receive import receive
from shared.runs.record import LEASE
from shared.services import Services
from tests.proofs.faults.catalogue import Schedule
from tests.proofs.faults.gitlab import GitLab
from tests.proofs.faults.model import Clock, Trouble
from tests.proofs.faults.schedules import SEED
from tests.support import fakes

HOOKS, TIMES = 2, 5  # each mention comes from both hooks, five times each
WORKERS, SENDERS = 8, 4
THREAD = 4  # mentions on one issue
PROJECTS = 50
UNLIMITED = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0", "RUNS_PER_DAY": "0"}


class Crowded(NamedTuple):
    """What came in and what came of it."""

    mentions: int
    deliveries: int
    stored: int
    redelivered: int
    pipelines: int
    doubled: int
    lost: int
    seconds: float


class _GitLab(GitLab):
    """GitLab in memory, for many threads at once."""

    def __init__(self) -> None:
        super().__init__(Trouble(Clock(), Schedule()), "@claude fix it")
        self._lock = Lock()
        self.made: Counter[str] = Counter()

    def user(self, user_id: int) -> User | None:
        return User(user_id, "ada", bot=False, state="active")

    def member(self, project_id: int, user_id: int) -> Member | None:  # noqa: ARG002
        return Member(user_id, 30, "active", "active", None)

    def award(self, event: Event, emoji: str) -> int:  # noqa: ARG002
        return 1

    def reply(self, event: Event, body: str) -> int:  # noqa: ARG002
        return 1

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:  # noqa: ARG002
        flow = body["ai_flow"]
        assert isinstance(flow, dict)
        with self._lock:
            self.made[flow["id"]] += 1
            return Pipeline(len(self.made), "https://gitlab.com/group/app/-/pipelines/1")


def deliveries(mentions: int, seed: int) -> list[tuple[int, str]]:
    """Return the shuffled list of what is sent: a note's number and a webhook-id."""
    every = [
        (number, f"hook-{hook}-{number}")
        for number in range(mentions)
        for hook in range(HOOKS)
        for _ in range(TIMES)
    ]
    random.Random(seed).shuffle(every)  # noqa: S311
    return every


def _body(number: int, written: str) -> bytes:
    thread = number // THREAD
    body = fakes.payload(id=number + 1, discussion_id=f"{number:040x}", created_at=written) | {
        "project_id": 7 + thread % PROJECTS
    }
    return json.dumps(body | {"issue": {"id": 900, "iid": thread + 1}}).encode()


class Crowd:
    """One store, its queue, and the threads around it."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Open the store."""
        self.store = Store(folder)
        self.queue, self.gitlab = SqliteQueue(self.store), _GitLab()
        settings = Settings.read(UNLIMITED)
        secrets = Cached(lambda: fakes.GITLAB_SECRETS, GitLabSecrets.parse, time.time)
        records = SqliteRecords(self.store, time.time())
        self.services = Services(
            settings, secrets, records, self.gitlab, time.time, lambda *_: None
        )
        self._tokens = fakes.tokens(now=time.time)
        self._draw, self._sent = random.Random(seed), threading.Event()  # noqa: S311
        self._written = datetime.now(UTC).isoformat()
        self.redelivered = 0

    def send(self, parcel: list[tuple[int, str]]) -> Counter[int]:
        """Deliver a part; return how often each status was answered."""
        answers: Counter[int] = Counter()
        for number, webhook_id in parcel:
            body = _body(number, self._written)
            delivery = Delivery("POST", fakes.sign(body, time.time(), webhook_id), body)
            answers[
                receive(
                    delivery,
                    settings=self.services.settings,
                    secrets=self._tokens,
                    queue=self.queue,
                    now=time.time,
                    log=self.services.log,
                ).status
            ] += 1
        return answers

    def sent(self) -> None:
        """Let the workers end when nothing is left."""
        self._sent.set()

    def work(self) -> None:
        """Carry requests until nothing is left."""
        while True:
            taken = self.queue.take(time.time(), time.time() + LEASE)
            if taken:
                self._carry(taken)
            elif self._sent.is_set() and not self.waiting():
                return
            else:
                with self.queue.filled:
                    self.queue.filled.wait(0.01)

    def waiting(self) -> int:
        """Return how many requests the queue holds."""
        with self.store.transaction() as db:
            return int(db.execute("SELECT count(*) FROM requests").fetchone()[0])

    def _carry(self, taken: Taken) -> None:
        """Serve one; now and then the queue forgets that it was, or two workers have it at once."""
        fate = self._draw.random()
        twin = Thread(target=self._serve, args=(taken,))
        if fate < 0.02:
            twin.start()
        after = self._serve(taken)
        if fate < 0.02:
            twin.join()
        if after is None and not 0.02 <= fate < 0.1:
            self.queue.done(taken.request)
        else:
            self.redelivered += 1
            self.queue.later(taken.request, time.time())

    def _serve(self, taken: Taken) -> float | None:
        try:
            dispatch(taken.request, self.services)
        except Retry as error:
            return error.after
        return None


def run(mentions: int = 10_000, seed: int = SEED) -> Crowded:
    """Deliver everything and count."""
    memory = Path("/dev/shm")  # noqa: S108  the store's promises do not depend on the disk; its speed does
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        crowd, every = Crowd(Path(folder), seed), deliveries(mentions, seed)
        with ThreadPoolExecutor(SENDERS + WORKERS) as pool:
            workers = [pool.submit(crowd.work) for _ in range(WORKERS)]
            parcels = [pool.submit(crowd.send, every[sender::SENDERS]) for sender in range(SENDERS)]
            answers = sum((parcel.result() for parcel in parcels), Counter())
            crowd.sent()
            for worker in workers:
                worker.result()
        crowd.store.close()
    made = crowd.gitlab.made
    return Crowded(
        mentions=mentions,
        deliveries=len(every),
        stored=answers[202],
        redelivered=crowd.redelivered,
        pipelines=sum(made.values()),
        doubled=sum(count - 1 for count in made.values()),
        lost=mentions - len(made),
        seconds=time.monotonic() - began,
    )
