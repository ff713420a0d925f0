"""What no commit takes is named with its reason, and kept."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from job import left, messages
from job.left import Left
from tests.support.job.clone import Clone, ready, write

WHO = {"GIT_AUTHOR_NAME": "C", "GIT_AUTHOR_EMAIL": "c@example.com"}
WHO |= {"GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.com"}


def git(clone: Clone, *arguments: str, folder: Path | None = None) -> str:
    return clone.gitlab.git(folder or clone.folder, *arguments, **WHO)


def test_ignored_files_that_claude_wrote_are_named(clone: Clone) -> None:
    workspace = ready(clone)
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
    workspace = ready(clone)
    write(clone.folder / "x.log", "o\n")
    workspace.guard()
    for path in clone.folder.rglob("*"):
        os.chmod(path, path.stat().st_mode)  # noqa: PTH101  as chown does, it renews the ctime
    assert workspace.changes() == []
    assert workspace.left == []


def test_what_is_in_a_submodule_is_named(clone: Clone) -> None:
    workspace = ready(clone)
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
    workspace = ready(clone)
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
    workspace = ready(clone)
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
    workspace = ready(clone)
    workspace.guard()
    write(clone.folder / "app.py", "2\n")
    git(clone, "commit", "-qam", "x")
    write(clone.folder / "app.py", "3\n")
    assert [change.path for change in workspace.changes()] == ["app.py"]
    assert workspace.left == []


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
