"""What a review found, in the form that Claude is asked for and that is checked here again."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from job.harmless import quiet
from job.lines import NEW, OLD
from job.prompts import LONGEST_TEXT, MOST_FINDINGS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FENCE = re.compile(r"^([ >]*(?:`{3,}|~{3,})[ \t]*)suggestion[^\n]*", re.MULTILINE)

_BLOCK = re.compile(r"[ \t]*(?:[-+*#>|~]|`{3}|[0-9]+[.)])|\t| {4}")  # a paragraph of its own


class Finding(NamedTuple):
    """One finding; `first` is `line` where it is about one; `suggestion` is None if it has none."""

    path: str
    first: int
    line: int
    side: str
    severity: str
    text: str
    suggestion: str | None

    @property
    def digest(self) -> str:
        """A name of what it says, whatever the white space and signs."""
        return digest(" ".join(re.findall(r"\w+", self.text.lower())))


class Findings(NamedTuple):
    """All that a review found, and the changed files that it left out."""

    found: tuple[Finding, ...]
    not_reviewed: tuple[str, ...]


def digest(text: str) -> str:
    """Return a short name of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read(structured: Mapping[str, Any], masked: Callable[[str], str]) -> Findings:
    """Return the findings of the client's `structured_output`, each once and without secrets.

    What has not the form is left out; a suggestion that holds a secret is none.
    """
    listed = structured.get("findings")
    found = [_finding(each, masked) for each in (listed if isinstance(listed, list) else [])]
    once = dict.fromkeys(each for each in found[:MOST_FINDINGS] if each)
    left = structured.get("not_reviewed")
    paths = [each for each in (left if isinstance(left, list) else []) if isinstance(each, str)]
    return Findings(tuple(once), tuple(map(masked, paths)))


def _finding(given: object, masked: Callable[[str], str]) -> Finding | None:
    given = given if isinstance(given, dict) else {}
    path, line, text = given.get("path"), given.get("line"), given.get("text")
    if not (isinstance(path, str) and type(line) is int and isinstance(text, str) and text.strip()):
        return None
    first, severity = given.get("first_line"), given.get("severity")
    suggestion = given.get("suggestion")
    whole = isinstance(suggestion, str) and masked(suggestion) == suggestion
    return Finding(
        path=" ".join(masked(path).removeprefix("./").splitlines()),
        first=first if type(first) is int and 0 < first < line else line,
        line=line,
        side=OLD if given.get("side") == OLD else NEW,
        severity=severity if severity in SEVERITIES else SEVERITIES[-1],
        text=masked(text)[:LONGEST_TEXT],
        suggestion=_without_end(str(suggestion)) if whole else None,
    )


def _without_end(text: str) -> str:
    text = text.replace("\r\n", "\n")
    return text.removesuffix("\n")


def body(finding: Finding, replaced: Sequence[str] | None) -> str:
    """Return a note's text, in which nothing acts; `replaced` are the lines that it suggests for.

    A suggestion that somebody applies is committed to the letter, so it is shown as code instead
    where it would not be what Claude wrote: without such lines, with line ends that GitLab would
    mix (it takes the last one's only), or with signs that nobody sees.
    """
    # What `quiet` takes away may have hidden a suggestion's word.
    said = _FENCE.sub(r"\1", quiet(_headed(f"**{finding.severity}**:", finding.text)))
    if finding.suggestion is None:
        return said
    lines = finding.suggestion.split("\n")
    if replaced and not (len(lines) > 1 and any(each.endswith("\r") for each in replaced)):
        block = _block(finding.suggestion, f"suggestion:-{len(replaced) - 1}+0")
        whole = quiet(f"{said}\n\n{block}")  # a quote that the text opens may end in the code
        if whole.endswith(f"\n\n{block}") and lines != [each.rstrip("\r") for each in replaced]:
            return whole
    return quiet(f"{said}\n\n{_block(finding.suggestion)}")


def listed(finding: Finding) -> str:
    """Return a finding as a part of the reply, which is not yet harmless."""
    path = finding.path.replace("`", "'")
    text = _headed(f"`{path}:{finding.line}` **{finding.severity}**:", finding.text)
    return text if finding.suggestion is None else f"{text}\n\n{_block(finding.suggestion)}"


def _headed(head: str, text: str) -> str:
    """Return a text behind its head, without suggestions of its own: only ours was checked."""
    text = _FENCE.sub(r"\1", text.strip("\r\n"))
    return f"{head}\n\n{text}" if _BLOCK.match(text) else f"{head} {text}"


def _block(text: str, info: str = "") -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{text}\n{fence}" if text else f"{fence}{info}\n{fence}"
