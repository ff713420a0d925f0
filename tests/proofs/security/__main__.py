"""`make security`: run every proof, show the figures, write SECURITY.md; or only the parts named.

`--share=100` runs a hundredth of the great numbers, and the page says so.
"""

import sys
import time
from datetime import UTC, datetime

from tests.proofs.rows import Row, shown
from tests.proofs.security import cited, report
from tests.proofs.security.fuzz import SEED
from tests.proofs.security.parts import PARTS
from tests.proofs.security.threats import TESTS


def main(names: list[str]) -> int:
    """Run the parts; return 1 when a bar is not met."""
    share = int(
        next((name.removeprefix("--share=") for name in names if name.startswith("--share=")), "1")
    )
    names = [name for name in names if not name.startswith("--")]
    began, rows = time.monotonic(), dict[str, list[Row]]()
    print(f"seed {SEED}", flush=True)
    for name, row in shown({name: PARTS[name](share) for name in names or PARTS}):
        rows.setdefault(name, []).append(row)
    flat = [row for each in rows.values() for row in each]
    met = all(row.met for row in flat)
    if not names:
        started, ends = time.monotonic(), cited.run(TESTS)
        found = report.results(rows, ends)
        print(
            f"{cited.words(ends.values())} of the tests that the threats name [{time.monotonic() - started:.0f} s]"
        )
        measured = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        measured += f" with --share={share}" if share > 1 else ""
        report.PATH.write_text(
            report.page(found, report.figures(flat, time.monotonic() - began, measured))
        )
        met = met and all(result.startswith("✔") for result in found.values())
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
