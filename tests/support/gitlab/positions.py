"""Where GitLab finds the line that a position names: its own diff, unfolded as far as it must be.

Written after lib/gitlab/diff/parser.rb, lib/gitlab/diff/file.rb (`line_for_position`),
lib/gitlab/diff/lines_unfolder.rb and app/validators/json_schemas/position.json. What is known of
the old file's length is `old_lines` of a merge request's files.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .records import Json, Record

_HEADERS = tuple(f"--- {name}" for name in ("/dev/null", "a", "/tmp/diffy"))  # noqa: S108
_HEADERS += tuple(f"+++ {name}" for name in ("/dev/null", "a", "b", "/tmp/diffy"))  # noqa: S108
_SHAS, _PATHS = ("base_sha", "start_sha", "head_sha"), ("old_path", "new_path")
_ENDS = {"line_code", "type"}  # with the numbers the schema refuses what Grape makes of them


@dataclass(slots=True)
class _Line:
    type: str | None
    old: int
    new: int

    def fits(self, old: Any, new: Any) -> bool:
        """Tell whether a position's two numbers name this line."""
        mine = (None if self.type == "new" else self.old, None if self.type == "old" else self.new)
        return self.type not in ("match", "nonewline") and mine == (old, new)


@lru_cache(maxsize=16)
def parse(text: str) -> list[_Line]:
    """GitLab's lines of a diff, hunks' headers among them."""
    found: list[_Line] = []
    old = new = 1
    kind: str | None = None
    for line in text.split("\n")[: -1 if text.endswith("\n") else None]:
        if line.startswith(_HEADERS) and kind is None:  # at the top, or below an unchanged line
            continue
        if head := re.match(r"@@ -(\d+).*?\+(\d+)", line):
            kind, old, new = "match", int(head[1]), int(head[2])
            if (old, new) > (1, 1):
                found.append(_Line("match", old, new))
            continue
        kind = {"+": "new", "-": "old", "\\": "nonewline"}.get(line[:1])
        found.append(_Line(kind, old, new))
        old += line[:1] not in ("+", "\\")
        new += line[:1] not in ("-", "\\")
    return found


def valid(position: Json) -> bool:
    """Tell whether the schema of positions takes it."""
    texts = all(isinstance(position.get(name), str | None) for name in (*_SHAS, *_PATHS))
    short = all(len(position.get(name) or "") <= 1000 for name in _PATHS)
    numbers = all(type(position.get(name, 1)) is int for name in ("old_line", "new_line"))
    ends = (position.get("line_range") or {}).values()
    return texts and short and numbers and all(set(end) <= _ENDS for end in ends)


def line_code(merge_request: Record, refs: Json, position: Json) -> str | None:
    """The code of the line that a position names, or None where GitLab finds none."""
    if any(position.get(name) != refs[name] for name in _SHAS):
        return None
    paths = {position.get("old_path"), position.get("new_path")}
    files = [each for each in merge_request["diffs"] if each.get("new_path") in paths]
    if not files or files[0].get("too_large") or position.get("old_path") != files[0]["old_path"]:
        return None
    old, new = position.get("old_line"), position.get("new_line")
    known = parse(files[0]["diff"]) if "@@" in files[0]["diff"] else []
    line = next((each for each in known if each.fits(old, new)), None)
    line = line or _unfolded(files[0], known, old, new)
    if not line:
        return None
    path = hashlib.sha1(files[0]["new_path"].encode()).hexdigest()  # noqa: S324  (GitLab's)
    return f"{path}_{line.old}_{line.new}"


def _unfolded(file: Record, known: list[_Line], old: Any, new: Any) -> _Line | None:
    """A line that did not change and is in no hunk; only its old number leads there."""
    if not (old and new and known) or file.get("new_file") or file.get("deleted_file"):
        return None
    if old > file.get("old_lines", 0):
        return None
    last = known[-1]
    below = (each for each in known if each.type == "match" and each.old > old)
    near = last if old > last.old else next(below, None)
    return _Line(None, old, new) if near and new == old + near.new - near.old else None
