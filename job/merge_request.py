"""Merge requests of a run: the one it was asked in, the one it opens, and their texts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from job import messages
from job.failures import Failure, Reason
from job.gitlab import GitLabError
from job.harmless import plain, quiet, unclosing
from shared.contract import marks
from shared.contract.ai_flow import ISSUE

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from job.audience import Audience
    from job.gitlab import GitLab
    from job.inputs import Inputs
    from job.request import Request

_TITLE = "title:"
_LONGEST_TITLE = 255  # characters, as GitLab has it
_NOT_SHOWN = range(400, 500)
_PAGE, _MOST_PAGES = 100, 50  # of our open merge requests


class Summary(NamedTuple):
    """Claude's answer, and the title of what it changed: for commit, merge request and reply."""

    title: str
    answer: str


def summary(answer: str, request: Request, audience: Audience) -> Summary:
    """Split `Title: …` off the answer's first line.

    Without one, and where Claude's words have other readers, the title has the issue's number only,
    or not even that.
    """
    first, _, rest = answer.strip().partition("\n")
    first = first.strip().lstrip("*# ")
    titled = first.lower().startswith(_TITLE)
    words = first[len(_TITLE) :].strip().removeprefix("**").strip() if titled else ""
    if words.count("**") == 1:
        words = words.removesuffix("**")  # of a title in bold
    title = plain(words) if audience.all_words else ""
    target = _target(audience.shown(request)) or messages.PROJECT
    untitled = messages.CHANGES_FOR.format(target=target)
    return Summary(title or untitled, rest.strip() if titled else answer.strip())


def commit_message(title: str, request: Request, host: str) -> str:
    """Return the commit's message: title, what it is for, who asked.

    `host` is GitLab's, whose own address of each user is at `users.noreply.<host>`:
    https://docs.gitlab.com/user/profile/#use-an-automatically-generated-private-commit-email
    """
    target = _target(request)
    lines = [title, ""]
    if target:
        lines += [messages.ASKED_FOR_IN.format(target=target), ""]
    if request.author and request.author_id:
        address = f"{request.author_id}-{request.author}@users.noreply.{host}"
        lines += [f"Co-authored-by: {request.author} <{address}>"]
    return "\n".join([*lines, "Co-authored-by: Claude <noreply@anthropic.com>", ""])


def current(gitlab: GitLab, iid: int, project_id: str) -> Mapping[str, Any]:
    """Return the merge request as it is now.

    Raise Failure if it comes from a fork, or GitLabError if GitLab does not show it.
    """
    found: Mapping[str, Any] = gitlab.get(f"merge_requests/{iid}")
    if str(found.get("source_project_id")) != project_id:
        raise Failure(Reason.FORK)
    return found


def protected(gitlab: GitLab, branch: str) -> bool:
    """Tell whether a branch is protected; one that GitLab does not show us counts as not.

    Raise GitLabError if GitLab does not answer:
    https://docs.gitlab.com/api/branches/#get-single-repository-branch
    """
    try:
        found = gitlab.get(f"repository/branches/{quote(branch, safe='')}")
    except GitLabError as error:
        if error.status in _NOT_SHOWN:
            return False
        raise
    return isinstance(found, dict) and found.get("protected") is True


def pushed(gitlab: GitLab, thread: str, own: Container[str]) -> set[str]:
    """Return the commits that runs asked for in a thread, such as `issue-5`, say they have pushed.

    They say so in our replies, which nobody but Maintainers can edit: a commit's author can be
    anybody's invention. `own` has the id and names of the users who write replies.
    """
    kind, _, iid = thread.rpartition("-")
    query = {"sort": "desc", "order_by": "created_at", "per_page": 100}
    found: object = None
    with suppress(GitLabError):
        found = gitlab.get(f"{kind}s/{iid}/notes", **query)
    notes = [note for note in found if isinstance(note, dict)] if isinstance(found, list) else []
    by_us = []
    for note in notes:
        author = note.get("author") or {}
        if str(author.get("id")) in own or author.get("username") in own:
            by_us.append(str(note.get("body")))
    return {marks.pushed(body) for body in by_us} - {""}


def ours(gitlab: GitLab, prefix: str, own: object) -> Mapping[str, Any] | None:
    """Return our open merge request whose branch begins with `prefix`, or None.

    A second request in an issue goes on where the first ended. `own` is our user's id. Raise
    GitLabError if GitLab does not list them.
    """
    for page in range(1, _MOST_PAGES + 1):
        query = {"state": "opened", "author_id": own, "per_page": _PAGE, "page": page}
        found = gitlab.get("merge_requests", **query) or []
        for each in found:
            by_us = (each.get("author") or {}).get("id") == own
            if by_us and str(each.get("source_branch", "")).startswith(prefix):
                return dict(each)
        if len(found) < _PAGE:
            break
    return None


def publish(
    gitlab: GitLab,
    request: Request,
    inputs: Inputs,
    *,
    branch: str,
    target: str,
    summary: Summary,
    link: str,
    known: Mapping[str, Any] | None,
) -> str:
    """Open the merge request, or update the known one's description; return its URL.

    `link` is Markdown that leads to the job. Raise GitLabError if GitLab refuses.
    """
    description = _description(request, summary.answer, link)
    if known:
        found = gitlab.put(f"merge_requests/{known['iid']}", {"description": description})
        return str((found or known).get("web_url", ""))
    draft = "Draft: " if inputs.draft else ""
    body: dict[str, object] = {
        "source_branch": branch,
        "target_branch": target,
        "title": draft + summary.title[:_LONGEST_TITLE],
        "description": description,
        "remove_source_branch": True,
    }
    if inputs.labels:
        body["labels"] = inputs.labels
    if request.author_id:
        body["assignee_id"] = request.author_id
    return str(gitlab.post("merge_requests", body).get("web_url", ""))


def _description(request: Request, answer: str, link: str) -> str:
    parts = [
        messages.DESCRIPTION,
        unclosing(quiet(answer)),
        f"Closes {_target(request)}" if request.kind == ISSUE else "",
        messages.JOB.format(job=link),
        marks.OURS,  # whatever stands in it: nothing of ours asks for a run
    ]
    return "\n\n".join(part for part in parts if part)


def _target(request: Request) -> str:
    """Return GitLab's reference of what a request is about: `#5`, `!3`, or "" for a project."""
    if not request.kind:
        return ""
    return f"#{request.iid}" if request.kind == ISSUE else f"!{request.iid}"
