"""`make faults`: run every proof or the parts named, show figures, write docs/reliability.md."""

import sys
import time

from tests.proofs.faults import report
from tests.proofs.faults.parts import PARTS
from tests.proofs.faults.schedules import SEED
from tests.proofs.rows import shown


def main(names: list[str]) -> int:
    """Run the parts; return 1 when a bar is not met."""
    began = time.monotonic()
    print(f"seed {SEED}", flush=True)
    rows = [row for _, row in shown({name: PARTS[name]() for name in names or PARTS})]
    if not names:
        report.write(rows, time.monotonic() - began)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
