"""Mutated deliveries through `shared.receive.receive`: answers judged and counted."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from shared.incoming.delivery import Delivery
from shared.receive import receive
from shared.runs.request import MAX_REQUEST, RunRequest, TrackRequest, from_json
from tests.proofs.security import mutations
from tests.proofs.security.mutations import METHOD, SIGNED, TOO_LARGE, UNSIGNED, Case
from tests.support import fakes

SEED = 20261123
CHUNK = 50_000
MOST_STORIES = 5

Answering = Callable[[Delivery], tuple[int, str]]
Front = Callable[[], Answering]


class Tally:
    """What was answered; `stories` are the first wrong ones, for a reproduction."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.exceptions = self.server_errors = self.wrong = 0
        self.stories: list[str] = []
        self.seconds = 0.0

    @property
    def met(self) -> bool:
        """Tell whether every answer was right."""
        return not (self.exceptions or self.server_errors or self.wrong)

    @property
    def total(self) -> int:
        """The number of deliveries."""
        return self.kinds.total()

    def merge(self, other: "Tally") -> None:
        """Take another worker's counts in."""
        self.kinds += other.kinds
        self.reasons += other.reasons
        self.exceptions += other.exceptions
        self.server_errors += other.server_errors
        self.wrong += other.wrong
        self.stories = [*self.stories, *other.stories][:MOST_STORIES]

    def add(self, case: Case, answer: Answering) -> None:
        """Deliver a case and judge the answer."""
        self.kinds[case.kind] += 1
        try:
            status, text = answer(case.delivery)
        except Exception as error:  # noqa: BLE001  counting them is what this is for
            self.exceptions += 1
            self._tell(case, repr(error))
            return
        reason = _reason(text)
        self.reasons[reason] += 1
        # `receive` turns an exception of ours into this answer, so that no hook is switched off:
        # here it counts.
        defect = reason == "defect"
        self.exceptions += defect
        self.server_errors += status >= 500
        wrong = status not in _right(case)
        self.wrong += wrong
        if wrong or defect:
            self._tell(case, f"{status} {reason}")

    def _tell(self, case: Case, what: str) -> None:
        if len(self.stories) < MOST_STORIES:
            self.stories.append(f"{case.kind} → {what}: {case.delivery!r:.3000}")

    def __str__(self) -> str:
        """Return the counts in a line."""
        kinds = ", ".join(
            f"{self.kinds[kind]:,} {kind}" for kind in (SIGNED, UNSIGNED, METHOD, TOO_LARGE)
        )
        stored = self.reasons["queued"]
        return (
            f"{self.total:,} deliveries ({kinds}; {stored:,} of them stored, {len(self.reasons)} different reasons): "
            f"**{self.exceptions} exceptions, {self.server_errors} answers 5xx, {self.wrong} wrong answers**"
        )


class Strict:
    """A queue that keeps nothing and refuses what no real queue would take."""

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Write the request as a queue must, and read it back as `dispatch` does."""
        text = request.to_json()
        if not text.isascii() or len(text) > MAX_REQUEST or from_json(text).id != request.id:
            raise ValueError(text)


def _right(case: Case) -> tuple[int, ...]:
    if case.kind == METHOD:
        return (200,) if case.delivery.method in ("GET", "HEAD") else (405,)
    return {SIGNED: (200, 202), UNSIGNED: (401,), TOO_LARGE: (413,)}[case.kind]


def _reason(text: str) -> str:
    # By hand: this is read ten million times.
    return text.partition('"reason": "')[2].partition('"')[0] or "health"


def core() -> Answering:
    """Return `receive` with strict fakes around it."""
    settings, tokens, queue, log = fakes.settings(), fakes.tokens(), Strict(), fakes.Log()

    def answer(delivery: Delivery) -> tuple[int, str]:
        answered = receive(
            delivery, settings=settings, secrets=tokens, queue=queue, now=_now, log=log
        )
        log.lines.clear()
        return answered.status, answered.body

    return answer


def _now() -> float:
    return fakes.NOW


def deliver(front: Front, seed: int, count: int, now: float = fakes.NOW) -> Tally:
    """Send so many deliveries to a front, in this process."""
    rng, answer, tally = Random(seed), front(), Tally()  # noqa: S311  to play a failure again
    for _ in range(count):
        tally.add(mutations.case(rng, now), answer)
    return tally


def _chunk(task: tuple[Front, int, int, float]) -> Tally:
    return deliver(*task)


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """Return what work returns in a process of its own: what it replaces is replaced there."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(work, given)


def run(count: int, front: Front = core, *, processes: int = 2, now: float = fakes.NOW) -> Tally:
    """Send so many deliveries from several processes at once."""
    tally, began = Tally(), time.monotonic()
    parts: Iterable[tuple[Front, int, int, float]] = (
        (front, SEED + number, min(CHUNK, count - number * CHUNK), now)
        for number in range(-(-count // CHUNK))
    )
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for part in pool.imap_unordered(_chunk, parts):
            tally.merge(part)
    tally.seconds = time.monotonic() - began
    return tally
