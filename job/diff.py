"""The diff that Claude is told: what a branch brings since it left its target."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from job.git import GitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.gitlab import GitLab
    from job.workspace import Workspace

LARGEST = 400_000  # bytes
_CUT = b"\n[cut here: the diff is longer]\n"
_PAGES = 30  # of a hundred files: GitLab compares no more than 3,000
_NOWHERE = "/dev/null"


def since(workspace: Workspace, target: str, head: str, refs: Mapping[str, object]) -> bytes | None:
    """Return the diff from where `head` left `target`, or None if that cannot be found.

    `refs` is what GitLab itself compares, a merge request's `diff_refs`:
    https://docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request
    """
    try:
        base = _known_base(workspace, head, refs) or workspace.base(target, head)
        if not base:
            return None
        whole = workspace.compared(base, head)
    except GitError:
        return None
    return _bounded(whole)


def listed(gitlab: GitLab, iid: int, head: str) -> bytes | None:
    """Return the diff that GitLab lists of a merge request, or None while it has none of its head.

    Nor is there one where that was pushed over meanwhile, be it for a moment: the list is always
    that of the newest version. No commit is fetched. Raise GitLabError:
    https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs
    """
    version = _newest(gitlab, iid)
    if version.get("head_commit_sha") != head:
        return None
    whole = b""
    for entry in gitlab.pages(f"merge_requests/{iid}/diffs", _PAGES):
        whole += _file(entry).encode("utf-8", "replace")
        if len(whole) > LARGEST:
            break
    return _bounded(whole) if _newest(gitlab, iid).get("id") == version.get("id") else None


def _newest(gitlab: GitLab, iid: int) -> Mapping[str, Any]:
    """Return the newest version of a merge request's diff: each push makes one, each new target.

    https://docs.gitlab.com/api/merge_requests/#retrieve-merge-request-diff-versions
    """
    found = gitlab.get(f"merge_requests/{iid}/versions", per_page=1)
    return dict(found[0]) if found else {}


def whole_files(told: bytes) -> frozenset[bytes]:
    """Return the `first_line` of each file whose changes are all in a diff.

    A changed line begins otherwise, so that none passes for one. What the cut goes through is not
    all there.
    """
    if len(told) > LARGEST:
        told = told.rpartition(b"\ndiff --git ")[0]
    return frozenset(line for line in told.split(b"\n") if line.startswith(b"diff --git "))


def first_line(old: str, new: str) -> bytes:
    """Return the line that a file's changes begin with in a diff, by its two paths."""
    return f"diff --git a/{old} b/{new}".encode("utf-8", "replace")


def _file(entry: Mapping[str, Any]) -> str:
    """Return a file of GitLab's list in git's form; of a large one GitLab sends its names alone."""
    old, new = (_line(entry.get(name)) for name in ("old_path", "new_path"))
    modes = [_line(entry.get(name)) for name in ("a_mode", "b_mode")]
    lines = [f"diff --git a/{old} b/{new}"]
    if modes[0] != modes[1]:
        lines += [f"old mode {modes[0]}", f"new mode {modes[1]}"]
    text = str(entry.get("diff") or "")
    if entry.get("too_large") or entry.get("collapsed"):
        lines.append("[not shown: the file's diff is too large]")
    elif not text:  # before 18.4 GitLab does not tell what is too large
        lines.append("[GitLab shows no changed lines of this file: it may be too large]")
    lines.append(f"--- {_NOWHERE if entry.get('new_file') else f'a/{old}'}")
    lines.append(f"+++ {_NOWHERE if entry.get('deleted_file') else f'b/{new}'}")
    return "\n".join([*lines, text if text.endswith("\n") else f"{text}\n"])


def _line(value: object) -> str:
    return str(value).replace("\n", "\\n")


def _bounded(whole: bytes) -> bytes:
    return whole if len(whole) <= LARGEST else whole[:LARGEST] + _CUT


def _known_base(workspace: Workspace, head: str, refs: Mapping[str, object]) -> str:
    if refs.get("head_sha") != head:
        return ""  # GitLab compared another commit
    with suppress(GitError):
        return workspace.fetch_commit(str(refs.get("base_sha")))
    return ""
