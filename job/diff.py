"""The diff that Claude is told: what a branch brings since it left its target."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from job.git import GitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.workspace import Workspace

LARGEST = 400_000  # bytes
_CUT = b"\n[cut here: the diff is longer]\n"


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
    return whole if len(whole) <= LARGEST else whole[:LARGEST] + _CUT


def _known_base(workspace: Workspace, head: str, refs: Mapping[str, object]) -> str:
    if refs.get("head_sha") != head:
        return ""  # GitLab compared another commit
    with suppress(GitError):
        return workspace.fetch_commit(str(refs.get("base_sha")))
    return ""
