"""Merge requests of a run: the one it was asked in, the one it opens, and their texts."""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from job import messages
from job.closing import unclosing
from job.failures import Failure, Reason
from job.gitlab import GitLabError
from job.harmless import plain, quiet
from shared.contract import marks
from shared.contract.ai_flow import AUTO, FIX, ISSUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from job.audience import Audience
    from job.gitlab import GitLab
    from job.inputs import Inputs
    from job.request import Request

_TITLE = "title:"
_LONGEST_TITLE = 255  # characters, as GitLab has it
_LONGEST_STATE = 20
_PART = re.compile(re.escape(marks.of_part("0")).replace("0", "([0-9a-f]{64})"))
_MOST_MARKS = 10  # code in an answer, and people, may show our marks
_NOT_SHOWN = range(400, 500)
_MOST_PAGES = 50  # of our open merge requests
_MOST_NOTES = 20  # pages of a merge request's notes in which repairs are counted


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
    words = _without_bold(first[len(_TITLE) :].strip()) if titled else ""
    title = plain(words) if audience.all_words else ""
    target = _target(audience.shown(request)) or messages.PROJECT
    untitled = messages.CHANGES_FOR.format(target=target)
    return Summary(title or untitled, rest.strip() if titled else answer.strip())


def _without_bold(words: str) -> str:
    """Return a title without the marks of `**Title:** …`, `**Title: …**` and `Title: **…**`."""
    if words.startswith("** "):
        return words[3:].strip()
    if words.startswith("**") and words.endswith("**"):
        return words.strip("*")
    return words.removesuffix("**") if words.count("**") == 1 else words


def commit_message(title: str, request: Request, host: str, trailers: Sequence[str] = ()) -> str:
    """Return the commit's message: title, what it is for, further trailers, who asked.

    `host` is GitLab's, whose own address of each user is at `users.noreply.<host>`:
    https://docs.gitlab.com/user/profile/#use-an-automatically-generated-private-commit-email
    """
    target = _target(request)
    lines = [title, ""]
    if target:
        said = messages.STARTED_IN if request.event == AUTO else messages.ASKED_FOR_IN
        lines += [said.format(target=target), ""]
    lines += trailers
    if request.author and request.asked_by:
        address = f"{request.author_id}-{request.author}@users.noreply.{host}"
        lines += [f"Co-authored-by: {request.author} <{address}>"]
    return "\n".join([*lines, "Co-authored-by: Claude <noreply@anthropic.com>", ""])


def superseded(gitlab: GitLab, request: Request, pushed: str = "") -> bool:
    """Tell whether nobody asked for a run and its merge request has other commits by now.

    Or a pipeline that has passed, if the run was to repair it. `pushed` is the commit that the run
    itself has pushed, or "".
    """
    if request.event != AUTO or not request.sha:
        return False
    with suppress(GitLabError):
        found = gitlab.get(f"merge_requests/{request.iid}")
        pipeline = found.get("head_pipeline") or {}
        mended = request.command == FIX and not pushed and pipeline.get("status") == "success"
        return mended or found.get("sha") not in (None, request.sha, pushed)
    return False


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


class Writer(NamedTuple):
    """Whose notes are ours: the token's user, by id, and who else writes replies, by user name."""

    id: object
    name: str


def pushed(gitlab: GitLab, thread: str, own: Writer) -> set[str]:
    """Return the commits that runs asked for in a thread, such as `issue-5`, say they have pushed.

    They say so in our replies, which nobody but Maintainers can edit: a commit's author can be
    anybody's invention.
    """
    found: list[str] = []
    with suppress(GitLabError):
        found += _said(gitlab, thread, own, 1)
    return {marks.pushed(body) for body in found} - {""}


def repairs(gitlab: GitLab, thread: str, own: Writer) -> int:
    """Return how many runs have tried to repair a merge request's pipeline, by our replies there.

    Raise GitLabError if GitLab does not list them.
    """
    return max(map(marks.repair, _said(gitlab, thread, own, _MOST_NOTES)), default=0)


