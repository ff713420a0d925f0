"""What was opened or changed in a project, and who asked by it, for the sweep."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from functions.gitlab.client import Group, branches, integer, path_of
from shared.contract.ai_flow import ASSIGN, ASSIGN_REVIEWER, ISSUE, LABEL, MERGE_REQUEST
from shared.gitlab.values import GitLabError, Project
from shared.incoming.digests import digest_of_texts
from shared.incoming.event import Event
from shared.incoming.payloads import seconds

_PATHS = ((ISSUE, "issues"), (MERGE_REQUEST, "merge_requests"))
# How GitLab's notes on its own doings begin (gitlabhq app/services/system_notes), always in
# English; what was undone stands behind "and".
_ASKED = (
    (ASSIGN, re.compile(r"assigned to ")),
    (ASSIGN_REVIEWER, re.compile(r"requested review from ")),
)
_UNDONE = re.compile(r" and (?:unassigned|removed review request for) ")
_NAME = re.compile(r"@([\w.-]+)")
_EDITED = ("changed the description", "changed title ")
_SWITCHED_OFF = (403, 404)  # what GitLab answers where a project has no issues, or shows us none
_INSTANT = 2.0  # seconds within which something is opened, and what GitLab notes of that


class Changes(Group):
    """Issues and merge requests as a sweep looks for them."""

    def changed_targets(self, project: Project, since: float) -> Iterator[Event]:
        """`GET /projects/:id/issues` and `…/merge_requests`: the oldest first, as none moves then.

        https://docs.gitlab.com/api/issues/, https://docs.gitlab.com/api/merge_requests/
        """
        after = datetime.fromtimestamp(since, UTC).isoformat()
        query = {"scope": "all", "updated_after": after, "order_by": "created_at", "sort": "asc"}
        for kind, path in _PATHS:
            try:
                for found in self._client.pages(f"/projects/{project.id}/{path}", query):
                    yield _opened(project, kind, found)
            except GitLabError as error:
                if error.status not in _SWITCHED_OFF:
                    raise

    def askings(self, opened: Event, since: float) -> Iterator[Event]:
        """`GET …/resource_label_events`, and the notes that GitLab itself wrote.

        https://docs.gitlab.com/api/resource_label_events/, https://docs.gitlab.com/api/notes/
        """
        query = {"activity_filter": "only_activity", "order_by": "created_at", "sort": "desc"}
        notes: list[dict[str, Any]] = []
        for note in self._client.pages(f"{path_of(opened)}/notes", query):
            if seconds(note.get("created_at")) < since:
                break
            if note.get("system") is True:
                notes.append(note)
        edits = [_at(note) for note in notes if str(note.get("body")).startswith(_EDITED)]
        edited_at = max(edits, default=0.0)
        begins = since
        if opened.at >= since and not edited_at:
            begins = opened.at + _INSTANT
            yield opened
        for name, added, who in (*_assigned(notes), *self._labelled(opened)):
            if _at(who) >= begins and who.get("author"):  # a user who is gone asks for nothing
                yield _asking(opened, (name, added), who, unchanged=_at(who) > edited_at)

    def _labelled(self, opened: Event) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for found in self._client.pages(f"{path_of(opened)}/resource_label_events", {}):
            label = (found.get("label") or {}).get("name")
            if found.get("action") == "add" and label:
                yield LABEL, str(label), found | {"author": found.get("user")}


def _assigned(notes: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for note in reversed(notes):
        body = _UNDONE.split(str(note.get("body")))[0]
        for name, begins in _ASKED:
            if begins.match(body):
                yield from ((name, each, note) for each in _NAME.findall(body))


def _asking(
    opened: Event, added: tuple[str, str], who: Mapping[str, Any], *, unchanged: bool
) -> Event:
    """Return what somebody asked by a change that added a name or label."""
    author = who.get("author") or {}
    return opened._replace(
        author_id=integer(author, "id"),
        author=str(author.get("username")),
        before=opened.texts,
        added=(added,),
        occasion=f"{opened.occasion}|{added[0]}|{who.get('created_at')}",
        at=_at(who),
        texts_digest=opened.texts_digest if unchanged else "",
        own=False,
    )


def _opened(project: Project, kind: str, found: Mapping[str, Any]) -> Event:
    """Return what a delivery would have told, had it been opened as it is now."""
    author, texts = found.get("author") or {}, (_text(found, "title"), _text(found, "description"))
    people = ((ASSIGN_REVIEWER, "reviewers"), (ASSIGN, "assignees"))
    added = [
        (name, str(each.get("username"))) for name, key in people for each in found.get(key) or []
    ]
    return Event(
        project_id=project.id,
        project_path=project.path,
        default_branch=project.default_branch,
        kind=kind,
        iid=integer(found, "iid"),
        branches=branches(found) if kind == MERGE_REQUEST else None,
        note_id=0,
        discussion_id=None,
        internal=found.get("confidential") is True,
        public=project.public,
        author_id=integer(author, "id"),
        author=str(author.get("username")),
        texts=texts,
        position=None,
        before=("", ""),
        added=(*added, *((LABEL, str(label)) for label in found.get("labels") or [])),
        occasion=str(integer(found, "id")),
        at=seconds(found.get("created_at")),
        texts_digest=digest_of_texts(*texts),
        own=True,
    )


def _text(found: Mapping[str, Any], key: str) -> str:
    return str(found.get(key) or "")


def _at(found: Mapping[str, Any]) -> float:
    return seconds(found.get("created_at"))
