"""A review on the lines: one batch of draft notes, checked one by one, published at once.

Source: https://docs.gitlab.com/api/draft_notes/ (GitLab 15.10 and later, all tiers). GitLab takes a
draft whose position it cannot find, and loses it when it publishes: such a one has no `line_code`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from job import diff, findings, left, lines, messages, prompt, told
from job.gitlab import GitLab, GitLabError
from shared.contract import marks
from shared.contract.ai_flow import MERGE_REQUEST, REVIEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.audience import Audience
    from job.branch import Context
    from job.findings import Finding, Findings
    from job.lines import Diff, Line
    from job.request import Request
    from job.workspace import Workspace

MOST = 50  # notes of one review: what is more stands in the reply
_PAGES = 30  # of a hundred files: GitLab compares no more than 3,000
_THREADS = 50  # pages: an issue or merge request has 5,000 comments at most
_MOST_NAMED = 20  # files
_INVALID = (400, 422)  # of one draft; any other answer is about all of them


class Seen(NamedTuple):
    """What Claude looked at: a merge request's commit, its diff, and a path's lines, if it has any.

    `own` is the id of the user who writes.
    """

    iid: int
    head: str
    diff: bytes
    text: Callable[[str], Sequence[str] | None]
    own: object


class _Placed(NamedTuple):
    finding: Finding
    note: Mapping[str, Any]
    mark: str


def wanted(request: Request, audience: Audience) -> bool:
    """Tell whether findings may stand on a merge request's lines, for all who read it.

    No note on a line can be internal, so what was asked internally is answered in the reply alone.
    """
    asked = request.kind == MERGE_REQUEST and prompt.command(request) == REVIEW
    return asked and not audience.internal


def seen(workspace: Workspace, head: str, diff: bytes, request: Request, context: Context) -> Seen:
    """Return what Claude looked at: the commit `head` of the merge request, and its diff.

    Of what is only read no file is here, but the lines of the diff.
    """
    text = (lambda _: None) if request.read_only else partial(workspace.contents.lines, head)
    return Seen(request.iid, head, diff, text, context.user.get("id"))


def everything(found: Findings) -> str:
    """Return all findings as a part of the reply, which is not yet harmless."""
    return "\n\n".join([messages.REVIEW_REST, *map(findings.listed, found.found)])


class Review:
    """The findings of one run, on their way to GitLab."""

    def __init__(self, gitlab: GitLab, seen: Seen, found: Findings) -> None:
        """Post nothing yet."""
        self._gitlab, self._seen, self._found = gitlab, seen, found
        self._path = f"merge_requests/{seen.iid}"
        self._diffs: list[Diff] = []
        self._rest: list[Finding] = []
        self._changed = ""  # files, as GitLab counts them: `1000+` where it shows no more
        self._told = self._resolved = self._posted = 0
        self._texts: dict[str, Sequence[str] | None] = {}

    def post(self) -> str:
        """Post what fits a line; return the reply's part about it, with all that does not.

        Nothing is lost: where GitLab takes no batch, every finding is in that part.
        """
        why = ""
        try:
            why = self._post()
        except GitLabError as error:
            why = messages.REVIEW_REFUSED.format(status=error.status)
        if why:
            self._rest, self._posted = list(self._found.found), 0
        return self._said(why)

    @property
    def stands(self) -> bool:
        """Whether a finding of this review stands on a line."""
        return self._posted > 0

    def _post(self) -> str:
        """Return why nothing could be posted, or ""."""
        refs = self._refs()
        if not refs:
            return messages.REVIEW_MOVED
        entries = self._gitlab.pages(f"{self._path}/diffs", _PAGES)
        self._diffs = [lines.read(entry) for entry in entries if isinstance(entry, dict)]
        earlier = told.read(self._discussions(), self._seen.own)
        before = told.Before(earlier, self._diffs, self._text, self._seen.head)
        placed = self._place(refs, before)
        if placed:
            why = self._publish(placed)
            if why:
                return why
        for discussion in before.mended(self._left_out()) if self._refs() else []:
            with suppress(GitLabError):
                self._gitlab.put(f"{self._path}/discussions/{discussion}", {"resolved": True})
                self._resolved += 1
        return ""

    def _refs(self) -> Mapping[str, Any]:
        """Return what GitLab compares, or nothing if that is not what Claude looked at."""
        found = self._gitlab.get(self._path)
        self._changed = str(found.get("changes_count"))
        refs = found.get("diff_refs") or {}
        same = found.get("state") == "opened" and refs.get("head_sha") == self._seen.head
        return refs if same and all(refs.get(f"{name}_sha") for name in ("base", "start")) else {}

    def _discussions(self) -> list[Any]:
        listed = self._gitlab.pages(f"{self._path}/discussions", _THREADS)
        return [each for each in listed if isinstance(each, dict)]

    def _text(self, path: str) -> Sequence[str] | None:
        if path not in self._texts:
            self._texts[path] = self._seen.text(path)
        return self._texts[path]

    def _place(self, refs: Mapping[str, Any], before: told.Before) -> list[_Placed]:
        """Return the notes to write; those that fit no line are left for the reply."""
        placed: list[_Placed] = []
        by_path = {diff.old_path: diff for diff in self._diffs}
        by_path.update({diff.new_path: diff for diff in self._diffs})
        for finding in self._found.found:
            diff = by_path.get(finding.path)
            span = self._span(finding, diff) if diff else []
            if diff and span and before.has(finding, diff, span):
                self._told += 1
                continue
            position = lines.position(diff, span, refs) if diff and span else None
            if not position or len(placed) == MOST:
                self._rest.append(finding)
                continue
            mark = marks.of_finding(told.place(span), finding.digest, len(span))
            body = f"{findings.body(finding, _replaced(finding, span))}\n\n{mark}"
            placed.append(_Placed(finding, {"note": body, "position": position}, mark))
        return placed

    def _span(self, finding: Finding, diff: Diff) -> list[Line]:
        text = self._text(diff.new_path) if diff.folded else None
        return lines.between(diff, finding.side, finding.first, finding.line, text)

    def _publish(self, placed: Sequence[_Placed]) -> str:
        """Publish the batch; return why it was not, or "". No draft of ours stays behind."""
        if self._clear():
            return messages.REVIEW_OTHER_DRAFTS  # to publish ours would publish theirs
        try:
            drafted = [each for each in placed if self._draft(each)]
            if not self._refs():
                return messages.REVIEW_MOVED
            if drafted:
                self._gitlab.post(f"{self._path}/draft_notes/bulk_publish", {})
        except GitLabError:
            if not self._arrived(placed):  # else it was done, and only the answer was lost
                raise
        finally:
            with suppress(GitLabError):
                self._clear()
        there = self._arrived(placed)
        self._posted = len(there)
        self._rest += [each.finding for each in placed if each.mark not in there]
        return ""

    def _draft(self, placed: _Placed) -> bool:
        """Write one draft; tell whether GitLab found its line."""
        try:
            made = self._gitlab.post(f"{self._path}/draft_notes", placed.note)
        except GitLabError as error:
            if error.status in _INVALID:
                return False
            raise
        if made.get("line_code", True):
            return True
        self._gitlab.delete(f"{self._path}/draft_notes/{int(made['id'])}")
        return False

    def _clear(self) -> bool:
        """Delete drafts of ours; tell whether the user has others."""
        others = False
        for draft in self._gitlab.get(f"{self._path}/draft_notes") or []:
            if marks.finding(str(draft.get("note"))):
                self._gitlab.delete(f"{self._path}/draft_notes/{int(draft['id'])}")
            else:
                others = True
        return others

    def _arrived(self, placed: Sequence[_Placed]) -> set[str]:
        """Return the marks of those that stand in the merge request."""
        wanted = {each.mark for each in placed}
        stand = {
            marks.of_finding(each.place, each.said, each.span)
            for each in told.read(self._discussions(), self._seen.own)
        }
        return wanted & stand

    def _left_out(self) -> dict[str, str]:
        """Map the changed files that were not looked at to the reason."""
        why = {
            "large": messages.REVIEW_LARGE,
            "binary": messages.REVIEW_BINARY,
            "unchanged": messages.REVIEW_UNCHANGED,
        }
        out = {file.new_path: why[file.why] for file in self._diffs if file.why}
        whole = diff.whole_files(self._seen.diff)
        for file in self._diffs:
            # Git may see no move where GitLab does.
            begins = {diff.first_line(old, file.new_path) for old in (file.old_path, file.new_path)}
            if not (file.why or begins & whole):
                out[file.new_path] = messages.REVIEW_BEYOND
        known = {file.new_path for file in self._diffs}
        skipped = [path for path in self._found.not_reviewed if path in known]
        return {**out, **dict.fromkeys(skipped, messages.REVIEW_SKIPPED)}

    def _said(self, why: str) -> str:
        parts = [why] if why else []
        counts = (
            (self._posted, messages.REVIEW_POSTED),
            (self._told, messages.REVIEW_TOLD),
            (self._resolved, messages.REVIEW_RESOLVED),
        )
        parts += [text.format(count=count) for count, text in counts if count]
        if self._rest:
            parts += [messages.REVIEW_REST, *map(findings.listed, self._rest)]
        if self._diffs:
            out = self._left_out()
            seen = len(self._diffs) - len(out)
            every = self._changed if self._changed.endswith("+") else len(self._diffs)
            looked = messages.REVIEW_LOOKED.format(
                count=seen, all=every, commit=self._seen.head[:8]
            )
            parts.append(looked if not out else f"{looked} {_not_looked(out)}")
        return "\n\n".join(parts)


def _replaced(finding: Finding, span: Sequence[Line]) -> list[str] | None:
    """Return the lines that a suggestion would replace, or None where it could not."""
    whole = finding.side == lines.NEW and len(span) == finding.line - finding.first + 1
    whole = whole and span[-1].new == finding.line  # else GitLab would replace other lines
    return [line.text for line in span] if whole else None


def _not_looked(why: Mapping[str, str]) -> str:
    named = [f"`{path.replace('`', chr(39))}` ({each})" for path, each in why.items()]
    return messages.REVIEW_NOT_LOOKED.format(files=left.listed(named, _MOST_NAMED))
