"""Writes the parts of the docs that the code knows best; `--check` only tells whether they are up to date."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from shared.installation.settings import VARIABLES  # noqa: E402
from shared.outcome.reasons import Outcome, Reason  # noqa: E402

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def reasons() -> str:
    """Return the table of every way a delivery or run can end without a pipeline or an answer."""
    well = (Outcome.QUEUED, Outcome.TRIGGERED, Outcome.ANSWERED)
    shown = [reason for reason in Reason if reason.outcome not in well]
    rows = [
        f"| `{reason}` | {reason.outcome} | {reason.sentence} | {reason.cure} |" for reason in shown
    ]
    return "\n".join(
        ["| reason | outcome | what it means | what to change |", "|---|---|---|---|", *rows]
    )


def settings() -> str:
    """Return the table of the settings."""
    rows = [
        f"| `{name}` | {f'`{v.default}`' if v.default else '–'} | {v.meaning} |"
        for name, v in VARIABLES.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def main() -> int:
    """Rewrite, or check, every generated part; return 1 when one is out of date."""
    stale = []
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]):
        text = path.read_text()
        fresh = _PART.sub(lambda part: f"{part[1]}{globals()[part[2]]()}\n{part[3]}", text)
        if fresh != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(fresh)
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
