"""Limits: how many runs a person, a thread and a day may start.

Runs are counted by id, so that another attempt at one costs nothing.
"""

from typing import Any, NamedTuple

from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Stop
from shared.runs.request import RunRequest
from shared.runs.store import Records, change

# Answers per thread within ten minutes: people need fewer, two bots would need no end.
_COMMANDS = 30


class _Limit(NamedTuple):
    key: str
    maximum: int
    window: int  # seconds
    reason: Reason


def count(run: RunRequest, settings: Settings, records: Records, now: float) -> None:
    """Count the run in every window it falls into; raise Stop where one is full.

    The first run beyond a limit is told so. Those after it in the same window get
    Stop(OVER_LIMIT), which tells nobody.
    """
    for limit in (
        _Limit(
            f"user/{run.event.author_id}", settings.runs_per_user_per_hour, 3600, Reason.USER_LIMIT
        ),
        _Limit(f"thread/{run.thread}", settings.runs_per_thread, 600, Reason.THREAD_LIMIT),
        _Limit("day", settings.runs_per_day, 86400, Reason.DAY_LIMIT),
    ):
        if limit.maximum:
            _count(run.id, limit, records, now)


def count_command(run: RunRequest, records: Records, now: float) -> None:
    """Count a run that is answered without a pipeline: these have a limit of their own."""
    _count(
        run.id, _Limit(f"command/{run.thread}", _COMMANDS, 600, Reason.COMMAND_LIMIT), records, now
    )


def _count(run_id: str, limit: _Limit, records: Records, now: float) -> None:
    start = int(now // limit.window) * limit.window
    key, expires = f"limit/{limit.key}/{start}", start + 2 * limit.window

    def counted(window: dict[str, Any] | None) -> dict[str, Any]:
        window = window or {"runs": [], "told": None}
        if run_id in window["runs"]:
            return window
        if len(window["runs"]) < limit.maximum:
            return window | {"runs": [*window["runs"], run_id]}
        return window | {"told": window["told"] or run_id}

    window = change(key, records, expires, counted)
    if run_id not in window["runs"]:
        raise Stop(limit.reason if window["told"] == run_id else Reason.OVER_LIMIT)
