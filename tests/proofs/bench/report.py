"""Writes docs/performance.md: the goals, and the figures of a whole run."""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime

from tests import ROOT
from tests.proofs.rows import Row

PATH = ROOT / "docs" / "performance.md"

_PAGE = """\
# Performance: what is measured, the goals, and whether they are met

`make bench` measures and writes this page; do not edit. Times are of a processor, as the kernel
counts them for one process; ratios are medians of processes started in turn, so that another
machine gives other times and nearly the same ratios. AWS's services are stand-ins on this machine,
without TLS.

- *Empty handler*: a Lambda handler that answers `ok`.
- *All at import*: a handler that makes its three clients, Logger and Metrics at import, as the SDKs'
  examples do, and verifies a signature.

| | goal | measured | met |
|---|---|---|---|
{rows}

Measured on {day}: {machine}.

A new instance's first answer counts, not its init alone: `receive` reads the webhook's secret before
it can verify anything. On Lambda an invocation has a share of a processor (512 MB: some 0.29 of
one), so that its milliseconds above take about three times as long there; init has a whole one.
"""


def write(rows: Iterable[Row]) -> None:
    """Write the page."""
    lines = [
        f"| {row.test} | {row.bar} | {row.figures} | {'✔' if row.met else '✘'} |" for row in rows
    ]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"
    day = datetime.now(UTC).date().isoformat()
    PATH.write_text(_PAGE.format(rows="\n".join(lines), day=day, machine=machine))
