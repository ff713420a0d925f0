"""Files of a merge request for `gl.merge_request(…, diffs=…)`: one by name or thousands at once."""

from collections.abc import Iterator
from difflib import SequenceMatcher

from .records import Record


def file(path: str, *, was: str | None = None, lines: int = 1, **flags: bool) -> Record:
    """A changed file with a diff of one hunk; `was` renames it, flags are `new_file`,
    `deleted_file`, `collapsed`, …
    """
    new, deleted = flags.get("new_file", False), flags.get("deleted_file", False)
    old_lines, new_lines = (0 if new else lines), (0 if deleted else lines)
    removed = "".join(f"-old line {number} of {path}\n" for number in range(1, old_lines + 1))
    added = "".join(f"+new line {number} of {path}\n" for number in range(1, new_lines + 1))
    hunk = f"@@ -{int(not new)},{old_lines} +{int(not deleted)},{new_lines} @@\n{removed}{added}"
    return {
        "old_path": was or path,
        "new_path": path,
        "a_mode": "0" if new else "100644",
        "b_mode": "0" if deleted else "100644",
        "renamed_file": was is not None,
        "diff": hunk,
        **flags,
    }


def many(count: int, *, lines: int = 1, folder: str = "src", **flags: bool) -> Iterator[Record]:
    """So many changed files, `src/0000.py` and on, all with the same flags."""
    return (
        file(f"{folder}/{number:04}.py", was=None, lines=lines, **flags) for number in range(count)
    )


def change(path: str, old: str | None, new: str | None, *, was: str | None = None) -> Record:
    """A file with these contents before and after, None for none, as git compares them."""
    before, after = _lines(old or ""), _lines(new or "")
    hunks = []
    groups = SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(3)
    for group in groups:
        begin, end = group[0], group[-1]
        ranges = _range(begin[1], end[2]), _range(begin[3], end[4])
        hunks.append(f"@@ -{ranges[0]} +{ranges[1]} @@\n")
        for kind, i, j, k, m in group:
            if kind == "equal":
                hunks += [_line(" ", line) for line in before[i:j]]
            else:
                hunks += [_line("-", line) for line in before[i:j]]
                hunks += [_line("+", line) for line in after[k:m]]
    return {
        "old_path": was or path,
        "new_path": path,
        "renamed_file": was is not None,
        "new_file": old is None,
        "deleted_file": new is None,
        "diff": "".join(hunks),
        "old_lines": len(before),
    }


def _lines(text: str) -> list[str]:
    """A text's lines with their ends, as git has them."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + (
        [text.rpartition("\n")[2]] if text and not text.endswith("\n") else []
    )


def _range(begin: int, end: int) -> str:
    return f"{begin + 1 if end > begin else begin},{end - begin}"


def _line(sign: str, line: str) -> str:
    ends = line.endswith("\n")
    return f"{sign}{line}" if ends else f"{sign}{line}\n\\ No newline at end of file\n"
