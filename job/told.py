"""What reviews of ours have told on the lines of a merge request before, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from job.findings import digest
from job.lines import NEW, OLD
from shared.contract import marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from job.findings import Finding
    from job.lines import Diff, Line

_Texts = Callable[[str], "Sequence[str] | None"]  # the lines of a path's new side


class Told(NamedTuple):
    """A thread of ours: digests of the lines it is about and of what it says; `span` lines.

    `line` is where GitLab says it is in the commit `head`. `alone`: nobody but us wrote in it.
    """

    discussion: str
    place: str
    said: str
    span: int
    paths: frozenset[str]
    path: str
    side: str
    line: int
    head: str
    alone: bool
    resolved: bool


def place(lines: Sequence[Line]) -> str:
    """Return the digest of a range of lines: of their words, so that it survives a move."""
    return digest("\n".join(_words(line.text) for line in lines))


def _words(text: str) -> str:
    return " ".join(text.split())


def read(discussions: Iterable[Mapping[str, Any]], own: object) -> list[Told]:
    """Return those of a merge request's discussions that a review of ours began.

    A mark is believed in a note that the user with the id `own` wrote, and in no other.
    """
    found = []
    for each in discussions:
        notes = [note for note in each.get("notes") or [] if isinstance(note, dict)]
        first = notes[0] if notes else {}
        mark = marks.finding(str(first.get("body")))
        at = first.get("position")
        if not mark or not _by(first, own) or not isinstance(at, dict):
            continue
        others = [note for note in notes if not note.get("system") and not _by(note, own)]
        new = at.get("new_line")
        found.append(
            Told(
                discussion=str(each.get("id")),
                place=mark[0],
                said=mark[1],
                span=mark[2],
                paths=frozenset(str(at.get(name)) for name in ("old_path", "new_path")),
                path=str(at.get("new_path")),
                side=NEW if new else OLD,
                line=int(new or at.get("old_line") or 0),
                head=str(at.get("head_sha")),
                alone=not others,
                resolved=bool(first.get("resolved")) or not first.get("resolvable"),
            )
        )
    return found


def _by(note: Mapping[str, Any], own: object) -> bool:
    return bool(own) and (note.get("author") or {}).get("id") == own


class Before:
    """Earlier findings beside the merge request as it is now."""

    def __init__(
        self, told: Sequence[Told], diffs: Iterable[Diff], texts: _Texts, head: str
    ) -> None:
        """Take what was told, the changed files, their lines and the commit that is reviewed."""
        self._told, self._texts, self._head = told, texts, head
        self._paths = {path for diff in diffs for path in (diff.old_path, diff.new_path)}
        self.again: set[str] = set()  # discussions whose finding was found once more

    def has(self, finding: Finding, diff: Diff, lines: Sequence[Line]) -> bool:
        """Tell whether a finding has been told.

        It has been where the same lines had one that says the same or stands there; and where the
        lines have changed, but what is said of them is the same.
        """
        at = place(lines)
        for each in self._told:
            if not self._same_file(each, diff):
                continue
            if each.place == at:
                where = lines[-1].new if each.side != OLD else lines[-1].old
                same = each.said == finding.digest or each.line == where or each.head != self._head
            else:
                same = each.said == finding.digest and self._changed(each)
            if same:
                self.again.add(each.discussion)
                return True
        return False

    def _same_file(self, told: Told, diff: Diff) -> bool:
        """Tell whether a thread is about a file; one whose file is gone may be about any."""
        return bool(told.paths & {diff.old_path, diff.new_path}) or told.path not in self._paths

    def _changed(self, told: Told) -> bool:
        """Tell whether a thread's lines are in its file no more; an unknown file did not change."""
        text = None if told.side == OLD else self._texts(told.path)
        if text is None:
            return False
        words = [_words(line) for line in text]
        spans = range(len(words) - told.span + 1)
        return all(digest("\n".join(words[at : at + told.span])) != told.place for at in spans)

    def mended(self, left_out: Iterable[str]) -> list[str]:
        """Return the discussions to resolve: ours alone, their lines changed, not found again.

        `left_out` are the files that this review has not looked at.
        """
        skipped = set(left_out)
        return [
            each.discussion
            for each in self._told
            if each.alone
            and not each.resolved
            and each.discussion not in self.again
            and each.path in self._paths - skipped
            and self._changed(each)
        ]