def _said(gitlab: GitLab, thread: str, own: Writer, most: int) -> Iterator[str]:
    """Yield what we wrote in a thread, the newest first, of at most so many pages of notes."""
    kind, _, iid = thread.rpartition("-")
    query = {"sort": "desc", "order_by": "created_at"}
    for note in gitlab.pages(f"{kind}s/{iid}/notes", most, **query):
        author = (note.get("author") if isinstance(note, dict) else None) or {}
        # A user name may be a number, also that of our id.
        named = own.name and author.get("username") == own.name
        if named or (own.id and author.get("id") == own.id):
            yield str(note.get("body"))


def ours(gitlab: GitLab, prefix: str, own: object) -> Mapping[str, Any] | None:
    """Return our open merge request whose branch begins with `prefix`, or None.

    A second request in an issue goes on where the first ended. `own` is our user's id. Raise
    GitLabError if GitLab does not list them.
    """
    for each in gitlab.pages("merge_requests", _MOST_PAGES, state="opened", author_id=own):
        by_us = (each.get("author") or {}).get("id") == own
        if by_us and str(each.get("source_branch", "")).startswith(prefix):
            return dict(each)
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
    """Open the merge request, or bring our part of the known one's description up to date.

    Return its URL. `link` is Markdown that leads to the job. Raise GitLabError if GitLab refuses.
    """
    part = _part(summary.answer, link)
    if known:
        return _update(gitlab, known, part)
    draft = "Draft: " if inputs.draft else ""
    body: dict[str, object] = {
        "source_branch": branch,
        "target_branch": target,
        "title": draft + summary.title[:_LONGEST_TITLE],
        # Below our part: who takes it out does not want it back.
        "description": f"{part}\n\n{_closes(request)}".rstrip(),
        "remove_source_branch": True,
    }
    if inputs.labels:
        body["labels"] = inputs.labels
    if request.author_id:
        body["assignee_id"] = request.author_id
    try:
        return str(gitlab.post("merge_requests", body).get("web_url", ""))
    except GitLabError:
        # A call that ended badly may have been carried out, or somebody was faster.
        open_now = gitlab.get("merge_requests", state="opened", source_branch=branch)
        if not open_now:
            raise
        return str(open_now[0].get("web_url", ""))


def _update(gitlab: GitLab, known: Mapping[str, Any], part: str) -> str:
    """Replace our part of the description as it is now, unless people changed or removed it."""
    path = f"merge_requests/{known['iid']}"
    found = gitlab.get(path) or known
    description = _with_part(str(found.get("description") or ""), part)
    if description is not None:
        found = gitlab.put(path, {"description": description}) or found
    return str(found.get("web_url") or known.get("web_url", ""))


def _part(answer: str, link: str) -> str:
    """Return our part of a description between its marks.

    Whatever else people do with it: a text that has one of them asks for no run.
    """
    texts = [messages.DESCRIPTION, unclosing(quiet(answer)), messages.JOB.format(job=link)]
    text = "\n\n".join(filter(None, texts))
    return f"{marks.of_part(_digest(text))}\n\n{text}\n\n{marks.OURS}"


def _with_part(description: str, part: str) -> str | None:
    """Return a description with our part as it is now; None where none is as we wrote it."""
    for begins in islice(_PART.finditer(description), _MOST_MARKS):
        ends = islice(re.finditer(re.escape(marks.OURS), description[begins.end() :]), _MOST_MARKS)
        for end in ends:
            rest = description[begins.end() :]
            if _digest(rest[: end.start()]) == begins[1]:
                return description[: begins.start()] + part + rest[end.end() :]
    return None


def _digest(text: str) -> str:
    """Return the digest of a text's words: GitLab's editor may write blanks and lines otherwise."""
    return sha256(" ".join(text.split()).encode("utf-8", "replace")).hexdigest()


def _closes(request: Request) -> str:
    return f"Closes {_target(request)}" if request.kind == ISSUE else ""


def _target(request: Request) -> str:
    """Return GitLab's reference of what a request is about: `#5`, `!3`, or "" for a project."""
    if not request.kind:
        return ""
    return f"#{request.iid}" if request.kind == ISSUE else f"!{request.iid}"
