"""From a request to the function that answers it: routes, parameters, refusals, pages; it knows no
endpoint.
"""
# ruff: noqa: EM102, TRY003  (the sentences are GitLab's)

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from .records import Json, Project, User
from .state import State

Headers = tuple[tuple[str, str], ...]
Answering = Callable[[State, "Request"], "Answer"]
_MOST = 100  # per_page beyond it is cut
_COUNTED = 10_000  # rows beyond which GitLab counts no more


@dataclass(slots=True)
class Answer:
    """A status, a JSON body (None: no body) and headers beyond the usual ones."""

    status: int
    body: Any = None
    headers: Headers = ()


class Refused(Exception):
    """An answer that ends a request early."""

    def __init__(self, status: int, body: Json, headers: Headers = ()) -> None:
        """Keep the answer."""
        super().__init__(status, body)
        self.answer = Answer(status, body, headers)


def refused(status: int, message: object) -> Refused:
    """Return GitLab's `render_api_error!`: the text under `message`."""
    return Refused(status, {"message": message})


def invalid(error: str) -> Refused:
    """Return Grape's parameter check: the text under `error`, not `message`."""
    return Refused(400, {"error": error})


def not_found(what: str = "") -> Refused:
    """Return GitLab's `not_found!`; without a name it is the trigger call's answer."""
    return refused(404, f"404 {what} Not Found" if what else "404 Not Found")


def no_record() -> Refused:
    """Return the 404 of a record that ActiveRecord did not find: with a small f."""
    return refused(404, "404 Not found")


@dataclass(slots=True)
class Request:
    """One API request, its parameters by name; `values` are those from the path, decoded."""

    state: State
    method: str
    path: str
    query: Json
    body: Json
    headers: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    caller: User | None = None

    @property
    def user(self) -> User:
        """The user whose API token came with the request (routes without a token have none)."""
        assert self.caller is not None
        return self.caller

    @property
    def params(self) -> Json:
        """Query and body together, as Grape merges them."""
        return {**self.query, **self.body}

    def project(self) -> Project:
        """Return the project of the path, by id or path, if this user may know of it."""
        project = self.state.find_project(self.values["id"])
        if project is None or not self.state.can_see(self.user, project):
            raise not_found("Project")
        return project

    def require(self, project: Project, level: int) -> None:
        """Refuse with 403 unless the user has this access level in the project."""
        if self.state.level(project.id, self.user.id) < level:
            raise refused(403, "403 Forbidden")

    def charge(self, limit: str) -> None:
        """Count this request against its user's rate limit; refuse with GitLab's 429 beyond it."""
        headers = self.state.limits.over(limit, self.user.id)
        if headers is not None:
            error = "This endpoint has been requested too many times. Try again later."
            raise Refused(429, {"message": {"error": error}}, headers)

    def id(self, name: str) -> int:
        """Return a number from the path."""
        value = self.values[name]
        if not value.isdecimal():
            raise invalid(f"{name} is invalid")
        return int(value)

    def text(self, name: str, *, required: bool = True) -> str:
        """Return a text parameter; numbers are coerced, as Grape does."""
        value = self.params.get(name)
        if value is None and required:
            raise invalid(f"{name} is missing")
        if isinstance(value, dict | list):
            raise invalid(f"{name} is invalid")
        return "" if value is None else str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean parameter, from JSON or from a form."""
        value = self.params.get(name, default)
        if value in (True, "true", "1"):
            return True
        if value in (False, "false", "0", None):
            return False
        raise invalid(f"{name} is invalid")

    def choice(self, name: str, values: Sequence[str], default: str) -> str:
        """Return a text parameter out of a closed list."""
        value = str(self.params.get(name, default))
        if value not in values:
            raise invalid(f"{name} does not have a valid value")
        return value

    def numbers(self, name: str) -> list[int]:
        """Return a list of integers, from `a[]=1&a[]=2` or `a=1,2`; empty if it was not given."""
        value = self.params.get(name) or []
        words = value if isinstance(value, list) else str(value).split(",")
        if not all(str(word).strip().isdecimal() for word in words):
            raise invalid(f"{name} is invalid")
        return [int(word) for word in words]

    def moment(self, name: str) -> float | None:
        """Return an ISO 8601 time as seconds since 1970."""
        value = self.params.get(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise invalid(f"{name} is invalid") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def page(
        self, items: Sequence[Any], *, most: int | None = None
    ) -> tuple[Sequence[Any], Headers]:
        """Return the page asked for and its headers; `per_page` is cut at 100 or refused over
        `most`.
        """
        number, size = max(self._count("page", 1), 1), self._count("per_page", 20)
        if size == 0:
            raise invalid("per_page has a value not allowed")
        if most is not None and size > most:
            raise invalid("per_page does not have a valid value")
        size = min(size, _MOST)
        pages = max(-(-len(items) // size), 1)
        counted = len(items) <= _COUNTED
        neighbours = {
            "prev": number - 1 if 1 < number <= pages else 0,
            "next": number + 1 if number < pages else 0,
        }
        links = {**neighbours, "first": 1, "last": pages if counted else 0}
        headers = {
            "X-Per-Page": str(size),
            "X-Page": str(number),
            "X-Next-Page": str(neighbours["next"] or ""),
            "X-Prev-Page": str(neighbours["prev"] or ""),
            "Link": ", ".join(
                f'<{self._url(page, size)}>; rel="{name}"' for name, page in links.items() if page
            ),
        }
        if counted:
            headers |= {"X-Total": str(len(items)), "X-Total-Pages": str(pages)}
        return items[(number - 1) * size : number * size], tuple(headers.items())

    def _url(self, page: int, size: int) -> str:
        return f"{self.state.url}{self.path}?{urlencode({**self.query, 'page': page, 'per_page': size}, doseq=True)}"

    def _count(self, name: str, default: int) -> int:
        value = str(self.params.get(name, default))
        if not value.isdecimal():
            raise invalid(f"{name} is invalid")
        return int(value)


@dataclass(slots=True)
class Route:
    """An endpoint: who answers it, whether it needs an API token and holds the state's lock."""

    answer: Answering
    pattern: str
    kind: str
    token: bool
    locked: bool


