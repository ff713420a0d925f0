"""A request that was asked internally: it came as ids only, and the job reads the texts itself.

A pipeline's variables reach every webhook with pipeline events, so they hold nothing that not
everybody may read. What comes of it has the form of `docs/ai-flow-context.schema.json`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from job import messages
from job.failures import Failure, Reason
from job.gitlab import GitLab, GitLabError
from shared.contract import marks
from shared.contract.ai_flow import ISSUE, MERGE_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from job.request import Request

_SKEW = 1.0  # seconds: GitLab tells a pipeline's second, and a comment's millisecond
_NOTES = 100  # comments that are looked at: the newest, one page
# Characters, about what the trigger function allows of each.
_TITLE, _NOTE, _DESCRIPTION, _THREAD, _INPUT = 2_000, 8_000, 16_000, 36_000, 60_000
_CUT = "\n[cut here]"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ADDRESSED = re.compile(r"\s*@[A-Za-z0-9_.-]+[,:;.!?]*\s*")
_UNREADABLE = (401, 403, 404)


class _Thread(NamedTuple):
    """Where texts are read: the issue's or merge request's path, and what counts as too late."""

    gitlab: GitLab
    path: str
    until: float
    token_variable: str

    def get(self, path: str = "", **query: object) -> Any:  # noqa: ANN401  JSON as it comes
        """`GET` below the issue or merge request; raise Failure where it cannot be read."""
        try:
            return self.gitlab.get(f"{self.path}{path}", **query)
        except GitLabError as error:
            if error.status not in _UNREADABLE:
                raise Failure(Reason.GITLAB_UNAVAILABLE) from None
            name, status = self.token_variable, error.status
            raise Failure(Reason.REQUEST_UNREADABLE, name=name, status=status) from None

    def stood(self, text: Mapping[str, Any]) -> bool:
        """Tell whether a comment stood as it is when the pipeline was created."""
        return all(_seconds(text.get(at)) <= self.until for at in ("created_at", "updated_at"))


def read(
    request: Request, gitlab: GitLab, environment: Mapping[str, str], token_variable: str
) -> Request:
    """Return a withheld request with the texts that the job's token may read.

    Any other is as it is, but for its merge request's texts, if nobody sent them.
    `token_variable` names that token for the person who has to change it. Raise Failure if the
    comment cannot be read, is not that person's, or has changed since the pipeline was created;
    CI_PIPELINE_CREATED_AT says when that was, as 2026-01-31T16:47:55Z:
    https://docs.gitlab.com/ci/variables/predefined_variables/
    """
    if not request.withheld:
        return _described(request, gitlab)
    created = _seconds(environment.get("CI_PIPELINE_CREATED_AT"))
    if request.kind not in (ISSUE, MERGE_REQUEST) or created == float("inf"):
        raise Failure(Reason.REQUEST_INVALID, what=messages.NO_THREAD_OR_TIME)
    path = f"{request.kind}s/{request.iid}"
    thread = _Thread(gitlab, path, created + _SKEW, token_variable)
    target = thread.get()
    note = thread.get(f"/notes/{request.note_id}") if request.note_id else None
    text = request.input or _asked(request, thread, target, note)
    context = {
        **request.context,
        request.kind: {**_ids(request), **_target(target)},
        "thread": {"discussion_id": request.discussion_id or None, **_notes(request, thread)},
        "position": (note or {}).get("position") or None,
    }
    return request._replace(input=text, context={**context, "untrusted": _untrusted(request)})


def _described(request: Request, gitlab: GitLab) -> Request:
    known = request.context.get(MERGE_REQUEST)
    if request.kind != MERGE_REQUEST or not isinstance(known, dict) or "title" in known:
        return request
    try:
        found = gitlab.get(f"merge_requests/{request.iid}")
    except GitLabError:
        return request  # whoever needs it next says so
    return request._replace(context={**request.context, MERGE_REQUEST: {**_target(found), **known}})


def seen(text: str) -> str:
    r"""Return a text without its HTML comments, but those in fenced code; an open one hides all.

    >>> seen("a <!-- b --> c")
    'a  c'
    """
    kept, fence, hidden = [], "", False
    for line in text.splitlines(keepends=True):
        found = None if hidden else _FENCE.match(line)
        if found and (not fence or (found[1].startswith(fence) and not line.strip(" `~\r\n"))):
            fence = "" if fence else found[1]
            kept.append(line)
            continue
        at = 0
        while at < len(line) and not fence:
            end = line.find("-->" if hidden else "<!--", at)
            if not hidden:
                kept.append(line[at : end if end >= 0 else None])
            if end < 0:
                break
            at, hidden = end + (3 if hidden else 4), not hidden
        if fence:
            kept.append(line)
    return "".join(kept)


def _asked(
    request: Request, thread: _Thread, target: Mapping[str, Any], note: Mapping[str, Any] | None
) -> str:
    """Return what the person asked; raise Failure if it is another's, or not what it was."""
    asked = note or target
    author = (asked.get("author") or {}).get("id")
    if author != request.author_id or (note and not thread.stood(note)):
        raise Failure(Reason.REQUEST_CHANGED)
    if note:
        text = seen(str(note.get("body", "")))
    else:
        text = "\n\n".join(seen(str(target.get(name) or "")) for name in ("title", "description"))
    return _cut(_ADDRESSED.sub("", text, count=1) if _ADDRESSED.match(text) else text, _INPUT)


