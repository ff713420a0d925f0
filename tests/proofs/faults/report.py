"""Writes docs/reliability.md: what is promised, the policy as the code has it, and the figures of a whole run."""

import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill

from shared.gitlab.values import GitLabError
from shared.look import OVERLAP
from shared.outcome.reasons import Retry
from shared.outgoing import refusals
from shared.runs.record import ATTEMPTS, LEASE, SETTLE, pause
from shared.runs.store import KEPT
from shared.sweep import BUDGET, LATE, ROUND, SHORTEST
from tests import ROOT
from tests.proofs.rows import Row

PATH = ROOT / "docs" / "reliability.md"
COMMAND = "make faults"
_PATIENCE = sum(map(pause, range(1, ATTEMPTS))) / 3600  # hours

_PROMISE = f"""\
# Reliability: nothing lost, nothing doubled

GitLab does not send a failed delivery again, queues deliver at least once, the trigger call has no
idempotency key, and functions are killed at any instruction. This page says what becomes of a
mention all the same, and what was measured. `{COMMAND}` writes it; do not edit.

## What is guaranteed

Every mention whose delivery was answered 202, and every mention that a sweep finds, ends in exactly
one of

1. one pipeline, with its link in the thread, or the one answer that `help`, `status`, `stop` and
   `budget` ask for;
2. a refusal or a failure, told in the thread with what to change (what a bot writes and what
   exceeds a limit that has been told already gets no answer);
3. a dead letter: an alarm in the log, kept for {KEPT // 86400} days, replayable; told in the thread,
   by a sweep where GitLab did not answer before, unless its last worker was killed or the thread
   takes no reply.

It holds because

- **202 means stored.** Where the queue takes nothing, the answer is 503 and GitLab's log shows the
  failed delivery.
- **One record per run**, changed by compare-and-set. The run's id comes from host, project and note:
  deliveries of two hooks, a Resend, a queue's second delivery and the sweep are the same run.
- **The trigger call is written down before it leaves.** Where its end is not known (time-out,
  reset, 5xx, broken answer, killed), nobody calls again before {SETTLE:.0f} s have passed, in
  which GitLab has ended it one way or the other; then GitLab's triggered pipelines since that
  moment are looked through for the run's id, and only if none has it the call is repeated.
- **A refusal is written down before it is told**, so a thread that read "did not start" sees no
  pipeline after it, unless an operator replays a dead letter.
- **A reply is looked for before it is written again**: each run has one, which follows its
  pipeline. Where a pipeline's webhook is off or its delivery is lost, the sweep brings the reply up
  to date.
- **In doubt, retry.** A request is offered {ATTEMPTS} times over {_PATIENCE:.1f} hours; then it is a dead
  letter. A worker that dies holds its lease for {LEASE:.0f} s at most.
- **The sweep** reads the comments since its last look at a project (and {OVERLAP / 60:.0f} minutes more) and
  what its hooks failed to deliver. It works {BUDGET:.0f} s at a time, longest unseen first, goes on where
  it ended, and lets no project wait for another: where GitLab's list tells of activity at once,
  everywhere else within {ROUND / 3600:.0f} hours ([how it is shown](#what-was-shown)). Assignments, review
  requests, labels and mentions in what was opened it reads from GitLab's own events and notes.
- **A pipeline's end is not taken as final**: one that somebody starts again by hand is followed
  again, `stop` finds it, and of one that is deleted the reply says so.

## What is not

Exactly-once across a network cannot be had in general. Ours rests on a look into GitLab:

- The API token's user must be able to **read the variables of the pipelines we trigger**: let it be
  the owner of the trigger token, or a Maintainer. Otherwise a call whose end is unknown is not
  repeated: the thread is told (`uncertain`) that nobody knows, and a person looks.
- Two pipelines are possible where GitLab creates one more than {SETTLE:.0f} s after the call was sent,
  or where a machine stands still for that long between its record and its call (a suspended laptop,
  a paused container). As a last guard **the job itself drops a second run** with the same id.
- A *reply* may appear twice where GitLab writes it long after its caller has died. The journeys
  below count these apart.
- A thread that takes no reply (locked, deleted: 403, 404) is not told; the log is.
- The sweep knows a project from its first mention on, or from ALLOWED_PROJECTS or a trigger token of
  its own; it serves no comment written more than {OVERLAP / 60:.0f} minutes before. A missed comment counts
  as it stands when it is found: GitLab does not tell whether it was edited.
- The sweep looks for edits of a title or description in failed deliveries only; and of a label or
  assignment it starts nothing if the texts were edited since (`note_changed`).
- Of activity GitLab lists the first of an hour, and only where the API token's user is a member:
  there the sweep looks for {LATE / 60:.0f} minutes after, elsewhere every {SHORTEST / 60:.0f} minutes. With fewer than a
  hundred projects each is looked at more often anyway, up to once an hour.
- What the store has confirmed is believed: a disk that lies, or a table restored from a backup, is
  not survived.
- With ENABLED=false deliveries are answered and dropped; they are swept up on request only
  (`since`).
"""

