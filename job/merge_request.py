"""Merge requests of the run: the one it works on, the one it opens; words and calls, no git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from job.gitlab import GitLab, GitLabError
from job.markdown import plain, quiet
from job.outcome import Ending, Failure
from shared.contract.ai_flow import ISSUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.request import Request
    from job.settings import Settings

_TITLE = "title:"
_BLANK = 255


class Words(NamedTuple):
    """What a change is called: for the commit, the merge request and the reply."""

    title: str
    answer: str


def words(answer: str, request: Request) -> Words:
    """Split `Title: …` off Claude's answer; what was asked internally is named by its number only."""
    first, _, rest = answer.strip().partition("\n")
    titled = first.strip().strip("*# ").lower().startswith(_TITLE)
    body = rest.strip() if titled else answer.strip()
    title = (
        plain(first.strip().strip("*# ")[len(_TITLE) :]) if titled and not request.internal else ""
    )
    about = (
        f"{'#' if request.kind == ISSUE else '!'}{request.iid}" if request.kind else "the project"
    )
    return Words(title or f"Changes for {about}", body)


def commit_message(title: str, request: Request, host: str) -> str:
    """Return the commit's message: title, what it is for, who asked."""
    about = (
        f"\nAsked for in {'#' if request.kind == ISSUE else '!'}{request.iid}.\n"
        if request.kind
        else ""
    )
    asked = ""
    if request.author and request.author_id:
        # The address GitLab itself gives each user: https://docs.gitlab.com/user/profile/#use-an-automatically-generated-private-commit-email
        address = f"{request.author_id}-{request.author}@users.noreply.{host}"
        asked = f"Co-authored-by: {request.author} <{address}>\n"
    return f"{title}\n{about}\n{asked}Co-authored-by: Claude <noreply@anthropic.com>\n"


def current(gitlab: GitLab, iid: int, project_id: str) -> Mapping[str, Any]:
    """Return the merge request as it is now; raise Failure where it takes no changes."""
    found: Mapping[str, Any] = gitlab.get(f"merge_requests/{iid}")
    if str(found.get("source_project_id")) != project_id:
        raise Failure(Ending.FORK)
    if found.get("state") != "opened":
        raise Failure(Ending.MERGE_REQUEST_CLOSED, state=str(found.get("state"))[:20])
    return found


def ours(gitlab: GitLab, prefix: str, own: object) -> Mapping[str, Any] | None:
    """Return our open merge request whose branch begins so: a second ask in an issue goes on where the first ended."""
    found = gitlab.get("merge_requests", state="opened", author_id=own, per_page=100)
    return next(
        (
            each
            for each in found or []
            if str(each.get("source_branch", "")).startswith(prefix)
            and (each.get("author") or {}).get("id") == own
        ),
        None,
    )


def publish(
    gitlab: GitLab,
    request: Request,
    settings: Settings,
    *,
    branch: str,
    target: str,
    words: Words,
    link: str,
    known: Mapping[str, Any] | None,
) -> str:
    """Open the merge request, or bring the known one's description up to date; return its URL."""
    description = _description(request, words.answer, link)
    if known:
        found = gitlab.put(f"merge_requests/{known['iid']}", {"description": description})
        return str((found or known).get("web_url", ""))
    body: dict[str, object] = {
        "source_branch": branch,
        "target_branch": target,
        "title": ("Draft: " if settings.draft else "") + words.title[:_BLANK],
        "description": description,
        "remove_source_branch": True,
    }
    body |= {"labels": settings.labels} if settings.labels else {}
    body |= {"assignee_id": request.author_id} if request.author_id else {}
    try:
        made = gitlab.post("merge_requests", body)
    except GitLabError as error:
        raise Failure(
            Ending.GITLAB_REFUSED, what="open the merge request", status=error.status
        ) from error
    return str(made.get("web_url", ""))


def _description(request: Request, answer: str, link: str) -> str:
    closes = f"Closes #{request.iid}" if request.kind == ISSUE else ""
    # A merge request is as public as the project; an internal question is not.
    told = "" if request.internal else quiet(answer)
    return "\n\n".join(
        part for part in ("Claude made these changes.", told, closes, f"Job: {link}.") if part
    )
