"""python-gitlab with our manners: one host, a time limit on every call, no redirects, errors without their text."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gitlab
import requests
from urllib3.exceptions import NewConnectionError

from shared.contract.ai_flow import COMMIT, ISSUE, MERGE_REQUEST, SNIPPET
from shared.gitlab.values import GitLabError
from shared.incoming.event import Event
from shared.installation.secrets import Cached, GitLabSecrets, Secret

PAGE = 100  # the most GitLab gives at once
_LARGEST = 16 * 1024 * 1024  # bytes of one answer: a comment may hold 1 MiB, a function 256 MiB
_PATHS = {
    ISSUE: "issues",
    MERGE_REQUEST: "merge_requests",
    SNIPPET: "snippets",
    COMMIT: "repository/commits",
}
TIMEOUT = (
    3.05,
    10.0,
)  # seconds to connect and between bytes; the calls of one attempt stay below its lease


def client(url: str, private_token: str | None = None) -> gitlab.Gitlab:
    """Return python-gitlab's client for one GitLab, with or without a token."""
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
    raise GitLabError(
        status, str(message), after=float(after) if after.isdecimal() else 0.0, unsure=unsure
    )


@contextmanager
def translated(*, writes: bool = False) -> Iterator[None]:
    """Turn the client's errors into a GitLabError without their text: that may quote what was sent."""
    try:
        yield
    except (requests.ConnectTimeout, requests.exceptions.SSLError):
        raise GitLabError(0) from None
    except requests.RequestException as error:
        never_sent = isinstance(
            getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError
        )
        raise GitLabError(0, unsure=writes and not never_sent) from None
    except gitlab.exceptions.GitlabError:  # an answer that is no JSON
        raise GitLabError(0, unsure=writes) from None


class Api:
    """The calls of one installation: its address, its API token as it is now, JSON in and out."""

    def __init__(self, url: str, secrets: Cached[GitLabSecrets]) -> None:
        """Take the one address and where the API token comes from; connect on first need."""
        self._url, self._secrets = url, secrets
        self._token: Secret | None = None
        self._api: gitlab.Gitlab | None = None
        self._own: tuple[gitlab.Gitlab, int] | None = None
        self._bare = client(url)

    def _pages(
        self,
        path: str,
        query: dict[str, Any],
        page_size: int | None = None,
        **data: Any,  # noqa: ANN401  a time limit
    ) -> Iterator[dict[str, Any]]:
        """Yield what a list holds, page by page; addresses of pages that GitLab sends are not followed."""
        page = "1"
        while page.isdecimal():
            asked = query | {"per_page": page_size or PAGE, "page": page}
            items, headers = self._request("get", path, query_data=asked, **data)
            if not isinstance(items, list):
                raise GitLabError(0)
            yield from items
            # GitLab leaves out what we may not read after it has cut the page: a short page is not the end.
            page = headers.get("X-Next-Page", str(int(page) + 1) if items else "")

    def _get(self, path: str, **data: Any) -> dict[str, Any]:  # noqa: ANN401  query and time limit
        answer, _ = self._request("get", path, **data)
        if not isinstance(answer, dict):
            raise GitLabError(0)
        return answer

    def _post(self, path: str, data: dict[str, Any]) -> Any:  # noqa: ANN401  JSON as it comes
        answer, _ = self._request("post", path, post_data=data)
        return answer

    def _request(self, verb: str, path: str, **data: Any) -> tuple[Any, Mapping[str, str]]:  # noqa: ANN401
        """Return the JSON of an answer, and its headers."""
        try:
            return self._send(verb, path, data)
        except GitLabError as error:
            token = self._secrets.get(fresh=True).api_token
            if error.status != 401 or token is self._token:  # noqa: PLR2004
                raise
            return self._send(verb, path, data)  # the token has just been rotated

    def _send(self, verb: str, path: str, data: dict[str, Any]) -> tuple[Any, Mapping[str, str]]:
        client = self._client()
        with translated(writes=verb != "get"):
            if verb != "get":
                return getattr(client, f"http_{verb}")(path, **data), {}
            response = client.http_get(path, raw=True, streamed=True, **data)
            assert isinstance(response, requests.Response)  # noqa: S101  so `raw` says
            return _json(response), response.headers

    def _client(self) -> gitlab.Gitlab:
        token = self._secrets.get().api_token
        if self._api is None or token is not self._token:
            self._api, self._token = client(self._url, private_token=token.reveal()), token
        return self._api


def _json(response: requests.Response) -> Any:  # noqa: ANN401  JSON as it comes
    """Read no more of an answer than a function can hold."""
    body = bytearray()
    with response:
        for part in response.iter_content(65_536):
            body += part
            if len(body) > _LARGEST:
                raise GitLabError(0)
    try:
        return json.loads(body)
    except ValueError:
        raise GitLabError(0) from None


def integer(answer: dict[str, Any], key: str) -> int:
    """Return a field that must be a whole number."""
    value = answer.get(key)
    if type(value) is not int:
        raise GitLabError(0)
    return value


def path_of(event: Event) -> str:
    """Return the path of what an event happened on."""
    return f"/projects/{event.project_id}/{_PATHS[event.kind]}/{event.commit or event.iid}"
