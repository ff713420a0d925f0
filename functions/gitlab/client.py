"""A python-gitlab client with time limits, no redirects, and errors without GitLab's text.

Beside it what several groups of calls share: their base class, and how they read an answer.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import gitlab
import requests
from urllib3.exceptions import NameResolutionError, NewConnectionError, ReadTimeoutError

from shared.contract.ai_flow import COMMIT, ISSUE, MERGE_REQUEST, SNIPPET
from shared.contract.version import VERSION
from shared.gitlab.values import Cause, GitLabError
from shared.incoming.event import Branches, Event
from shared.installation.secrets import Cached, GitLabSecrets, Secret

# The certificate of a company's own CA, beside the folders of the sources and so of a bundle.
CA_FILE = Path(__file__).parents[2] / "gitlab-ca.pem"
PAGE = 100  # the most GitLab gives at once
# Seconds to connect and between bytes; `within` limits the calls of one attempt together.
TIMEOUT = (3.05, 10.0)
BRIEFLY = (3.05, 4.0)  # for what the job is better off with, and can do without
_LARGEST = 16 * 1024 * 1024  # bytes of one answer: a comment may hold 1 MiB, a function 256 MiB
_CHUNK = 65_536  # bytes
_LONGEST_PAUSE = 1800.0  # seconds that a Retry-After may ask for: no header parks a run for a day
# Statuses that say for good what is wrong with a request, if it is GitLab that says so.
_FINAL = {*range(400, 500)} - {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
# What Maintenance Mode answers to whatever writes, with 403: docs.gitlab.com,
# administration/maintenance_mode.
_READ_ONLY = "read-only instance"
_PATHS = {
    ISSUE: "issues",
    MERGE_REQUEST: "merge_requests",
    SNIPPET: "snippets",
    COMMIT: "repository/commits",
}


class Client:
    """The calls of one installation: one address, the API token as it is now, JSON in and out.

    Every call raises GitLabError for an answer other than 2xx, and with status 0 where none came
    or one that is not the JSON the caller expects. A rotated token is read again on the first 401.
    """

    def __init__(self, url: str, secrets: Cached[GitLabSecrets], proxy: str = "") -> None:
        """Take the address, where the API token comes from, a proxy; connect on first need."""
        self._url, self._secrets, self._proxy = url, secrets, proxy
        self._token: Secret | None = None
        self._authorised: gitlab.Gitlab | None = None
        self._own: tuple[gitlab.Gitlab, int] | None = None
        self._deadline = threading.local()
        self._anonymous: tuple[GitLabSecrets, gitlab.Gitlab] | None = None

    def within(self, seconds: float) -> None:
        """Let the calls of this thread end within so many seconds from now, all together."""
        self._deadline.until = monotonic() + seconds

    def get(self, path: str, *, timeout: tuple[float, float] | None = None) -> dict[str, Any]:
        """Return the object under a path; `timeout` in seconds, as TIMEOUT."""
        answer, _ = self._request("get", path, timeout=timeout)
        if not isinstance(answer, dict):
            raise GitLabError(0)
        return answer

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the object under a path; None when GitLab answers 404."""
        try:
            return self.get(path)
        except GitLabError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def page(self, path: str, **query: object) -> list[dict[str, Any]]:
        """Return a list as far as GitLab gives it at once."""
        return self._page(path, query)[0]

    def pages(
        self,
        path: str,
        query: Mapping[str, Any],
        *,
        size: int | None = None,
        timeout: tuple[float, float] | None = None,
        start: int = 1,
    ) -> Iterator[dict[str, Any]]:
        """Yield a list's entries from a page on; no page's address is taken from an answer."""
        page = str(start)
        while page.isdecimal():
            asked = {**query, "per_page": size or PAGE, "page": page}
            items, headers = self._page(path, asked, timeout=timeout)
            yield from items
            # GitLab first cuts the page, then drops what we may not read: short is not the end.
            page = headers.get("X-Next-Page", str(int(page) + 1) if items else "")

    def post(self, path: str, data: Mapping[str, Any]) -> Any:
        """Post JSON and return the answer's."""
        return self._request("post", path, post_data=data)[0]

    def post_anonymously(self, path: str, data: Mapping[str, Any]) -> Any:
        """Post JSON without the API token and return the answer's."""
        secrets = self._secrets.get()
        if self._anonymous is None or self._anonymous[0] is not secrets:
            self._anonymous = secrets, self._connect(secrets)
        return self._call(self._anonymous[1], "post", path, {"post_data": dict(data)})[0]

    def put(self, path: str, data: Mapping[str, Any]) -> None:
        """Put JSON."""
        self._request("put", path, post_data=data)

    def delete(self, path: str) -> None:
        """Delete what is under a path."""
        self._request("delete", path)

    def own_id(self) -> int:
        """Return the id of the token's user, asked once per token.

        `GET /user`: https://docs.gitlab.com/api/users/#retrieve-the-current-user.
        """
        client = self._current()
        if self._own is None or self._own[0] is not client:
            self._own = client, integer(self.get("/user"), "id")
        return self._own[1]

    def _page(
        self, path: str, query: Mapping[str, Any], **options: object
    ) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
        items, headers = self._request("get", path, query_data=query, **options)
        if not isinstance(items, list):
            raise GitLabError(0)
        return items, headers

    def _request(self, verb: str, path: str, **options: object) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON of an answer, and its headers."""
        try:
            return self._send(verb, path, options)
        except GitLabError as error:
            token = self._secrets.get(fresh=True).api_token
            if error.status != HTTPStatus.UNAUTHORIZED or token is self._token:
                raise
            return self._send(verb, path, options)  # the token has just been rotated

    def _send(self, verb: str, path: str, options: dict[str, Any]) -> tuple[Any, Mapping[str, str]]:
        return self._call(self._current(), verb, path, options)

    def _call(
        self, client: gitlab.Gitlab, verb: str, path: str, options: dict[str, Any]
    ) -> tuple[Any, Mapping[str, str]]:
        left = self._until() - monotonic()
        if left <= 0:  # nothing was sent
            raise GitLabError(0, cause=Cause.TIMEOUT)
        connecting, reading = options.get("timeout") or TIMEOUT
        timeout = min(connecting, left), min(reading, left)
        with translated(writes=verb != "get"):
            response = client.http_request(
                verb,
                path,
                streamed=True,
                **options | {"timeout": timeout},
            )
            answer = _json(response, self._until(), writes=verb != "get")
            return answer, response.headers

    def _until(self) -> float:
        return float(getattr(self._deadline, "until", "inf"))

    def _current(self) -> gitlab.Gitlab:
        secrets = self._secrets.get()
        if self._authorised is None or secrets.api_token is not self._token:
            self._authorised = self._connect(secrets, secrets.api_token.reveal())
            self._token = secrets.api_token
        return self._authorised

    def _connect(self, secrets: GitLabSecrets, token: str | None = None) -> gitlab.Gitlab:
        login = secrets.proxy_login.reveal() if secrets.proxy_login else ""
        return connect(self._url, token, proxy=with_login(self._proxy, login), until=self._until)


class Group:
    """Some of the port's calls, all by one client."""

    def __init__(self, client: Client) -> None:
        """Take the client."""
        self._client = client


