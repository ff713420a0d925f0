"""The spend guards: how many runs a person, a thread, a day may start. Runs are counted by id: a retry is free."""

import json
from typing import NamedTuple

from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Retry, Stop
from shared.runs.request import RunRequest
from shared.runs.store import Records

_TRIES = 50  # compare-and-set attempts before the run waits for a quieter moment
_COMMANDS = (
    30  # answers per thread within ten minutes: people need fewer, two bots would need no end
)


class _Limit(NamedTuple):
    key: str
    maximum: int
    window: int  # seconds
    reason: Reason


def count(run: RunRequest, settings: Settings, records: Records, now: float) -> None:
    """Count the run in every window it falls into; raise Stop where one is full.

    The first run beyond a limit is told so; those after it in the same window get Stop(OVER_LIMIT), which tells nobody.
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
    """Count a run that is answered without a pipeline; these have a limit of their own, so that `stop` always works."""
    _count(
        run.id, _Limit(f"command/{run.thread}", _COMMANDS, 600, Reason.COMMAND_LIMIT), records, now
    )


def _count(run_id: str, limit: _Limit, records: Records, now: float) -> None:
    start = int(now // limit.window) * limit.window
    key, expires = f"limit/{limit.key}/{start}", start + 2 * limit.window
    for _ in range(_TRIES):
        text, version = records.read(key)
        window = json.loads(text) if text else {"runs": [], "told": None}
        if run_id in window["runs"]:
            return
        full = len(window["runs"]) >= limit.maximum
        if full and window["told"] not in (None, run_id):
            raise Stop(Reason.OVER_LIMIT)
        if full and window["told"] == run_id:
            raise Stop(limit.reason)
        window |= {"told": run_id} if full else {"runs": [*window["runs"], run_id]}
        if records.write(key, json.dumps(window), version, expires) is not None:
            if full:
                raise Stop(limit.reason)
            return
    raise Retry(Reason.BUSY)
