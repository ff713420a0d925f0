"""The GitLab port over python-gitlab: one host, time limits on every call, no redirects. It decides nothing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import gitlab
import requests
from urllib3.exceptions import NewConnectionError

from shared.access import Member, User
from shared.event import MERGE_REQUEST, NoteEvent
from shared.ports import GitLabError, Pipeline
from shared.secret import Cached, GitLabSecrets, Secret

TIMEOUT = (3.05, 10.0)  # seconds to connect and between bytes; the calls of one attempt stay below its lease
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
        self._trigger = _client(url)

    def user(self, user_id: int) -> User | None:
        """`GET /users/:id`: https://docs.gitlab.com/api/users/#retrieve-a-user."""
        try:
            user = self._get(f"/users/{user_id}")
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return User(_int(user, "id"), str(user.get("username")), user.get("bot") is not False, str(user.get("state")))

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
        if note.discussion_id:
            try:
                self._post(f"{_path(note)}/discussions/{note.discussion_id}/notes", {"body": body})
            except GitLabError as error:
                if "can not be replied to" not in error.message:
                    raise
            else:
                return
        self._post(f"{_path(note)}/notes", {"body": body, "internal": note.internal})

    def replied(self, note: NoteEvent, marker: str) -> bool:
        """`GET …/discussions/:id` or the newest notes: tell whether one holds the marker."""
        path, query = f"{_path(note)}/notes", {"sort": "desc", "per_page": 100}
        if note.discussion_id:
            path, query = f"{_path(note)}/discussions/{note.discussion_id}", {}
        found = self._request("get", path, query_data=query)
        notes = found.get("notes") if isinstance(found, dict) else found
        return any(marker in str(each.get("body")) for each in notes or [] if isinstance(each, dict))

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """`POST /projects/:id/trigger/pipeline`, the token in the body only: https://docs.gitlab.com/api/pipeline_triggers/."""
        with _translated(writes=True):
            answer = self._trigger.http_post(
                f"/projects/{project_id}/trigger/pipeline", post_data={"token": token.reveal(), **body}
            )
        if not isinstance(answer, dict) or type(answer.get("id")) is not int:
            raise GitLabError(0, unsure=True)
        return Pipeline(answer["id"], str(answer.get("web_url", "")))

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:
        """`GET /projects/:id/pipelines?source=trigger`, then the variables of each: https://docs.gitlab.com/api/pipelines/."""
        after = datetime.fromtimestamp(since - _SKEW, UTC).isoformat()
        path, page = f"/projects/{project_id}/pipelines", 1
        while page:
            query = {"source": "trigger", "created_after": after, "per_page": _PAGE, "page": page}
            pipelines = self._request("get", path, query_data=query)
            for pipeline in pipelines:
                variables = self._request("get", f"{path}/{pipeline['id']}/variables")
                if any(_run_id(variable) == run_id for variable in variables):
                    return Pipeline(pipeline["id"], str(pipeline.get("web_url", "")))
            page = page + 1 if len(pipelines) == _PAGE else 0
        return None

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
        with _translated(writes=verb == "post"):
            return client.http_get(path, **data) if verb == "get" else client.http_post(path, **data)

    def _client(self) -> gitlab.Gitlab:
        token = self._secrets.get().api_token
        if self._api is None or token is not self._token:
            self._api, self._token = _client(self._url, private_token=token.reveal()), token
        return self._api


def _client(url: str, private_token: str | None = None) -> gitlab.Gitlab:
    session = requests.Session()
    session.hooks["response"].append(_raise_for_status)
    # python-gitlab by itself waits for ever, sleeps through 429 and follows redirects: the hook comes first.
    return gitlab.Gitlab(
        url,
        private_token=private_token,
        timeout=TIMEOUT,  # type: ignore[arg-type] # requests takes a limit for each
        keep_base_url=True,
        retry_transient_errors=False,
        session=session,
        user_agent="gitlab-claude-trigger",
    )


def _raise_for_status(response: requests.Response, **_: object) -> None:
    """End every request that is not answered 2xx here, before a redirect is followed or a header is lost."""
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004
        return
    try:
        answer = response.json()
    except ValueError:
        answer = None
    message = answer.get("message", answer.get("error", "")) if isinstance(answer, dict) else ""
    after = response.headers.get("Retry-After", "")
    unsure = status >= 500 and response.request.method != "GET"  # noqa: PLR2004
    raise GitLabError(status, str(message), after=float(after) if after.isdecimal() else 0.0, unsure=unsure)


@contextmanager
def _translated(*, writes: bool = False) -> Iterator[None]:
    """Turn the client's errors into a GitLabError without their text: that may quote what was sent."""
    try:
        yield
    except (requests.ConnectTimeout, requests.exceptions.SSLError):
        raise GitLabError(0) from None
    except requests.RequestException as error:
        never_sent = isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)
        raise GitLabError(0, unsure=writes and not never_sent) from None
    except gitlab.exceptions.GitlabError:  # an answer that is no JSON
        raise GitLabError(0, unsure=writes) from None


def _path(note: NoteEvent) -> str:
    kind = "merge_requests" if note.kind == MERGE_REQUEST else "issues"
    return f"/projects/{note.project_id}/{kind}/{note.iid}"


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
