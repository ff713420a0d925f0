"""Which lines of a merge request a note can stand on, and how GitLab names them.

Source: https://docs.gitlab.com/api/discussions/#create-a-new-thread-in-the-merge-request-diff. A
position that GitLab cannot find in its own diff makes no line code, and without one no note.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEW, OLD = "new", "old"
_HUNK = re.compile(r"@@ -([0-9]+)(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
# What GitLab's parser skips at a diff's top and, as it forgets where it is, below an unchanged line
# as well, and does not count: `filename?` in its lib/gitlab/diff/parser.rb.
_NAMES = (
    "--- /dev/null", "+++ /dev/null", "--- a", "+++ b", "+++ a", "--- /tmp/diffy", "+++ /tmp/diffy",
)  # fmt: skip
_LONGEST_PATH = 1000  # characters: GitLab's schema of a position
_LONGEST_RANGE = (
    100  # lines: https://docs.gitlab.com/user/project/merge_requests/reviews/suggestions/
)


class Line(NamedTuple):
    """One line of a diff: its numbers, None on a side that lacks it, and where both sides are.

    The latter two make its code; of an added line `at_old` is the old side's next line. All are as
    GitLab counts.
    """

    old: int | None
    new: int | None
    at_old: int
    at_new: int
    text: str

    @property
    def type(self) -> str | None:
        """GitLab's word: new, old, or None for a line that did not change."""
        if self.old and self.new:
            return None
        return NEW if self.new else OLD


class Diff(NamedTuple):
    """A changed file as GitLab compares it; without `lines` nothing in it can be named.

    `gaps` says from which line of the new side on old and new numbers differ by how much; the last
    one is `lost` where GitLab has not counted all lines above it. `why` tells why it has no lines,
    or is "".
    """

    old_path: str
    new_path: str
    lines: Mapping[tuple[str, int], Line]
    gaps: Sequence[tuple[int, int]]
    folded: bool
    why: str = ""
    lost: bool = False


def read(entry: Mapping[str, Any]) -> Diff:
    """Return a file of GitLab's list of diffs.

    https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs
    """
    text = str(entry.get("diff") or "")
    new_path = str(entry.get("new_path") or "")
    lines, gaps, lost = _hunks(text)
    why = ""
    if entry.get("too_large") or entry.get("collapsed"):
        why = "large"
    elif not lines:
        why = "binary" if text.startswith("Binary files ") else "unchanged"
    folded = not (entry.get("new_file") or entry.get("deleted_file"))
    return Diff(str(entry.get("old_path") or new_path), new_path, lines, gaps, folded, why, lost)


def _hunks(text: str) -> tuple[dict[tuple[str, int], Line], list[tuple[int, int]], bool]:
    """Return lines by their true numbers, the gaps, and whether GitLab loses count in the end."""
    lines: dict[tuple[str, int], Line] = {}
    gaps = [(0, 0)]
    old = new = left_old = left_new = lost_old = lost_new = 0
    unchanged = False
    for raw in text.split("\n"):
        sign, content = raw[:1], raw[1:]
        if left_old <= 0 and left_new <= 0:
            found = _HUNK.match(raw)
            if found:
                old, left_old = int(found[1]), int(found[2] or 1)
                new, left_new = int(found[3]), int(found[4] or 1)
                lost_old, lost_new, unchanged = 0, 0, False
            continue
        at_old, at_new = old - lost_old, new - lost_new
        if unchanged and raw.startswith(_NAMES):  # GitLab takes it for a file's name
            lost_old, lost_new = lost_old + (sign == "-"), lost_new + (sign == "+")
        elif sign == "+":
            lines[NEW, new] = Line(None, at_new, at_old, at_new, content)
        elif sign == "-":
            lines[OLD, old] = Line(at_old, None, at_old, at_new, content)
        elif sign != "\\":  # No newline at end of file
            line = Line(at_old, at_new, at_old, at_new, content)
            lines[OLD, old] = lines[NEW, new] = line
        unchanged = sign not in ("+", "-", "\\") or (unchanged and raw.startswith(_NAMES))
        is_old, is_new = sign not in ("+", "\\"), sign not in ("-", "\\")
        old, left_old = old + is_old, left_old - is_old
        new, left_new = new + is_new, left_new - is_new
        if left_old <= 0 and left_new <= 0:
            gaps.append((new, old - new))
    return lines, gaps, bool(lost_old or lost_new)


def find(diff: Diff, side: str, number: int, text: Sequence[str] | None) -> Line | None:
    """Return the line of a side, or None where no note can stand.

    `text` has the lines of the new side: with them a line that the diff leaves out is found, too,
    as a reader's click on "expand" would show it.
    """
    known = diff.lines.get((side, number))
    if known or not diff.lines or not diff.folded or not text or number < 1:
        return known
    shift = 0
    for at, (begin, each) in enumerate(diff.gaps, 1):
        if number >= begin + (each if side == OLD else 0):
            shift = each
            if diff.lost and at == len(diff.gaps):
                return None
    new = number - shift if side == OLD else number
    if not 1 <= new <= len(text) or (NEW, new) in diff.lines or (OLD, new + shift) in diff.lines:
        return None
    return Line(new + shift, new, new + shift, new, text[new - 1])


def between(diff: Diff, side: str, first: int, last: int, text: Sequence[str] | None) -> list[Line]:
    """Return the lines of a range, or of its last line alone where the range cannot be named."""
    end = find(diff, side, last, text)
    if not end:
        return []
    if not 0 < last - first < _LONGEST_RANGE:
        return [end]
    found = [find(diff, side, number, text) for number in range(first, last)]
    whole = [line for line in found if line]
    return [*whole, end] if len(whole) == len(found) else [end]


def position(diff: Diff, lines: Sequence[Line], refs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return GitLab's name of the lines; `refs` are the merge request's `diff_refs`.

    A range has line codes alone: https://gitlab.com/gitlab-org/gitlab/-/work_items/571619. None
    where a path is longer than GitLab takes.
    """
    if max(len(diff.old_path), len(diff.new_path)) > _LONGEST_PATH:
        return None
    first, last = lines[0], lines[-1]
    named: dict[str, Any] = {
        **{name: refs.get(name) for name in ("base_sha", "start_sha", "head_sha")},
        "position_type": "text",
        "old_path": diff.old_path,
        "new_path": diff.new_path,
        **({"old_line": last.old} if last.old else {}),
        **({"new_line": last.new} if last.new else {}),
    }
    if first != last:
        ends = (("start", first), ("end", last))
        named["line_range"] = {
            name: {"line_code": code(diff, line), "type": line.type} for name, line in ends
        }
    return named


def code(diff: Diff, line: Line) -> str:
    """Return a line's code: SHA-1 of the path, old and new number."""
    path = hashlib.sha1(diff.new_path.encode("utf-8", "surrogateescape"))  # noqa: S324  GitLab's
    return f"{path.hexdigest()}_{line.at_old}_{line.at_new}"
