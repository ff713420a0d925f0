"""What GitLab tells: pipelines, projects, comments, webhooks, and what the job gets to know of its surroundings."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from functions.gitlab.client import PAGE, Api, integer, path_of
from shared.contract.ai_flow import ISSUE, MERGE_REQUEST
from shared.gitlab.values import (
    Diff,
    GitLabError,
    Hook,
    Job,
    Note,
    Pipeline,
    Progress,
    Project,
    SweptNote,
    Target,
)
from shared.incoming.event import Branches, Event
from shared.incoming.payloads import KINDS, position_of, seconds

_SKEW = 60  # seconds GitLab's clock may differ from ours
_NOT_FOUND = 404
_BRIEFLY = (3.05, 4.0)  # seconds: what the context holds is worth a wait, but not the run's lease
_ASKING = (
    "note_events",
    "confidential_note_events",
    "issues_events",
    "confidential_issues_events",
    "merge_requests_events",
)
_FEW = 50  # comments at once: each may hold 1 MiB, and more than a function can hold is left unread
_CHANGES = (("new_file", "added"), ("deleted_file", "deleted"), ("renamed_file", "renamed"))


class Reading(Api):
    """The reading half of `shared.gitlab.values.GitLab`."""

    def progress(self, project_id: int, pipeline_id: int) -> Progress | None:
        """`GET …/pipelines/:id` and its jobs: https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/jobs/."""
        path = f"/projects/{project_id}/pipelines/{pipeline_id}"
        try:
            pipeline = self._get(path)
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        jobs, _ = self._request("get", f"{path}/jobs", query_data={"per_page": PAGE})
        return Progress(
            status=str(pipeline.get("status")),
            duration=int(pipeline.get("duration") or 0),
            created_at=seconds(pipeline.get("created_at")),
            jobs=tuple(
                Job(
                    integer(job, "id"),
                    str(job.get("status")),
                    str(job.get("failure_reason") or ""),
                    str(job.get("web_url")),
                )
                for job in jobs
                if not job.get("allow_failure") or job.get("status") != "failed"
            ),
        )

    def target(self, event: Event) -> Target:
        """`GET …/issues/:iid` or `…/merge_requests/:iid`: https://docs.gitlab.com/api/issues/."""
        found = self._get(path_of(event), timeout=_BRIEFLY)
        source_project = found.get("source_project_id")
        author = found.get("author") or {}
        return Target(
            title=str(found.get("title") or ""),
            description=str(found.get("description") or ""),
            state=str(found.get("state")),
            labels=tuple(str(label) for label in found.get("labels") or []),
            author=(int(author.get("id") or 0), str(author.get("username"))),
            branches=Branches(
                source=str(found.get("source_branch")),
                target=str(found.get("target_branch")),
                source_project_id=source_project if type(source_project) is int else None,
                sha=str(found.get("sha")),
            )
            if event.kind == MERGE_REQUEST
            else None,
        )

    def notes(self, event: Event) -> Iterator[Note]:
        """`GET …/notes`, comments only: https://docs.gitlab.com/api/notes/."""
        query = {"sort": "desc", "order_by": "created_at", "activity_filter": "only_comments"}
        for note in self._pages(f"{path_of(event)}/notes", query, _FEW, timeout=_BRIEFLY):
            author = note.get("author") or {}
            yield Note(
                id=integer(note, "id"),
                author=(int(author.get("id") or 0), str(author.get("username"))),
                created_at=seconds(note.get("created_at")),
                updated_at=seconds(note.get("updated_at")),
                internal=note.get("internal") is True or note.get("confidential") is True,
                body=str(note.get("body")),
            )

    def discussion(self, event: Event) -> list[int]:
        """`GET …/discussions/:id`: https://docs.gitlab.com/api/discussions/."""
        found = self._get(f"{path_of(event)}/discussions/{event.discussion_id}", timeout=_BRIEFLY)
        return [integer(note, "id") for note in found.get("notes", [])]

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        """`GET /projects/:id/members/all?user_ids[]=…`: https://docs.gitlab.com/api/project_members/."""
        roles: dict[int, int] = {}
        for start in range(0, len(user_ids), PAGE):  # an address has its limits
            query = {"user_ids[]": user_ids[start : start + PAGE]}
            for member in self._pages(
                f"/projects/{project_id}/members/all", query, timeout=_BRIEFLY
            ):
                # One entry for each way of being a member.
                level = integer(member, "access_level") if member.get("state") == "active" else 0
                roles[integer(member, "id")] = max(level, roles.get(member["id"], 0))
        return roles

    def diffs(self, event: Event) -> Iterator[Diff]:
        """`GET …/merge_requests/:iid/diffs`: https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs."""
        for diff in self._pages(f"{path_of(event)}/diffs", {}, timeout=_BRIEFLY):
            change = next((name for field, name in _CHANGES if diff.get(field)), "modified")
            yield Diff(
                str(diff.get("old_path")),
                str(diff.get("new_path")),
                change,
                str(diff.get("diff") or ""),
            )

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:
        """`GET /projects/:id/pipelines?source=trigger`, then the variables of each: https://docs.gitlab.com/api/pipelines/."""
        after = datetime.fromtimestamp(since - _SKEW, UTC).isoformat()
        path = f"/projects/{project_id}/pipelines"
        for pipeline in self._pages(path, {"source": "trigger", "created_after": after}):
            variables, _ = self._request("get", f"{path}/{pipeline['id']}/variables")
            if any(_run_id(variable) == run_id for variable in variables):
                return Pipeline(pipeline["id"], str(pipeline.get("web_url", "")))
        return None

    def project(self, project_id: str) -> Project | None:
        """`GET /projects/:id`: https://docs.gitlab.com/api/projects/#retrieve-a-project."""
        try:
            project = self._get(f"/projects/{quote(project_id, safe='')}")
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return Project(
            id=integer(project, "id"),
            path=str(project.get("path_with_namespace")),
            default_branch=str(project.get("default_branch")),
            public=project.get("visibility") != "private",
        )

    def comments(self, project: Project, since: float) -> Iterator[SweptNote]:
        """`GET /projects/:id/events`: https://docs.gitlab.com/api/events/; it takes days, and leaves out `after`."""
        after = (datetime.fromtimestamp(since, UTC) - timedelta(days=1)).date().isoformat()
        query = {"action": "commented", "after": after, "sort": "asc"}
        for found in self._pages(f"/projects/{project.id}/events", query):
            note = found.get("note") or {}
            kind = KINDS.get(str(note.get("noteable_type")))
            # A comment on a commit does not tell which; neither there nor on a snippet anything is started.
            if kind in (ISSUE, MERGE_REQUEST) and not note.get("system"):
                yield _comment(project, kind, note)

    def hooks(self, project_id: int) -> list[Hook]:
        """`GET /projects/:id/hooks`: https://docs.gitlab.com/api/project_webhooks/; a Maintainer's right."""
        return [
            Hook(integer(hook, "id"), disabled=hook.get("alert_status") not in (None, "executable"))
            for hook in self._pages(f"/projects/{project_id}/hooks", {})
            if any(hook.get(flag) for flag in _ASKING)
        ]

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        """`GET …/hooks/:id/events`: GitLab keeps them for some days, newest first, and gives at most 20 a page."""
        for status in ("server_failure", "client_failure"):
            path = f"/projects/{project_id}/hooks/{hook_id}/events"
            for delivery in self._pages(path, {"status": status}, page_size=20):
                if seconds(delivery.get("created_at"), default=since) < since:
                    break
                yield json.dumps(delivery.get("request_data")).encode()


def _comment(project: Project, kind: str, note: dict[str, Any]) -> SweptNote:
    author = note.get("author") or {}
    created, updated = seconds(note.get("created_at")), seconds(note.get("updated_at"))
    position = note.get("position")
    event = Event(
        project_id=project.id,
        project_path=project.path,
        default_branch=project.default_branch,
        kind=kind,
        iid=integer(note, "noteable_iid"),
        branches=None,
        note_id=integer(note, "id"),
        discussion_id=None,
        internal=note.get("internal") is True or note.get("confidential") is True,
        public=project.public,
        author_id=integer(author, "id"),
        author=str(author.get("username")),
        texts=(str(note.get("body")),),
        before=("",),
        position=position_of(position),
        at=created,
    )
    return SweptNote(created, updated - created > 1, event)


def _run_id(variable: dict[str, Any]) -> object:
    """Return the run id a pipeline variable tells; text that merely quotes one does not count."""
    value = variable.get("value")
    if variable.get("key") == "AI_FLOW_ID":
        return value
    if variable.get("key") != "TRIGGER_PAYLOAD":
        return None
    try:
        return json.loads(str(value))["ai_flow"]["id"]
    except (ValueError, KeyError, TypeError):
        return None
