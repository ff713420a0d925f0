"""The work tree: the right code, the target's agent files, and only Claude's own changes in the commit."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.git import GitError, Login
from job.workspace import Author, Workspace
from tests.support.gitlab.git import GitLabWithGit

AGENT_PATHS = (
    ".claude/settings.json", ".mcp.json", ".claude.json", ".gitmodules", ".ripgreprc", "CLAUDE.md", "CLAUDE.local.md",
    ".husky/pre-commit", "deep/er/CLAUDE.md", "deep/.claude/agents/x.md",
)  # fmt: skip
WHO = Author("Claude", "claude@example.com")


class Place:
    """A repository on the stand-in and a clone of it."""

    def __init__(self, gitlab: GitLabWithGit, folder: Path) -> None:
        self.gitlab, self.folder, self.private = gitlab, folder / "clone", folder / "private"
        self.private.mkdir()
        self.main = gitlab.commit(
            7,
            "main",
            {"app.py": "1\n", "keep.txt": "k\n", **dict.fromkeys(AGENT_PATHS, "target\n")},
        )

    def open(self, *options: str, config: tuple[str, ...] = ()) -> Workspace:
        url = f"{self.gitlab.url}/group/app.git"
        clone = self.gitlab.url.replace("://", "://gitlab-ci-token:job@") + "/group/app.git"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.private)}
        subprocess.run(
            ["git", "clone", "-q", *options, clone, str(self.folder)], env=environment, check=True
        )
        for line in config:  # as runners leave it there
            subprocess.run(
                ["git", "config", *line.split("=", 1)], cwd=self.folder, env=environment, check=True
            )
        place = Workspace(self.folder, self.private, environment, Login(url, "glpat-own"))
        place.open("main", "main")
        return place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with GitLabWithGit() as gitlab:
        gitlab.user(1, "claude")
        gitlab.project(7, "group/app")
        gitlab.member(7, 1, 40)
        gitlab.api_token("glpat-own", 1, ("api", "write_repository"))
        gitlab.job_tokens.add("job")
        yield Place(gitlab, tmp_path)


def test_the_job_token_leaves_the_clone(place: Place) -> None:
    left = (
        "http.https://gitlab.example.com/.extraheader=Authorization: Basic canary",
        "http.extraHeader=PRIVATE-TOKEN: canary",
        "url.https://gitlab-ci-token:canary@gitlab.example.com/.insteadOf=git@gitlab.example.com:",
        "credential.helper=store --file canary",
        "include.path=/builds/canary",
    )
    place.open(config=left)
    config = (place.folder / ".git" / "config").read_text()
    assert [word for word in ("job@", "glpat", "canary") if word in config] == []


@pytest.mark.parametrize("depth", [(), ("--depth=1",)], ids=["whole clone", "shallow clone"])
def test_files_that_configure_the_agent_are_the_target_s_while_claude_works(
    place: Place, depth: tuple[str, ...]
) -> None:
    evil = dict.fromkeys(AGENT_PATHS, "evil\n") | {
        "new/.mcp.json": "evil\n",
        "CLAUDE.local.md": None,
        "app.py": "2\n",
    }
    head = place.gitlab.commit(7, "feature", evil, parent="main")
    workspace = place.open(*depth)
    assert workspace.fetch("feature") == head
    restored = workspace.go(head, place.main)
    assert sorted(restored) == sorted([*AGENT_PATHS, "new/.mcp.json"])
    assert {(place.folder / path).read_text() for path in AGENT_PATHS} == {"target\n"}
    assert not (place.folder / "new" / ".mcp.json").exists()
    assert (place.folder / "app.py").read_text() == "2\n"
    workspace.guard()
    (place.folder / "app.py").write_text("3\n")
    (place.folder / "CLAUDE.md").write_text("rewritten\n")
    changes = workspace.changes()
    assert [change.path for change in changes] == ["app.py"]
    commit = workspace.commit(changes, "Three", WHO)
    workspace.push(commit, "feature", skip_ci=False)
    assert place.gitlab.head(7, "feature") == commit
    assert place.gitlab.git(place.gitlab.repository(7), "show", "feature:CLAUDE.md") == "evil"


def test_a_merge_request_that_makes_an_agent_folder_a_link_writes_nowhere(place: Place) -> None:
    outside = place.folder.parent / "outside"
    outside.mkdir()
    removed: dict[str, str | None] = {".claude/settings.json": None, ".claude": f"link:{outside}"}
    head = place.gitlab.commit(7, "feature", removed, parent="main")
    workspace = place.open()
    workspace.fetch("feature")
    workspace.go(head, place.main)
    assert list(outside.iterdir()) == []
    assert (place.folder / ".claude" / "settings.json").read_text() == "target\n"


def test_only_what_claude_changed_is_committed(place: Place) -> None:
    workspace = place.open()
    (place.folder / "left-by-the-runner.txt").write_text("x")
    (place.folder / ".gitlab-claude").mkdir()
    workspace.go(place.main, place.main)
    workspace.guard()
    assert workspace.changes() == []
    (place.folder / "new file.txt").write_text("n\n")
    (place.folder / "keep.txt").unlink()
    (place.folder / ".gitlab-claude" / "x").write_text("x")
    changes = workspace.changes()
    assert sorted(change.path for change in changes) == ["keep.txt", "new file.txt"]
    commit = workspace.commit(changes, "Change\n\nbody\n", WHO)
    workspace.push(commit, "claude/issue-5-1", skip_ci=False)
    shown = place.gitlab.show(7, "claude/issue-5-1")
    assert "Author: Claude <claude@example.com>" in shown
    assert "left-by-the-runner" not in shown
    assert b"new file.txt" in workspace.patch(commit)


def test_nothing_in_the_git_folder_is_obeyed_when_the_job_commits(place: Place) -> None:
    workspace = place.open()
    workspace.go(place.main, place.main)
    workspace.guard()
    canary = place.private / "ran"
    hook = place.folder / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    with (place.folder / ".git" / "config").open("a") as config:
        config.write(
            f'[filter "evil"]\n\tclean = touch {canary}\n[core]\n\tfsmonitor = touch {canary}\n'
        )
    (place.folder / ".gitattributes").write_text("* filter=evil\n")
    (place.folder / "app.py").write_text("2\n")
    commit = workspace.commit(workspace.changes(), "Two", WHO)
    workspace.push(commit, "claude/x", skip_ci=False)
    assert not canary.exists()


def test_a_repository_inside_the_work_tree_is_not_committed(place: Place) -> None:
    workspace = place.open()
    workspace.go(place.main, place.main)
    workspace.guard()
    shutil.copytree(place.folder / ".git", place.folder / "inner" / ".git")
    (place.folder / "app.py").write_text("2\n")
    assert [change.path for change in workspace.changes()] == ["app.py"]


@pytest.mark.parametrize(
    "name", ["--upload-pack=touch x", "main:refs/heads/other", "../x", "a b", "-x", ""]
)
def test_a_branch_s_name_is_a_name(place: Place, name: str) -> None:
    workspace = place.open()
    with pytest.raises(GitError):
        workspace.fetch(name)


def test_a_branch_called_like_a_command_is_fetched_as_any_other(place: Place) -> None:
    head = place.gitlab.commit(7, "feature/$(id);`id`", {"a": "b"}, parent="main")
    assert place.open().fetch("feature/$(id);`id`") == head


def test_files_of_the_default_branch_are_read_without_following_links(place: Place) -> None:
    place.gitlab.commit(7, "main", {"link.md": "link:/etc/passwd"})
    workspace = place.open()
    assert workspace.file("CLAUDE.md") == "target\n"
    assert workspace.file("link.md") == "/etc/passwd"
    assert workspace.file("none.md") is None


def test_the_diff_begins_where_the_branch_left_its_target(place: Place) -> None:
    head = place.gitlab.commit(7, "feature", {"app.py": "2\n"}, parent="main")
    place.gitlab.commit(7, "main", {"other.py": "o\n"})
    workspace = place.open()
    workspace.fetch("feature")
    workspace.go(head, workspace.trusted)
    diff = workspace.diff(workspace.trusted).decode()
    assert "+2" in diff
    assert "other.py" not in diff


def test_a_wrong_token_pushes_nothing(place: Place) -> None:
    workspace = place.open()
    workspace.go(place.main, place.main)
    workspace.guard()
    (place.folder / "app.py").write_text("2\n")
    commit = workspace.commit(workspace.changes(), "Two", WHO)
    workspace._login = Login(f"{place.gitlab.url}/group/app.git", "glpat-wrong")
    with pytest.raises(GitError, match=r"Authentication failed|could not read"):
        workspace.push(commit, "claude/x", skip_ci=False)
