"""Writes SECURITY.md: how to report, each threat with its cure and proof, the figures of a whole run, what is not covered."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from textwrap import fill

from tests import ROOT
from tests.proofs.faults.report import machine
from tests.proofs.rows import Row
from tests.proofs.security import cited, kept
from tests.proofs.security.job_threats import Threat
from tests.proofs.security.mutants_of import EQUIVALENT
from tests.proofs.security.threats import THREATS

PATH = ROOT / "SECURITY.md"
COMMAND = "make security"

_HEAD = f"""\
# Security

Whoever may comment on an issue can try to make an agent run with a project's secrets. This page
names each threat we know, what is done about it, and the test that proves it. `{COMMAND}`
writes it; do not edit.

## Reporting a vulnerability

Report it in private: a confidential issue in this project's tracker, or the private vulnerability
report of the host it is on, if that has one. Say which version, what you sent and what happened; a
request body without its tokens is best. Please give us time for a release before you publish. Only
the newest version is mended. If a token has leaked, revoke it first: the webhook's signing token,
the trigger token and the API token are each replaced without downtime, since several webhook tokens
may be configured at once and the others are read again as soon as GitLab rejects the old one.

## What is not protected against

- **A member who may ask.** Whoever has the role MINIMUM_ROLE can make the agent do what its job
  may: change code on a branch, open a merge request, read what the project's job can read. Give the
  job no more rights than they have.
- **Prompt injection as such.** Text of strangers is marked as data and hidden text is removed; a
  model may still follow what it reads. What it can then do is limited by the job's tools and
  tokens, not by its good will.
- **Maintainers and GitLab itself.** They can read variables and change the job. An administrator
  can sign deliveries.
- **A secret token instead of a signing token.** Before GitLab 19 a delivery is not signed: whoever
  records one can send it again and can change it. GitLab is asked whether it is so; where it is
  not, the thread may be told so by a reply, which the limits hold.
- **What GitLab itself tells wrongly.** A delivery is a hint and GitLab's API the source of comment,
  author, project, branches and confidentiality; nobody is asked whether that is true.
- **A secret that is taken apart.** The job masks its secrets in the usual spellings; one that is
  split, compressed or encrypted is not found.
- **The owner of the platform account.** Whoever may read the secret store, the queue or the records
  needs no hole.
- **Money.** Budgets count what Claude Code says it cost, from list prices. A Maintainer, or whoever
  holds the bot's token, can let a run count as anything from nothing to twice its maximum, or change the
  job; a job that a Developer starts again by hand in GitLab is counted, but not stopped. Set a
  budget with your provider as well.
- **Projects that share a webhook's token.** Whoever may edit one project's webhook can make up
  deliveries for every project that its token speaks for. They start nothing that GitLab does not
  confirm, but cost calls and may bring replies. Bind tokens to projects:
  [settings](docs/settings.md#tokens-bound-to-projects).
- **A flood as such.** Unsigned deliveries cost an invocation each; limit the rate in front of the
  function if that matters. On AWS ReceiveReservedConcurrency bounds what a flood takes of the
  account; what is refused is counted in the log, once a second. Deliveries above the platform's own
  limit (Lambda: 6 MB) are refused before our code.
- **Side channels other than time**, and timing of anything but the comparison of tokens and
  signatures.
- **Flaws of dependencies.** They are locked with hashes, which says what they are, not that they
  are sound. Images are pinned to digests (the one that makes a release of this project is not);
  they were read off what others publish of the tags, not off the registries.
- **A bot in ALLOWED_BOTS that passes on what others write.** Whoever writes through it asks with
  its role.

"""

_FIGURES = """\

## Figures

Every proof but that of time is seeded; all run on this machine without a network; each has a quick
form in `tests/proofs/test_security.py`, part of `make test`. A mutant is a small wrong change of a
module, such as `<` for `<=`; one that no test notices is a gap.
"""


def results(rows: Mapping[str, list[Row]], ends: Mapping[str, Counter[str]]) -> dict[str, str]:
    """Return for each threat what the last run showed."""
    found = {}
    for threat in THREATS:
        shown = [row for part in threat.parts for row in rows.get(part, [])]
        met = all(row.met for row in shown) and all(
            ends[test] and not ends[test][cited.FAILED] for test in threat.tests
        )
        said = [cited.words(ends[test] for test in threat.tests), *(row.brief for row in shown)]
        found[threat.id] = f"{'✔' if met else '✘'} {'; '.join(said)}"
    return found


def table(found: Mapping[str, str]) -> str:
    """Return the table of threats with their results."""
    lines = [_row(each.id, each.name, each.cure, _links(each), found[each.id]) for each in THREATS]
    return "\n".join(["| | threat | cure | proof | last run |", "|---|---|---|---|---|", *lines])


def _links(threat: Threat) -> str:
    tests = (test.partition("::") for test in threat.tests)
    return "<br>".join(f"[{name.removeprefix('test_')}](tests/{path})" for path, _, name in tests)


def figures(rows: Iterable[Row], seconds: float, measured: str) -> str:
    """Return the figures of a run, and the mutants that are known to change nothing."""
    lines = [_row(row.test, row.bar, row.figures, "✔" if row.met else "✘") for row in rows]
    alive = [
        f"- {row.test}: {_code(story)}"
        for row in rows
        if row.test.startswith("mutants")
        for story in row.stories
    ]
    said = f"`{COMMAND}`, {measured}, {seconds / 60:.0f} minutes, on {machine()}."
    gaps = ["", "Mutants that live:", "", *alive] if alive else []
    return "\n".join(
        [fill(said, 100), "", "| test | bar | figures | met |", "|---|---|---|---|", *lines, *gaps]
    )


def equivalent() -> str:
    """Return the list of mutants that no test could notice."""
    lines = [
        f"- `shared/{module.replace('.', '/')}.py`, {_code(part)}: {why}"
        for module, part, why in EQUIVALENT
    ]
    return "\n".join(["Mutants that change nothing anybody could see:", "", *lines])


def _row(*cells: str) -> str:
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def page(found: Mapping[str, str], shown: str) -> str:
    """Return the whole page around the results and figures of a run."""
    return f"{_HEAD}{kept.section()}\n## Threats\n\n{table(found)}\n{_FIGURES}\n{shown}\n\n{equivalent()}\n"


def read(text: str) -> tuple[dict[str, str], str]:
    """Return the results and figures that a page holds."""
    found = dict(re.findall(r"^\| ([TJ][0-9]+) \|.*\| ([✔✘] .*) \|$", text, re.MULTILINE))
    start = text.index(f"`{COMMAND}`, 20")
    return found, text[start : text.index(f"\n\n{equivalent()}")]
