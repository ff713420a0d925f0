"""`make faults`: run every proof, show the figures, write docs/reliability.md; with names of parts only those."""

import sys
import time

from tests.proofs.faults import report
from tests.proofs.faults.parts import PARTS
from tests.proofs.faults.schedules import SEED


def main(names: list[str]) -> int:
    """Run the parts; return 1 when a bar is not met."""
    began, rows = time.monotonic(), []
    print(f"seed {SEED}", flush=True)
    for name in names or PARTS:
        started = time.monotonic()
        for row in PARTS[name]():
            rows.append(row)
            mark = "✔" if row.met else "✘"
            print(
                f"{mark} {row.test} [{time.monotonic() - started:.0f} s]\n    {row.figures}",
                flush=True,
            )
            for story in row.stories:
                print(f"      {story}", flush=True)
    if not names:
        report.write(rows, time.monotonic() - began)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
