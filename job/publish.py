"""Publish what Claude changed: commit, push, merge request; what must not leave is kept back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from job import ci_files, left, merge_request, messages, provenance, refusals
from job.branch import Branch, Context, current, refused
from job.commits import Author
from job.failures import Failure, Reason
from job.git import GitError
from job.gitlab import GitLabError
from job.harmless import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from job.changes import Change
    from job.claude import Result
    from job.commits import Commits
    from job.merge_request import Summary
    from job.workspace import Workspace

_LONGEST_STATE = 20
_PUSHES = 10  # pushes of a note: of those who push at once one gets through each time


class Published(NamedTuple):
    """What became of the changes: their commit, "" if it was not pushed, and what to remark.

    `url` is that of the merge request, or "" if the run was asked for in one.
    """

    url: str
    commit: str
    remarks: tuple[str, ...]


def keep(
    workspace: Workspace, changes: list[Change], title: str, result: Result, context: Context
) -> str:
    """Commit the changes in the name of the token's user; return the commit, not yet pushed."""
    request, audience = context.request, context.audience
    trailers = provenance.trailers(request, audience, result, context.environment)
    shown = audience.shown(request)
    message = merge_request.commit_message(title, shown, _host(context), trailers)
    return workspace.commit(changes, context.log.masked(message), _author(context))


def annotate(
    workspace: Workspace, commit: str, statement: str, context: Context
) -> tuple[str, ...]:
    """Push the statement about a pushed commit as its git note, where the include wants that.

    Who reads the code reads the note, so what others may not see is in none. No run fails for want
    of it: the log says why it is not there, and what is returned is to be remarked.
    """
    if not (commit and context.inputs.git_note and context.audience.all_words):
        return ()
    text, at, said, failed = f"{context.log.masked(statement)}\n", "", None, 0
    for _ in range(_PUSHES):
        before = at
        at, said = _noted(workspace.commits, commit, text, _author(context), before)
        if said is None:
            return ()
        failed = failed + 1 if at == before else 1
        if failed > 1:
            break  # nobody's note came in between: it is refused, or GitLab is gone
    context.log.line(messages.NO_NOTE.format(error=said))
    return (quiet(messages.REMARK_NO_NOTE),)


def _noted(
    commits: Commits, commit: str, text: str, author: Author, at: str
) -> tuple[str, str | None]:
    """Push a note; return where the notes stood, `at` if that is not known, and git's refusal."""
    try:
        at = commits.notes()
        commits.annotate(commit, text, author, at)
    except GitError as error:
        return at, str(error)
    return at, None


def _host(context: Context) -> str:
    return urlsplit(context.environment["CI_PROJECT_URL"]).hostname or "localhost"


def _author(context: Context) -> Author:
    """Return who commits: the token's user."""
    user = context.user
    no_reply = f"{user.get('id')}-{user.get('username')}@users.noreply.{_host(context)}"
    return Author(
        name=str(user.get("name") or user.get("username") or "Claude"),
        email=str(user.get("commit_email") or no_reply),
    )


def beside(workspace: Workspace, branch: Branch, changes: list[Change]) -> tuple[str, ...]:
    """Return the remarks about what no commit takes, and about names that only differ in case."""
    remarks = [left.remark(workspace.left)] if workspace.left else []
    if branch.conflicts and not changes:
        remarks.append(messages.REMARK_UNRESOLVED.format(files=_named(branch.conflicts)))
    collisions = workspace.contents.collisions(changes)
    if collisions:
        remarks.append(messages.REMARK_CASE.format(files=_named(collisions)))
    return tuple(quiet(remark) for remark in remarks)


def _named(paths: Sequence[str]) -> str:
    return left.listed([f"`{path}`" for path in paths])


def _kept_back(
    workspace: Workspace, branch: Branch, commit: str, changes: list[Change], context: Context
) -> str:
    """Return why these changes must not be pushed, or "".

    They would say in public what was asked internally, or would hold a secret of the job.
    """
    contents, secrets = workspace.contents, context.log.secrets
    holding = [change.path for change in changes if contents.brings(change, secrets.are_in)]
    if holding:
        return messages.REMARK_NOT_TO_LEAVE.format(files=_named(holding))
    unresolved = contents.unresolved(commit, branch.conflicts)
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
    paths, contents = [change.path for change in changes], workspace.contents
    try:
        changes_ci = ci_files.touched(paths, context.environment, contents.names, contents.seen)
        _push(workspace, commit, branch, context, skip_ci=changes_ci)
        url = "" if branch.asked_in else _open(branch, summary, link, context)
    except Failure as failure:
        if failure.reason is Reason.CANCELED:
            raise Failure(Reason.CANCELED_PUSHING, branch=branch.name) from None
        raise
    merged = (messages.REMARK_MERGED,) if branch.conflicts else ()
    remarks = (*merged, *((messages.REMARK_PUSH_SKIPPED_CI,) if changes_ci else ()))
    return Published(url, commit, remarks)


def _open(branch: Branch, summary: Summary, link: str, context: Context) -> str:
    """Open the pushed branch's merge request, or update the known one; return its URL."""
    try:
        return merge_request.publish(
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
        failure = refused(messages.UPDATE_MERGE_REQUEST, error, context)
        raise (failure if branch.known else _not_opened(branch, error, context)) from None


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
        workspace.commits.push(commit, name, branch.before, skip_ci=skip_ci)
    except GitError as error:
        said = str(error)
        context.log.line(said)
        failure = refusals.push(said, name, context.inputs.token_variable)
        if failure.reason is Reason.PUSHED_MEANWHILE and branch.before:
            with suppress(GitError):
                if workspace.gone(name):
                    failure = Failure(Reason.DELETED_MEANWHILE, branch=name)
        raise failure from None


def _still_open(context: Context) -> None:
    try:
        state = str(current(context).get("state"))
    except GitLabError as error:
        raise refused(messages.SHOW_MERGE_REQUEST, error, context) from None
    if state != "opened":
        raise Failure(Reason.MERGE_REQUEST_CLOSED, state=state[:_LONGEST_STATE])
