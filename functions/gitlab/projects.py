"""What a sweep looks at: a project, its comments, its webhooks and what they failed to deliver."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from functions.gitlab.client import Client, Group, integer, is_internal
from shared.contract.ai_flow import ISSUE, MERGE_REQUEST
from shared.gitlab.values import Hook, Project, SweptNote
from shared.incoming.event import Event
from shared.incoming.payloads import KINDS, position_of, seconds

_ASKING = (
    "note_events",
    "confidential_note_events",
    "issues_events",
    "confidential_issues_events",
    "merge_requests_events",
)
_USED_AGAIN = 300.0  # seconds
_FEW = 300  # comments that are read at once
_MOST_DELIVERIES = 20  # on a page, by GitLab


class Projects(Group):
    """Projects as a whole."""

    def __init__(self, client: Client) -> None:
        """Take the client."""
        super().__init__(client)
        self._known: dict[str, tuple[float, Project]] = {}

    def project(self, project_id: str) -> Project | None:
        """`GET /projects/:id`: https://docs.gitlab.com/api/projects/#retrieve-a-project.

        The answer is used again for five minutes: each mention asks.
        """
        asked_at, known = self._known.get(project_id, (0.0, None))
        if known is None or time.monotonic() - asked_at > _USED_AGAIN:
            known = self._read(project_id)
            self._known.pop(project_id, None)
            if known:
                self._known[project_id] = time.monotonic(), known
        return known

    def _read(self, project_id: str) -> Project | None:
        project = self._client.find(f"/projects/{quote(project_id, safe='')}")
        return None if project is None else _project(project)

    def active_projects(self, since: float) -> Iterator[tuple[int, float]]:
        """`GET /projects?membership=true&last_activity_after=…`: one call tells of a hundred.

        https://docs.gitlab.com/api/projects/#list-all-projects. By id, as the time of activity
        moves while pages are read. What it tells of a project needs not be asked for again.
        """
        after = datetime.fromtimestamp(since, UTC).isoformat()
        query = {"membership": "true", "last_activity_after": after}
        for found in self._client.pages("/projects", query | {"order_by": "id", "sort": "asc"}):
            project = _project(found)._replace(listed=True)
            self._known[str(project.id)] = time.monotonic(), project
            yield project.id, seconds(found.get("last_activity_at"))

    def comments(self, project: Project, since: float) -> Iterator[SweptNote]:
        """`GET /projects/:id/events`: https://docs.gitlab.com/api/events/."""
        for found in self._comment_events(project.id, since):
            note = found.get("note") or {}
            kind = KINDS.get(str(note.get("noteable_type")))
            # GitLab does not say which commit; on commits and snippets nothing is started anyway.
            if kind in (ISSUE, MERGE_REQUEST) and not note.get("system"):
                yield _comment(project, kind, note)

    def _comment_events(self, project_id: int, since: float) -> Iterator[dict[str, Any]]:
        """Yield events oldest first: from the newest back to `since`, or all of these days.

        GitLab's `after` is a day, and that day is left out: where little was written since, it
        costs less to begin with the newest.
        """
        after = (datetime.fromtimestamp(since, UTC) - timedelta(days=1)).date().isoformat()
        path = f"/projects/{project_id}/events"
        query = {"action": "commented", "after": after}
        newest: list[dict[str, Any]] = []
        for found in self._client.pages(path, query | {"sort": "desc"}):
            if seconds(found.get("created_at"), default=since) < since:
                break
            newest.append(found)
            if len(newest) == _FEW:
                yield from self._client.pages(path, query | {"sort": "asc"})
                return
        yield from reversed(newest)

    def hooks(self, project_id: int) -> list[Hook]:
        """`GET /projects/:id/hooks`, a Maintainer's right.

        https://docs.gitlab.com/api/project_webhooks/
        """
        return [
            Hook(integer(hook, "id"), disabled=hook.get("alert_status") not in (None, "executable"))
            for hook in self._client.pages(f"/projects/{project_id}/hooks", {})
            if any(hook.get(flag) for flag in _ASKING)
        ]

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        """`GET …/hooks/:id/events`, of the last days, newest first.

        https://docs.gitlab.com/api/project_webhooks/#list-all-events-for-a-project-webhook
        """
        path = f"/projects/{project_id}/hooks/{hook_id}/events"
        for status in ("server_failure", "client_failure"):
            found = self._client.pages(path, {"status": status}, size=_MOST_DELIVERIES)
            for delivery in found:
                if seconds(delivery.get("created_at"), default=since) < since:
                    break
                yield json.dumps(delivery.get("request_data")).encode()


def _project(found: Mapping[str, Any]) -> Project:
    permissions = found.get("permissions") or {}
    return Project(
        id=integer(found, "id"),
        path=str(found.get("path_with_namespace")),
        # An empty repository has the name of one, or none.
        default_branch="" if found.get("empty_repo") else str(found.get("default_branch") or ""),
        public=found.get("visibility") != "private",
        listed="permissions" not in found or any(permissions.values()),
    )


def _comment(project: Project, kind: str, note: Mapping[str, Any]) -> SweptNote:
    author = note.get("author") or {}
    created = seconds(note.get("created_at"))
    event = Event(
        project_id=project.id,
        project_path=project.path,
        default_branch=project.default_branch,
        kind=kind,
        iid=integer(note, "noteable_iid"),
        branches=None,
        note_id=integer(note, "id"),
        discussion_id=None,
        internal=is_internal(note),
        public=project.public,
        author_id=integer(author, "id"),
        author=str(author.get("username")),
        texts=(str(note.get("body")),),
        before=("",),
        position=position_of(note.get("position")),
        at=created,
    )
    # When it was edited GitLab does not tell: `updated_at` moves with a first reply too, as the
    # comment becomes a thread (gitlabhq app/services/notes/create_service.rb, update_discussions).
    return SweptNote(created, event)
