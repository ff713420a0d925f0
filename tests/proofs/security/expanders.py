"""A model of GitLab's two expanders of pipeline variables, fast enough for a million texts.

`tests/shared/outgoing/test_payload.py` has a second one, written character by character;
`tests/proofs/test_security.py` holds them together.
"""

import json
import multiprocessing
import re
from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from shared.outgoing.payload import MAX_VALUE, safe, safe_json
from tests.proofs.security import journeys
from tests.support import fakes

SECRETS = {
    "ANTHROPIC_API_KEY": "sk-ant-canary",
    "CI_JOB_TOKEN": "canary-job-token",
    "PATH": "canary-path",
    "A": "canary-a",
}
SEED = 7

# VARIABLES_REGEXP in gitlabhq lib/gitlab/ci/variables/collection/item.rb:
# \$\$|%%|\$KEY|\${KEY?}|%KEY%
_RAILS = re.compile(
    r"\$\$|%%|\$([a-zA-Z_][a-zA-Z0-9_]*)|\$\{([a-zA-Z_][a-zA-Z0-9_]*)?\}|%([a-zA-Z_][a-zA-Z0-9_]*)%"
)
# Go's os.Expand and os.getShellName, as gitlab-runner common/spec/variables.go calls them: $$ is $,
# the other special parameters are empty, an unknown name vanishes, "${" without its end vanishes,
# "$" before anything else stays.
_GO = re.compile(
    r"\$(?:\{([*#$@!?\-0-9])\}|\{\}|\{([^}]+)\}|\{|([*#$@!?\-0-9])|([A-Za-z_][A-Za-z0-9_]*))"
)
_GO_OPEN = re.compile(_GO.pattern.replace("[^}]+", "(?!)"))


def rails(text: str, variables: Mapping[str, str] = SECRETS) -> str:
    """Return what GitLab makes of a value: unknown names stay, $$ and %% are passed over."""

    def replaced(found: re.Match[str]) -> str:
        name = found[1] or found[2] or found[3]
        return variables.get(name, found[0]) if name else found[0]

    return _RAILS.sub(replaced, text)


def go(text: str, variables: Mapping[str, str] = SECRETS) -> str:
    """Return what the runner makes of a value."""

    def replaced(found: re.Match[str]) -> str:
        special = found[1] or found[3]
        if special:
            return "$" if special == "$" else ""
        name = found[2] or found[4]
        return variables.get(name, "") if name else ""

    # Behind the last brace no "${" ends, and looking for its end each time would take quadratic
    # time: (?!) never matches.
    out: list[str] = []
    at, closed = 0, text.rfind("}")
    while found := (_GO if at < closed else _GO_OPEN).search(text, at):
        out += text[at : found.start()], replaced(found)
        at = found.end()
    return "".join([*out, text[at:]])


def seen_by_the_job(value: str) -> str:
    """Return a variable's value after both expanders."""
    return go(rails(value))


# What a hostile text is made of.
PIECES = (
    *("$", "%", "{", "}", "$$", "%%", "${", "$$$", "%$", "$%", "}}", "{{", "\\$", "$(", ")", "`"),
    *("%{", "\\u0024", "％", "\0"),
    *("A", "CI_JOB_TOKEN", "ANTHROPIC_API_KEY", "PATH", "x", "5", "_", " ", "\n", "\r", "\t", "é"),
    *("好", "🚀", "\ud800", "\u200b"),
    *("$A", "${A}", "%A%", "$$A", "%%A%%", "$CI_JOB_TOKEN", "%CI_JOB_TOKEN%", "${CI_JOB_TOKEN}"),
    *("${", "$5", "$?", "100%"),
)