_SHOWN = """\
## What was shown

Faults: 429 with and without Retry-After, 500, 502, 503, 504 (done or not), connect time-out,
time-out and reset before and after GitLab acted, GitLab acting 45 s late, broken JSON, 401, 403,
404, slow answers, kill before and after each call and each write, the store failing before and
after a write, another worker with the same request at the same moment, an attempt overtaken because
it outlived its lease, a log line that cannot be written. They strike mentions in issues and in
diffs, runs that wait for their turn, runs that version 1 began, calls for help, calls to stop a
pipeline and replies that follow one. Each journey is played on the queues as `functions/local`,
`template.yaml` and `deploy/bootstrap-gcp.sh` set them, with the whole patience and with one to
three attempts; dead letters are replayed once all has healed.

One part alone, such as the sweep over 10,000 projects, is run with
`.venv/bin/python -m tests.proofs.faults sweep`; `tests/proofs/faults/parts.py` has the names.
"""

_CASES: tuple[tuple[str, GitLabError], ...] = (
    ("no connection", GitLabError(0)),
    ("time-out or reset after sending, broken answer", GitLabError(0, unsure=True)),
    ("500, 502, 503, 504", GitLabError(502, unsure=True)),
    ("429 with Retry-After: 30", GitLabError(429, after=30)),
    (
        '400 "Too many pipelines created in the last minute"',
        GitLabError(400, "Too many pipelines created"),
    ),
    ("3xx", GitLabError(302)),
    ("401, 404: trigger token", GitLabError(404)),
    ('400 "Reference not found"', GitLabError(400, "Reference not found")),
    (
        '400 "… permission to run a pipeline on …"',
        GitLabError(400, "sufficient permission to run a pipeline on"),
    ),
    (
        '400 "Insufficient permissions to set pipeline variables"',
        GitLabError(400, "set pipeline variables"),
    ),
    ("400 workflow:rules", GitLabError(400, "workflow:rules")),
    ('400 "would have been empty"', GitLabError(400, "would have been empty")),
    ("422: CI file", GitLabError(422, "jobs config")),
    ("any other 4xx", GitLabError(409)),
)


def policy() -> str:
    """Return the table of what becomes of each answer to the trigger call, asked of the code itself."""
    rows = []
    for name, error in _CASES:
        end = refusals.refused(error)
        if error.unsure:
            then = f"after {SETTLE:.0f} s looked up in GitLab; called again only if it is not there"
        elif isinstance(end, Retry):
            then = f"tried again after {max(end.after, pause(1)):.0f} s or more: `{end.reason}`"
        elif "set pipeline variables" in error.message:
            then = f"called again without variables; where no job runs then, told: `{end.reason}`"
        else:
            then = f"told at once: `{end.reason}`"
        rows.append(f"| {name} | {then} |")
    others = (
        "| user, member, note: any failure but 404 | tried again; nothing starts without an answer |",
        "| looking for a lost pipeline: 403 | told: `uncertain`; not called again |",
        "| looking for a lost pipeline: any other failure | tried again; not called again before it is known |",
        "| what the job gets to know of its surroundings: any failure | goes on without; `unread` names what is missing |",
        "| 👀, and which other jobs the pipeline has | goes on without |",
        "| a pipeline's progress, or the reply that follows it: any failure | tried again, then left to the sweep |",
        "| reply: 403, 404, other 4xx | the thread takes none: logged as an error |",
        "| reply: 401, 408, 429, 5xx, no answer | tried again, after a look whether it is there |",
        "| queue or records of our own | tried again |",
    )
    return "\n".join(
        ["| GitLab's answer to the trigger call | what we do |", "|---|---|", *rows, *others]
    )


def machine() -> str:
    """Return what the figures were measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    name = model[1].strip() if model else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def figures(rows: Iterable[Row], seconds: float, measured: str) -> str:
    """Return the table of a run."""
    lines = [
        f"| {row.test} | {row.bar} | {row.figures} | {'✔' if row.met else '✘'} |" for row in rows
    ]
    said = f"`{COMMAND}`, {measured}, {seconds / 60:.0f} minutes, on {machine()}."
    head = "| test | bar | figures | met |\n|---|---|---|---|"
    return "\n".join([fill(said, 100), "", head, *lines])


def page(shown: str) -> str:
    """Return the whole page around the figures."""
    return f"{_PROMISE}\n## What becomes of each failure\n\n{policy()}\n\n{_SHOWN}\n{shown}\n"


def write(rows: list[Row], seconds: float) -> None:
    """Write the page with the figures of a run that has just ended."""
    PATH.write_text(page(figures(rows, seconds, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))))
