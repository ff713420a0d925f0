"""A GitLab for tests and the demo: `State` behind HTTP on 127.0.0.1, calls recorded, faults.

    with GitLab() as gl:
        gl.user(1, "alice"); gl.project(7, "group/app"); gl.member(7, 1, 30)
        gl.api_token("glpat-test", 1)
        gl.fault("POST /api/v4/projects/7/trigger/pipeline", Fault.act_then_reset())
        ...  # point the code under test at gl.url
        assert gl.unknown_calls == []

It needs the standard library only.
"""

import json
import re
import time
import traceback
from collections import deque
from dataclasses import dataclass
from fnmatch import translate
from types import TracebackType
from typing import Any, Self

# Their import registers the endpoints.
from . import (  # noqa: F401
    administration,
    discussions,
    draft_notes,
    emoji,
    hooks,
    notes,
    pipelines,
    projects,
    reports,
)
from .faults import Fault
from .records import Clock, Json, Project, Record, User
from .routing import Answer, Headers, Refused, Request, Route, find, nested, refused
from .tally import Tally, tally
from .webhooks import Delivery, Webhooks
from .wire import Server

__all__ = ["Call", "Delivery", "Fault", "GitLab", "Project", "Record", "Tally", "User"]

_Sent = tuple[int, Headers, bytes]
_JSON: Headers = (("Content-Type", "application/json"),)
_TEXT: Headers = (("Content-Type", "text/plain"),)
_NOTHING_HERE = {"error": "404 Not Found"}


@dataclass(slots=True, repr=False)
class Call:
    """One request as it arrived and what became of it.

    `path` is as sent, still percent-encoded and without the query; header names are lower-case;
    `json` holds the body's parameters, from a form too. `status` is what was answered, None where
    nothing was; `acted` is GitLab's own status where the request got that far, and `response`
    GitLab's own body.
    """

    method: str
    path: str
    query: Json
    headers: dict[str, str]
    json: Json
    time: float
    status: int | None = None
    acted: int | None = None
    response: Any = None
    fault: str | None = None
    user_id: int | None = None

    def __repr__(self) -> str:
        fault = f" ({self.fault})" if self.fault else ""
        # no token is in any of these
        return f"<{self.method} {self.path} → {self.status or 'no answer'}{fault}>"


@dataclass(slots=True)
class _Script:
    match: re.Pattern[str]
    text: str
    faults: deque[Fault]


