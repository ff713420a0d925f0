"""GitLab's API as the job needs it: one project, one token, no redirects."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from functools import cache
from http.client import HTTPException
from typing import IO, TYPE_CHECKING, Any, Callable
from urllib.parse import quote, urlencode

from shared.contract.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TIMEOUT, _LAST_TIMEOUT = 20.0, 3.0  # seconds
_ATTEMPTS = 4
_MESSAGE = 500  # characters of GitLab's own words that go to the log
_LONGEST_PAUSE = 60.0  # seconds
_PIECE, _SHARED = 65_536, 100  # bytes of a file that are read at once, and looked at again
_TOO_MANY = 429
_AGAIN = (_TOO_MANY, 502, 503, 504)


class GitLabError(Exception):
    """What GitLab answered instead of what was asked; status 0: it did not answer."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status and the beginning of the message."""
        self.status, self.message = status, message[:_MESSAGE]
        answered = f"GitLab answered {status}" if status else "GitLab did not answer"
        super().__init__(f"{answered}: {self.message}")


class GitLab:
    """`CI_API_V4_URL` and one project of it, seen with one token."""

    def __init__(
        self,
        url: str,
        project_id: str,
        token: str,
        *,
        ca_file: str | None = None,
        masked: Callable[[str], str] = str,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Take `CI_API_V4_URL`, `CI_PROJECT_ID` and a token with the scope api.

        A CA file adds to the system's own; `masked` takes the secrets out of every text that is
        written; `pause` waits for so many seconds.
        """
        self._masked = masked
        self._url, self._token, self._pause = url.rstrip("/"), token, pause
        self._timeout, self._attempts = _TIMEOUT, _ATTEMPTS
        self._project = f"{self._url}/projects/{quote(project_id, safe='')}"
        https = urllib.request.HTTPSHandler(context=_trusted(ca_file))
        self._opener = urllib.request.build_opener(_NoRedirect, https)

    def hurry(self) -> None:
        """From now on, call once and wait little: GitLab's runner is about to end the job."""
        self._timeout, self._attempts = _LAST_TIMEOUT, 1

    def user(self) -> Mapping[str, Any]:
        """`GET /user`: whose token this is."""
        found: Mapping[str, Any] = self._call("GET", f"{self._url}/user")
        return found

    def project(self) -> Mapping[str, Any]:
        """`GET /projects/:id`: https://docs.gitlab.com/api/projects/#retrieve-a-project."""
        found: Mapping[str, Any] = self._call("GET", self._project)
        return found

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401  JSON as it comes
        """`GET` below the project; segments of the path are ids, never names."""
        parameters = f"?{urlencode(query)}" if query else ""
        return self._call("GET", f"{self._project}/{path}{parameters}")

    def download(self, path: str, most: int) -> bytes:
        """`GET` a file below the project, of which no more than `most` bytes are read."""
        return self._send("GET", f"{self._project}/{path}", read=lambda file: file.read(most))

    def end_of(
        self, path: str, size: int, most: int, look: Callable[[bytes], object] = len
    ) -> tuple[bytes, bool]:
        """`GET` a file below the project; return its last `size` bytes, and whether that is all.

        `look` sees all of it, in parts that share some bytes with the one before.
        Raise GitLabError if it has more than `most` bytes or takes too long: its end is out of
        reach, for GitLab sends a job's log from the beginning (lib/api/ci/jobs.rb).
        """
        kept, whole, until = b"", True, time.monotonic() + _LONGEST_PAUSE

        def read(file: IO[bytes]) -> bytes:
            nonlocal kept, whole
            kept, whole, seen = b"", True, 0
            while seen <= most and time.monotonic() < until:
                piece = file.read(_PIECE)
                if not piece:
                    return kept
                seen, kept = seen + len(piece), kept + piece
                look(kept[-len(piece) - _SHARED :])
                whole = whole and len(kept) <= size
                kept = kept[-size:]
            raise GitLabError(0, "the file is too long, or too slow")

        return self._send("GET", f"{self._project}/{path}", read=read), whole

    def graphql(self, query: str, variables: Mapping[str, object], most: int) -> Any:  # noqa: ANN401
        """Return what a GraphQL query answers, `data` and `errors`, of at most so many bytes.

        It takes the same tokens in the same header: `AuthFinders` in GitLab's lib/gitlab/auth.
        """
        url = f"{self._url.rpartition('/')[0]}/graphql"
        body = {"query": query, "variables": variables}
        return _parsed(self._send("POST", url, body, read=lambda file: file.read(most)))

    def post(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401
        """`POST` below the project."""
        return self._call("POST", f"{self._project}/{path}", body)

    def put(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401
        """`PUT` below the project."""
        return self._call("PUT", f"{self._project}/{path}", body)

    def delete(self, path: str) -> None:
        """`DELETE` below the project."""
        self._call("DELETE", f"{self._project}/{path}")

    def pages(self, path: str, most: int, **query: object) -> Iterator[Any]:
        """`GET` a list below the project, page by page, of at most so many pages of 100."""
        for page in range(1, most + 1):
            items = self.get(path, per_page=100, page=page, **query)
            if not isinstance(items, list):
                return
            yield from items
            if len(items) < 100:  # noqa: PLR2004  a page
                return

    def _call(self, method: str, url: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
        return _parsed(self._send(method, url, body))

    def _send(
        self,
        method: str,
        url: str,
        body: Mapping[str, object] | None = None,
        read: Callable[[IO[bytes]], bytes] = lambda response: response.read(),
    ) -> bytes:
        texts = {
            name: self._masked(each) for name, each in (body or {}).items() if type(each) is str
        }
        data = None if body is None else json.dumps({**body, **texts}).encode()
        headers = {
            "PRIVATE-TOKEN": self._token,
            "Content-Type": "application/json",
            "User-Agent": f"gitlab-claude-trigger-job/{VERSION}",
        }
        # A POST that met a 5xx may have been carried out: only 429 says that nothing happened.
        again = (_TOO_MANY,) if method == "POST" else _AGAIN
        for attempt in range(1, self._attempts + 1):
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
            pause = 2.0 ** (attempt - 1)
            try:
                with self._opener.open(request, timeout=self._timeout) as response:
                    return read(response)
            except urllib.error.HTTPError as error:
                message = error.read().decode("utf-8", "replace")
                if error.code not in again or attempt >= self._attempts:
                    raise GitLabError(error.code, message) from None
                asked = error.headers.get("Retry-After", "")
                pause = min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else pause
            except (OSError, ValueError, HTTPException) as error:  # no answer, or none that is HTTP
                if method == "POST" or attempt >= self._attempts:
                    raise GitLabError(0, _cause(error)) from None
            self._pause(pause)
        return b""


@cache
def _trusted(ca_file: str | None) -> ssl.SSLContext:
    """Return which certificates are trusted: those of a system take 17 ms to read."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another host."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def _cause(error: Exception) -> str:
    """Return why no answer came, such as a certificate or a name; no words of somebody else's."""
    reason = getattr(error, "reason", error)
    return str(reason) if isinstance(reason, OSError) else type(reason).__name__


def _parsed(body: bytes) -> Any:  # noqa: ANN401
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except ValueError:
        raise GitLabError(0, "no JSON") from None
