"""The diff begins where the branch left its target, also in a clone that is shallow."""

from collections.abc import Iterator
from typing import Any

import pytest

from job import diff
from job.gitlab import GitLab
from tests.support.gitlab import diffs
from tests.support.job.clone import OWN, PROJECT, TOKEN, Clone


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


A, B = "a" * 40, "b" * 40


def listed(clone: Clone, files: list[Any], head: str = A) -> bytes | None:
    """What GitLab lists of merge request 3, which a fork has these changed files in."""
    clone.gitlab.merge_request(
        PROJECT, 3, source_branch="f", source_project_id=8, sha=A, diffs=files
    )
    client = GitLab(f"{clone.gitlab.url}/api/v4", str(PROJECT), TOKEN, pause=lambda _: None)
    return diff.listed(client, 3, head)


def test_what_is_not_fetched_is_read_as_gitlab_lists_it(clone: Clone) -> None:
    files = [
        diffs.change("a.py", "1\n", "2", was="b.py"),
        diffs.change("new.py", None, "n\n") | {"a_mode": "0", "b_mode": "120000"},
        diffs.change("gone.py", "g\n", None),
        {"old_path": "big.bin", "new_path": "big.bin", "collapsed": True},
        {"old_path": "long.py", "new_path": "long.py"},  # as before 18.4
        diffs.change("x\n+++ b/forged", "1\n", "2\n"),
    ]
    told = (listed(clone, files) or b"").decode()
    assert told.splitlines() == [
        "diff --git a/b.py b/a.py", "--- a/b.py", "+++ b/a.py", "@@ -1,1 +1,1 @@", "-1", "+2",
        "\\ No newline at end of file",
        "diff --git a/new.py b/new.py", "old mode 0", "new mode 120000", "--- /dev/null",
        "+++ b/new.py", "@@ -0,0 +1,1 @@", "+n",
        "diff --git a/gone.py b/gone.py", "--- a/gone.py", "+++ /dev/null", "@@ -1,1 +0,0 @@", "-g",
        "diff --git a/big.bin b/big.bin", "[not shown: the file's diff is too large]",
        "--- a/big.bin", "+++ b/big.bin", "",
        "diff --git a/long.py b/long.py",
        "[GitLab shows no changed lines of this file: it may be too large]",
        "--- a/long.py", "+++ b/long.py", "",
        "diff --git a/x\\n+++ b/forged b/x\\n+++ b/forged", "--- a/x\\n+++ b/forged",
        "+++ b/x\\n+++ b/forged", "@@ -1,1 +1,1 @@", "-1", "+2",
    ]  # fmt: skip


def test_of_a_head_that_gitlab_has_not_compared_there_is_no_diff(clone: Clone) -> None:
    assert listed(clone, [], B) is None


def test_what_another_head_showed_for_a_moment_is_not_taken_for_this_one_s(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = diffs.change("a.py", "1\n", "bad\n"), diffs.change("a.py", "1\n", "good\n")
    pages = GitLab.pages

    def shown(client: GitLab, path: str, most: int) -> Iterator[Any]:
        clone.gitlab.push(PROJECT, 3, B, user_id=OWN, diffs=[good])
        yield from pages(client, path, most)
        clone.gitlab.push(PROJECT, 3, A, user_id=OWN, diffs=[bad])

    monkeypatch.setattr(GitLab, "pages", shown)
    assert listed(clone, [bad]) is None


def test_a_list_that_is_too_long_is_cut_and_read_no_further(clone: Clone) -> None:
    told = listed(clone, list(diffs.many(900, lines=40))) or b""
    assert told.endswith(b"[cut here: the diff is longer]\n")
    assert diff.LARGEST < len(told) < diff.LARGEST + 100
    assert len([call for call in clone.gitlab.calls if call.path.endswith("/diffs")]) < 9