class GitLab(Webhooks):
    """The stand-in, a context manager. Its seeds and tables are `State`'s."""

    def __init__(self, *, port: int = 0, clock: Clock = time.time) -> None:
        """Port 0 takes a free one; the clock dates records, rate limits and webhooks."""
        super().__init__(clock)
        self.calls: list[Call] = []
        self.unknown_calls: list[
            Call
        ] = []  # to endpoints that are not there: typos, or something to build here first
        self._scripts: list[_Script] = []
        self._port = port
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._server = Server(self._port, self._answer)
        self.url = f"http://127.0.0.1:{self._server.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """End all connections, hanging ones too; a crash inside the stand-in fails the test that
        met it.
        """
        self.close()
        if self.crashes and kind is None:
            raise AssertionError("\n".join(["the GitLab stand-in crashed:", *self.crashes]))

    def close(self) -> None:
        """Stop listening and sending, drop what is open; may be called twice."""
        super().close()
        if self._server is not None:
            self._server.close()

    # --- faults -----------------------------------------------------------------------------------

    def fault(self, match: str, *faults: Fault) -> None:
        """Script the fate of the next requests that match, one each; then all is normal again.

        The match is `METHOD path` with fnmatch wildcards; a project in it is an id, also where the
        caller sends a path.
        """
        with self.lock:
            self._scripts.append(_Script(re.compile(translate(match)), match, deque(faults)))

    @property
    def pending_faults(self) -> list[str]:
        """Faults that no request has met yet: a test can tell whether its fault happened."""
        return [
            f"{script.text}: {fault.name}" for script in self._scripts for fault in script.faults
        ]

    def _next_fault(self, method: str, path: str) -> Fault | None:
        names = [f"{method} {path}"]
        if path.startswith("/api/v4/projects/"):
            name, slash, rest = path.removeprefix("/api/v4/projects/").partition("/")
            project = self.find_project(re.sub("%2f", "/", name, flags=re.IGNORECASE))
            names += [f"{method} /api/v4/projects/{project.id}{slash}{rest}"] if project else []
        with self.lock:
            for script in self._scripts:
                if script.faults and any(script.match.match(name) for name in names):
                    return script.faults.popleft()
        return None

    # --- counters ---------------------------------------------------------------------------------

    def tally(self, *, user_id: int | None = None) -> dict[str, Tally]:
        """Return how many calls came for each `METHOD route`, in all and at the busiest; of one
        user if given.
        """
        return tally(
            (f"{call.method} {_route(call)}", call.time)
            for call in self.calls
            if user_id in (None, call.user_id)
        )

    # --- requests ---------------------------------------------------------------------------------

    def _answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> _Sent | None:
        """Record one request, let its fault happen, answer; None: drop the connection."""
        path, _, query = target.partition("?")
        call, problem = Call(method, path, {}, headers, {}, self.clock()), None
        try:
            call.query = nested(query) if query else {}
            call.json = _parameters(headers, body) if body and path.startswith("/api/v4/") else {}
        except Refused as error:
            problem = error.answer
        self.calls.append(call)
        fault = self._next_fault(method, path) if self._scripts else None
        if fault is None:
            sent = self._act(call, problem, body)
            call.status = sent[0]
            return sent
        call.fault = fault.name
        self._wait(fault.waits)
        own = self._act(call, problem, body) if fault.acts else None
        self._wait(fault.hangs)
        answer = None if fault.drops else fault.answer or own
        call.status = answer[0] if answer else None
        return answer

    def _wait(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        if seconds and self._server is not None:
            self._server.closing.wait(seconds)

    def _act(self, call: Call, problem: Answer | None, body: bytes) -> _Sent:
        """Do what GitLab does with the request, or with one it could not read."""
        if not call.path.startswith("/api/v4/"):
            return self.outside_api(call, body)
        try:
            answer = problem or self._endpoint(call)
        except Refused as error:
            answer = error.answer
        except Exception:  # noqa: BLE001  (whatever it is, it is a mistake of the stand-in; __exit__ reports it)
            self.crashes.append(f"{call!r}\n{traceback.format_exc()}")
            answer = Answer(500, {"message": "500 Internal Server Error"})
        call.acted, call.response = answer.status, answer.body
        if isinstance(answer.body, str):
            return answer.status, _TEXT + answer.headers, answer.body.encode()
        if answer.body is None:
            return answer.status, answer.headers, b""
        return (
            answer.status,
            _JSON + answer.headers,
            json.dumps(answer.body, separators=(",", ":")).encode(),
        )

    def _endpoint(self, call: Call) -> Answer:
        found = find("GET" if call.method == "HEAD" else call.method, call.path)
        if found is None:
            self.unknown_calls.append(call)
            return Answer(404, _NOTHING_HERE)
        route, values = found
        request = Request(self, call.method, call.path, call.query, call.json, call.headers, values)
        if not route.locked:
            request.caller = self._caller(call, route)
            return route.answer(self, request)
        with self.lock:
            request.caller = self._caller(call, route)
            return route.answer(self, request)

    def outside_api(self, call: Call, body: bytes) -> _Sent:
        """Answer what is not the REST API: GraphQL. Git over HTTP belongs here (`git.py`)."""
        if (call.method, call.path) == ("POST", "/api/graphql"):
            return self._graphql(call, json.loads(body))
        self.unknown_calls.append(call)
        return 404, _JSON, json.dumps(_NOTHING_HERE).encode()

    def _graphql(self, call: Call, asked: Json) -> _Sent:
        """What GraphQL refuses it says with 200, but for a token that is none."""
        route = Route(lambda *_: Answer(200), "", "", token=True, locked=True)
        try:
            with self.lock:
                answer = reports.graphql(self, self._caller(call, route), asked)
        except Refused as error:
            return error.answer.status, _JSON, b'{"errors":[{"message":"Invalid token"}]}'
        return 200, _JSON, json.dumps(answer).encode()

    def _caller(self, call: Call, route: Route) -> User | None:
        """Return whose token came along; refuse with 401, 403 or 429 as GitLab does."""
        if not route.token:
            return None
        token = call.headers.get("private-token")
        if token is None:
            scheme, _, rest = call.headers.get("authorization", "").partition(" ")
            token = rest if scheme.lower() == "bearer" else ""
        if token not in self.api_tokens:
            raise refused(401, "401 Unauthorized")
        user_id, scopes = self.api_tokens[token]
        call.user_id = user_id
        user = self.users[user_id]
        if user.state != "active":
            raise refused(403, f"403 Forbidden - Your account has been {user.state}.")
        reading = call.method in ("GET", "HEAD")
        if not scopes & ({"api", "read_api"} if reading else {"api"}):
            error = "The request requires higher privileges than provided by the access token."
            needed = "api read_api" if reading else "api"
            raise Refused(
                403, {"error": "insufficient_scope", "error_description": error, "scope": needed}
            )
        if (headers := self.limits.over("api", user_id)) is not None:
            raise _Throttled(headers)
        return user


def _route(call: Call) -> str:
    """The pattern of the endpoint that was called, or the path where there is none."""
    found = find("GET" if call.method == "HEAD" else call.method, call.path)
    return found[0].pattern if found else call.path


class _Throttled(Refused):
    """Rack::Attack, which answers before Grape does and in plain text."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(429, {}, headers)
        self.answer.body = "Retry later\n"


def _parameters(headers: dict[str, str], body: bytes) -> Json:
    """Return the body's parameters, from JSON or from a form."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return nested(body.decode("utf-8", "replace"))
    if kind != "application/json":
        raise Refused(415, {"error": f"The provided content-type '{kind}' is not supported."})
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise refused(400, "400 Bad request")
    return parsed
