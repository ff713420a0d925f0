"""Files of a merge request for `gl.merge_request(…, diffs=…)`: one by name or thousands at once."""

from collections.abc import Iterator

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
