"""What no commit takes is named with its reason, and kept."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from job import left, messages
from job.left import Left
from job.workspace import Workspace
from tests.support.job.clone import Clone

WHO = {"GIT_AUTHOR_NAME": "C", "GIT_AUTHOR_EMAIL": "c@example.com"}
WHO |= {"GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.com"}


def guarded(clone: Clone, files: dict[str, str | None] | None = None) -> Workspace:
    """A workspace right before Claude works, with these files on the default branch."""
    head = clone.gitlab.commit(7, "main", files or {".gitignore": "build/\n*.log\n"})
    workspace = clone.open()
    workspace.go(head, head)
    return workspace


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def git(clone: Clone, *arguments: str, folder: Path | None = None) -> str:
    return clone.gitlab.git(folder or clone.folder, *arguments, **WHO)


def test_ignored_files_that_claude_wrote_are_named(clone: Clone) -> None:
    workspace = guarded(clone)
    write(clone.folder / "build" / "old.txt", "o\n")
    write(clone.folder / "build" / "same.txt", "s\n")
    workspace.guard()
    write(clone.folder / "build" / "old.txt", "other\n")
    write(clone.folder / "build" / "new.txt", "n\n")
    write(clone.folder / "app.py", "2\n")
    assert [change.path for change in workspace.changes()] == ["app.py"]
    ignored = messages.LEFT_IGNORED
    assert workspace.left == [Left("build/new.txt", ignored), Left("build/old.txt", ignored)]


def test_a_handover_to_another_user_changes_nothing(clone: Clone) -> None:
    workspace = guarded(clone)
    write(clone.folder / "x.log", "o\n")
    workspace.guard()
    for path in clone.folder.rglob("*"):
        os.chmod(path, path.stat().st_mode)  # noqa: PTH101  as chown does, it renews the ctime
    assert workspace.changes() == []
    assert workspace.left == []


def test_what_is_in_a_submodule_is_named(clone: Clone) -> None:
    workspace = guarded(clone)
    inner = clone.folder / "lib"
    write(inner / "inside.txt", "1\n")
    git(clone, "init", "-q", ".", folder=inner)
    git(clone, "add", ".", folder=inner)
    git(clone, "commit", "-qm", "x", folder=inner)
    sha = git(clone, "rev-parse", "HEAD", folder=inner)
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{sha},lib")
    workspace.guard()
    write(inner / "inside.txt", "2\n")
    assert workspace.changes() == []
    assert workspace.left == [Left("lib/inside.txt", messages.LEFT_SUBMODULE)]
    git(clone, "commit", "-qam", "y", folder=inner)
    assert workspace.changes() == []
    assert Left("lib", messages.LEFT_SUBMODULE) in workspace.left


@pytest.mark.parametrize("before", [True, False], ids=["there before", "new"])
@pytest.mark.parametrize("commits", [True, False], ids=["with commits", "empty"])
def test_what_is_in_a_repository_of_its_own_is_named(
    clone: Clone, before: bool, commits: bool
) -> None:
    workspace = guarded(clone)
    inner = clone.folder / ".worktrees" / "w"
    if not before:
        workspace.guard()
    write(inner / "a.txt", "1\n")
    git(clone, "init", "-q", ".", folder=inner)
    if commits:
        git(clone, "add", ".", folder=inner)
        git(clone, "commit", "-qm", "x", folder=inner)
    if before:
        workspace.guard()
    write(inner / "a.txt", "22\n")
    write(clone.folder / "app.py", "2\n")
    changes = workspace.changes()
    assert [(change.path, change.mode) for change in changes] == [("app.py", "100644")]
    assert "/a.txt" in workspace.left[-1].path
    assert {each.why for each in workspace.left} <= {messages.LEFT_NESTED, messages.LEFT_SUBMODULE}


def test_a_stash_is_named_and_kept_and_so_is_another_branch(clone: Clone) -> None:
    workspace = guarded(clone)
    workspace.guard()
    write(clone.folder / "app.py", "stashed\n")
    git(clone, "stash", "-q")
    git(clone, "switch", "-qc", "other")
    write(clone.folder / "app.py", "elsewhere\n")
    git(clone, "commit", "-qam", "x")
    git(clone, "switch", "-q", "--detach", workspace.head)
    assert workspace.changes() == []
    patches = sorted(each.patch.decode().splitlines()[-1] for each in workspace.left)
    assert patches == ["+elsewhere", "+stashed"]
    assert {each.why for each in workspace.left} == {messages.LEFT_COMMIT}


def test_commits_of_claude_s_own_are_in_the_files(clone: Clone) -> None:
    workspace = guarded(clone)
    workspace.guard()
    write(clone.folder / "app.py", "2\n")
    git(clone, "commit", "-qam", "x")
    write(clone.folder / "app.py", "3\n")
    assert [change.path for change in workspace.changes()] == ["app.py"]
    assert workspace.left == []


@pytest.mark.parametrize("name", ["lfs", "git-crypt"])
def test_what_has_to_go_through_a_filter_is_not_committed_as_it_is(clone: Clone, name: str) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 3\n"
    files: dict[str, str | None] = {
        ".gitattributes": f"*.bin filter={name}\n",
        "a.bin": pointer,
        "b.bin": pointer,
    }
    workspace = guarded(clone, files)
    write(clone.folder / "a.bin", "raw")  # as a runner with git-lfs has it
    workspace.guard()
    assert workspace.changes() == []
    write(clone.folder / "b.bin", "new\n")
    write(clone.folder / "c.bin", pointer)
    (clone.folder / "a.bin").unlink()
    taken = {change.path for change in workspace.changes()}
    assert taken == ({"a.bin", "c.bin"} if name == "lfs" else {"a.bin"})
    assert workspace.left[0] == Left("b.bin", messages.LEFT_FILTER.format(name=name))


def test_a_file_too_large_for_gitlab_is_named(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job.workspace._LARGEST_FILE", 10)
    workspace = guarded(clone)
    workspace.guard()
    write(clone.folder / "large.txt", "x" * 11)
    write(clone.folder / "small.txt", "x")
    assert [change.path for change in workspace.changes()] == ["small.txt"]
    assert workspace.left == [Left("large.txt", messages.LEFT_LARGE)]


def test_a_file_that_configures_agents_and_was_put_back_is_named(clone: Clone) -> None:
    workspace = guarded(clone)
    head = clone.gitlab.commit(7, "feature", {"CLAUDE.md": "evil\n"}, parent="main")
    workspace.fetch("feature")
    workspace.go(head, workspace.trusted)
    workspace.guard()
    write(clone.folder / "CLAUDE.md", "Claude's\n")
    assert workspace.changes() == []
    assert workspace.left == [Left("CLAUDE.md", messages.LEFT_AGENT)]


def test_a_mode_is_a_change(clone: Clone) -> None:
    workspace = guarded(clone)
    workspace.guard()
    (clone.folder / "app.py").chmod(0o755)
    assert [(each.path, each.mode) for each in workspace.changes()] == [("app.py", "100755")]


def test_names_that_differ_only_in_case_are_known(clone: Clone) -> None:
    workspace = guarded(clone)
    workspace.guard()
    write(clone.folder / "App.py", "2\n")
    write(clone.folder / "other.py", "2\n")
    assert workspace.collisions(workspace.changes()) == ["App.py"]


def test_few_are_named_one_by_one_and_many_by_their_folder() -> None:
    many = [Left(f"dist/{number}/x.js", "ignored") for number in range(40)]
    said = left.remark([*many, Left("a`\n/close", "x"), Left("lib/in", "y")])
    assert "`dist/` (ignored), `a`?/close` (x), `lib/in` (y)" in said
    said = left.remark([Left(f"{number}/x", "ignored") for number in range(12)])
    assert said.count("/x`") == 10
    assert "and 2 more" in said


def test_the_archive_holds_them_without_secrets_and_follows_no_link(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "the secret\n")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    found = [
        Left("a.txt", "x"),
        Left("link", "x"),
        Left("folder/passwd", "x"),
        Left("gone", "x"),
        Left("1.patch", "x", b"+"),
    ]
    packed = left.archive(found, tmp_path, lambda text: text.replace("secret", "[MASKED]"))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        files = {name: tar.extractfile(name) for name in tar.getnames()}
        held = {name: file.read() for name, file in files.items() if file}
    assert held == {"a.txt": b"the [MASKED]\n", "link": b"link to /etc/passwd\n", "1.patch": b"+"}
    assert left.archive([], tmp_path, str) == b""