# A tree of path segments; None stands for any segment; below "" are the routes that end there, by
# method.
_ROUTES: dict[str | None, Any] = {}
_EITHER = re.compile(r"\{([^}]*)\}")


def route(
    method: str, *patterns: str, token: bool = True, locked: bool = True
) -> Callable[[Answering], Answering]:
    """Register a function for `METHOD pattern`; `{issues,merge_requests}` means either, the word
    arrives as `kind`.
    """

    def register(answer: Answering) -> Answering:
        for pattern in patterns:
            either = _EITHER.search(pattern)
            for kind in either[1].split(",") if either else ("",):
                node, path = _ROUTES, _EITHER.sub(kind, pattern)
                for segment in path.split("/"):
                    node = node.setdefault(None if segment.startswith(":") else segment, {})
                node.setdefault("", {})[method] = Route(answer, path, kind, token, locked)
        return answer

    return register


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of `/api/v4/…` and the path's parameters, decoded; None where there is no
    such endpoint.
    """
    node, segments = _ROUTES, path.removeprefix("/api/v4/").split("/")
    for segment in segments:
        if not segment:
            return None
        node = node.get(segment) or node.get(None) or {}
    found: Route | None = node.get("", {}).get(method)
    if found is None:
        return None
    names = found.pattern.split("/")
    values = {
        name[1:]: unquote(value)
        for name, value in zip(names, segments, strict=True)
        if name[0] == ":"
    }
    return found, {**values, "kind": found.kind}


def endpoints() -> list[tuple[str, str]]:
    """Return all registered endpoints as (method, pattern)."""

    def below(node: dict[str | None, Any]) -> Iterator[tuple[str, str]]:
        for segment, inner in node.items():
            if segment == "":
                yield from ((method, found.pattern) for method, found in inner.items())
            else:
                yield from below(inner)

    return sorted(below(_ROUTES))


def nested(text: str) -> Json:
    """Read a query or form as Rails does: `a=1`, `a[]=1`, `a[b][c]=1`."""
    params: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        keys = name.replace("]", "").split("[")
        place: Any = params
        for key, following in pairwise(keys):
            if not isinstance(place, dict):
                raise invalid(f"{keys[0]} is invalid")
            place = place.setdefault(key, {} if following else [])
        if isinstance(place, list):
            place.append(value)
        elif isinstance(place, dict):
            place[keys[-1]] = value
        else:
            raise invalid(f"{keys[0]} is invalid")
    return params
