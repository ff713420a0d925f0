"""The hidden marks of a reply: HTML comments by which trigger and job know the one note of a run.

The trigger writes `<!-- gitlab-claude-trigger run=… -->` at the end. A job puts its own mark in
front of it, which says whether the job still writes there ("working") or has ended. In front of all
stands the version that wrote it, between blank lines: trigger and job of any version look at what
comes after.
"""

from __future__ import annotations

import re

from shared.contract.version import VERSION

TRIGGER = "<!-- gitlab-claude-trigger"  # no text that holds it starts a run
OURS = f"{TRIGGER} -->"  # ends our part of a text that people edit: a merge request's description
WORKING, ENDED = "working", "ended"

# Compiled on first need: the front door, which GitLab waits for, needs no more than TRIGGER.
_COST = r"<!-- gitlab-claude-cost (?P<dollars>[0-9]{1,9})\.(?P<millionths>[0-9]{6}) -->"
_PUSH = r"(?:<!-- gitlab-claude-pushed [0-9a-f]{40,64} -->\n)?"
_JOB = r"<!-- gitlab-claude-job pipeline=(?P<pipeline>[0-9]+)(?: state=(?P<state>[a-z]+))? -->"


def of_part(digest: str) -> str:
    """Return the mark that begins our part of such a text; the digest tells whether it is ours yet.

    >>> of_part("5f3a")
    '<!-- gitlab-claude-trigger part=5f3a -->'
    """
    return f"{TRIGGER} part={digest} -->"


def signed(text: str, run_id: str) -> str:
    """Return a reply of ours: its text, which version wrote it, and whose it is."""
    return f"{text}\n\n{of_version()}\n\n{of_run(run_id)}"


def of_version() -> str:
    """Return the mark of the version that wrote a reply: for people, no program reads it."""
    return f"<!-- gitlab-claude-version {VERSION} -->"


def of_run(run_id: str) -> str:
    """Return the mark of a run's reply.

    >>> of_run("5f3a")
    '<!-- gitlab-claude-trigger run=5f3a -->'
    """
    return f"{TRIGGER} run={run_id} -->"


def of_job(pipeline_id: int | str, state: str) -> str:
    """Return the mark of a job of ours that writes in a reply; `state` is WORKING or ENDED.

    >>> of_job(7, ENDED)
    '<!-- gitlab-claude-job pipeline=7 state=ended -->'
    """
    return f"<!-- gitlab-claude-job pipeline={pipeline_id} state={state} -->"


def of_push(commit: str) -> str:
    """Return the mark of what a job of ours pushed; it stands right in front of the job's own.

    >>> of_push("5f3a" * 10)
    '<!-- gitlab-claude-pushed 5f3a5f3a5f3a5f3a5f3a5f3a5f3a5f3a5f3a5f3a -->'
    """
    return f"<!-- gitlab-claude-pushed {commit} -->"


def of_cost(dollars: float) -> str:
    """Return the mark of what a job's run of Claude has cost; it stands in front of `of_push`.

    >>> of_cost(0.42)
    '<!-- gitlab-claude-cost 0.420000 -->'
    """
    return f"<!-- gitlab-claude-cost {dollars:.6f} -->"


def cost(body: str, pipeline_id: int) -> int | None:
    """Return what the job of a pipeline says it has cost, in millionths of a US dollar.

    None where it does not say. Only the marks at the end count, as of `pushed`.
    """
    found = _end(rf"{_COST}\n\n{_PUSH}", body)
    if not found or (found["pipeline"], found["state"]) != (str(pipeline_id), ENDED):
        return None
    return int(found["dollars"] + found["millionths"])


def of_repair(number: int) -> str:
    """Return the mark of a run that is to repair a pipeline: which try in its merge request.

    It stands alone in front of the other marks of a job's reply, which the trigger keeps.

    >>> of_repair(2)
    '<!-- gitlab-claude-repair 2 -->'
    """
    return f"<!-- gitlab-claude-repair {number} -->"


def repair(body: str) -> int:
    """Return which try to repair a pipeline the job behind a reply was, 0 where it was none.

    Only the marks at the end count: an answer above them may show others.
    """
    number = of_repair(0).replace("0", "([0-9]{1,6})")
    cost = rf"(?:{_COST}\n\n)?"
    found = _end(rf"{number}\n\n{cost}{_PUSH}", body)
    return int(found[1]) if found else 0


def of_finding(place: str, said: str, lines: int) -> str:
    """Return the mark that ends a note of a review: digests of its lines and of what it says.

    >>> of_finding("5f3a", "0b1c", 2)
    '<!-- gitlab-claude-trigger finding=5f3a-0b1c-2 -->'
    """
    return f"{TRIGGER} finding={place}-{said}-{lines} -->"


def finding(body: str) -> tuple[str, str, int] | None:
    """Return what the mark of a review's note says, or None where it does not end with one."""
    found = re.search(rf"\n{TRIGGER} finding=([0-9a-f]+)-([0-9a-f]+)-([0-9]{{1,4}}) -->\s*\Z", body)
    return (found[1], found[2], int(found[3])) if found else None


def pushed(body: str) -> str:
    """Return the commit that the job behind a reply has pushed, or "" where it pushed none.

    Only the marks at the end count: an answer above them may show others.
    """
    found = _end(f"{of_push('([0-9a-f]{40,64})')}\n", body)
    return found[1] if found else ""


def run_of(body: str) -> str:
    r"""Return the run whose reply it is, or "" for another text: the mark ends it.

    >>> run_of("Done.\n" + of_run("5f3a"))
    '5f3a'
    """
    found = re.search(rf"{TRIGGER} run=([A-Za-z0-9-]+) -->\s*\Z", body)
    return found[1] if found else ""


def has_job(body: str) -> bool:
    """Tell whether a job of ours writes, or has written, in a reply."""
    return bool(re.search(_JOB, body))


def has_answer(body: str) -> bool:
    """Tell whether a job of ours has ended in a reply, or told a finding: what it said stays."""
    last = _last(body)
    return finding(body) is not None or (last is not None and last["state"] != WORKING)


def pipeline_of(body: str) -> str:
    """Return the id of the pipeline whose job wrote a reply, or "" where none did."""
    last = _last(body)
    return last["pipeline"] if last else ""


def _end(before: str, body: str) -> re.Match[str] | None:
    """Find the marks that end a job's reply, with what stands right before the job's own."""
    return re.search(rf"\n\n{before}{_JOB}\n[^\n]*\Z", body.rstrip())


def _last(body: str) -> re.Match[str] | None:
    # The last mark is the job's own: an answer above it may show one in a code block.
    marks = list(re.finditer(_JOB, body))
    return marks[-1] if marks else None
