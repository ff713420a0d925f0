"""Which code a run works on and where its changes go: it checks out, publishes, and runs no Claude."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from job import merge_request
from job.git import GitError
from job.gitlab import GitLab, GitLabError
from job.outcome import Ending, Failure
from job.workspace import CI_FILES, Author, Change, Workspace
from shared.contract.ai_flow import MERGE_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.log import Log
    from job.merge_request import Words
    from job.request import Request
    from job.settings import Settings


class Branch(NamedTuple):
    """Where changes go: a branch, what it is merged into, and the open merge request for it, if there is one."""

    name: str
    target: str
    known: Mapping[str, object] | None
    diff: bytes = b""
    moved: bool = False


class Published(NamedTuple):
    """What became of the changes: the URL of a merge request, or the commit on the one that was asked in."""

    url: str
    commit: str
    remarks: tuple[str, ...]


class Course(NamedTuple):
    """What choosing and publishing both need."""

    gitlab: GitLab
    request: Request
    settings: Settings
    user: Mapping[str, object]
    given: Mapping[str, str]
    log: Log


def choose(place: Workspace, course: Course) -> Branch:
    """Check out the merge request's branch, our open merge request's for this issue, or the default branch."""
    default = course.given.get("CI_DEFAULT_BRANCH", "main")
    try:
        place.open(default, course.given.get("CI_COMMIT_REF_NAME", default))
        if course.request.kind == MERGE_REQUEST:
            return _of_merge_request(place, course)
        return _of_issue(place, course, default)
    except GitError as error:
        course.log.line(str(error))
        raise Failure(Ending.NOT_FETCHED, name=course.settings.token_variable) from None
    except GitLabError as error:
        course.log.line(str(error))
        raise Failure(
            Ending.GITLAB_REFUSED, what="show the merge request", status=error.status
        ) from None


def _of_merge_request(place: Workspace, course: Course) -> Branch:
    found = merge_request.current(course.gitlab, course.request.iid, course.given["CI_PROJECT_ID"])
    name, target = str(found["source_branch"]), str(found["target_branch"])
    head, base = place.fetch(name), place.fetch(target)
    moved = bool(course.request.sha) and head != course.request.sha
    if moved and course.settings.branch_moved == "stop":
        raise Failure(Ending.BRANCH_MOVED)
    _go(place, head, base, course)
    return Branch(name, target, found, place.diff(base), moved)


def _of_issue(place: Workspace, course: Course, default: str) -> Branch:
    prefix = f"{course.settings.branch_prefix}{course.request.target or 'run'}-"
    known = (
        merge_request.ours(course.gitlab, prefix, course.user.get("id"))
        if course.request.kind
        else None
    )
    if known is None:
        _go(place, place.trusted, place.trusted, course)
        return Branch(f"{prefix}{course.given.get('CI_JOB_ID', '0')}", default, None)
    name = str(known["source_branch"])
    _go(place, place.fetch(name), place.trusted, course)
    return Branch(name, str(known["target_branch"]), known)


def _go(place: Workspace, commit: str, target: str, course: Course) -> None:
    for path in place.go(commit, target):
        course.log.line(f"while Claude works, {path} is the target branch's")
    course.log.line(f"at {commit}")


def keep(place: Workspace, changes: list[Change], title: str, course: Course) -> str:
    """Commit the changes in the name of the token's user; return the commit, which nobody else has yet."""
    host = urlsplit(course.given["CI_PROJECT_URL"]).hostname or "localhost"
    user = course.user
    address = str(
        user.get("commit_email") or f"{user.get('id')}-{user.get('username')}@users.noreply.{host}"
    )
    author = Author(str(user.get("name") or user.get("username") or "Claude"), address)
    return place.commit(changes, merge_request.commit_message(title, course.request, host), author)


def publish(
    place: Workspace,
    branch: Branch,
    commit: str,
    changes: list[Change],
    words: Words,
    link: str,
    course: Course,
) -> Published:
    """Push the commit and open or update the merge request."""
    asked_in_it = course.request.kind == MERGE_REQUEST
    if asked_in_it:
        _still_open(course)
    configuration = any(CI_FILES.fullmatch(change.path) for change in changes)
    try:
        place.push(commit, branch.name, skip_ci=configuration)
    except GitError as error:
        course.log.line(str(error))
        if "fetch first" in str(error) or "non-fast-forward" in str(error):
            raise Failure(Ending.PUSHED_MEANWHILE, branch=branch.name) from None
        raise Failure(
            Ending.PUSH_REJECTED, branch=branch.name, name=course.settings.token_variable
        ) from None
    said = (
        "CI configuration was changed, so the push started no pipeline: read it first."
        if configuration
        else ""
    )
    remarks = (said,) if said else ()
    if asked_in_it:
        return Published("", commit[:8], remarks)
    url = merge_request.publish(
        course.gitlab, course.request, course.settings, branch=branch.name, target=branch.target, words=words,
        link=link, known=branch.known,
    )  # fmt: skip
    return Published(url, commit[:8], remarks)


def _still_open(course: Course) -> None:
    try:
        merge_request.current(course.gitlab, course.request.iid, course.given["CI_PROJECT_ID"])
    except GitLabError as error:
        raise Failure(
            Ending.GITLAB_REFUSED, what="show the merge request", status=error.status
        ) from None
