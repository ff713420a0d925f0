"""GitLab's REST API with one token, as setup and doctor use it: JSON in, JSON out, GitLabError."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import quote

from functions.gitlab.client import PAGE, connect, content, translated
from shared.gitlab.values import Cause, GitLabError

_MOST_PAGES = 50
_LONGEST = 30.0  # seconds that a file may take
MAINTAINER, OWNER = 40, 50  # https://docs.gitlab.com/api/access_requests/#valid-access-levels


class Api:
    """The calls; none follows a redirect, and the token is in no error."""

    def __init__(self, url: str, token: str, proxy: str = "") -> None:
        """Take GitLab's address, the token, and a proxy if need be."""
        self.url, self.proxy = url, proxy
        self._client = connect(url, token, proxy=proxy)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON under a path."""
        sent = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in query.items()
        }
        with _named("GET", path), translated(writes=False):
            return self._client.http_get(path, query_data=sent)

    def find(self, path: str, **query: Any) -> Any | None:
        """Return the JSON under a path, None where GitLab says there is nothing."""
        try:
            return self.get(path, **query)
        except GitLabError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def file(self, path: str) -> bytes:
        """Return a file as it is; one that is too large or too slow is a GitLabError."""
        with _named("GET", path), translated(writes=False):
            answer = self._client.http_request("get", path, streamed=True)
            body = content(answer, monotonic() + _LONGEST)
            if body is None:
                raise GitLabError(0, cause=Cause.BROKEN)
            return body

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return all entries of a list."""
        found: list[dict[str, Any]] = []
        for number in range(1, _MOST_PAGES + 1):
            page = self.get(path, **query, per_page=PAGE, page=number)
            found += page
            if len(page) < PAGE:
                break
        return found

    def post(self, path: str, **data: Any) -> Any:
        """Post JSON and return the answer's."""
        with _named("POST", path), translated(writes=True):
            return self._client.http_post(path, post_data=data)

    def put(self, path: str, query: Mapping[str, str] | None = None, **data: Any) -> Any:
        """Put JSON and return the answer's."""
        with _named("PUT", path), translated(writes=True):
            return self._client.http_put(path, query_data=dict(query or {}), post_data=data)

    def delete(self, path: str, **query: str) -> None:
        """Delete what is under a path; what is not there is fine."""
        try:
            with _named("DELETE", path), translated(writes=True):
                self._client.http_delete(path, query_data=query)
        except GitLabError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise


@contextmanager
def _named(verb: str, path: str) -> Iterator[None]:
    """Let an error say which call it was: a path holds names and ids, no token."""
    try:
        yield
    except GitLabError as error:
        error.args = (f"{error} ({verb} {path})",)
        raise


def under(kind: str, name: str | int) -> str:
    """Return the path of a project or group by id or path.

    >>> under("projects", "group/app")
    '/projects/group%2Fapp'
    """
    return f"/{kind}/{quote(str(name), safe='')}"


def branch_level(api: Api, project: dict[str, Any]) -> int:
    """Return the access level it takes to run pipelines on the default branch.

    On a protected one that is the right to merge or push there, else Developer; GitLab: `GET
    /projects/:id/protected_branches/:name`. 0: the branch is not protected.
    """
    path = f"/projects/{project['id']}/protected_branches/"
    rule = api.find(path + quote(str(project["default_branch"]), safe=""))
    if rule is None:
        return 0
    levels = [
        each["access_level"]
        for kind in ("merge_access_levels", "push_access_levels")
        for each in rule[kind]
        if each.get("access_level")
    ]
    return min(levels, default=MAINTAINER)


def version(api: Api) -> tuple[int, int]:
    """Return GitLab's version as `GET /version` tells it, such as (19, 3)."""
    first, second = str(api.get("/version").get("version", "0.0")).split(".")[:2]
    return int(first), int(second)
