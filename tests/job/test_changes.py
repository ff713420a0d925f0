"""What of Claude's changes a commit takes, and what stands in its way is named."""

import pytest

from job import messages
from job.left import Left
from tests.support.job.clone import Clone, ready, write


@pytest.mark.parametrize("name", ["lfs", "git-crypt"])
def test_what_has_to_go_through_a_filter_is_not_committed_as_it_is(clone: Clone, name: str) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 3\n"
    files: dict[str, str | None] = {
        ".gitattributes": f"*.bin filter={name}\n",
        "a.bin": pointer,
        "b.bin": pointer,
    }
    workspace = ready(clone, files)
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
    monkeypatch.setattr("job.changes._LARGEST_FILE", 10)
    workspace = ready(clone)
    workspace.guard()
    write(clone.folder / "large.txt", "x" * 11)
    write(clone.folder / "small.txt", "x")
    assert [change.path for change in workspace.changes()] == ["small.txt"]
    assert workspace.left == [Left("large.txt", messages.LEFT_LARGE)]


def test_a_file_that_configures_agents_and_was_put_back_is_named(clone: Clone) -> None:
    workspace = ready(clone)
    head = clone.gitlab.commit(7, "feature", {"CLAUDE.md": "evil\n"}, parent="main")
    workspace.fetch("feature")
    workspace.go(head, workspace.trusted)
    workspace.guard()
    write(clone.folder / "CLAUDE.md", "Claude's\n")
    assert workspace.changes() == []
    assert workspace.left == [Left("CLAUDE.md", messages.LEFT_AGENT)]


def test_a_mode_is_a_change(clone: Clone) -> None:
    workspace = ready(clone)
    workspace.guard()
    (clone.folder / "app.py").chmod(0o755)
    assert [(each.path, each.mode) for each in workspace.changes()] == [("app.py", "100755")]


def test_names_that_differ_only_in_case_are_known(clone: Clone) -> None:
    workspace = ready(clone)
    workspace.guard()
    write(clone.folder / "App.py", "2\n")
    write(clone.folder / "other.py", "2\n")
    assert workspace.contents.collisions(workspace.changes()) == ["App.py"]
