"""Runs the mutation tester in its own process, and lists the mutants that change nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from tests import ROOT

BAR = 0.95

# Module, words of the change or of its line → why no test can tell it from the original.
EQUIVALENT: tuple[tuple[str, str, str], ...] = (
    (
        "incoming.delivery",
        "'' → 'X' [timestamp =",
        "a missing time, spelled X, is no number either",
    ),
    ("incoming.mention", "return [] → return None", "both are no mention to all who ask"),
    *(
        ("incoming.mention", change, "a mention ends behind any of these places")
        for change in ("1 → 0 [passed", "1 → 2 [passed", "→ end >= passed [if end")
    ),
    ("incoming.mention", "→ end < at [if end", "nothing is left of one that ends there"),
    ("incoming.mention", "1 → 0 [at = spans", "the mention itself is blank there"),
    (
        "incoming.mention",
        "0 → 1 [begins_line =",
        "a first line that is blank and all before the mention: then nothing is looked for",
    ),
    (
        "incoming.mention",
        "65535 → 65536 [codes",
        "a phrase is ASCII, and so is what settings make of labels: no such character comes",
    ),
    (
        "incoming.mention",
        "'0000' → '0000X' [codes",
        "the same: it stands for phrases without any character below 65536",
    ),
    (
        "outgoing.payload",
        "→ len(kept) + len(kept.rstrip",
        "a sum is odd where a difference is, and only that counts",
    ),
    ("outgoing.replies", "'' → 'X' [other=", "only sentences about a job name another one"),
    ("outgoing.replies", "'' → 'X' [reason =", "neither is a cause that has words"),
)


class Seen(NamedTuple):
    """A module's mutants, those that change nothing, and those that live although they do."""

    module: str
    mutants: int
    equivalent: tuple[str, ...]
    alive: tuple[str, ...]

    @property
    def killed(self) -> int:
        """How many the tests noticed."""
        return self.mutants - len(self.equivalent) - len(self.alive)

    @property
    def score(self) -> float:
        """The share of those that change anything."""
        return self.killed / max(self.mutants - len(self.equivalent), 1)


def sorted_out(module: str, survivors: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which survivors are equivalent, and the others; an entry excuses one of them."""
    excuses = [part for name, part, _ in EQUIVALENT if name == module]
    same, alive = [], []
    for survivor in survivors:
        excuse = next((part for part in excuses if part in survivor), None)
        if excuse is None:
            alive.append(survivor)
        else:
            excuses.remove(excuse)
            same.append(survivor)
    return tuple(same), tuple(alive)


def run(*modules: str) -> Iterator[Seen]:
    """Yield each module's result as it comes; RuntimeError where tests fail without a mutant."""
    command = [sys.executable, "-m", "tests.proofs.security.mutation", *modules]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            told = json.loads(line)
            yield Seen(
                told["module"], told["mutants"], *sorted_out(told["module"], told["survivors"])
            )
    if process.returncode:
        message = "the mutation tester ended with an error, told above"
        raise RuntimeError(message)
