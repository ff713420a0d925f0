"""What Claude changed: which of it a commit takes, and what it holds."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from job import messages
from job.git import Git, GitError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Callable

# Whatever has one of these names, at any depth, configures an agent, or git and the search tools
# that an agent uses.
AGENT_FILES = frozenset(
    [
        ".claude", ".claude.json", ".mcp.json", "CLAUDE.md", "CLAUDE.local.md",
        ".gitmodules", ".husky", ".ripgreprc",
    ]
)  # fmt: skip

_SUBMODULE, _GONE = "160000", "000000"  # modes
# Bytes of a file: GitLab.com takes no larger one.
# https://docs.gitlab.com/user/gitlab_com/#account-and-limit-settings
_LARGEST_FILE = 100 * 2**20
# Git's own, at a line's beginning: https://git-scm.com/docs/git-merge#_how_conflicts_are_presented
_MARKER = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
# Whose content must never be committed as it stands in the work tree: stored elsewhere, encrypted.
_FILTERS = ("lfs", "git-crypt", "crypt")
# What git-lfs puts in a file's place: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n.{,1000}\Z", re.DOTALL)


class Change(NamedTuple):
    """One path that differs: its mode and object now; mode 000000 if it is gone."""

    mode: str
    object: str
    path: str


def agent_files(git: Git, commit: str) -> dict[str, tuple[str, str]]:
    """Map each path that configures the agent to its mode and object."""
    found = {}
    for line in git.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        about, _, name = line.partition(b"\t")
        path = name.decode("utf-8", "surrogateescape")
        if AGENT_FILES.intersection(path.split("/")):
            mode, _, sha = about.decode().split(" ")
            if mode != _SUBMODULE:
                found[path] = mode, sha
    return found


class Contents:
    """What the changes and the commits hold; it is read with a git that Claude cannot reach."""

    def __init__(self, git: Git, index: Path, before: str, head: str, restored: set[str]) -> None:
        """Take that git and its index; `before` is the tree, `head` the commit that Claude saw.

        `restored` are the paths whose version is not that commit's.
        """
        self._git, self._index, self._restored = git, index, restored
        self._before, self._head = before, head

    def lines(self, commit: str, path: str) -> list[str] | None:
        """Return the lines of a file in a commit, without their ends, or None if it has none."""
        with suppress(GitError):
            text = self._git.run("cat-file", "blob", f"{commit}:{path}").decode("utf-8", "replace")
            return text[:-1].split("\n") if text.endswith("\n") else text.split("\n")
        return None

    def changed(self, after: str) -> list[Change]:
        """Return in what a tree differs from the one that Claude saw."""
        raw = self._git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", self._before, after)
        fields = raw.decode("utf-8", "surrogateescape").split("\0")
        found = []
        for about, path in zip(fields[0::2], fields[1::2]):
            _, mode, _, sha, _ = about.split(" ")
            found.append(Change(mode, sha, path))
        return found

    def unfit(self, changes: list[Change]) -> dict[str, str]:
        """Map the paths of changes that cannot be committed to the reason."""
        there = [change for change in changes if change.mode != _GONE]
        why = {}
        for change, size in zip(there, self._sizes(there)):
            if size > _LARGEST_FILE:
                why[change.path] = messages.LEFT_LARGE
        for change, name in zip(there, self._filters(there)):
            if name and not (name == "lfs" and _POINTER.match(self._content(change.object))):
                why[change.path] = messages.LEFT_FILTER.format(name=name)
        why |= {each.path: messages.LEFT_SUBMODULE for each in changes if each.mode == _SUBMODULE}
        restored = [each.path for each in changes if each.path in self._restored]
        return {**why, **dict.fromkeys(restored, messages.LEFT_AGENT)}

    def _sizes(self, changes: list[Change]) -> list[int]:
        asked = "".join(f"{change.object}\n" for change in changes).encode()
        told = self._git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked).decode()
        return [int(line) if line.isdecimal() else 0 for line in told.splitlines()]

    def _filters(self, changes: list[Change]) -> list[str]:
        """Return the filter that each change has to go through, "" for none.

        Any other name stands for nothing where git has no such filter, as the job's.
        """
        paths = "".join(f"{change.path}\0" for change in changes)
        asked = paths.encode("utf-8", "surrogateescape")
        options = ["-z", "--stdin", "filter"]
        told = self._git.run("check-attr", *options, stdin=asked, index=self._index)
        values = told.decode("utf-8", "surrogateescape").split("\0")[2::3]
        return [value if value in _FILTERS else "" for value in values]

    def collisions(self, changes: Iterable[Change]) -> list[str]:
        """Return the paths of new files whose names differ only in case from another's."""
        listed = self._git.run("ls-files", "-z", index=self._index)
        paths = listed.decode("utf-8", "surrogateescape").split("\0")
        names = Counter(path.casefold() for path in paths)
        before = self._git.run("ls-tree", "-r", "-z", "--name-only", self._before)
        known = set(before.decode("utf-8", "surrogateescape").split("\0"))
        new = [each.path for each in changes if each.mode != _GONE and each.path not in known]
        return [path for path in new if names[path.casefold()] > 1]

    def brings(self, change: Change, found: Callable[[bytes], bool]) -> bool:
        """Tell whether a change brings something that the path did not hold before.

        `found` looks for it in the whole content, and in the path.
        """
        path = change.path.encode("utf-8", "surrogateescape")
        if change.mode == _GONE or not (found(path) or found(self._content(change.object))):
            return False
        try:
            return not found(self._git.run("cat-file", "blob", f"{self._head}:{change.path}"))
        except GitError:
            return True  # it is new

    def names(self) -> list[str]:
        """Return the paths of the commit that Claude saw."""
        listed = self._git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", self._head)
        return listed.decode("utf-8", "surrogateescape").split("\0")

    def seen(self, path: str) -> str | None:
        """Return a file of the commit that Claude saw, or None."""
        try:
            content = self._git.run("cat-file", "blob", f"{self._head}:{path}")
        except GitError:
            return None
        return content.decode("utf-8", "replace")

    def _content(self, blob: str) -> bytes:
        return self._git.run("cat-file", "blob", blob)

    def unresolved(self, commit: str, paths: Iterable[str]) -> list[str]:
        """Return those of the paths that have conflict markers in a commit."""
        found = []
        for path in paths:
            with suppress(GitError):
                if _MARKER.search(self._git.run("cat-file", "blob", f"{commit}:{path}")):
                    found.append(path)
        return found
