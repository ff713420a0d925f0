"""What can go wrong on the way to GitLab and back, as values; they say what happens and do nothing
themselves.
"""

import json
from dataclasses import dataclass
from typing import Self

# GitLab.com's layers speak differently: Rails JSON, the rate limiter plain text, the proxies in
# front HTML.
_PAGES = {
    429: ("text/plain", "Retry later\n"),
    502: (
        "text/html",
        "<!DOCTYPE html><html><body><h1>502</h1>Whoops, GitLab is taking too much time.</body></html>",
    ),
    503: (
        "text/html",
        "<!DOCTYPE html><html><body><h1>503</h1>GitLab is not responding.</body></html>",
    ),
    504: ("text/html", "<!DOCTYPE html><html><body><h1>504</h1>Gateway time-out</body></html>"),
}
_MESSAGES = {
    400: "400 Bad request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    409: "409 Conflict",
    422: "422 Unprocessable Entity",
    500: "500 Internal Server Error",
}
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One request's fate: wait, act or not, hang or not, then answer (its own answer, or GitLab's)
    or drop the line.
    """

    name: str
    acts: bool
    waits: float = 0.0
    hangs: float = 0.0
    drops: bool = False
    answer: tuple[int, Headers, bytes] | None = None

    @classmethod
    def ok(cls) -> Self:
        """Nothing goes wrong this time (to let the first call pass and hit the second)."""
        return cls("ok", acts=True)

    @classmethod
    def status(
        cls,
        status: int,
        *,
        retry_after: int | None = None,
        message: object = None,
        acts: bool = False,
    ) -> Self:
        """Answers `status`; with `acts` GitLab did it all the same (a proxy gave up on a request
        that was finished).
        """
        kind, page = _PAGES.get(status, ("application/json", ""))
        if message is not None or not page:
            kind, page = (
                "application/json",
                json.dumps({"message": message or _MESSAGES.get(status, str(status))}),
            )
        after: Headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        return cls(
            f"status {status}",
            acts=acts,
            answer=(status, (("Content-Type", kind), *after), page.encode()),
        )

    @classmethod
    def reset_before(cls) -> Self:
        """The connection is reset (TCP RST) before GitLab did anything."""
        return cls("reset before", acts=False, drops=True)

    @classmethod
    def act_then_reset(cls) -> Self:
        """GitLab does what was asked; then the connection is reset and nobody hears of it."""
        return cls("act then reset", acts=True, drops=True)

    @classmethod
    def hang(cls, seconds: float) -> Self:
        """No answer for `seconds`, then a reset; nothing was done."""
        return cls("hang", acts=False, hangs=seconds, drops=True)

    @classmethod
    def act_then_hang(cls, seconds: float) -> Self:
        """GitLab does what was asked, is silent for `seconds`, then the connection is reset."""
        return cls("act then hang", acts=True, hangs=seconds, drops=True)

    @classmethod
    def slow(cls, seconds: float) -> Self:
        """The right answer, `seconds` late."""
        return cls("slow", acts=True, waits=seconds)

    @classmethod
    def broken_json(cls, *, acts: bool = True) -> Self:
        """A 200 whose JSON ends in the middle; GitLab did what was asked unless `acts` is False."""
        page = (200, (("Content-Type", "application/json"),), b'{"id": 1, "web_u')
        return cls("broken json", acts=acts, answer=page)

    @classmethod
    def redirect(cls, url: str, *, status: int = 302) -> Self:
        """Sends the client elsewhere; nothing was done here."""
        return cls(f"redirect {status}", acts=False, answer=(status, (("Location", url),), b""))
