"""The team's guidance as Claude Code itself would read it: CLAUDE.md files and what they import.

All of it is the default branch's. `docs/job.md` says which files count; the rules are those of
https://code.claude.com/docs/en/memory. It does no I/O.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Callable, NamedTuple

from job import prompts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "CLAUDE.md"

_LARGEST = 60_000  # characters of the project's guides, with what they import
_LARGEST_NESTED = 20_000  # characters of all others in the prompt; more are files
_MOST_NESTED = 100
_DEEPEST = 5  # imports of imports
_IMPORT = re.compile(r"(?:^|\s)@((?:[^\s\\]|\\ )+)", re.MULTILINE)
_CODE = re.compile(
    r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)|(`+)(?!`).+?(?<!`)\2(?!`)",
    re.MULTILINE | re.DOTALL,
)

File = Callable[[str], "str | None"]


class Guides(NamedTuple):
    """What goes into the system prompt, and files to lay beside the work tree."""

    text: str
    files: dict[str, bytes]


def gather(file: File, nested: Sequence[str]) -> Guides:
    """Return the guidance of the project and of its folders.

    `file` returns a file of the default branch, or None; `nested` are its CLAUDE.md files below the
    top. Those Claude Code would read once Claude works in their folder.
    """
    seen: set[str] = set()
    tops = [each for path in (NAME, f".claude/{NAME}") for each in _with_imports(path, file, seen)]
    whole = "".join(tops)
    text = whole[:_LARGEST] + (prompts.GUIDE_CUT if len(whole) > _LARGEST else "")
    files: dict[str, bytes] = {}
    room = _LARGEST_NESTED
    for path in sorted(nested, key=lambda path: (path.count("/"), path))[:_MOST_NESTED]:
        folder = posixpath.dirname(path).removesuffix("/.claude")
        guide = "".join(_with_imports(path, file, seen))
        if guide and len(guide) <= room:
            room -= len(guide)
            text += prompts.NESTED_GUIDE.format(folder=folder, guide=guide)
        elif guide:
            name = f"guide-{len(files) + 1}.md"
            files[name] = guide.encode("utf-8", "replace")
            text += prompts.NESTED_GUIDE_IN_FILE.format(folder=folder, file=name)
    return Guides(text, files)


def _with_imports(path: str, file: File, seen: set[str], depth: int = 0) -> Iterator[str]:
    """Yield a file, under its name, and those that it imports, each once."""
    text = None if path in seen or depth > _DEEPEST else file(path)
    if not text or "\0" in text:
        return
    seen.add(path)
    yield prompts.GUIDE.format(path=path, guide=text.rstrip("\n"))
    for found in _IMPORT.finditer(_CODE.sub("", text)):
        named = found[1].replace("\\ ", " ").partition("#")[0]
        for name in (named, named.rstrip(".,;:!?)")):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
            if name and not name.startswith(("/", "~")) and not target.startswith("../"):
                yield from _with_imports(target, file, seen, depth + 1)