def with_login(proxy: str, login: str) -> str:
    """Return a proxy's address with the name and password that it asks for, if there are any.

    >>> with_login("http://proxy.example.com:3128", "olga:p@ss")
    'http://olga:p%40ss@proxy.example.com:3128'
    """
    if not proxy or not login:
        return proxy
    name, _, password = login.partition(":")
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{quote(name, safe='')}:{quote(password, safe='')}@{rest}"


def connect(
    url: str,
    private_token: str | None = None,
    *,
    proxy: str = "",
    until: Callable[[], float] = lambda: float("inf"),
) -> gitlab.Gitlab:
    """Return python-gitlab's client for one GitLab, with or without a token and a proxy.

    `until` says by when an answer has to be read, as `time.monotonic`. Where CA_FILE is there, it
    says which certificates are trusted, and nothing else does. Proxy and certificates of the
    environment are those of now; a login in its ~/.netrc is nobody's business here.
    """
    session = requests.Session()
    session.trust_env = False  # by itself requests reads all of it, twice for each call
    session.proxies = (
        {"http": proxy, "https": proxy} if proxy else requests.utils.get_environ_proxies(url)
    )
    trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    # By itself python-gitlab sleeps through 429 and follows redirects: this hook comes first.
    session.hooks["response"].append(partial(_raise_for_status, until=until))
    return gitlab.Gitlab(
        url,
        private_token=private_token,
        timeout=TIMEOUT,  # type: ignore[arg-type] # requests takes a limit for each
        keep_base_url=True,
        retry_transient_errors=False,
        session=session,
        ssl_verify=str(CA_FILE) if CA_FILE.exists() else trusted,
        user_agent=f"gitlab-claude-trigger/{VERSION}",
    )


