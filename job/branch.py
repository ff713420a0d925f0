"""Choose the code that a run works on, and publish what Claude changed in it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from job import ci_files, left, merge_request, messages, prompt, refusals
from job.failures import Failure, Reason
from job.git import GitError
from job.gitlab import GitLab, GitLabError
from job.harmless import quiet
from job.workspace import LARGEST_DIFF, Author, Change, Workspace
from shared.contract.ai_flow import MERGE_REQUEST, REVIEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.audience import Audience
    from job.inputs import Inputs
    from job.job_log import Log
    from job.merge_request import Summary
    from job.request import Request

_MOST_NAMED = 10  # files in a remark
_LONGEST_STATE = 20


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


class Published(NamedTuple):
    """What became of the changes: their commit, "" if it was not pushed, and what to remark.

    `url` is that of the merge request, or "" if the run was asked for in one.
    """

    url: str
    commit: str
    remarks: tuple[str, ...]


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
    default branch.
    """
    environment = context.environment
    default = environment.get("CI_DEFAULT_BRANCH", "main")
    try:
        workspace.open(default, environment.get("CI_COMMIT_REF_NAME", default))
        if context.request.kind == MERGE_REQUEST:
            return _of_merge_request(workspace, _asked(workspace, default, context), context)
        return _of_ours(workspace, workspace.trusted, workspace.trusted, default, context)
    except GitError as error:
        raise _not_fetched(default, error, context) from None
    except GitLabError as error:
        raise _refused(messages.SHOW_MERGE_REQUEST, error, context) from None


def _asked(workspace: Workspace, default: str, context: Context) -> _Asked:
    found = _current(context)
    name, target, state = (
        str(found.get(key)) for key in ("source_branch", "target_branch", "state")
    )
    remarks: tuple[str, ...] = ()
    base = _fetched(workspace, target, context)
    if not base:
        remarks = (messages.REMARK_TARGET_GONE.format(target=target, default=default),)
        target, base = default, workspace.trusted
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
    moved = bool(seen) and _moved(workspace, asked.start, seen, context)
    read_only = prompt.reads_only(request)
    if moved and context.inputs.branch_moved == "stop" and not read_only:
        raise Failure(Reason.BRANCH_MOVED)
    head, refs = str(found.get("sha")), found.get("diff_refs")
    if found.get("state") == "merged":
        with suppress(GitError):
            workspace.fetch_commit(head)
    else:
        head = asked.start
    diff = workspace.diff(asked.base, head, refs if isinstance(refs, dict) else {})
    if diff is None and prompt.command(request) == REVIEW:
        raise Failure(Reason.NO_DIFF)
    remarks = [*asked.remarks, *([messages.REMARK_BRANCH_MOVED] if moved else [])]
    if diff is None:
        remarks.append(messages.REMARK_NO_DIFF)
    elif len(diff) > LARGEST_DIFF:
        remarks.append(messages.REMARK_DIFF_CUT)
    if asked.head:
        start, conflicts = asked.start, list[str]()
        if prompt.asks_to_merge(request):
            start, conflicts = _merged(workspace, asked, context)
        _check_out(workspace, start, asked.base, context)
        name = str(found["source_branch"])
        chosen = Branch(name, asked.target, found, asked.head, asked_in=True)
        chosen = chosen._replace(conflicts=tuple(conflicts))
    else:
        chosen = _of_ours(workspace, asked.start, asked.base, asked.target, context)
    kept = messages.REMARK_MOVED_KEPT if moved and context.inputs.branch_moved == "stop" else ""
    return chosen._replace(diff=diff, kept=kept, remarks=tuple(remarks))


def _merged(workspace: Workspace, asked: _Asked, context: Context) -> tuple[str, list[str]]:
    try:
        return workspace.merge(asked.start, asked.base)
    except GitError as error:
        context.log.line(str(error))
        return asked.start, []


def _moved(workspace: Workspace, head: str, seen: str, context: Context) -> bool:
    """Tell whether a branch has commits since `seen` that no run of ours has pushed."""
    if head == seen:
        return False
    own = {str(context.user.get("id")), context.inputs.reply_author} - {""}
    pushed = merge_request.pushed(context.gitlab, context.request.iid, own)
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
        _check_out(workspace, head, base, context)
        return Branch(str(known["source_branch"]), str(known["target_branch"]), known, head)
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


