"""Hostile texts at GitLab's limit through the whole of `receive`: time and how it grows.

Times are of the processor: other work on the machine would look like growth.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from shared.incoming.delivery import Delivery
from shared.receive import receive
from tests.support import fakes

SIZE = 1_000_000  # characters: GitLab's limit for a note
LONGEST, GROWTH = 250.0, 2.6  # milliseconds; time(2n) / time(n)
FLOOR = 25.0  # milliseconds below which growth is noise of the clock

# tests/data/redos.json in its order: what a text repeats, and what JSON around it may repeat too.
TEXTS = ("<!--", "![ ", "[a](", "[]( ", "@", "@claud", "`", "> ", " ", "\u200b", "&#", "${", "%A")
JSON = ("[", '{"a":', "9")
# The mention stands before or behind, so that all of the text must be read.
FAMILIES: dict[str, Callable[[int], bytes]] = {}


def _note(piece: str, *, behind: bool = False) -> Callable[[int], bytes]:
    def body(size: int) -> bytes:
        text = piece * (size // len(piece))
        return json.dumps(
            fakes.payload(f"{text} @claude" if behind else f"@claude {text}")
        ).encode()

    return body


def _raw(piece: str) -> Callable[[int], bytes]:
    def body(size: int) -> bytes:
        return b'{"note": "@claude", "x": ' + piece.encode() * (size // len(piece))

    return body


for _piece in (*TEXTS, "|a|\n|-|\n|b|c\n", "---\n", "$$", "$a%", "<rp>"):
    FAMILIES[f"@claude {_piece!r}…"] = _note(_piece)
    FAMILIES[f"{_piece!r}… @claude"] = _note(_piece, behind=True)
for _piece in JSON:
    FAMILIES[f"JSON {_piece!r}…"] = _raw(_piece)
    FAMILIES[f"@claude {_piece!r}…"] = _note(_piece)


class Seen(NamedTuple):
    """A family's time at the whole size, how it grew from the half, and the answer's status."""

    name: str
    milliseconds: float
    growth: float
    status: int

    @property
    def met(self) -> bool:
        """Tell whether the answer is right, in time, and linear."""
        return self.status in (200, 202) and self.milliseconds <= LONGEST and self.growth <= GROWTH


def _answer(body: bytes) -> tuple[float, int]:
    settings, tokens, queue, log = fakes.settings(), fakes.tokens(), fakes.Queue(), fakes.Log()
    delivery = Delivery("POST", fakes.sign(body), body)
    began = time.process_time()
    answer = receive(
        delivery, settings=settings, secrets=tokens, queue=queue, now=lambda: fakes.NOW, log=log
    )
    if queue.runs:
        queue.runs[0].to_json()  # what every real queue does inside `put`
    took = (time.process_time() - began) * 1000
    # An exception of ours is answered 200.
    return took, 500 if '"defect"' in answer.body else answer.status


def measure(name: str, size: int = SIZE, times: int = 3) -> Seen:
    """Time a family at half and whole size, best of several runs; again if disturbed."""
    make = FAMILIES[name]
    half, whole = make(size // 2), make(size)
    best, best_half, status = float("inf"), float("inf"), 0
    for _ in range(3):
        runs = [_answer(whole) for _ in range(times)]
        best, status = min(best, *(took for took, _ in runs)), runs[0][1]
        best_half = min(best_half, *(took for took, _ in map(_answer, [half] * times)))
        seen = Seen(name, best, best / best_half if best > FLOOR else 1.0, status)
        if seen.met:
            break
    return seen


def run(size: int = SIZE, times: int = 3) -> list[Seen]:
    """Time every family, one after the other: two at once would disturb each other."""
    return list(map(partial(measure, size=size, times=times), FAMILIES))
