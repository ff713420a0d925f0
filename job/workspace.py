"""The work tree Claude edits and, out of its reach, the git directory the job commits with."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from job import guides, messages
from job.changes import Change, Contents, agent_files
from job.commits import NOBODY, Author, Commits, commit_tree
from job.failures import Failure, Reason
from job.git import Git, GitError, Login
from job.left import Left, Watch
from shared.contract.ai_flow import SHA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# In the work tree: the CI cache and the artifacts. The cache is taken away while Claude works.
FOLDER = ".gitlab-claude"

# Keys of a clone's configuration that can hold a secret or lead to another host.
_CREDENTIALS = re.compile(
    r"http\..*\.?extraheader|credential\..*|url\..*|include.*|remote\..*", re.IGNORECASE
)
_DEPTH = 200  # commits of a shallow clone in which most merge requests began
_DEEPER = (1_000, 10_000)  # commits, where that is not enough
_FETCHED = "refs/gitlab-claude/fetched"


class Workspace:
    """The runner's clone.

    `open` it, `go` to a commit, `guard` it before Claude works, then see the `changes`, and in
    `contents` what they hold.
    """

    contents: Contents

    def __init__(
        self, start: Path, private: Path, environment: Mapping[str, str], login: Login
    ) -> None:
        """Take the clone around `start`; `private` is a folder that Claude cannot reach."""
        self.folder = self.around(start)
        self._directory = _git_directory(self.folder)
        self.clone = Git(self._directory, self.folder, environment)
        self._own = Git(private / "repository", self.folder, environment)
        self._index, self._private, self._login = private / "index", private, login
        self.commits = Commits(self._own, private, login)
        self._restored: set[str] = set()
        self._watch = Watch(
            self.folder, self._directory, self._own, self._index, {FOLDER, ".gitlab-ci-local"}
        )
        self.left: list[Left] = []
        self._parents: list[str] = []
        self.head = self.trusted = ""

    @staticmethod
    def around(start: Path) -> Path:
        """Return the folder of the clone that `start` is in.

        CI_PROJECT_DIR is not that of every runner.
        """
        return next((path for path in (start, *start.parents) if (path / ".git").exists()), start)

    def open(self, default_branch: str, ref: str) -> None:
        """Take the job token out of the clone's configuration; find the default branch's commit.

        `ref` is the branch that was cloned. Raise Failure if there is no clone, or GitError.
        """
        if not self._directory.is_dir():
            raise Failure(Reason.TOOL_MISSING, name=messages.CLONE)
        keys = self.clone.text("config", "--local", "--no-includes", "--name-only", "--list")
        for key in keys.splitlines():
            if _CREDENTIALS.fullmatch(key):
                with suppress(GitError):
                    self.clone.run("config", "--local", "--unset-all", key)
        self.clone.run("config", "--local", "remote.origin.url", self._login.url)
        self.head = self.clone.text("rev-parse", "--verify", "HEAD")
        self.trusted = self.head if ref == default_branch else self.fetch(default_branch)

    def fetch(self, branch: str) -> str:
        """Fetch a branch and return its commit; raise GitError.

        Its name is taken as a name, never as an option or a refspec.
        """
        if not self.clone.knows("check-ref-format", f"refs/heads/{branch}"):
            raise GitError("not a branch name")  # noqa: TRY003
        self._fetch(f"+refs/heads/{branch}:{_FETCHED}")
        return self.clone.text("rev-parse", "--verify", _FETCHED)

    def gone(self, branch: str) -> bool:
        """Tell whether the project has no such branch; raise GitError if it does not say."""
        listed = self.clone.run(
            "ls-remote", self._login.url, f"refs/heads/{branch}", login=self._login
        )
        return not listed.strip()

    def fetch_commit(self, commit: str) -> str:
        """Fetch a commit that GitLab named, unless it is here, and return it; raise GitError.

        GitLab hands out each commit that it keeps, also where its branch is gone.
        """
        if not re.fullmatch(SHA, commit):
            raise GitError("not a commit")  # noqa: TRY003
        if not self.clone.knows("cat-file", "-e", f"{commit}^{{commit}}"):
            self._fetch(f"+{commit}:{_FETCHED}")
        return commit

    def _fetch(self, *refspecs: str, depth: int = _DEPTH) -> None:
        shallow = [f"--depth={depth}"] if self._shallow.exists() else []
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", *shallow]
        self.clone.run("fetch", *options, self._login.url, *refspecs, login=self._login)

    def first_parent(self, commit: str) -> str:
        """Return the commit that another was made on, or "" if it is not here."""
        try:
            return self.clone.text("rev-parse", "--verify", "--quiet", f"{commit}^1")
        except GitError:
            return ""

    def go(self, commit: str, target: str) -> list[str]:
        """Check a commit out, with the target's version of all files that configure an agent.

        Return the paths of those that were put back.
        """
        self.clone.run("checkout", "--quiet", "--force", "--detach", commit)
        self.head = commit
        ours, theirs = agent_files(self.clone, commit), agent_files(self.clone, target)
        for path in [path for path, entry in ours.items() if theirs.get(path) != entry]:
            (self.folder / path).unlink()
            self._restored.add(path)
        back = [path for path, entry in theirs.items() if ours.get(path) != entry]
        if back:
            options = ["--worktree", "--pathspec-from-file=-", "--pathspec-file-nul"]
            paths = "\0".join(back).encode("utf-8", "surrogateescape")
            self.clone.run("restore", *options, f"--source={target}", stdin=paths)
        self._restored.update(back)
        return sorted(self._restored)

    def merge(self, head: str, target: str) -> tuple[str, list[str]]:
        """Merge a target into a head; return the commit, and the paths that are in conflict.

        These hold git's conflict markers. Without a conflict nothing is made. Raise GitError where
        git cannot merge, as before 2.38: https://git-scm.com/docs/git-merge-tree
        """
        if not self.base(target, head):
            raise GitError("no common commit")  # noqa: TRY003
        options = ["--write-tree", "-z", "--name-only", "--no-messages"]
        told = self.clone.run("merge-tree", *options, head, target, codes=(0, 1))
        tree, *paths = told.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
        if not paths:
            return head, []
        self._parents = [head, target]
        return commit_tree(self.clone, tree, "", NOBODY, self._parents), paths

    def file(self, path: str) -> str | None:
        """Return a file of the default branch, or None; a link is followed within that branch."""
        asked = f"{self.trusted}:{path}\n".encode("utf-8", "surrogateescape")
        if "\n" in path:
            return None
        try:
            told = self.clone.run("cat-file", "--batch", "--follow-symlinks", stdin=asked)
        except GitError:  # it is outside
            return None
        found = re.match(rb"[0-9a-f]+ blob [0-9]+\n", told)
        return told[found.end() : -1].decode("utf-8", "replace") if found else None

    def nested_guides(self) -> list[str]:
        """Return the paths of the default branch's CLAUDE.md files below its top."""
        paths = [path for path in agent_files(self.clone, self.trusted) if path.count("/")]
        own = f".claude/{guides.NAME}"
        return [path for path in paths if path.endswith(f"/{guides.NAME}") and path != own]

    def compared(self, base: str, head: str) -> bytes:
        """Return the diff of two commits; raise GitError."""
        options = ["--no-ext-diff", "--no-textconv", "--no-color"]
        return self.clone.run("diff", *options, base, head)

    def base(self, target: str, head: str) -> str:
        """Return the last commit that both have; fetch more of a shallow clone until it is found.

        Return "" if it is not found.
        """
        for depth in (0, *_DEEPER):
            if depth:
                if not self._shallow.exists():
                    break
                self._fetch(target, head, depth=depth)
            with suppress(GitError):
                return self.clone.text("merge-base", target, head)
        return ""

    def guard(self) -> None:
        """Make the git directory that the job commits with, and note what the work tree holds.

        Claude may then change anything in `.git`: no configuration, hook or filter in it is used.
        """
        kind = self.clone.text("rev-parse", "--show-object-format")
        self._own.run("init", "--quiet", "--template=", f"--object-format={kind}")
        info, objects = self._own.directory / "info", self._own.directory / "objects"
        info.mkdir(exist_ok=True)
        (objects / "info").mkdir(exist_ok=True)
        borrowed = self.folder / self.clone.text("rev-parse", "--git-path", "objects")
        (objects / "info" / "alternates").write_text(f"{borrowed}\n", encoding="utf-8")
        if self._shallow.exists():
            shutil.copy(self._shallow, self._own.directory / "shallow")
        exclude = self._directory / "info" / "exclude"
        known = exclude.read_text(encoding="utf-8") if exclude.is_file() else ""
        excluded = f"{known}\n/{FOLDER}/\n/.gitlab-ci-local/\n"
        (info / "exclude").write_text(excluded, encoding="utf-8")
        shutil.copy2(self._directory / "index", self._index)
        before, restored = self._tree(), self._restored
        self.contents = Contents(self._own, self._index, before, self.head, restored)
        self._watch.note()

    def take_up(self, patch: bytes) -> bool:
        """Put the changes of an earlier run into the work tree, or none where some do not fit."""
        with suppress(GitError):
            self._own.run("apply", "--whitespace=nowarn", "-", stdin=patch)
            return True
        return False

    def changes(self) -> list[Change]:
        """Return what Claude changed since `guard` and can be committed; `left` is the rest."""
        after = self._tree()
        found = self.contents.changed(after)
        why = self.contents.unfit(found)
        self.left = [Left(path, each) for path, each in why.items()]
        self.left += self._watch.found(after, self.head)
        return [change for change in found if change.path not in why]

    def commit(self, changes: Iterable[Change], message: str, author: Author) -> str:
        """Put these changes alone on top of what Claude saw; return the new commit."""
        parents = self._parents or [self.head]
        return self.commits.make(self.head, changes, message, author, parents)

    def patch(self, commit: str) -> bytes:
        """Return the commit as a patch that `git am` takes, of a merge what it does to the branch.

        That one is for `git apply`.
        """
        if self._parents:
            return self._own.run("diff", "--binary", "--no-ext-diff", self._parents[0], commit)
        return self._own.run("format-patch", "--stdout", "--binary", "-1", commit)

    @property
    def _shallow(self) -> Path:
        return self._directory / "shallow"

    def _tree(self) -> str:
        # What cannot be added, such as a repository in the repository, is not ours to commit.
        with suppress(GitError):
            self._own.run("add", "--all", "--ignore-errors", index=self._index)
        return self._own.run("write-tree", index=self._index).decode().strip()


def _git_directory(folder: Path) -> Path:
    directory = folder / ".git"
    if not directory.is_file():
        return directory
    pointer = directory.read_text(encoding="utf-8")  # of a worktree: `gitdir: <path>`
    return Path(pointer.partition("gitdir:")[2].strip())
