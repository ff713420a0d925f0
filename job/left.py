"""What Claude left that no commit takes: ignored files, those of other repositories, its own stash.

The work tree is compared with git's index, before Claude works and after.
"""

from __future__ import annotations

import os
import re
import tarfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from job import messages
from job.git import Git, GitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Callable

_MOST_NAMED = 10  # in a remark
_MOST_OF_FOLDER = 3  # files of a folder that are named one by one
_LARGEST_ARCHIVE = 10_000_000  # bytes, of files
_SUBMODULE = "160000"  # a mode
_COMMIT = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")


class Left(NamedTuple):
    """A path, why it is not committed, and of a commit in no file its `patch`."""

    path: str
    why: str
    patch: bytes = b""


class Watch:
    """The work tree beside what git's index holds: `note` it before Claude works, then `found`."""

    def __init__(self, folder: Path, directory: Path, git: Git, index: Path, own: set[str]) -> None:
        """Take the work tree, its git directory, the git and index that the job commits with.

        `own` has the names at the top that are the job's and the runner's.
        """
        self._folder, self._directory = folder, directory
        self._git, self._index, self._own = git, index, {".git", *own}
        self._before: dict[str, tuple[int, ...]] = {}
        self._commits: set[str] = set()
        self._submodules: set[str] = set()

    def note(self) -> None:
        """Remember what is there before Claude works."""
        self._before = self._beside(self._listed())
        self._commits = set(self._named_commits())
        self._submodules = {path for mode, path in self._listed() if mode == _SUBMODULE}

    def found(self, tree: str, head: str) -> list[Left]:
        """Return what has changed and is not in the index, nor in `tree`, which was made of it.

        `head` is the commit that Claude saw.
        """
        listed = self._listed()
        now = self._beside(listed)
        changed = {path for path, is_now in now.items() if self._before.get(path) != is_now}
        changed |= self._before.keys() - now.keys() - {path for _, path in listed}
        other = {path for mode, path in listed if mode == _SUBMODULE} - self._submodules
        nested = other | set(self._repositories(changed))
        ignored = set(self._files("--others", "--ignored", "--exclude-standard"))
        left = [
            Left(path, self._why(path, nested, ignored))
            for path in sorted(changed)
            if path in self._before or os.path.lexists(self._folder / path)
        ]
        return left + list(self._of_commits(tree, head))

    def _why(self, path: str, nested: set[str], ignored: set[str]) -> str:
        above = {str(parent) for parent in Path(path).parents}
        if above & self._submodules:
            return messages.LEFT_SUBMODULE
        if above & nested:
            return messages.LEFT_NESTED
        known = path in ignored or not os.path.lexists(self._folder / path)
        return messages.LEFT_IGNORED if known else messages.LEFT_UNREAD

    def _listed(self) -> list[tuple[str, str]]:
        """Return mode and path of each entry of the index."""
        lines = self._files("--stage")
        return [(line[:6], line.partition("\t")[2]) for line in lines]

    def _files(self, *options: str) -> list[str]:
        found = self._git.run("ls-files", "-z", *options, index=self._index)
        return [each for each in found.decode("utf-8", "surrogateescape").split("\0") if each]

    def _beside(self, listed: Iterable[tuple[str, str]]) -> dict[str, tuple[int, ...]]:
        """Map each file that is not in the index to what changes when it does."""
        known = {path for _, path in listed}
        found: dict[str, tuple[int, ...]] = {}
        for path, entry in _walk(self._folder, self._own):
            if path not in known:
                about = entry.stat(follow_symlinks=False)
                found[path] = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
        return found

    def _repositories(self, paths: Iterable[str]) -> Iterator[str]:
        for folder in {parent for path in paths for parent in Path(path).parents}:
            if folder != Path() and os.path.lexists(self._folder / folder / ".git"):
                yield str(folder)

    def _named_commits(self) -> Iterator[str]:
        """Yield the commits that branches and stashes name.

        They are read as files: what stands in the git directory is Claude's, and git would obey it.
        """
        logs, refs = self._directory / "logs" / "refs" / "stash", self._directory / "refs"
        for path in (logs, self._directory / "packed-refs", *sorted(refs.rglob("*"))):
            if path.is_file() and not path.is_symlink():
                with suppress(OSError):
                    yield from _COMMIT.findall(path.read_text(encoding="utf-8", errors="replace"))

    def _of_commits(self, tree: str, head: str) -> Iterator[Left]:
        """Yield the commits that Claude made and that are not in the work tree."""
        current = self._head()
        for commit in dict.fromkeys(self._named_commits()):
            if commit in self._commits or not set(commit) - {"0"}:
                continue
            with suppress(GitError):
                if self._git.text("rev-parse", "--verify", f"{commit}^{{tree}}") == tree:
                    continue
                if current and self._git.knows("merge-base", "--is-ancestor", commit, current):
                    continue
                patch = self._git.run("diff", "--binary", "--no-ext-diff", head, commit)
                if patch:
                    yield Left(f"{commit[:8]}.patch", messages.LEFT_COMMIT, patch)

    def _head(self) -> str:
        """Return the commit of the work tree's HEAD, or ""."""
        with suppress(OSError):
            text = (self._directory / "HEAD").read_text(encoding="utf-8", errors="replace")
            name = text.partition("ref: refs/")[2].strip()
            path = self._directory / "refs" / name
            if name and ".." not in name and not path.is_symlink():
                text = path.read_text(encoding="utf-8", errors="replace")
            found = _COMMIT.search(text)
            return found[0] if found else ""
        return ""


