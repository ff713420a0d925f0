"""Whether the time of a refusal tells how close a wrong secret came, by Welch's t.

The method is that of dudect (https://eprint.iacr.org/2016/1123): classes in random order, the
slowest samples cut off, |t| above 4.5 is a leak. `leaky` is a verification that compares with `==`,
to show that the method finds it.
"""

import gc
import statistics
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations
from random import Random
from time import thread_time_ns
from typing import NamedTuple

from shared.incoming.delivery import Delivery, verify
from shared.installation.secrets import SigningKey, WebhookSecrets, WebhookToken
from shared.outcome.reasons import Reason, Stop
from tests.support import fakes

LEAK = 4.5
KEPT = 0.5  # of the samples; the slowest are the machine's, not the comparison's
BATCH = 1_000  # samples of each class
FIRST, LAST, LENGTH = "first byte", "last byte", "length"

Verify = Callable[[Delivery, WebhookSecrets, float], object]


class Seen(NamedTuple):
    """The samples of each class, and Welch's t for each pair of classes."""

    samples: int
    t: dict[str, float]

    @property
    def worst(self) -> float:
        """The largest |t|."""
        return max(abs(value) for value in self.t.values())


def leaky(delivery: Delivery, secrets: WebhookSecrets, _: float) -> None:
    """Compare as Atlantis did before CVE-2022-24912."""
    if delivery.headers["x-gitlab-token"] == secrets.secret_tokens[0].reveal():
        return
    raise Stop(Reason.TOKEN_WRONG)


def wrong(rng: Random, token: str, what: str) -> str:
    """Return a new wrong token of the same length: wrong in its first byte or in its last."""
    other = chr(ord("a") + int(rng.random() * 26)).swapcase()
    return other + token[1:] if what == FIRST else token[:-1] + other


class Compared(NamedTuple):
    """What is compared: a maker of wrong deliveries and secrets, and the classes of wrong ones."""

    make: Callable[[Random, str], tuple[Delivery, WebhookSecrets]]
    classes: tuple[str, ...]


def by_token(token: str = fakes.SECRET_TOKEN) -> Compared:
    """Return wrong tokens for two secrets; one wrong in its length is made for the other.

    So every class holds the same lengths as often: hashing takes longer for what is longer,
    whatever it is compared with.
    """
    tokens = (token, token + "abc")
    secrets = [WebhookSecrets((), (WebhookToken(each),)) for each in tokens]

    def make(rng: Random, what: str) -> tuple[Delivery, WebhookSecrets]:
        one = int(rng.random() * 2)
        presented = wrong(rng, tokens[one], what)
        return Delivery("POST", {"x-gitlab-token": presented}, b"{}"), secrets[
            one ^ (what == LENGTH)
        ]

    return Compared(make, (FIRST, LAST, LENGTH))


def by_signature() -> Compared:
    """Return wrong signatures; the length of a right one is no secret."""
    right, key = fakes.sign(b"{}"), SigningKey(fakes.SIGNING_TOKEN.removeprefix("whsec_"))
    secrets = WebhookSecrets((key,), ())

    def make(rng: Random, what: str) -> tuple[Delivery, WebhookSecrets]:
        signature = "v1," + wrong(rng, right["webhook-signature"].removeprefix("v1,"), what)
        return Delivery("POST", right | {"webhook-signature": signature}, b"{}"), secrets

    return Compared(make, (FIRST, LAST))


def measure(count: int, compared: Compared, check: Verify = verify) -> Seen:
    """Time so many refusals of each class, in random order; return what the classes differ by."""
    rng, classes = Random(), compared.classes  # noqa: S311
    kept: dict[str, list[int]] = {what: [] for what in classes}
    for done in range(0, count, BATCH):
        # New objects for each batch: where they lie in memory must not look like a difference
        # between classes.
        order = [what for what in classes for _ in range(min(BATCH, count - done))]
        rng.shuffle(order)
        taken = _time([(what, *compared.make(rng, what)) for what in order], check)
        limit = sorted(took for _, took in taken)[int(KEPT * len(taken))]
        for what, took in taken:
            if took <= limit:
                kept[what].append(took)
    return Seen(count, {f"{a}/{b}": welch(kept[a], kept[b]) for a, b in combinations(classes, 2)})


def _time(
    chosen: list[tuple[str, Delivery, WebhookSecrets]], check: Verify
) -> list[tuple[str, int]]:
    taken = []
    gc.disable()
    try:
        for what, delivery, secrets in chosen:
            began = thread_time_ns()
            with suppress(Stop):
                check(delivery, secrets, fakes.NOW)
            taken.append((what, thread_time_ns() - began))
    finally:
        gc.enable()
    return taken


def welch(a: list[int], b: list[int]) -> float:
    """Return Welch's t of two samples."""
    error = (statistics.pvariance(a) / len(a) + statistics.pvariance(b) / len(b)) ** 0.5
    return (statistics.fmean(a) - statistics.fmean(b)) / error if error else 0.0
