"""The work tree Claude edits and, out of its reach, the git directory the job commits with; it knows no GitLab."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from job.git import Git, GitError, Login
from job.outcome import Ending, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = ".gitlab-claude"  # in the work tree: the CI cache and the artifacts, both taken away while Claude works

# What configures an agent or the git and search tools it uses, at any depth: facts of claude-code-action, threat T4.
AGENT_FILES = frozenset(
    [
        ".claude",
        ".mcp.json",
        ".claude.json",
        ".gitmodules",
        ".ripgreprc",
        "CLAUDE.md",
        "CLAUDE.local.md",
        ".husky",
    ],
)
# A push that changes these would run what was changed.
CI_FILES = re.compile(r"\.gitlab-ci\.ya?ml|\.gitlab/.*", re.DOTALL)

_CREDENTIALS = re.compile(
    r"http\..*\.?extraheader|credential\..*|url\..*|include.*|remote\..*", re.IGNORECASE
)
_DEPTH = 200  # commits of a shallow clone that are enough to find where a merge request began
_LARGEST_DIFF = 400_000  # bytes
_GITLINK = "160000"


class Change(NamedTuple):
    """One path that differs: mode and object now (mode 000000: gone)."""

    mode: str
    object: str
    path: str


class Author(NamedTuple):
    """Who commits."""

    name: str
    email: str


class Workspace:
    """The runner's clone. `open` it, go to a commit, `guard` it while Claude works, then see what changed."""

    def __init__(
        self, start: Path, private: Path, environment: Mapping[str, str], login: Login
    ) -> None:
        """Take the clone around `start`; `private` is a folder that Claude cannot reach."""
        self.folder = self.around(start)
        self._directory = self.folder / ".git"
        if self._directory.is_file():  # a worktree
            self._directory = Path(
                self._directory.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
            )
        self._clone = Git(self._directory, self.folder, environment)
        self._own = Git(private / "repository", self.folder, environment)
        self._index, self._private, self._login = private / "index", private, login
        self._before = ""
        self._restored: set[str] = set()
        self.head = self.trusted = ""

    @staticmethod
    def around(start: Path) -> Path:
        """Return the folder of the clone that `start` is in; not every runner's CI_PROJECT_DIR is that."""
        return next((path for path in (start, *start.parents) if (path / ".git").exists()), start)

    def open(self, default_branch: str, ref: str) -> None:
        """Take the job token out of the clone's configuration; find the default branch's commit."""
        if not self._directory.is_dir():
            raise Failure(Ending.TOOL_MISSING, name="clone of the project (GIT_STRATEGY: none)")
        for key in self._clone.text(
            "config", "--local", "--no-includes", "--name-only", "--list"
        ).splitlines():
            if _CREDENTIALS.fullmatch(key):
                with suppress(GitError):
                    self._clone.run("config", "--local", "--unset-all", key)
        self._clone.run("config", "--local", "remote.origin.url", self._login.url)
        self.head = self._clone.text("rev-parse", "--verify", "HEAD")
        self.trusted = self.head if ref == default_branch else self.fetch(default_branch)

    def fetch(self, branch: str) -> str:
        """Fetch a branch and return its commit; its name is a name, never an option or a refspec."""
        if not self._clone.knows("check-ref-format", f"refs/heads/{branch}"):
            raise GitError("not a branch name")  # noqa: TRY003
        depth = [f"--depth={_DEPTH}"] if self._shallow.exists() else []
        where = "refs/gitlab-claude/fetched"
        refspec = f"+refs/heads/{branch}:{where}"
        self._clone.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *depth, self._login.url, refspec,
            login=self._login,
        )  # fmt: skip
        return self._clone.text("rev-parse", "--verify", where)

    def go(self, commit: str, target: str) -> list[str]:
        """Check a commit out; put files that configure the agent back to the target's version, and name them."""
        self._clone.run("checkout", "--quiet", "--force", "--detach", commit)
        self.head = commit
        ours, theirs = self._agent_files(commit), self._agent_files(target)
        for path in sorted(path for path, entry in ours.items() if theirs.get(path) != entry):
            (self.folder / path).unlink()
            self._restored.add(path)
        back = sorted(path for path, entry in theirs.items() if ours.get(path) != entry)
        if back:
            paths = "\0".join(back).encode("utf-8", "surrogateescape")
            options = (
                "--worktree",
                f"--source={target}",
                "--pathspec-from-file=-",
                "--pathspec-file-nul",
            )
            self._clone.run("restore", *options, given=paths)
        self._restored.update(back)
        return sorted(self._restored)

    def file(self, path: str) -> str | None:
        """Return a file of the default branch; a link is not followed."""
        try:
            return self._clone.run("cat-file", "blob", f"{self.trusted}:{path}").decode(
                "utf-8", "replace"
            )
        except GitError:
            return None

    def diff(self, target: str) -> bytes:
        """Return the merge request's diff from where it left the target, or nothing where that is unknown."""
        try:
            base = self._clone.text("merge-base", target, self.head)
            whole = self._clone.run(
                "diff", "--no-ext-diff", "--no-textconv", "--no-color", base, self.head
            )
        except GitError:
            return b""
        cut = b"\n[cut here: the diff is longer]\n" if len(whole) > _LARGEST_DIFF else b""
        return whole[:_LARGEST_DIFF] + cut

    def guard(self) -> None:
        """Prepare the git directory the job commits with, and remember what the work tree holds before Claude.

        Claude may change anything in `.git`: none of its configuration, hooks or filters will be used.
        """
        kind = self._clone.text("rev-parse", "--show-object-format")
        self._own.run("init", "--quiet", "--template=", f"--object-format={kind}")
        objects = self.folder / self._clone.text("rev-parse", "--git-path", "objects")
        info = self._own.directory / "info"
        info.mkdir(exist_ok=True)
        (self._own.directory / "objects" / "info").mkdir(exist_ok=True)
        (self._own.directory / "objects" / "info" / "alternates").write_text(
            f"{objects}\n", encoding="utf-8"
        )
        if self._shallow.exists():
            shutil.copy(self._shallow, self._own.directory / "shallow")
        exclude = self._directory / "info" / "exclude"
        known = exclude.read_text(encoding="utf-8") if exclude.is_file() else ""
        (info / "exclude").write_text(
            f"{known}\n/{FOLDER}/\n/.gitlab-ci-local/\n", encoding="utf-8"
        )
        shutil.copy2(self._directory / "index", self._index)
        self._before = self._tree()

    def changes(self) -> list[Change]:
        """Return what Claude changed since `guard`, without the files that were put back before it began."""
        after = self._tree()
        raw = self._own.run("diff-tree", "-r", "-z", "--raw", "--no-renames", self._before, after)
        fields = raw.decode("utf-8", "surrogateescape").split("\0")
        found = []
        for about, path in zip(fields[0::2], fields[1::2]):
            _, mode, _, sha, _ = about.split(" ")
            if path not in self._restored and mode != _GITLINK:
                found.append(Change(mode, sha, path))
        return found

    def commit(self, changes: Iterable[Change], message: str, author: Author) -> str:
        """Put the changes, and nothing else, on top of the commit Claude saw; return the new commit."""
        index = self._private / "commit-index"
        self._own.run("read-tree", self.head, index=index)
        lines = "".join(f"{change.mode} {change.object}\t{change.path}\0" for change in changes)
        self._own.run(
            "update-index", "-z", "--index-info", given=lines.encode("utf-8", "surrogateescape"), index=index,
        )  # fmt: skip
        tree = self._own.run("write-tree", index=index).decode().strip()
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in _identity(author)
        }
        made = self._own.run(
            "commit-tree", tree, "-p", self.head, given=message.encode(), variables=who
        )
        return made.decode().strip()

    def patch(self, commit: str) -> bytes:
        """Return the commit as a patch that `git am` takes."""
        return self._own.run("format-patch", "--stdout", "--binary", "-1", commit)

    def push(self, commit: str, branch: str, *, skip_ci: bool) -> None:
        """Push the commit to a branch, never by force; raise GitError with git's words."""
        options = ["--push-option=ci.skip"] if skip_ci else []
        refspec = f"{commit}:refs/heads/{branch}"
        self._own.run("push", "--quiet", *options, self._login.url, refspec, login=self._login)

    @property
    def _shallow(self) -> Path:
        return self._directory / "shallow"

    def _tree(self) -> str:
        with suppress(
            GitError
        ):  # what cannot be added, such as a repository in the repository, is not ours to commit
            self._own.run("add", "--all", "--ignore-errors", index=self._index)
        return self._own.run("write-tree", index=self._index).decode().strip()

    def _agent_files(self, commit: str) -> dict[str, tuple[str, str]]:
        """Map each path that configures the agent to its mode and object."""
        found = {}
        for line in self._clone.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            about, _, name = line.partition(b"\t")
            path = name.decode("utf-8", "surrogateescape")
            if AGENT_FILES.intersection(path.split("/")):
                mode, _, sha = about.decode().split(" ")
                if mode != _GITLINK:
                    found[path] = mode, sha
        return found


def _identity(author: Author) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("NAME", author.name), ("EMAIL", author.email)