def _ids(request: Request) -> Mapping[str, Any]:
    """Return what the sender told of the issue or merge request: numbers and branches."""
    told = request.context.get(request.kind)
    return told if isinstance(told, dict) else {}


def _target(found: Mapping[str, Any]) -> dict[str, Any]:
    labels = found.get("labels")
    return {
        "title": _cut(seen(str(found.get("title") or "")), _TITLE),
        "description": _cut(seen(str(found.get("description") or "")), _DESCRIPTION),
        "state": str(found.get("state")),
        "labels": [str(label) for label in labels[:50]] if isinstance(labels, list) else [],
        "author": _author(found),
    }


def _notes(request: Request, thread: _Thread) -> dict[str, Any]:
    """Return the other comments as they stood when the pipeline was created, oldest first."""
    query = {"sort": "desc", "order_by": "created_at", "activity_filter": "only_comments"}
    found = thread.get("/notes", per_page=_NOTES, **query)
    found = [note for note in found if isinstance(note, dict)] if isinstance(found, list) else []
    kept, room = [], _THREAD
    for note in found:
        if note.get("system") or note.get("id") == request.note_id or not thread.stood(note):
            continue
        body = str(note.get("body", ""))
        if marks.TRIGGER in body and not marks.has_answer(body):
            continue  # a reply that says "is queued" tells nothing
        text = _cut(seen(body), _NOTE)
        room -= len(text)
        if room < 0:
            break
        kept.append((note, text))
    cut = room < 0 or len(found) == _NOTES
    roles = _roles(thread.gitlab, {_author(note)["id"] for note, _ in kept})
    asks = _discussion(request, thread)
    notes = [
        {
            "id": note.get("id"),
            "author": {**_author(note), "access_level": roles.get(_author(note)["id"])},
            "created_at": _iso(note.get("created_at")),
            "in_discussion": note.get("id") in asks,
            "internal": bool(note.get("internal")),
            "text": text,
        }
        for note, text in reversed(kept)
    ]
    return {"notes": notes, "cut": cut}


def _roles(gitlab: GitLab, authors: Iterable[int]) -> dict[int, int]:
    """Map people to their access level, 0 for no member; nobody where that cannot be read.

    https://docs.gitlab.com/api/project_members/#list-all-members-of-a-project
    """
    asked = sorted(authors)
    query = urlencode([("per_page", 100), *(("user_ids[]", number) for number in asked)])
    roles: dict[int, int] = {}
    with suppress(GitLabError):
        for member in gitlab.get(f"members/all?{query}") if asked else []:
            level = member["access_level"] if member.get("state") == "active" else 0
            roles[member["id"]] = max(level, roles.get(member["id"], 0))
        return {number: roles.get(number, 0) for number in asked}
    return {}


def _discussion(request: Request, thread: _Thread) -> Sequence[object]:
    """Return the ids of the notes in the discussion that asks; none where it cannot be read."""
    if not request.discussion_id:
        return ()
    with suppress(Failure):
        found = thread.get(f"/discussions/{request.discussion_id}")
        return [note.get("id") for note in (found or {}).get("notes", [])]
    return ()


def _author(found: Mapping[str, Any]) -> dict[str, Any]:
    author = found.get("author") or {}
    return {"id": int(author.get("id") or 0), "username": str(author.get("username") or "")}


def _untrusted(request: Request) -> list[str]:
    names = ["title", "description", "labels"]
    if request.kind == MERGE_REQUEST:
        names += ["source_branch", "target_branch"]
    return sorted([*(f"{request.kind}.{name}" for name in names), "thread.notes"])


def _cut(text: str, most: int) -> str:
    text = text.strip("\n")
    return text if len(text) <= most else text[:most] + _CUT


def _seconds(text: object) -> float:
    """Return a time of GitLab's in seconds; never, where it is none."""
    try:
        then = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return float("inf")
    return then.replace(tzinfo=then.tzinfo or timezone.utc).timestamp()


def _iso(text: object) -> str:
    then = datetime.fromtimestamp(_seconds(text), timezone.utc)
    return then.isoformat(timespec="seconds")
