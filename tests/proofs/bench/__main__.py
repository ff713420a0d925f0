"""`make bench`: run every part or those named, show figures, write docs/performance.md."""

import sys
from collections.abc import Callable, Iterable

from tests.proofs.bench import job, lambdas, peer, profile, report, servers, talk, texts
from tests.proofs.rows import Row, shown

PARTS: dict[str, Callable[[], Iterable[Row]]] = {
    "lambda": lambdas.run,
    "peer": peer.run,
    "servers": servers.run,
    "talk": talk.run,
    "texts": texts.run,
    "job": job.run,
    "profile": profile.run,
}


def main(names: list[str]) -> int:
    """Run the parts; return 1 where a goal is missed."""
    rows = [row for _, row in shown({name: PARTS[name]() for name in names or PARTS})]
    if not names:
        report.write(rows)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