def beside(workspace: Workspace, branch: Branch, changes: list[Change]) -> tuple[str, ...]:
    """Return the remarks about what no commit takes, and about names that only differ in case."""
    remarks = [left.remark(workspace.left)] if workspace.left else []
    if branch.conflicts and not changes:
        remarks.append(messages.REMARK_UNRESOLVED.format(files=_named(branch.conflicts)))
    collisions = workspace.collisions(changes)
    if collisions:
        remarks.append(messages.REMARK_CASE.format(files=_named(collisions)))
    return tuple(quiet(remark) for remark in remarks)


def _named(paths: Sequence[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths[:_MOST_NAMED])


def _kept_back(
    workspace: Workspace, branch: Branch, commit: str, changes: list[Change], context: Context
) -> str:
    """Return why these changes must not be pushed, or "".

    They would say in public what was asked internally, or would hold a secret of the job.
    """
    secrets = context.log.secrets
    holding = [change.path for change in changes if workspace.brings(change, secrets.are_in)]
    if holding:
        return messages.REMARK_NOT_TO_LEAVE.format(files=_named(holding))
    unresolved = workspace.unresolved(commit, branch.conflicts)
    if unresolved:
        return messages.REMARK_UNRESOLVED.format(files=_named(unresolved))
    return branch.kept if context.audience.pushes else messages.REMARK_NOT_PUSHED


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
    why = _kept_back(workspace, branch, commit, changes, context)
    if why:
        return Published("", "", (quiet(why),))
    if branch.asked_in:
        _still_open(context)
    try:
        return _published(workspace, branch, commit, changes, summary, link, context)
    except Failure as failure:
        if failure.reason is Reason.CANCELED:
            raise Failure(Reason.CANCELED_PUSHING, branch=branch.name) from None
        raise


def _published(
    workspace: Workspace,
    branch: Branch,
    commit: str,
    changes: list[Change],
    summary: Summary,
    link: str,
    context: Context,
) -> Published:
    paths = [change.path for change in changes]
    changes_ci = ci_files.touched(paths, context.environment, workspace.names, workspace.seen)
    _push(workspace, commit, branch, context, skip_ci=changes_ci)
    merged = (messages.REMARK_MERGED,) if branch.conflicts else ()
    remarks = (*merged, *((messages.REMARK_PUSH_SKIPPED_CI,) if changes_ci else ()))
    if branch.asked_in:
        return Published("", commit, remarks)
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
    return Published(url, commit, remarks)


def _not_opened(branch: Branch, error: GitLabError, context: Context) -> Failure:
    """Return the failure of a pushed branch without a merge request, with where to open one."""
    ends = {"source_branch": branch.name, "target_branch": branch.target}
    query = urlencode({f"merge_request[{name}]": each for name, each in ends.items()})
    url = f"{context.environment['CI_PROJECT_URL']}/-/merge_requests/new?{query}"
    return Failure(Reason.NO_MERGE_REQUEST, branch=branch.name, status=error.status, url=url)


def _push(
    workspace: Workspace, commit: str, branch: Branch, context: Context, *, skip_ci: bool
) -> None:
    name = branch.name
    try:
        workspace.push(commit, name, branch.before, skip_ci=skip_ci)
    except GitError as error:
        said = str(error)
        context.log.line(said)
        if any(words in said for words in ("stale info", "fetch first", "non-fast-forward")):
            with suppress(GitError):
                if branch.before and workspace.gone(name):
                    raise Failure(Reason.DELETED_MEANWHILE, branch=name) from None
        raise refusals.push(said, name, context.inputs.token_variable) from None


def _still_open(context: Context) -> None:
    try:
        state = str(_current(context).get("state"))
    except GitLabError as error:
        raise _refused(messages.SHOW_MERGE_REQUEST, error, context) from None
    if state != "opened":
        raise Failure(Reason.MERGE_REQUEST_CLOSED, state=state[:_LONGEST_STATE])


def _current(context: Context) -> Mapping[str, object]:
    project = context.environment["CI_PROJECT_ID"]
    return merge_request.current(context.gitlab, context.request.iid, project)


def _refused(what: str, error: GitLabError, context: Context) -> Failure:
    context.log.line(str(error))
    return Failure(Reason.GITLAB_REFUSED, what=what, status=error.status)
