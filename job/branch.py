"""Choose the code that a run works on, and the branch that takes what changes in it."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from job import diff, merge_request, messages, prompt
from job.failures import Failure, Reason
from job.git import GitError
from job.gitlab import GitLab, GitLabError
from job.harmless import quiet
from shared.contract.ai_flow import MERGE_REQUEST, REVIEW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.audience import Audience
    from job.inputs import Inputs
    from job.job_log import Log
    from job.request import Request
    from job.workspace import Workspace


class Context(NamedTuple):
    """What choosing and publishing both need; `user` is GitLab's answer about the token's user."""

    gitlab: GitLab
    request: Request
    inputs: Inputs
    user: Mapping[str, object]
    environment: Mapping[str, str]
    log: Log
    audience: Audience


class Branch(NamedTuple):
    """Where changes go: a branch, what it is merged into, its open merge request if it has one.

    `asked_in`: it is that of the merge request the run was asked in, whose `diff` is None if it
    could not be had. `before` is the commit it stands at, "" if it is new. `kept` says why changes
    must not be pushed, or "". `conflicts` are the files to resolve where the target was merged.
    `unfetched` is the commit that `diff` ends at where that is not here, as of a fork.
    """

    name: str
    target: str
    known: Mapping[str, object] | None
    before: str = ""
    diff: bytes | None = None
    asked_in: bool = False
    kept: str = ""
    conflicts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unfetched: str = ""


class _Asked(NamedTuple):
    """The merge request of a request: what Claude works on, and how its own branch stands.

    `start` is the commit to work on, `base` its target's, `target` the branch that changes go into
    in the end. `head` is its own branch's commit, or "" where that takes no changes: it is merged,
    closed, deleted or protected.
    """

    found: Mapping[str, object]
    start: str
    target: str
    base: str
    head: str = ""
    remarks: tuple[str, ...] = ()


def choose(workspace: Workspace, context: Context) -> Branch:
    """Check out what the request is about; raise Failure if that cannot be had.

    It is the merge request's branch, the one of our open merge request for the issue, or the
    default branch; where a merge request is to be read and no more, its target.
    """
    environment = context.environment
    default = environment.get("CI_DEFAULT_BRANCH", "main")
    try:
        workspace.open(default, environment.get("CI_COMMIT_REF_NAME", default))
        if context.request.kind == MERGE_REQUEST:
            if context.request.read_only:
                return _to_read(workspace, default, context)
            return _of_merge_request(workspace, _asked(workspace, default, context), context)
        return _of_ours(workspace, workspace.trusted, workspace.trusted, default, context)
    except GitError as error:
        raise _not_fetched(default, error, context) from None
    except GitLabError as error:
        raise refused(messages.SHOW_MERGE_REQUEST, error, context) from None


def _to_read(workspace: Workspace, default: str, context: Context) -> Branch:
    """Check out a merge request's target; of its own commits nothing is fetched but GitLab's diff.

    Files that configure agents are the default branch's.
    """
    request = context.request
    found = context.gitlab.get(f"merge_requests/{request.iid}")
    target, base, remarks = _target(workspace, found, default, context)
    head, opened = str(found.get("sha")), found.get("state") == "opened"
    told = diff.listed(context.gitlab, request.iid, head)
    moved = opened and request.sha not in ("", head)
    remarks += _remarks(told, context, moved=moved)
    _check_out(workspace, base, workspace.trusted, context)
    return Branch("", target, None, diff=told, remarks=remarks, unfetched=head)


def _target(
    workspace: Workspace, found: Mapping[str, object], default: str, context: Context
) -> tuple[str, str, tuple[str, ...]]:
    """Return a merge request's target, or the default branch; its commit; what to remark."""
    target = str(found.get("target_branch"))
    told = context.request.target_branch or target
    changed = messages.REMARK_TARGET_CHANGED.format(told=told, target=target)
    remarks = () if told == target else (quiet(changed),)
    base = _fetched(workspace, target, context)
    if base:
        return target, base, remarks
    gone = messages.REMARK_TARGET_GONE.format(target=target, default=default)
    return default, workspace.trusted, (*remarks, quiet(gone))


def _asked(workspace: Workspace, default: str, context: Context) -> _Asked:
    found = current(context)
    name, state = str(found.get("source_branch")), found.get("state")
    target, base, remarks = _target(workspace, found, default, context)
    if state == "merged":  # what it brought is there
        return _Asked(found, base, target, base, remarks=remarks)
    head = _fetched(workspace, name, context) if state == "opened" else ""
    if not head:  # GitLab keeps the commits of a branch that is gone
        start = base
        with suppress(GitError):
            start = workspace.fetch_commit(str(found.get("sha")))
        return _Asked(found, start, target, base, remarks=remarks)
    if name == default or merge_request.protected(context.gitlab, name):
        return _Asked(found, head, name, base, remarks=remarks)
    return _Asked(found, head, target, base, head, remarks)


