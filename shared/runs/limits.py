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
# Refusals told within ten minutes to one author in a thread, and in a thread.
_REFUSALS_OF_AUTHOR, _REFUSALS = 5, 30
_TEN_MINUTES, _HOUR, _DAY = 600, 3600, 86400


class _Limit(NamedTuple):
    key: str
    maximum: int
    window: int  # seconds
    reason: Reason

    def record(self, now: float) -> tuple[str, int]:
        """Return where the window is kept, and until when (Unix seconds)."""
        start = int(now // self.window) * self.window
        return f"limit/{self.key}/{start}", start + 2 * self.window


def count(run: RunRequest, settings: Settings, records: Records, now: float) -> None:
    """Count the run in every window it falls into; raise Stop where one is full.

    The first run beyond a limit is told so. Those after it in the same window get
    Stop(OVER_LIMIT), which tells nobody.
    """
    for limit in _of_run(run, settings):
        _count(run.id, limit, records, now)


def give_back(run: RunRequest, settings: Settings, records: Records, now: float) -> None:
    """Count a run no more that ended without a pipeline: it has cost nothing."""

    def without(window: dict[str, Any] | None) -> dict[str, Any]:
        window = window or {"runs": [], "told": None}
        return window | {"runs": [each for each in window["runs"] if each != run.id]}

    for limit in _of_run(run, settings):
        key, expires = limit.record(now)
        change(key, records, expires, without)


def count_command(run: RunRequest, records: Records, now: float) -> None:
    """Count a run that is answered without a pipeline: these have a limit of their own."""
    key = f"command/{run.thread}"
    _count(run.id, _Limit(key, _COMMANDS, _TEN_MINUTES, Reason.COMMAND_LIMIT), records, now)


def count_refusal(run: RunRequest, records: Records, now: float) -> None:
    """Count a refusal that is to be told: who may not ask takes no answers from who may."""
    key = f"refusal/{run.thread}"
    of_author = f"{key}/{run.event.author_id}"
    for limit in (
        _Limit(of_author, _REFUSALS_OF_AUTHOR, _TEN_MINUTES, Reason.COMMAND_LIMIT),
        _Limit(key, _REFUSALS, _TEN_MINUTES, Reason.COMMAND_LIMIT),
    ):
        _count(run.id, limit, records, now)


def _of_run(run: RunRequest, settings: Settings) -> list[_Limit]:
    user, thread = f"user/{run.event.author_id}", f"thread/{run.thread}"
    limits = (
        _Limit(user, settings.runs_per_user_per_hour, _HOUR, Reason.USER_LIMIT),
        _Limit(thread, settings.runs_per_thread, _TEN_MINUTES, Reason.THREAD_LIMIT),
        _Limit("day", settings.runs_per_day, _DAY, Reason.DAY_LIMIT),
    )
    return [limit for limit in limits if limit.maximum]


def _count(run_id: str, limit: _Limit, records: Records, now: float) -> None:
    key, expires = limit.record(now)

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
