"""Choose the code that a run works on, and publish what Claude changed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from job import ci_files, merge_request, messages, refusals
from job.failures import Failure, Reason
from job.git import GitError
from job.gitlab import GitLab, GitLabError
from job.harmless import quiet
from job.workspace import Author, Change, Workspace
from shared.contract.ai_flow import MERGE_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.audience import Audience
    from job.inputs import Inputs
    from job.job_log import Log
    from job.merge_request import Summary
    from job.request import Request

_MOST_NAMED = 10  # files in a remark


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

    `diff` is that of the merge request a run was asked in. `moved`: it has commits that the person
    who asked has not seen.
    """

    name: str
    target: str
    known: Mapping[str, object] | None
    diff: bytes = b""
    moved: bool = False


class Published(NamedTuple):
    """What became of the changes: the first 8 characters of their commit, and what to remark.

    `url` is that of the merge request, or "" if the run was asked for in one.
    """

    url: str
    commit: str
    remarks: tuple[str, ...]


def choose(workspace: Workspace, context: Context) -> Branch:
    """Check out what the request is about; raise Failure if that cannot be had.

    It is the merge request's branch, the one of our open merge request for the issue, or the
    default branch.
    """
    environment = context.environment
    default = environment.get("CI_DEFAULT_BRANCH", "main")
    try:
        workspace.open(default, environment.get("CI_COMMIT_REF_NAME", default))
        if context.request.kind == MERGE_REQUEST:
            return _of_merge_request(workspace, context)
        return _of_issue(workspace, context, default)
    except GitError as error:
        context.log.line(str(error))
        raise Failure(Reason.NOT_FETCHED, name=context.inputs.token_variable) from None
    except GitLabError as error:
        raise _refused(messages.SHOW_MERGE_REQUEST, error, context) from None


def _of_merge_request(workspace: Workspace, context: Context) -> Branch:
    found = _current(context)
    name, target = str(found["source_branch"]), str(found["target_branch"])
    head, base = workspace.fetch(name), workspace.fetch(target)
    moved = bool(context.request.sha) and head != context.request.sha
    if moved and context.inputs.branch_moved == "stop":
        raise Failure(Reason.BRANCH_MOVED)
    _check_out(workspace, head, base, context)
    return Branch(name, target, found, workspace.diff(base), moved)


def _of_issue(workspace: Workspace, context: Context, default: str) -> Branch:
    target = context.audience.shown(context.request).target
    prefix = f"{context.inputs.branch_prefix}{target or 'run'}-"
    known = None
    if target:
        known = merge_request.ours(context.gitlab, prefix, context.user.get("id"))
    if known is None:
        _check_out(workspace, workspace.trusted, workspace.trusted, context)
        return Branch(f"{prefix}{context.environment.get('CI_JOB_ID', '0')}", default, None)
    name = str(known["source_branch"])
    _check_out(workspace, workspace.fetch(name), workspace.trusted, context)
    return Branch(name, str(known["target_branch"]), known)


def _check_out(workspace: Workspace, commit: str, target: str, context: Context) -> None:
    for path in workspace.go(commit, target):
        context.log.line(messages.RESTORED.format(path=path))
    context.log.line(messages.CHECKED_OUT.format(commit=commit))


def keep(workspace: Workspace, changes: list[Change], title: str, context: Context) -> str:
    """Commit the changes in the name of the token's user; return the commit, not yet pushed."""
    host = urlsplit(context.environment["CI_PROJECT_URL"]).hostname or "localhost"
    user = context.user
    no_reply = f"{user.get('id')}-{user.get('username')}@users.noreply.{host}"
    author = Author(
        name=str(user.get("name") or user.get("username") or "Claude"),
        email=str(user.get("commit_email") or no_reply),
    )
    message = merge_request.commit_message(title, context.audience.shown(context.request), host)
    return workspace.commit(changes, context.log.masked(message), author)


def _kept_back(workspace: Workspace, changes: list[Change], context: Context) -> str:
    """Return why these changes must not be pushed, or "".

    They would say in public what was asked internally, or would hold a secret of the job.
    """
    secrets = context.log.secrets
    holding = [change.path for change in changes if workspace.brings(change, secrets.are_in)]
    if holding:
        names = [f"`{path}`" for path in holding[:_MOST_NAMED]]
        return messages.REMARK_NOT_TO_LEAVE.format(files=", ".join(names))
    return "" if context.audience.pushes else messages.REMARK_NOT_PUSHED


def publish(
    workspace: Workspace,
    branch: Branch,
    commit: str,
    changes: list[Change],
    summary: Summary,
    link: str,
    context: Context,
) -> Published:
    """Push the commit, and open or update the merge request unless it was asked in one.

    What must not be pushed is not, and the remark says why. `link` is Markdown that leads to the
    job. Raise Failure if GitLab refuses, or if the merge request was closed meanwhile.
    """
    why = _kept_back(workspace, changes, context)
    if why:
        return Published("", "", (quiet(why),))
    asked_in_it = context.request.kind == MERGE_REQUEST
    if asked_in_it:
        _still_open(context)
    paths = [change.path for change in changes]
    changes_ci = ci_files.touched(paths, context.environment, workspace.names, workspace.seen)
    _push(workspace, commit, branch.name, context, skip_ci=changes_ci)
    remarks = (messages.REMARK_PUSH_SKIPPED_CI,) if changes_ci else ()
    if asked_in_it:
        return Published("", commit[:8], remarks)
    try:
        url = merge_request.publish(
            context.gitlab,
            context.audience.shown(context.request),
            context.inputs,
            branch=branch.name,
            target=branch.target,
            summary=summary if context.audience.all_words else summary._replace(answer=""),
            link=link,
            known=branch.known,
        )
    except GitLabError as error:
        failure = _refused(messages.UPDATE_MERGE_REQUEST, error, context)
        raise (failure if branch.known else _not_opened(branch, error, context)) from None
    return Published(url, commit[:8], remarks)


def _not_opened(branch: Branch, error: GitLabError, context: Context) -> Failure:
    """Return the failure of a pushed branch without a merge request, with where to open one."""
    ends = {"source_branch": branch.name, "target_branch": branch.target}
    query = urlencode({f"merge_request[{name}]": each for name, each in ends.items()})
    url = f"{context.environment['CI_PROJECT_URL']}/-/merge_requests/new?{query}"
    return Failure(Reason.NO_MERGE_REQUEST, branch=branch.name, status=error.status, url=url)


def _push(workspace: Workspace, commit: str, name: str, context: Context, *, skip_ci: bool) -> None:
    try:
        workspace.push(commit, name, skip_ci=skip_ci)
    except GitError as error:
        context.log.line(str(error))
        raise refusals.push(str(error), name, context.inputs.token_variable) from None


def _still_open(context: Context) -> None:
    try:
        _current(context)
    except GitLabError as error:
        raise _refused(messages.SHOW_MERGE_REQUEST, error, context) from None


def _current(context: Context) -> Mapping[str, object]:
    project = context.environment["CI_PROJECT_ID"]
    return merge_request.current(context.gitlab, context.request.iid, project)


def _refused(what: str, error: GitLabError, context: Context) -> Failure:
    context.log.line(str(error))
    return Failure(Reason.GITLAB_REFUSED, what=what, status=error.status)
