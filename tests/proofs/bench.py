"""`make bench`: what a hostile note, an ignored delivery and a cold start cost on this machine."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from shared.incoming.delivery import Delivery
from shared.incoming.mention import instruction
from shared.receive import receive
from tests import ROOT
from tests.proofs.security import families
from tests.proofs.security.families import SIZE
from tests.support import fakes

HOSTILE = (*families.TEXTS, *families.JSON)
# More of our own.
MORE = (
    *("`a", "`` ` ", "[a](b) ", "<a b='", "](<", "- ", ">>>\n", "~~~\n", "[x]: y\n", "\\"),
    *("http://", "> a\nb\n", "**", "_", "|"),
)
BAR = 100  # milliseconds
COLD = (
    "import time; began = time.perf_counter(); import functions.aws.handlers; "
    "print((time.perf_counter() - began) * 1000)"
)


def say(line: str) -> None:
    print(line)


def milliseconds(work: Callable[[], object], times: int = 3) -> float:
    """Return the best of several runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


def hostile() -> bool:
    """Time detection on hostile notes, mention in front and behind, so that all is read."""
    say(
        f"hostile notes of {SIZE:,} characters, detection (bar: {BAR} ms for each of the first {len(HOSTILE)})"
    )
    slow = 0
    for family in (*HOSTILE, *MORE):
        text = family * (SIZE // len(family))
        texts = (f"@claude {text}", f"{text} @claude")
        worst = max(milliseconds(partial(instruction, each, ("@claude",))) for each in texts)
        slow += worst > BAR and family in HOSTILE
        say(
            f"  {family!r:14} {worst:6.1f} ms{'   above the bar' if worst > BAR and family in HOSTILE else ''}"
        )
    return not slow


def rejected() -> None:
    """Time `receive` on verified deliveries without a mention."""
    tokens, settings, log, queue = fakes.tokens(), fakes.settings(), fakes.Log(), fakes.Queue()
    for size in (5_000, SIZE):
        body = json.dumps(fakes.payload("x" * size)).encode()
        delivery = Delivery("POST", fakes.sign(body), body)

        def answer(delivery: Delivery = delivery) -> object:
            return receive(
                delivery,
                settings=settings,
                secrets=tokens,
                queue=queue,
                now=lambda: fakes.NOW,
                log=log,
            )

        say(
            f"a verified delivery of {len(body):,} bytes without a mention: {milliseconds(answer, 50) * 1000:.0f} µs"
        )


def cold() -> None:
    """Time the import of the Lambda handlers in fresh processes."""
    command = [sys.executable, "-c", COLD]
    taken = [
        float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
        for _ in range(9)
    ]
    say(f"import of functions.aws.handlers, bare interpreter: {statistics.median(taken):.1f} ms")


def main() -> int:
    """Run every benchmark; return 1 when a hostile note took too long."""
    rejected()
    cold()
    return 0 if hostile() else 1


if __name__ == "__main__":
    sys.exit(main())
