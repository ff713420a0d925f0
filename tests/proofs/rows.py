"""A proof's row in a table of figures, and how rows are shown while the proofs run."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """What was proved, the bar, what was seen; `brief` for elsewhere, `stories` to show."""

    test: str
    bar: str
    figures: str
    met: bool
    brief: str = ""
    stories: tuple[str, ...] = ()


def shown(parts: Mapping[str, Iterable[Row]]) -> Iterator[tuple[str, Row]]:
    """Run the parts one by one, print their rows as they come, and yield each with its part."""
    for name, rows in parts.items():
        started = time.monotonic()
        for row in rows:
            mark = "✔" if row.met else "✘"
            seconds = time.monotonic() - started
            print(f"{mark} {row.test} [{seconds:.0f} s]\n    {row.figures}", flush=True)
            for story in row.stories:
                print(f"      {story}", flush=True)
            yield name, row
