"""The work tree: the right code, the target's agent files, only Claude's changes in the commit."""

import shutil
from pathlib import Path

import pytest

from job.commits import Author
from job.failures import Failure
from job.git import GitError, Login
from job.workspace import Workspace
from tests.support.job.clone import AGENT_PATHS, Clone

WHO = Author("Claude", "claude@example.com")


def test_a_job_without_a_clone_says_so(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, {}, Login("https://gitlab.example.com/a.git", "t"))
    with pytest.raises(Failure, match="GIT_STRATEGY: none"):
        workspace.open("main", "main")


def test_the_clone_is_found_from_a_folder_in_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert Workspace.around(tmp_path / "deep" / "er") == tmp_path


def test_the_job_token_leaves_the_clone(clone: Clone) -> None:
    left = (
        "http.https://gitlab.example.com/.extraheader=Authorization: Basic canary",
        "http.extraHeader=PRIVATE-TOKEN: canary",
        "url.https://gitlab-ci-token:canary@gitlab.example.com/.insteadOf=git@gitlab.example.com:",
        "credential.helper=store --file canary",
        "include.path=/builds/canary",
    )
    clone.open(config=left)
    config = (clone.folder / ".git" / "config").read_text()
    assert [word for word in ("job@", "glpat", "canary") if word in config] == []


@pytest.mark.parametrize("depth", [(), ("--depth=1",)], ids=["whole clone", "shallow clone"])
def test_files_that_configure_the_agent_are_the_target_s_while_claude_works(
    clone: Clone, depth: tuple[str, ...]
) -> None:
    evil = dict.fromkeys(AGENT_PATHS, "evil\n") | {
        "new/.mcp.json": "evil\n",
        "CLAUDE.local.md": None,
        "app.py": "2\n",
    }
    head = clone.gitlab.commit(7, "feature", evil, parent="main")
    workspace = clone.open(*depth)
    assert workspace.fetch("feature") == head
    restored = workspace.go(head, clone.main)
    assert sorted(restored) == sorted([*AGENT_PATHS, "new/.mcp.json"])
    assert {(clone.folder / path).read_text() for path in AGENT_PATHS} == {"target\n"}
    assert not (clone.folder / "new" / ".mcp.json").exists()
    assert (clone.folder / "app.py").read_text() == "2\n"
    workspace.guard()
    (clone.folder / "app.py").write_text("3\n")
    (clone.folder / "CLAUDE.md").write_text("rewritten\n")
    changes = workspace.changes()
    assert [change.path for change in changes] == ["app.py"]
    commit = workspace.commit(changes, "Three", WHO)
    workspace.commits.push(commit, "feature", head, skip_ci=False)
    assert clone.gitlab.head(7, "feature") == commit
    assert clone.gitlab.git(clone.gitlab.repository(7), "show", "feature:CLAUDE.md") == "evil"


def test_a_merge_request_that_makes_an_agent_folder_a_link_writes_nowhere(clone: Clone) -> None:
    outside = clone.folder.parent / "outside"
    outside.mkdir()
    removed: dict[str, str | None] = {".claude/settings.json": None, ".claude": f"link:{outside}"}
    head = clone.gitlab.commit(7, "feature", removed, parent="main")
    workspace = clone.open()
    workspace.fetch("feature")
    workspace.go(head, clone.main)
    assert list(outside.iterdir()) == []
    assert (clone.folder / ".claude" / "settings.json").read_text() == "target\n"


def test_only_what_claude_changed_is_committed(clone: Clone) -> None:
    workspace = clone.open()
    (clone.folder / "left-by-the-runner.txt").write_text("x")
    (clone.folder / ".gitlab-claude").mkdir()
    workspace.go(clone.main, clone.main)
    workspace.guard()
    assert workspace.changes() == []
    (clone.folder / "new file.txt").write_text("n\n")
    (clone.folder / "keep.txt").unlink()
    (clone.folder / ".gitlab-claude" / "x").write_text("x")
    changes = workspace.changes()
    assert sorted(change.path for change in changes) == ["keep.txt", "new file.txt"]
    commit = workspace.commit(changes, "Change\n\nbody\n", WHO)
    workspace.commits.push(commit, "claude/issue-5-1", "", skip_ci=False)
    shown = clone.gitlab.show(7, "claude/issue-5-1")
    assert "Author: Claude <claude@example.com>" in shown
    assert "left-by-the-runner" not in shown
    assert b"new file.txt" in workspace.patch(commit)


