"""How long Claude may work, so that there is time for commit, push and reply."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESERVE = 60.0  # seconds of GitLab's own time limit that are kept for commit, push and reply,
_SHARE = 4  # or this part of it, where it is short
_MOST_LATE = 3600.0  # seconds: a clock that differs more is wrong


def seconds(environment: Mapping[str, str], minutes: float, began: float) -> float:
    """Return the seconds that are left of these minutes for a job that `began` by our clock.

    They are never so many that GitLab ends the job before the reply. The clock is time.monotonic.
    """
    late = _since(environment.get("CI_JOB_STARTED_AT", ""), time.monotonic() - began)
    ours = minutes * 60 - late
    limit = environment.get("CI_JOB_TIMEOUT", "")
    if not limit.isdecimal():
        return ours
    whole = float(limit)
    return min(ours, whole - late - min(_RESERVE, whole / _SHARE))


def _since(started: str, used: float) -> float:
    """Return the seconds GitLab has counted, as for cloning; those we `used`, if it does not say.

    `started` is UTC as in CI_JOB_STARTED_AT: 2026-01-31T16:50:00Z.
    """
    try:
        then = datetime.strptime(f"{started.rstrip('Z')}+0000", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return used
    return min(max(time.time() - then.timestamp(), used), _MOST_LATE + used)