def content(response: requests.Response, until: float) -> bytes | None:
    """Return the body of an answer, None where it takes longer than `until` or too much room."""
    body = bytearray()
    with response:
        for part in response.iter_content(_CHUNK):
            body += part
            if len(body) > _LARGEST or monotonic() > until:
                return None
    return bytes(body)


def integer(answer: Mapping[str, Any], key: str) -> int:
    """Return a field that must be a whole number."""
    value = answer.get(key)
    if type(value) is not int:
        raise GitLabError(0)
    return value


def branches(merge_request: Mapping[str, Any]) -> Branches:
    """Return a merge request's branches, and the commit at the head of its source branch."""
    source = merge_request.get("source_project_id")
    return Branches(
        source=str(merge_request.get("source_branch")),
        target=str(merge_request.get("target_branch")),
        source_project_id=source if type(source) is int else None,
        sha=str(merge_request.get("sha") or ""),
    )


def is_internal(note: Mapping[str, Any]) -> bool:
    """Tell whether a note is for members only; `confidential` is the older name of `internal`."""
    return note.get("internal") is True or note.get("confidential") is True


def path_of(event: Event) -> str:
    """Return the path of what an event happened on, such as `/projects/7/issues/5`."""
    return f"/projects/{event.project_id}/{_PATHS[event.kind]}/{event.commit or event.iid}"


def _raise_for_status(
    response: requests.Response, *, until: Callable[[], float], **_: object
) -> None:
    """End a request that is not answered 2xx: no redirect is followed, no header is lost."""
    status = response.status_code
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    body = content(response, until())
    try:
        answer = json.loads(body or b"")
    except ValueError:
        answer = None
    writes = response.request.method != "GET"
    if not isinstance(answer, dict) and status in _FINAL:
        # A proxy or a sign-in page speaks, and not GitLab's API.
        raise GitLabError(0, unsure=writes, cause=Cause.NOT_GITLAB)
    message = answer.get("message", answer.get("error", "")) if isinstance(answer, dict) else ""
    if status == HTTPStatus.FORBIDDEN and _READ_ONLY in str(message):
        status, writes = HTTPStatus.SERVICE_UNAVAILABLE, False
    after = response.headers.get("Retry-After", "")
    raise GitLabError(
        int(status),
        str(message),
        after=min(float(after), _LONGEST_PAUSE) if after.isdecimal() else 0.0,
        unsure=writes and status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    )


@contextmanager
def translated(*, writes: bool) -> Iterator[None]:
    """Turn a library's error into a GitLabError without its text, which may quote what was sent."""
    try:
        yield
    except requests.RequestException as error:
        cause = _cause(error)
        never_sent = cause in (Cause.DNS, Cause.TCP, Cause.TLS)
        raise GitLabError(0, unsure=writes and not never_sent, cause=cause) from None
    except gitlab.exceptions.GitlabError:  # an answer that is no JSON
        raise GitLabError(0, unsure=writes, cause=Cause.NOT_GITLAB) from None


def _cause(error: requests.RequestException) -> Cause:
    """Tell by the library's classes what failed.

    https://requests.readthedocs.io/en/latest/api/#exceptions; the reason of a ConnectionError is
    urllib3's. SSLError and ProxyError are kinds of ConnectionError, and so come first.
    """
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", None)
    kinds: tuple[tuple[bool, Cause], ...] = (
        (isinstance(error, requests.exceptions.SSLError), Cause.TLS),
        (isinstance(error, requests.exceptions.ProxyError), Cause.PROXY),
        (isinstance(error, requests.exceptions.InvalidProxyURL), Cause.PROXY),
        (isinstance(error, requests.ConnectTimeout), Cause.TCP),
        (isinstance(reason, NameResolutionError), Cause.DNS),
        (isinstance(reason, NewConnectionError), Cause.TCP),
        (isinstance(error, requests.Timeout), Cause.TIMEOUT),
        (isinstance(inner, ReadTimeoutError), Cause.TIMEOUT),  # within the answer's body
        (isinstance(error, requests.JSONDecodeError), Cause.NOT_GITLAB),
    )
    return next((cause for is_it, cause in kinds if is_it), Cause.BROKEN)


def _json(response: requests.Response, until: float, *, writes: bool) -> Any:
    """Read an answer before its time is over, and no more of it than a function can hold.

    One without content, as a deletion has it, is None.
    """
    body = content(response, until)
    if body == b"" and response.status_code == HTTPStatus.NO_CONTENT:
        return None
    if body is None:
        raise GitLabError(0, unsure=writes, cause=Cause.BROKEN)
    try:
        return json.loads(body)
    except ValueError:
        raise GitLabError(0, unsure=writes, cause=Cause.NOT_GITLAB) from None