def _of_merge_request(workspace: Workspace, asked: _Asked, context: Context) -> Branch:
    found, request = asked.found, context.request
    seen = request.sha if found.get("state") == "opened" else ""
    name = str(found["source_branch"])
    moved = bool(seen) and _moved(workspace, name, asked.start, seen, context)
    read_only = prompt.reads_only(request)
    if moved and context.inputs.branch_moved == "stop" and not read_only:
        raise Failure(Reason.BRANCH_MOVED)
    head, refs = str(found.get("sha")), found.get("diff_refs")
    if found.get("state") == "merged":
        with suppress(GitError):
            workspace.fetch_commit(head)
    else:
        head = asked.start
    told = diff.since(workspace, asked.base, head, refs if isinstance(refs, dict) else {})
    remarks = asked.remarks + _remarks(told, context, moved=moved)
    if asked.head:
        chosen = Branch(name, asked.target, found, asked.head, asked_in=True)
        chosen = _on(workspace, chosen, asked.base, context)
    else:
        chosen = _of_ours(workspace, asked.start, asked.base, asked.target, context)
    kept = messages.REMARK_MOVED_KEPT if moved and context.inputs.branch_moved == "stop" else ""
    return chosen._replace(diff=told, kept=kept, remarks=remarks)


def _remarks(told: bytes | None, context: Context, *, moved: bool) -> tuple[str, ...]:
    """Return what to remark of a diff; raise Failure where a review has none."""
    if told is None and prompt.command(context.request) == REVIEW:
        raise Failure(Reason.NO_DIFF)
    remarks = (messages.REMARK_BRANCH_MOVED,) if moved else ()
    if told is None:
        return (*remarks, messages.REMARK_NO_DIFF)
    return (*remarks, messages.REMARK_DIFF_CUT) if len(told) > diff.LARGEST else remarks


def _on(workspace: Workspace, branch: Branch, base: str, context: Context) -> Branch:
    """Check out a branch that goes on; merge its target first where that is asked for.

    `base` is the commit whose files configure agents.
    """
    start, conflicts = branch.before, list[str]()
    if prompt.asks_to_merge(context.request):
        try:
            start, conflicts = workspace.merge(start, workspace.fetch(branch.target))
        except GitError as error:
            context.log.line(str(error))
    _check_out(workspace, start, base, context)
    return branch._replace(conflicts=tuple(conflicts))


def writer(context: Context) -> merge_request.Writer:
    """Return whose notes are ours in a run."""
    return merge_request.Writer(context.user.get("id"), context.inputs.reply_author)


def _moved(workspace: Workspace, name: str, head: str, seen: str, context: Context) -> bool:
    """Tell whether a branch has commits since `seen` that no run of ours has pushed.

    Runs say so where they were asked: in the merge request, or in the issue that the branch is for.
    """
    if head == seen:
        return False
    own = writer(context)
    threads = [context.request.target]
    issue = re.match(rf"{re.escape(context.inputs.branch_prefix)}(issue-[0-9]+)-", name)
    threads += [issue[1]] if issue else []
    pushed = {
        commit for thread in threads for commit in merge_request.pushed(context.gitlab, thread, own)
    }
    while head in pushed:
        head = workspace.first_parent(head)
        if head == seen:
            return False
    return True


def _of_ours(workspace: Workspace, start: str, base: str, target: str, context: Context) -> Branch:
    """Check out the branch of our open merge request for what was asked in, or else `start`."""
    shown = context.audience.shown(context.request).target
    prefix = f"{context.inputs.branch_prefix}{shown or 'run'}-"
    known, head = None, ""
    if shown:
        known = merge_request.ours(context.gitlab, prefix, context.user.get("id"))
    if known:
        head = _fetched(workspace, str(known["source_branch"]), context)
    if known and head:  # else somebody has deleted it
        chosen = Branch(str(known["source_branch"]), str(known["target_branch"]), known, head)
        return _on(workspace, chosen, base, context)
    _check_out(workspace, start, base, context)
    return Branch(f"{prefix}{context.environment.get('CI_JOB_ID', '0')}", target, None)


def _fetched(workspace: Workspace, name: str, context: Context) -> str:
    """Return a branch's commit, or "" if there is no such branch; raise Failure otherwise."""
    try:
        return workspace.fetch(name)
    except GitError as error:
        with suppress(GitError):
            if workspace.gone(name):
                return ""
        raise _not_fetched(name, error, context) from None


def _not_fetched(name: str, error: GitError, context: Context) -> Failure:
    context.log.line(str(error))
    return Failure(Reason.NOT_FETCHED, branch=name, name=context.inputs.token_variable)


def _check_out(workspace: Workspace, commit: str, target: str, context: Context) -> None:
    for path in workspace.go(commit, target):
        context.log.line(messages.RESTORED.format(path=path))
    context.log.line(messages.CHECKED_OUT.format(commit=commit))


def current(context: Context) -> Mapping[str, object]:
    """Return GitLab's answer about the merge request as it is now; raise GitLabError."""
    project = context.environment["CI_PROJECT_ID"]
    return merge_request.current(context.gitlab, context.request.iid, project)


def refused(what: str, error: GitLabError, context: Context) -> Failure:
    """Return the failure of a call that GitLab refused; the log has its words."""
    context.log.line(str(error))
    return Failure(Reason.GITLAB_REFUSED, what=what, status=error.status)