def text(rng: Random) -> str:
    """Return a hostile text; one in two thousand is longer than a variable may be."""
    length = 1 + int(rng.random() ** 2 * 24)
    made = "".join(PIECES[int(rng.random() * len(PIECES))] for _ in range(length))
    return made * (200_000 // max(len(made), 1)) if rng.random() < 0.0005 else made


class Seen(NamedTuple):
    """How many texts and journeys, how many leak when sent as they are, and what went wrong."""

    texts: int
    journeys: int
    raw_leaks: int
    longest: int
    wrong: tuple[str, ...]


def problems(hostile: str) -> list[str]:
    """Return what is wrong with a text once it is made safe, as a variable and as JSON."""
    value, found = safe(hostile), []
    seen = seen_by_the_job(value)
    if "canary" in seen:
        found.append("expanded")
    if len(value.encode()) > MAX_VALUE:
        found.append("too long")
    meant = hostile.replace("\0", "").encode("utf-8", "replace").decode()
    if len(hostile) < 1000 and seen.replace("％", "%") != meant.replace("％", "%"):
        found.append("changed")
    written = safe_json({hostile: [hostile]})
    if (
        seen_by_the_job(written) != written
        or json.loads(written) != {hostile: [hostile]}
        or not written.isascii()
    ):
        found.append("JSON")
    return [f"{each}: {hostile!r:.200}" for each in found]


def texts(seed: int, count: int) -> Seen:
    """Send texts through the model alone."""
    rng, wrong, leaks, longest = Random(seed), [], 0, 0  # noqa: S311  to play a failure again
    for _ in range(count):
        hostile = text(rng)
        leaks += "canary" in seen_by_the_job(hostile)
        longest = max(longest, len(hostile))
        wrong += problems(hostile)
    return Seen(count, 0, leaks, longest, tuple(wrong[:5]))


def whole(seed: int, count: int) -> Seen:
    """Send texts as notes, branches, paths and names all the way to the trigger call's body."""
    rng, wrong, leaks = Random(seed), [], 0  # noqa: S311
    for number in range(count):
        note, branch, name = text(rng), text(rng)[:200], text(rng)[:200]
        payload = fakes.payload(
            f"@claude x{note}",
            id=number + 1,
            noteable_type="MergeRequest",
            position={"new_path": name},
        )
        payload["project"] |= {"path_with_namespace": name}
        payload["user"] |= {"username": name}
        payload["merge_request"] = {
            "iid": 3,
            "source_project_id": 7,
            "source_branch": branch,
            "target_branch": branch,
        }
        found = journeys.trigger_body(payload)
        if found is None:
            wrong.append(f"no pipeline: {note!r:.200}")
            continue
        body, asked = found
        leaks += "canary" in seen_by_the_job(asked)
        values = {key: str(value) for key, value in body["variables"].items()}
        wrong += [
            f"{key} expanded: {value!r:.200}"
            for key, value in values.items()
            if "canary" in seen_by_the_job(value)
        ]
        wrong += [
            f"{key} too long" for key, value in values.items() if len(value.encode()) > MAX_VALUE
        ]
        if json.loads(seen_by_the_job(values["AI_FLOW_CONTEXT"])) != body["ai_flow"]["context"]:
            wrong.append(f"context: {name!r}")
        if body["ai_flow"]["input"] != asked:
            wrong.append(f"ai_flow: {asked!r:.200}")
    return Seen(0, count, leaks, 0, tuple(wrong[:5]))


def _part(task: tuple[Callable[[int, int], Seen], int, int]) -> Seen:
    kind, seed, count = task
    return kind(seed, count)


def run(count: int, through: int, processes: int = 2) -> Seen:
    """Send so many texts through the model, and so many journeys through the whole path."""
    tasks = [(texts, SEED + part, count // 20) for part in range(20)]
    tasks += [(whole, SEED + part, through // 20) for part in range(20)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        seen = list(pool.imap_unordered(_part, tasks))
    wrong = tuple(story for part in seen for story in part.wrong)
    leaks, longest = sum(part.raw_leaks for part in seen), max(part.longest for part in seen)
    return Seen(
        sum(part.texts for part in seen), sum(part.journeys for part in seen), leaks, longest, wrong
    )
