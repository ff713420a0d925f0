"""The GitLab port over python-gitlab: which path, what to send, what the answer says. It decides nothing."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import gitlab

from functions.gitlab_client import client, translated
from shared.access import Member, User
from shared.event import KINDS, MERGE_REQUEST, Branches, NoteEvent, position_of
from shared.ports import Comment, GitLabError, Hook, Pipeline, Project
from shared.secret import Cached, GitLabSecrets, Secret

_SKEW = 60  # seconds GitLab's clock may differ from ours
_PAGE = 100
_NOT_FOUND = 404


class GitLab:
    """GitLab's REST API, as `shared.ports.GitLab` asks for it."""

    def __init__(self, url: str, secrets: Cached[GitLabSecrets]) -> None:
        """Take the one address and where the API token comes from; connect on first need."""
        self._url, self._secrets = url, secrets
        self._token: Secret | None = None
        self._api: gitlab.Gitlab | None = None
        self._trigger = client(url)

    def user(self, user_id: int) -> User | None:
        """`GET /users/:id`: https://docs.gitlab.com/api/users/#retrieve-a-user."""
        try:
            user = self._get(f"/users/{user_id}")
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return User(
            id=_int(user, "id"),
            username=str(user.get("username")),
            bot=user.get("bot") is not False,
            state=str(user.get("state")),
            external=user.get("external") is True,  # shown to administrators only
        )

    def own_id(self) -> int:
        """`GET /user`: https://docs.gitlab.com/api/users/#retrieve-the-current-user."""
        return _int(self._get("/user"), "id")

    def member(self, project_id: int, user_id: int) -> Member | None:
        """`GET /projects/:id/members/all/:user_id`: https://docs.gitlab.com/api/project_members/."""
        try:
            member = self._get(f"/projects/{project_id}/members/all/{user_id}")
        except GitLabError as error:
            # A project that our own token cannot see is our fault, not the author's.
            if error.status == _NOT_FOUND and "Project" not in error.message:
                return None
            raise
        expires = member.get("expires_at")
        return Member(
            user_id=_int(member, "id"),
            access_level=_int(member, "access_level"),
            state=str(member.get("state")),
            membership_state=str(member.get("membership_state", "active")),  # not sent by every edition
            expires_at=expires if expires is None else str(expires),
        )

    def note_text(self, note: NoteEvent) -> str:
        """`GET …/notes/:id`: https://docs.gitlab.com/api/notes/."""
        return str(self._get(f"{_path(note)}/notes/{note.note_id}").get("body"))

    def award(self, note: NoteEvent, emoji: str) -> None:
        """`POST …/notes/:id/award_emoji`; GitLab answers 404 for an emoji that is there already."""
        try:
            self._post(f"{_path(note)}/notes/{note.note_id}/award_emoji", {"name": emoji})
        except GitLabError as error:
            if "already been taken" not in error.message:
                raise

    def reply(self, note: NoteEvent, body: str) -> None:
        """`POST …/discussions/:id/notes`: it inherits the discussion's confidentiality. Else a note of its own."""
        discussion = note.discussion_id or self._discussion(note)
        if discussion:
            try:
                self._post(f"{_path(note)}/discussions/{discussion}/notes", {"body": body})
            except GitLabError as error:
                if "can not be replied to" not in error.message:
                    raise
            else:
                return
        self._post(f"{_path(note)}/notes", {"body": body, "internal": note.internal})

    def replied(self, note: NoteEvent, text: str) -> bool:
        """`GET …/discussions/:id` or the newest notes: tell whether one holds the text."""
        discussion = note.discussion_id or self._discussion(note)
        if discussion:
            notes = self._get(f"{_path(note)}/discussions/{discussion}").get("notes", [])
        else:
            newest = {"sort": "desc", "per_page": _PAGE}
            notes = self._request("get", f"{_path(note)}/notes", query_data=newest)
        return any(text in str(each.get("body")) for each in notes)

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """`POST /projects/:id/trigger/pipeline`, the token in the body only: https://docs.gitlab.com/api/pipeline_triggers/."""
        with translated(writes=True):
            answer = self._trigger.http_post(
                f"/projects/{project_id}/trigger/pipeline", post_data={"token": token.reveal(), **body}
            )
        if not isinstance(answer, dict) or type(answer.get("id")) is not int:
            raise GitLabError(0, unsure=True)
        return Pipeline(answer["id"], str(answer.get("web_url", "")))

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:
        """`GET /projects/:id/pipelines?source=trigger`, then the variables of each: https://docs.gitlab.com/api/pipelines/."""
        after = datetime.fromtimestamp(since - _SKEW, UTC).isoformat()
        path = f"/projects/{project_id}/pipelines"
        for pipeline in self._pages(path, {"source": "trigger", "created_after": after}):
            variables = self._request("get", f"{path}/{pipeline['id']}/variables")
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
            id=_int(project, "id"),
            path=str(project.get("path_with_namespace")),
            default_branch=str(project.get("default_branch")),
            public=project.get("visibility") != "private",
        )

    def comments(self, project: Project, since: float) -> Iterator[Comment]:
        """`GET /projects/:id/events`: https://docs.gitlab.com/api/events/; it takes days, and leaves out `after`."""
        after = (datetime.fromtimestamp(since, UTC) - timedelta(days=1)).date().isoformat()
        query = {"action": "commented", "after": after, "sort": "asc"}
        for found in self._pages(f"/projects/{project.id}/events", query):
            note = found.get("note") or {}
            kind = KINDS.get(str(note.get("noteable_type")))
            if kind and not note.get("system"):
                yield _comment(project, kind, note)

    def branches(self, note: NoteEvent) -> Branches:
        """`GET …/merge_requests/:iid`: https://docs.gitlab.com/api/merge_requests/."""
        found = self._get(_path(note))
        source_project = found.get("source_project_id")
        return Branches(
            source=str(found.get("source_branch")),
            target=str(found.get("target_branch")),
            source_project_id=source_project if type(source_project) is int else None,
            sha=str(found.get("sha")),
        )

    def hooks(self, project_id: int) -> list[Hook]:
        """`GET /projects/:id/hooks`: https://docs.gitlab.com/api/project_webhooks/; a Maintainer's right."""
        return [
            Hook(_int(hook, "id"), disabled=hook.get("alert_status") not in (None, "executable"))
            for hook in self._pages(f"/projects/{project_id}/hooks", {})
            if hook.get("note_events") or hook.get("confidential_note_events")
        ]

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        """`GET …/hooks/:id/events`: GitLab keeps them for some days, newest first, and gives at most 20 a page."""
        for status in ("server_failure", "client_failure"):
            path = f"/projects/{project_id}/hooks/{hook_id}/events"
            for delivery in self._pages(path, {"status": status}, page_size=20):
                if _seconds(delivery.get("created_at"), default=since) < since:
                    break
                yield json.dumps(delivery.get("request_data")).encode()

    def _discussion(self, note: NoteEvent) -> str | None:
        """Look for the discussion of a note that was not delivered: only deliveries name it."""
        for discussion in self._pages(f"{_path(note)}/discussions", {}):
            if any(each.get("id") == note.note_id for each in discussion.get("notes", [])):
                return str(discussion.get("id"))
        return None

    def _pages(self, path: str, query: dict[str, Any], page_size: int = 0) -> Iterator[dict[str, Any]]:
        """Yield what a list holds, page by page; addresses of pages that GitLab sends are not followed."""
        size, page = page_size or _PAGE, 1
        while page:
            items = self._request("get", path, query_data=query | {"per_page": size, "page": page})
            if not isinstance(items, list):
                raise GitLabError(0)
            yield from items
            # GitLab leaves out what we may not read after it has cut the page: only an empty page is the end.
            page = page + 1 if items else 0

    def _get(self, path: str) -> dict[str, Any]:
        answer = self._request("get", path)
        if not isinstance(answer, dict):
            raise GitLabError(0)
        return answer

    def _post(self, path: str, data: dict[str, Any]) -> None:
        self._request("post", path, post_data=data)

    def _request(self, verb: str, path: str, **data: Any) -> Any:  # noqa: ANN401  JSON as it comes
        try:
            return self._send(verb, path, data)
        except GitLabError as error:
            token = self._secrets.get(fresh=True).api_token
            if error.status != 401 or token is self._token:  # noqa: PLR2004
                raise
            return self._send(verb, path, data)  # the token has just been rotated

    def _send(self, verb: str, path: str, data: dict[str, Any]) -> Any:  # noqa: ANN401
        client = self._client()
        with translated(writes=verb == "post"):
            return client.http_get(path, **data) if verb == "get" else client.http_post(path, **data)

    def _client(self) -> gitlab.Gitlab:
        token = self._secrets.get().api_token
        if self._api is None or token is not self._token:
            self._api, self._token = client(self._url, private_token=token.reveal()), token
        return self._api


def _path(note: NoteEvent) -> str:
    kind = "merge_requests" if note.kind == MERGE_REQUEST else "issues"
    return f"/projects/{note.project_id}/{kind}/{note.iid}"


def _comment(project: Project, kind: str, note: dict[str, Any]) -> Comment:
    author = note.get("author") or {}
    created, updated = _seconds(note.get("created_at")), _seconds(note.get("updated_at"))
    position = note.get("position")
    event = NoteEvent(
        project_id=project.id,
        project_path=project.path,
        default_branch=project.default_branch,
        kind=kind,
        iid=_int(note, "noteable_iid"),
        branches=None,
        note_id=_int(note, "id"),
        discussion_id=None,
        internal=note.get("internal") is True or note.get("confidential") is True,
        public=project.public,
        author_id=_int(author, "id"),
        author=str(author.get("username")),
        text=str(note.get("body")),
        position=position_of(position),
    )
    return Comment(created, updated - created > 1, event)


def _seconds(value: object, default: float = 0.0) -> float:
    """Return an ISO 8601 time in Unix seconds."""
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return default


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


def _int(answer: dict[str, Any], key: str) -> int:
    value = answer.get(key)
    if type(value) is not int:
        raise GitLabError(0)
    return value
