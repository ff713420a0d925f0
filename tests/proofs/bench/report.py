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
- *pr-agent*: its Lambda for GitLab, and a comment in an issue; measured where `PR_AGENT` names a
  virtual environment that has it.

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
  service's model and no list of endpoints any more; what is left cannot be had in parts: the signer
  imports botocore.compat and botocore.utils, and those urllib3, so that http.client in its place
  would spare nothing. AWS's extension would ([why
  not](decisions/0008-nothing-heavy-on-the-cold-path.md)). Looking for garbage while it is imported
  took a tenth more and is put off. The imports could stand at init, where Lambda gives a whole
  processor: that would be the quicker first answer in a small function, and an init of more than
  three times the empty one's, for stray requests as well.
- **First answer on Google.** `receive` reads its secret as a mounted file and loads no client
  ([why](decisions/0008-nothing-heavy-on-the-cold-path.md)); a mention loads that of Cloud Tasks.
- **Warm answers of 5 KB.** 30 to 40 µs more than an empty handler, where each delivery wakes a
  process that slept: some 8 are the signature's digest, 14 the code around it, 5 the event and the
  secrets' age, 6 the look at the bytes and the answer. The same code in a loop takes a third of
  that. An HMAC that is begun once for each key took 6 off, and names of headers taken as they come
  3; imports in functions are 3 more, which init would pay for, and the garbage collector is none.
  The ratio is that of a few lines to none, and moves by 0.05 from run to run.
- **pr-agent.** The goals are from an earlier version of it, which took 6.6 s of a processor for
  init, 276 MB, and by the clock 32 ms for a reject; 0.49.0 takes a third of the one and a tenth of
  the other. All its extras make it no slower.
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
