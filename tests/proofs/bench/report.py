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
counts them for one process; ratios are medians of pairs, measured in turn, so that another machine
gives other times and nearly the same ratios. The services of AWS and Google are stand-ins on this
machine, without TLS.

- *Empty handler*: a Lambda handler that answers `ok`.
- *All at import*: a handler that makes its three clients, Logger and Metrics at import, as the SDKs'
  examples do, and verifies a signature.
- *Its hello*: a function that answers `ok` and reads no body, under functions-framework.

| | goal | measured | met |
|---|---|---|---|
{rows}

Measured on {day}: {machine}.

A new instance's first answer counts, not its init alone: `receive` reads the webhook's secret before
it can verify anything. On Lambda an invocation has a share of a processor (512 MB: some 0.29 of
one), so that its milliseconds above take about three times as long there; init has a whole one.

## Where it goes

One process, step by step; `python -m tests.proofs.bench profile` shows it anew.

| step | measured |
|---|---|
{steps}

- **First answer on AWS, and its memory.** More than half are imports of `botocore.auth`, AWS's own
  signer, and of what it stands on: urllib3, ssl, email, inspect, dateutil. It needs no client, no
  service's model and no list of endpoints any more; what is left cannot be had in parts. Looking for
  garbage while it is imported took a tenth more and is put off. The imports could stand at init,
  where Lambda gives a whole processor: that would be the quicker first answer in a small function,
  and an init of more than three times the empty one's, for stray requests as well.
- **First answer on Google.** google-auth and requests alone take what the goal allows; the client
  of Secret Manager is over REST, as gRPC takes no less. The secret mounted as a file would spare
  both ([why not](decisions/0008-nothing-heavy-on-the-cold-path.md)).
- **Warm answers of 5 KB.** A third of ours is the signature's digest. The same code takes several
  times as long where the process has just slept, waiting for its delivery; a bare handler is a
  hundred lines of Python shorter. Under functions-framework ours also reads the body.
- **The client of the job** is unpacked by GitLab's runner; who wants less gives the job an image
  that has the command.
"""


def write(rows: Iterable[Row]) -> None:
    """Write the page; rows without a bar are steps of a profile."""
    goals, steps = [], []
    for row in rows:
        if row.bar:
            met = "✔" if row.met else "✘"
            goals.append(f"| {row.test} | {row.bar} | {row.figures} | {met} |")
        else:
            steps.append(f"| {row.test} | {row.figures} |")
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"
    day = datetime.now(UTC).date().isoformat()
    lists = {"rows": "\n".join(goals), "steps": "\n".join(steps)}
    PATH.write_text(_PAGE.format(**lists, day=day, machine=machine))
