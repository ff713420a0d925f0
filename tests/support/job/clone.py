"""A repository on the GitLab stand-in, and the clone of it that a runner makes."""

import os
import subprocess
from pathlib import Path

from job.git import Login
from job.workspace import Workspace
from tests.support.gitlab.git import GitLabWithGit

AGENT_PATHS = (
    ".claude/settings.json", ".mcp.json", ".claude.json", ".gitmodules", ".ripgreprc",
    "CLAUDE.md", "CLAUDE.local.md", ".husky/pre-commit",
    "deep/er/CLAUDE.md", "deep/.claude/agents/x.md",
)  # fmt: skip
PROJECT, OWN, TOKEN = 7, 1, "glpat-own"


class Clone:
    """`main` is the default branch's commit; `folder` is the clone, once it is opened."""

    def __init__(self, gitlab: GitLabWithGit, folder: Path) -> None:
        self.gitlab, self.folder, self.private = gitlab, folder / "clone", folder / "private"
        self.private.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.private)}
        gitlab.user(OWN, "claude")
        gitlab.project(PROJECT, "group/app")
        gitlab.member(PROJECT, OWN, 40)
        gitlab.api_token(TOKEN, OWN, ("api", "write_repository"))
        gitlab.job_tokens.add("job")
        files = {"app.py": "1\n", "keep.txt": "k\n", **dict.fromkeys(AGENT_PATHS, "target\n")}
        self.main = gitlab.commit(PROJECT, "main", files)

    def make(self, *options: str, config: tuple[str, ...] = ()) -> Workspace:
        """Clone as a runner does, with these options and this configuration left behind."""
        url = self.gitlab.url.replace("://", "://gitlab-ci-token:job@")
        self._git("clone", "-q", "--template=", *options, f"{url}/group/app.git", str(self.folder))
        for line in config:
            self._git("-C", str(self.folder), "config", *line.split("=", 1))
        login = Login(f"{self.gitlab.url}/group/app.git", TOKEN)
        return Workspace(self.folder, self.private, self.environment, login)

    def open(self, *options: str, config: tuple[str, ...] = ()) -> Workspace:
        """Clone, and open the workspace for a run on the default branch."""
        workspace = self.make(*options, config=config)
        workspace.open("main", "main")
        return workspace

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], env=self.environment, check=True)


def ready(clone: Clone, files: dict[str, str | None] | None = None) -> Workspace:
    """A workspace right before Claude works, with these files on the default branch."""
    head = clone.gitlab.commit(7, "main", files or {".gitignore": "build/\n*.log\n"})
    workspace = clone.open()
    workspace.go(head, head)
    return workspace


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