def test_nothing_in_the_git_folder_is_obeyed_when_the_job_commits(clone: Clone) -> None:
    workspace = clone.open()
    workspace.go(clone.main, clone.main)
    workspace.guard()
    canary = clone.private / "ran"
    hook = clone.folder / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    with (clone.folder / ".git" / "config").open("a") as config:
        config.write(
            f'[filter "evil"]\n\tclean = touch {canary}\n[core]\n\tfsmonitor = touch {canary}\n'
        )
    (clone.folder / ".gitattributes").write_text("* filter=evil\n")
    (clone.folder / "app.py").write_text("2\n")
    commit = workspace.commit(workspace.changes(), "Two", WHO)
    workspace.commits.push(commit, "claude/x", "", skip_ci=False)
    assert not canary.exists()


def test_a_repository_inside_the_work_tree_is_not_committed(clone: Clone) -> None:
    workspace = clone.open()
    workspace.go(clone.main, clone.main)
    workspace.guard()
    shutil.copytree(clone.folder / ".git", clone.folder / "inner" / ".git")
    (clone.folder / "app.py").write_text("2\n")
    assert [change.path for change in workspace.changes()] == ["app.py"]


@pytest.mark.parametrize(
    "name", ["--upload-pack=touch x", "main:refs/heads/other", "../x", "a b", "-x", ""]
)
def test_a_branch_s_name_is_a_name(clone: Clone, name: str) -> None:
    workspace = clone.open()
    with pytest.raises(GitError):
        workspace.fetch(name)


def test_a_branch_called_like_a_command_is_fetched_as_any_other(clone: Clone) -> None:
    head = clone.gitlab.commit(7, "feature/$(id);`id`", {"a": "b"}, parent="main")
    assert clone.open().fetch("feature/$(id);`id`") == head


def test_files_of_the_default_branch_are_read_and_links_followed_within_it(clone: Clone) -> None:
    files: dict[str, str | None] = {
        "AGENTS.md": "Agents.\n",
        "docs/link.md": "link:../AGENTS.md",
        "folder": "link:docs",
        "passwd": "link:/etc/passwd",
        "outside": "link:../../etc/passwd",
        "loop": "link:loop",
        "empty": "",
    }
    clone.gitlab.commit(7, "main", files)
    workspace = clone.open()
    assert workspace.file("CLAUDE.md") == "target\n"
    assert workspace.file("docs/link.md") == "Agents.\n"
    assert workspace.file("folder/link.md") == "Agents.\n"
    assert workspace.file("empty") == ""
    for name in ("passwd", "outside", "loop", "none.md", "docs", "a\nHEAD:app.py", "../x"):
        assert workspace.file(name) is None


def test_the_guides_of_folders_are_the_default_branch_s(clone: Clone) -> None:
    files: dict[str, str | None] = {".claude/CLAUDE.md": "x", "svc/.claude/CLAUDE.md": "x"}
    clone.gitlab.commit(7, "main", files)
    clone.gitlab.commit(7, "feature", {"new/CLAUDE.md": "evil"}, parent="main")
    workspace = clone.open()
    workspace.go(workspace.fetch("feature"), workspace.trusted)
    assert workspace.nested_guides() == ["deep/er/CLAUDE.md", "svc/.claude/CLAUDE.md"]


def test_a_wrong_token_pushes_nothing(clone: Clone) -> None:
    workspace = clone.open()
    workspace.go(clone.main, clone.main)
    workspace.guard()
    (clone.folder / "app.py").write_text("2\n")
    commit = workspace.commit(workspace.changes(), "Two", WHO)
    workspace.commits._login = Login(f"{clone.gitlab.url}/group/app.git", "glpat-wrong")
    with pytest.raises(GitError, match=r"Authentication failed|could not read"):
        workspace.commits.push(commit, "claude/x", "", skip_ci=False)


@pytest.mark.parametrize(
    "path", [".git/hooks/post-commit", "../outside.txt", "link/x.txt", "app.py"]
)
def test_changes_that_lead_elsewhere_or_do_not_fit_leave_all_as_it_is(
    clone: Clone, tmp_path: Path, path: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    workspace = clone.open()
    (clone.folder / "link").symlink_to(tmp_path / "elsewhere")
    workspace.guard()
    new = "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+x\n"
    patch = new.format("good.txt") + new.format(path)
    assert not workspace.take_up(patch.encode())
    assert not (clone.folder / "good.txt").exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (clone.folder / ".git" / "hooks" / "post-commit").exists()
    assert not (clone.folder.parent / "outside.txt").exists()
