"""Every fault at every step, alone, in pairs and in random company: counts and wrong ends."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations_with_replacement, islice
from typing import NamedTuple
from unittest.mock import patch

from shared.incoming import mention
from tests.proofs.faults.catalogue import ELSEWHERE, POINTS, Point, with_preamble
from tests.proofs.faults.scenes import PAIRED, SCENES, Scene, play

SEED = 20261123
MOST = 8  # faults of a random schedule
_WORKERS = 2
_KEPT = 20  # wrong ends kept with their stories


class Wrong(NamedTuple):
    """A journey that ended as none may: what is wrong, where, and the faults it met."""

    what: str
    scene: str
    story: tuple[str, ...]


@dataclass
class Tally:
    """How many journeys ended how."""

    journeys: int = 0
    faults: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    unheard: int = 0
    met: set[str] = field(default_factory=set)
    stories: list[Wrong] = field(default_factory=list)

    def add(self, scene: Scene, points: Iterable[Point]) -> None:
        """Play one schedule and count its end."""
        played = play(scene, points)
        self.journeys += 1
        self.faults += played.met
        self.ends[played.end.word] += 1
        self.twice += played.end.twice
        self.unheard += played.end.unheard
        self.met.update(played.story)
        for what in played.end.wrong:
            self.wrong[what] += 1
            if self.wrong[what] <= _KEPT:
                self.stories.append(Wrong(what, str(scene), played.story))

    def take(self, other: "Tally") -> None:
        """Add another's counts."""
        self.journeys += other.journeys
        self.faults += other.faults
        self.ends += other.ends
        self.wrong += other.wrong
        self.twice += other.twice
        self.unheard += other.unheard
        self.met |= other.met
        self.stories += other.stories

    @property
    def lost(self) -> int:
        """Return how many mentions are lost."""
        return sum(count for what, count in self.wrong.items() if what.startswith("lost"))

    @property
    def untold(self) -> int:
        """Return of how many mentions nobody was told what became of them."""
        return sum(count for what, count in self.wrong.items() if what.startswith("untold"))

    @property
    def doubled(self) -> int:
        """Return how many mentions have two pipelines or a reply twice."""
        return sum(count for what, count in self.wrong.items() if what.startswith("doubled"))


Job = tuple[Scene, tuple[Point, ...]]


def singles() -> Iterator[Job]:
    """Yield every step with every fault, in every scene."""
    for scene in SCENES:
        for point in POINTS:
            yield from ((scene, points) for points in with_preamble((point,)))


def pairs() -> Iterator[Job]:
    """Yield every pair that a mention can meet: two at one step in both orders."""
    for first, second in combinations_with_replacement(
        [point for point in POINTS if point[0] not in ELSEWHERE], 2
    ):
        both = (first, second), (second, first)
        chosen = dict.fromkeys(both if first[0] == second[0] else both[:1])
        for pair in chosen:
            yield from ((scene, points) for points in with_preamble(pair) for scene in PAIRED)


def at_random(count: int, seed: int = SEED) -> Iterator[Job]:
    """Yield schedules of one to MOST faults in any scene; the first is likely an early one."""
    draw = random.Random(seed)  # noqa: S311  a seed is the point
    for _ in range(count):
        points = draw.choices(POINTS, k=draw.randint(1, MOST))
        yield draw.choice(SCENES), tuple(points)


def _part(kind: str, count: int, worker: int) -> Tally:
    jobs = {"singles": singles, "pairs": pairs}[kind]() if kind != "random" else at_random(count)
    return played(islice(jobs, worker, None, _WORKERS))


def played(jobs: Iterable[Job]) -> Tally:
    """Play these."""
    tally = Tally()
    # What a text says never changes, and to read the long one was half of a journey's time.
    with patch.object(mention, "sanitized", cache(mention.sanitized)):
        for scene, points in jobs:
            tally.add(scene, points)
    return tally


def run(kind: str, count: int = 0) -> Tally:
    """Play all "singles", all "pairs", or so many "random" schedules, on two processors."""
    with ProcessPoolExecutor(_WORKERS) as pool:
        parts = [pool.submit(_part, kind, count, worker) for worker in range(_WORKERS)]
        whole = Tally()
        for part in parts:
            whole.take(part.result())
    return whole


def sample(jobs: Iterable[Job], every: int, seed: int = SEED) -> Tally:
    """Play each so many-th of the jobs, from one drawn by a seed on, in this process.

    Where `every` shares no factor with the number of jobs of a scene, each fault at each step is
    among them, in one scene or another.
    """
    first = random.Random(seed).randrange(every)  # noqa: S311
    return played(islice(jobs, first, None, every))
