"""The commits that the job makes and pushes, out of Claude's reach, signed where there is a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from job import signing
from shared.contract import provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from job.changes import Change
    from job.git import Git, Login


class Author(NamedTuple):
    """Who commits."""

    name: str
    email: str


NOBODY = Author("Claude", "noreply")  # of commits that are not pushed


class Commits:
    """The git directory that the job commits with, and the project that it pushes to.

    `key` is the SSH key that signs, or "".
    """

    def __init__(self, git: Git, private: Path, login: Login) -> None:
        """Take git, a folder that Claude cannot reach, and who signs in where."""
        self._git, self._private, self._login = git, private, login
        self.key = ""

    def make(
        self,
        onto: str,
        changes: Iterable[Change],
        message: str,
        author: Author,
        parents: Sequence[str],
    ) -> str:
        """Put changes alone on top of the tree of `onto`; return the new commit."""
        index = self._private / "commit-index"
        self._git.run("read-tree", onto, index=index)
        lines = "".join(f"{change.mode} {change.object}\t{change.path}\0" for change in changes)
        entries = lines.encode("utf-8", "surrogateescape")
        self._git.run("update-index", "-z", "--index-info", stdin=entries, index=index)
        return self._signed(index, message, author, parents)

    def notes(self) -> str:
        """Return where the project's ref NOTES stands, "" where there is none; raise GitError."""
        told = self._git.run("ls-remote", self._login.url, provenance.NOTES, login=self._login)
        return told.decode().partition("\t")[0]

    def annotate(self, commit: str, text: str, author: Author, before: str) -> None:
        """Push a note about a commit into the ref NOTES, which stands at `before`; raise GitError.

        It is not signed: the commit would answer for the notes of others, too.
        """
        index, ref = self._private / "notes-index", provenance.NOTES
        if before:
            options = ["--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head"]
            self._git.run("fetch", *options, self._login.url, ref, login=self._login)
        self._git.run("read-tree", before or "--empty", index=index)
        blob = self._git.run("hash-object", "-w", "--stdin", stdin=text.encode()).decode().strip()
        entry = f"100644,{blob},{provenance.note_path(commit)}"
        self._git.run("update-index", "--add", "--cacheinfo", entry, index=index)
        tree = self._git.run("write-tree", index=index).decode().strip()
        parents = [before] if before else []
        made = commit_tree(self._git, tree, f"Account for {commit}\n", author, parents)
        self._push(made, ref, before)

    def try_key(self) -> None:
        """Sign a commit that nobody gets; raise GitError with git's words."""
        index = self._private / "commit-index"
        self._git.run("read-tree", "--empty", index=index)
        self._signed(index, "", NOBODY, [])

    def push(self, commit: str, branch: str, before: str, *, skip_ci: bool) -> None:
        """Push the commit to a branch that stands at `before`; raise GitError with git's words.

        Nothing is overwritten: the commit is made on `before`. "" is a branch that is new.
        """
        options = ["--push-option=ci.skip"] if skip_ci else []
        self._push(commit, f"refs/heads/{branch}", before, *options)

    def _push(self, commit: str, ref: str, before: str, *options: str) -> None:
        # The lease refuses a ref that somebody else has deleted, or made, meanwhile.
        lease, refspec = f"--force-with-lease={ref}:{before}", f"{commit}:{ref}"
        options = ("--quiet", *options, lease)
        self._git.run("push", *options, self._login.url, refspec, login=self._login)

    def _signed(self, index: Path, message: str, author: Author, parents: Sequence[str]) -> str:
        tree = self._git.run("write-tree", index=index).decode().strip()
        with signing.at_hand(self.key, self._private) as path:
            return commit_tree(self._git, tree, message, author, parents, path)


def commit_tree(
    git: Git, tree: str, message: str, author: Author, parents: Sequence[str], key: str = ""
) -> str:
    """Return a new commit of a tree, signed if `key` names the file of an SSH key."""
    who = {
        **signing.VARIABLES,
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": author.name,
        "GIT_COMMITTER_EMAIL": author.email,
    }
    options = [each for parent in parents for each in ("-p", parent)]
    signs = ("-c", "gpg.format=ssh") if key else ()  # before 2.34 git reads no such word
    options += [f"-S{key}"] if key else []
    made = git.run(*signs, "commit-tree", tree, *options, stdin=message.encode(), variables=who)
    return made.decode().strip()
