"""The diff begins where the branch left its target, also in a clone that is shallow."""

import pytest

from job import diff
from tests.support.job.clone import Clone


def test_the_diff_begins_where_the_branch_left_its_target(clone: Clone) -> None:
    head = clone.gitlab.commit(7, "feature", {"app.py": "2\n"}, parent="main")
    clone.gitlab.commit(7, "main", {"other.py": "o\n"})
    workspace = clone.open()
    workspace.fetch("feature")
    workspace.go(head, workspace.trusted)
    told = diff.since(workspace, workspace.trusted, head, {})
    assert told
    assert b"+2" in told
    assert b"other.py" not in told


def long_history(clone: Clone, commits: int) -> str:
    """Let `main` go so many commits on since `feature` left it; return that branch's commit."""
    head = clone.gitlab.commit(7, "feature", {"app.py": "2\n"}, parent="main")
    path = clone.gitlab.repository(7)
    stream = "".join(
        "commit refs/heads/main\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\n"
        + (f"from {clone.main}\n" if number == 0 else "")
        + f"M 644 inline n.txt\ndata <<E\n{number}\nE\n"
        for number in range(commits)
    )
    clone.gitlab.git(path, "fast-import", "--quiet", "--force", given=stream)
    return head


@pytest.mark.parametrize("known", [True, False], ids=["GitLab's base", "no base"])
def test_the_diff_of_a_branch_that_left_long_ago_is_there(clone: Clone, known: bool) -> None:
    head = long_history(clone, 260)
    workspace = clone.open("--depth=20")
    target = workspace.fetch("main")
    workspace.fetch("feature")
    refs = {"base_sha": clone.main, "head_sha": head, "start_sha": target} if known else {}
    told = diff.since(workspace, target, head, refs)
    assert told
    assert b"+2" in told
    assert b"n.txt" not in told


def test_a_base_of_another_commit_than_the_head_is_not_taken(clone: Clone) -> None:
    first = clone.gitlab.commit(7, "feature", {"app.py": "2\n"}, parent="main")
    head = clone.gitlab.commit(7, "feature", {"app.py": "3\n"})
    workspace = clone.open()
    workspace.fetch("feature")
    told = diff.since(workspace, workspace.trusted, head, {"base_sha": first, "head_sha": first})
    assert b"-1\n+3" in (told or b"")


def test_a_base_that_is_no_commit_is_looked_for(clone: Clone) -> None:
    head = clone.gitlab.commit(7, "feature", {"app.py": "2\n"}, parent="main")
    workspace = clone.open()
    workspace.fetch("feature")
    for base in ("--output=x", None, "d" * 40):
        refs = {"base_sha": base, "head_sha": head}
        assert b"+2" in (diff.since(workspace, workspace.trusted, head, refs) or b"")