def remark(left: Sequence[Left]) -> str:
    """Return what to tell of them, as Markdown that is not yet made harmless."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in left:
        groups.setdefault((each.path.partition("/")[0], each.why), []).append(each.path)
    shown = []
    for (_, why), paths in groups.items():
        many = len(paths) > _MOST_OF_FOLDER
        names = [f"{os.path.commonpath(paths)}/"] if many else paths
        shown += [f"`{_printable(name)}` ({why})" for name in names]
    return messages.REMARK_LEFT.format(files=listed(shown))


def listed(names: Sequence[str], most: int = _MOST_NAMED) -> str:
    """Return the first names of a list, and how many more there are."""
    more = messages.MORE_LEFT.format(count=len(names) - most)
    return ", ".join([*names[:most], *([more] if names[most:] else [])])


def archive(left: Sequence[Left], folder: Path, without: Callable[[str], str]) -> bytes:
    """Return a compressed tar of what they hold, or nothing; `without` takes secrets out of a text.

    No link is followed. What is beyond 10 MB is left out.
    """
    room, packed = _LARGEST_ARCHIVE, BytesIO()
    if not left:
        return b""
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for each in left:
            content = each.patch or _content(folder, each.path, room)
            room -= len(content)
            if content and room >= 0:
                text = without(content.decode("utf-8", "surrogateescape"))
                content = text.encode("utf-8", "surrogateescape")
                about = tarfile.TarInfo(each.path)
                about.size = len(content)
                tar.addfile(about, BytesIO(content))
    return packed.getvalue()


def _content(folder: Path, name: str, most: int) -> bytes:
    path = folder / name
    with suppress(OSError):
        if path.parent.resolve() != folder.resolve() / Path(name).parent:
            return b""  # a link above it leads elsewhere
        if path.is_symlink():
            return os.fsencode(f"link to {path.readlink()}\n")
        if path.is_file() and path.stat().st_size <= most:
            return path.read_bytes()
    return b""


def _printable(path: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in path)


def _walk(folder: Path, own: set[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all files below a folder but git's own, with their paths from there."""
    folders = [""]
    while folders:
        below = folders.pop()
        with suppress(OSError), os.scandir(folder / below) as entries:
            for entry in entries:
                path = f"{below}{entry.name}"
                if entry.name == ".git" or path in own:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                else:
                    yield path, entry
