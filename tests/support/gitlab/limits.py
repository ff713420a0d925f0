"""GitLab's rate limits, off until switched on: fixed windows, counted for each user (or whatever
the key is).
"""

import time

from .records import Clock

# What GitLab.com publishes (docs.gitlab.com/user/gitlab_com, security/rate_limits): requests,
# seconds.
GITLAB_COM = {
    "api": (2000, 60.0),  # all authenticated API requests of a user
    "users": (300, 600.0),  # GET /users/:id
    "project": (400, 60.0),  # GET /projects/:id
    "members": (200, 60.0),  # GET /projects/:id/members/all
    "notes": (60, 60.0),  # a note or discussion is created
    "resend": (5, 60.0),  # a webhook's delivery is sent again
    "pipelines": (25, 60.0),  # for each project, user and commit
}
NAMES = tuple(GITLAB_COM)
Headers = tuple[tuple[str, str], ...]


class RateLimits:
    """Counts requests by limit and key."""

    def __init__(self, clock: Clock) -> None:
        """Windows begin at whole multiples of their length on this clock."""
        self._clock = clock
        self._limits: dict[str, tuple[int, float]] = {}
        self._windows: dict[tuple[str, object], tuple[float, int]] = {}

    def set(self, name: str, requests: int, window: float) -> None:
        """Switch a limit on or change it."""
        if name not in NAMES:
            raise ValueError(name)
        self._limits[name] = (requests, window)

    def over(self, name: str, key: object) -> Headers | None:
        """Count one request; None within the limit, else headers that say when to come back."""
        if name not in self._limits:
            return None
        limit, window = self._limits[name]
        now = self._clock()
        start = now - now % window
        began, seen = self._windows.get((name, key), (start, 0))
        observed = seen + 1 if began == start else 1
        self._windows[name, key] = (start, observed)
        if observed <= limit:
            return None
        reset = start + window
        return (
            ("RateLimit-Limit", str(limit)),
            ("RateLimit-Name", f"throttle_{name}"),
            ("RateLimit-Observed", str(observed)),
            ("RateLimit-Remaining", "0"),
            ("RateLimit-Reset", str(int(reset))),
            ("RateLimit-ResetTime", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(reset))),
            ("Retry-After", str(max(1, round(reset - now)))),
        )
