"""Unsigned and oversized deliveries in great number: what they cost beyond the answer."""

import json
import multiprocessing
import resource
from collections import Counter
from random import Random
from typing import NamedTuple

from functions.wiring import Sparing
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.installation.secrets import MIN_AGE, Cached, WebhookSecrets
from shared.receive import receive
from tests.proofs.security import mutations
from tests.support import fakes
from tests.support.stages import Stage

PER_SECOND = 1000  # deliveries of the simulated flood


class Seen(NamedTuple):
    """What a flood cost: statuses, reads of the secret store and how many may be, queue writes.

    Then log lines, the seconds it took by its clock, the deliveries of which no line tells yet, and
    the growth of memory.
    """

    statuses: dict[int, int]
    reads: int
    allowed: int
    writes: int
    lines: int
    seconds: float
    untold: int
    grown: float

    @property
    def deliveries(self) -> int:
        """How many there were."""
        return sum(self.statuses.values())

    @property
    def met(self) -> bool:
        """Tell whether the flood cost its answers and a line a second, which leave out the last second at most."""
        told = self.lines <= self.seconds + 1 and self.untold <= PER_SECOND
        return (
            set(self.statuses) == {401} and self.reads <= self.allowed and not self.writes and told
        )


class _Store:
    """A secret store that counts its reads."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self) -> str:
        self.reads += 1
        return fakes.WEBHOOK_SECRETS


def run(count: int, *, forged: bool) -> Seen:
    """Send a flood, each with a forged signature or without credentials, by a clock that moves."""
    clock, store, queue, written = fakes.Clock(), _Store(), fakes.Queue(), fakes.Log()
    log = Sparing(written, clock)
    rng = Random(count)  # noqa: S311
    tokens, settings = Cached(store, WebhookSecrets.parse, clock), fakes.settings()
    began, before, statuses = clock.time, _megabytes(), Counter[int]()
    for _ in range(count):
        body = mutations.samples()[int(rng.random() * len(mutations.samples()))].body
        headers = {
            "webhook-id": "1",
            "webhook-timestamp": str(int(clock.time)),
            "webhook-signature": "v1,AAAA",
        }
        delivery = Delivery("POST", headers if forged else {"x-gitlab-event": "Note Hook"}, body)
        answer = receive(
            delivery, settings=settings, secrets=tokens, queue=queue, now=clock, log=log
        )
        statuses[answer.status] += 1
        clock.time += 1 / PER_SECOND
    seconds = clock.time - began
    allowed = 1 + int(seconds / MIN_AGE) if forged else 0
    untold = count - sum(int(str(fields["count"])) for _, fields in written.lines)
    lines, grown = len(written.lines), _megabytes() - before
    return Seen(
        dict(statuses), store.reads, allowed, len(queue.runs), lines, seconds, untold, grown
    )


def both(count: int) -> tuple[Seen, Seen]:
    """Send both floods at once, each from its own process; the one without credentials first."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        plain, forged = (
            pool.apply_async(run, (count,), {"forged": forged}) for forged in (False, True)
        )
        return plain.get(), forged.get()


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _bombs() -> dict[str, bytes]:
    filler = json.dumps(fakes.payload("@claude " + "x" * 6_000_000)).encode()
    return {
        "100,000 brackets": b'{"@claude":' + b"[" * 100_000,
        "100,000 brackets, closed": b'{"@claude":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "500,000 objects": b'{"a@claude":' * 500_000,
        "an integer of 5,000 digits": json.dumps(fakes.payload())
        .replace('"project_id": 7', '"project_id": ' + "9" * 5000)
        .encode(),
        "an exponent": json.dumps(fakes.payload())
        .replace('"project_id": 7', '"project_id": 1e999999999')
        .encode(),
        "6 MB of text": filler,
        "2 MB of mentions": json.dumps(fakes.payload("@claude " * 250_000)).encode(),
        "6 MB of zeros": bytes(6_000_000) + b"@claude",
        "6 MB of keys": b"{"
        + b",".join(b'"@claude%d":0' % number for number in range(400_000))
        + b"}",
        "25 MiB of mentions": (b"@claude " * (MAX_BODY // 8 + 1))[:MAX_BODY],
    }


def bombs(most: int = MAX_BODY) -> dict[str, tuple[int, int]]:
    """Return the statuses of each bomb of at most so many bytes, unsigned and signed."""
    found = {}
    for name, body in _bombs().items():
        if len(body) > most:
            continue
        statuses = []
        for headers in ({"webhook-signature": "v1,x"}, fakes.sign(body)):
            stage = Stage()
            answer = stage.receive(Delivery("POST", headers, body))
            defect = any(fields.get("reason") == "defect" for _, fields in stage.log.lines)
            statuses.append(500 if defect else answer.status)
        found[name] = statuses[0], statuses[1]
    return found
