"""What is kept of what people wrote, where and how long: for SECURITY.md, read where it is set."""

import re
from typing import NamedTuple

from shared.runs import limits
from shared.runs.request import MAX_REQUEST
from shared.runs.store import KEPT
from tests import ROOT

_DAYS = 24 * 3600


class Kept(NamedTuple):
    """A place, what of people's words and names stands in it, how long, and who ends it sooner."""

    where: str
    what: str
    long: str
    sooner: str


def _set(file: str, pattern: str) -> str:
    """Return the one value that a file sets; raise ValueError where it does so no more."""
    found = set(re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE))
    if len(found) != 1:
        message = f"{file} sets {pattern} {len(found)} times"
        raise ValueError(message)
    return str(found.pop())


def _days(file: str, pattern: str) -> str:
    return f"{int(_set(file, pattern)) // _DAYS} days"


def rows() -> tuple[Kept, ...]:
    """Return all places, ours first."""
    queue = _days(
        "template.yaml", r"^  Runs:\n(?:    .*\n|\n)*?      MessageRetentionPeriod: (\d+)"
    )
    dead = _days(
        "template.yaml", r"^  DeadLetters:\n(?:    .*\n|\n)*?      MessageRetentionPeriod: (\d+)"
    )
    logs = _set("template.yaml", r"^  LogRetentionDays:\n    Type: Number\n    Default: (\d+)")
    tries = _set("deploy/bootstrap-gcp.sh", r"--max-attempts=(\d+)")
    artifacts = _set("templates/claude.yml", r"^    expire_in: (.+)$")
    return (
        Kept(
            "Queue: SQS, Cloud Tasks, SQLite",
            f"the question (up to {MAX_REQUEST // 1024} KiB, of internal comments too), ids, user name, "
            "project path, branches",
            f"until it is carried out. AWS: {queue} at most, dead letters {dead}. Google: at most {tries} tries, "
            "31 days. One machine: no limit",
            "purge the queue",
        ),
        Kept(
            "Records: DynamoDB, Firestore, SQLite",
            "the same, and how the run ended",
            f"{KEPT // _DAYS} days from the question on. Then AWS deletes within two days, Google within "
            "one, one machine when it is next started",
            "delete the record `run/<run>`; the log names the run, and `thread/…` lists its thread's",
        ),
        Kept(
            "Counters of limits, beside the records",
            "ids of people, threads and runs",
            f"at most {2 * limits._DAY // _DAYS} days",
            "",
        ),
        Kept(
            "Budgets and starts by policy, beside the records",
            "ids of people, projects, merge requests and runs; amounts",
            f"budgets {KEPT // _DAYS} days from the end of their day or month on; starts {KEPT // _DAYS} days from "
            "the last one on",
            "",
        ),
        Kept(
            "Lists of threads and projects, beside the records",
            "ids",
            f"of threads {KEPT // _DAYS} days from the last run on, of projects for good",
            "",
        ),
        Kept(
            "The functions' logs",
            "ids and reasons: no text, no name",
            f"AWS: LogRetentionDays, {logs} unless set. Google: as the log bucket says, 30 days unless set. One "
            "machine: as you keep its output",
            "",
        ),
        Kept(
            "GitLab: the webhook's recent events",
            "whole deliveries, internal ones too; for Maintainers",
            "two days in the browser, some more by the API",
            "",
        ),
        Kept(
            "GitLab: the pipeline with its variables and TRIGGER_PAYLOAD",
            "question, title, description, comments; of internal questions ids only. Webhooks with pipeline "
            "events are sent the variables",
            "as long as the pipeline",
            "delete the pipeline, or let GitLab do so (Settings > CI/CD)",
        ),
        Kept(
            "GitLab: the job's log",
            "what Claude says and does; of internal questions names of steps only",
            "as long as the job",
            "erase the job",
        ),
        Kept(
            "GitLab: artifacts, for Developers",
            "the request, the whole conversation with Claude, changes, files that no commit took, and what the log "
            "keeps to itself",
            f"{artifacts}; those of the last successful job stay unless *Keep artifacts from most recent successful "
            "jobs* is off",
            "erase the job",
        ),
        Kept(
            "GitLab: the CI cache, with `resume: true`",
            "conversations that were asked for in public",
            "as long as the runner's cache",
            "Build > Pipelines > Clear runner caches",
        ),
        Kept(
            "GitLab: replies, branches, merge requests",
            "the answer, the changes; unless it was internal, each commit says who asked: id and user name",
            "until somebody deletes them; a commit in the default branch for good",
            "",
        ),
        Kept(
            "GitLab: git notes, with `git_note: true`",
            "the whole request with issue and comments, unless it was internal; in every clone that fetches "
            "`refs/notes/claude`",
            "for good",
            "delete the ref `refs/notes/claude`",
        ),
        Kept(
            "The model's provider",
            "question, context, and whatever Claude reads",
            "as your contract with it says",
            "",
        ),
    )


def section() -> str:
    """Return the page's section."""
    lines = [f"| {' | '.join(each)} |" for each in rows()]
    return "\n".join(
        [
            "## What is kept, and for how long",
            "",
            "For whoever answers for people's data. But for what the model reads, all of it stays in your own",
            "accounts and your GitLab.",
            "",
            "| where | what | how long | how to end it sooner |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )
