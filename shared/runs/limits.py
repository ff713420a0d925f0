"""Limits: how many runs a person, a thread, a project and a day may start.

Each run counts at its turn. That is the moment it was asked, by GitLab's clock: when it is carried
out, after an outage for example, makes no difference. Where a limit is full then, its turn is the
first later moment at which no window of the limit's length would hold more than its maximum.

What is counted of a limit is one small record: turns by run, so that another attempt costs nothing.
Of a high limit it is several, of which each has a share of the maximum; a run looks at a few.
"""

import json
from bisect import bisect_left, bisect_right
from typing import Any, NamedTuple

from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Retry, Stop
from shared.runs.request import RunRequest
from shared.runs.store import KEPT, Records, change

# Answers per thread within ten minutes: people need fewer, two bots would need no end.
_COMMANDS = 30
# Refusals told within ten minutes to one author in a thread, and in a thread.
_REFUSALS_OF_AUTHOR, _REFUSALS = 5, 30
_TEN_MINUTES, _HOUR, _DAY = 600, 3600, 86400
LONGEST = _DAY  # seconds a run waits for its turn at most
LATE = 600.0  # seconds after which a run comes late: then an outage is over, and many come at once
# Late runs of a project start fifty at once and then ten a minute.
_BURST, _APART = 50, 6.0
_ENTRIES = 2000  # of a record at most: 48 KB of the 400 that DynamoDB takes
_LOOKS = 3  # records of a high limit that a run looks at
_TRIES = 50  # as of any change of a record
_IN_ORDER = (Reason.USER_LIMIT, Reason.THREAD_LIMIT)


class Turn(NamedTuple):
    """When a run may start (Unix seconds), and which limit says so, where one does."""

    at: float
    reason: Reason | None = None


class Telling(NamedTuple):
    """What is told once: under which key, and within which time (Unix seconds)."""

    key: str
    since: float
    until: float


class _Limit(NamedTuple):
    key: str
    maximum: int
    window: int  # seconds
    reason: Reason

    def shares(self, run_id: str) -> list[tuple[str, int]]:
        """Return the records that a run looks at, each with its share of the maximum."""
        # Turns are kept for a day and made for a day ahead, beside the window itself.
        most = self.maximum * (self.window + 2 * _DAY) // self.window
        count = most // _ENTRIES + 1
        first = int(run_id[:8], 16) % count
        numbers = dict.fromkeys((first + look) % count for look in range(_LOOKS))
        shares = ((each, self.maximum * (each + 1) // count) for each in numbers)
        return [
            (f"turns/{self.key}/{each}", end - self.maximum * each // count) for each, end in shares
        ]


class _Share:
    """One record of a limit: the turns of its runs."""

    def __init__(self, limit: _Limit, key: str, maximum: int, records: Records) -> None:
        self.limit, self._key, self._maximum, self._records = limit, key, maximum, records
        text, self._version = records.read(key)
        self._turns: dict[str, int] = json.loads(text) if text else {}

    def turn_of(self, run_id: str) -> int | None:
        return self._turns.get(_short(run_id))

    def first_free(self, run_id: str, turn: int) -> int:
        """Return the first moment from `turn` on that has room for one more."""
        others = sorted(at for run, at in self._turns.items() if run != _short(run_id))
        window = self.limit.window
        # Room comes where a turn leaves the window.
        for at in (turn, *(each + window for each in others if each + window > turn)):
            if self._has_room(others, at):
                return at
        return turn

    def last(self, run_id: str) -> int:
        """Return the last turn of other runs."""
        return max((at for run, at in self._turns.items() if run != _short(run_id)), default=0)

    def _has_room(self, others: list[int], at: int) -> bool:
        """Tell whether each window that holds the moment holds fewer than the maximum."""
        window, most = self.limit.window, self._maximum
        end = bisect_right(others, at)
        if end - bisect_right(others, at - window) >= most:
            return False
        later = range(end, bisect_left(others, at + window))
        return all(
            index + 1 - bisect_right(others, others[index] - window) < most for index in later
        )

    def count(self, run_id: str, turn: int, now: float) -> bool:
        """Write a run's turn down; tell whether nobody else was faster."""
        if self.turn_of(run_id) == turn:
            return True
        forgotten = now - self.limit.window - _DAY
        kept = {run: at for run, at in self._turns.items() if at > forgotten}
        return self._write(kept | {_short(run_id): turn}, now)

    def give_back(self, run_id: str, now: float) -> bool:
        """Count a run no more; tell whether nobody else was faster."""
        without = {run: at for run, at in self._turns.items() if run != _short(run_id)}
        return without == self._turns or self._write(without, now)

    def _write(self, turns: dict[str, int], now: float) -> bool:
        expires = int(now) + self.limit.window + 2 * _DAY
        written = self._records.write(self._key, json.dumps(turns), self._version, expires)
        return written is not None


def take_turn(
    run: RunRequest, settings: Settings, records: Records, now: float, asked: float
) -> Turn:
    """Count the run and return its turn; asking again for one that is counted returns the same.

    `asked` is GitLab's time of asking. Raise Stop where the turn would come more than a day from
    now: each person is told so once in the limit's window, and after that is Stop(OVER_LIMIT),
    which tells nobody. Raise Retry(BUSY) where others are faster 50 times.
    """
    limits = _of_run(run, settings)
    start = int(max(min(asked, now), now - _DAY)) if asked else int(now)
    for _ in range(_TRIES):
        shares = [_share_of(limit, run.id, start, records) for limit in limits]
        turn = _turn(run.id, shares, start, now)
        if turn.at > now + LONGEST and turn.reason:
            for share in shares:
                share.give_back(run.id, now)
            full = next(limit for limit in limits if limit.reason is turn.reason)
            _tell_once(run, full, records, now)
        if all(share.count(run.id, int(turn.at), now) for share in shares):
            return turn
    raise Retry(Reason.BUSY)


def pace(run: RunRequest, records: Records, now: float, asked: float) -> Turn:
    """Return when a run may start that comes late: those of a project start one after another."""
    if not asked or now - asked <= LATE:
        return Turn(now)

    def following(at: float | None) -> float:
        return max(at or 0.0, now - _BURST * _APART) + _APART

    key = f"pace/{run.event.project_id}"
    at: float = change(key, records, int(now) + LONGEST, following)
    return Turn(at, Reason.PACED) if at > now else Turn(now)


def count_by_policy(run: RunRequest, most: int, records: Records, now: float) -> None:
    """Count a run that nobody asked for among those of its merge request.

    Raise Stop(AUTO_LIMIT) for the first that is too many, Stop(OVER_LIMIT) for others.
    """

    def counted(former: dict[str, Any] | None) -> dict[str, Any]:
        runs: list[str] = (former or {}).get("runs", [])
        told: str = (former or {}).get("told", "")
        if run.id not in runs and len(runs) < most:
            return {"runs": [*runs, run.id], "told": told}
        return {"runs": runs, "told": told or ("" if run.id in runs else run.id)}

    found = change(_auto(run), records, int(now) + KEPT, counted)
    if run.id not in found["runs"]:
        raise Stop(Reason.AUTO_LIMIT if found["told"] == run.id else Reason.OVER_LIMIT)


def _give_back_by_policy(run: RunRequest, records: Records, now: float) -> None:
    def without(former: dict[str, Any] | None) -> dict[str, Any]:
        former = former or {"runs": [], "told": ""}
        return former | {"runs": [each for each in former["runs"] if each != run.id]}

    change(_auto(run), records, int(now) + KEPT, without)


def _auto(run: RunRequest) -> str:
    return f"auto/{run.thread}"


def give_back(run: RunRequest, settings: Settings, records: Records, now: float) -> None:
    """Count a run no more that ended without a pipeline: it has cost nothing."""
    if run.event.by_policy:
        _give_back_by_policy(run, records, now)
    for limit in _of_run(run, settings):
        for key, maximum in limit.shares(run.id):
            for _ in range(_TRIES):
                if _Share(limit, key, maximum, records).give_back(run.id, now):
                    break


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
    event = run.event
    user, thread, project = (
        f"user/{event.author_id}",
        f"thread/{run.thread}",
        f"project/{event.project_id}",
    )
    of_project = settings.runs_per_project_per_day if settings.runs_per_day else 0
    limits = (
        _Limit(user, settings.runs_per_user_per_hour, _HOUR, Reason.USER_LIMIT),
        _Limit(thread, settings.runs_per_thread, _TEN_MINUTES, Reason.THREAD_LIMIT),
        _Limit(project, of_project, _DAY, Reason.PROJECT_LIMIT),
        _Limit("day", settings.runs_per_day, _DAY, Reason.DAY_LIMIT),
    )
    return [limit for limit in limits if limit.maximum]


def _share_of(limit: _Limit, run_id: str, start: int, records: Records) -> _Share:
    """Return the record in which a run is counted, or is to be: the first with room at once.

    If there is none, it is the one with room first.
    """
    looked_at = []
    for key, maximum in limit.shares(run_id):
        share = _Share(limit, key, maximum, records)
        if share.turn_of(run_id) is not None or share.first_free(run_id, start) == start:
            return share
        looked_at.append(share)
    return min(looked_at, key=lambda share: share.first_free(run_id, start))


def _turn(run_id: str, shares: list[_Share], start: int, now: float) -> Turn:
    """Return the first moment from `start` on at which all limits have room."""
    counted = {share.turn_of(run_id) for share in shares}
    turn = _common(run_id, shares, Turn(start))
    if len(counted) == 1 and (known := counted.pop()) is not None:
        return turn._replace(at=known)
    if turn.at > now:
        # Who has to wait does so behind those of the same person and thread who wait already.
        ahead = (share.last(run_id) for share in shares if share.limit.reason in _IN_ORDER)
        turn = _common(run_id, shares, turn._replace(at=max(turn.at, *ahead, 0)))
    return turn


def _common(run_id: str, shares: list[_Share], turn: Turn) -> Turn:
    while True:
        before = turn
        for share in shares:
            free = share.first_free(run_id, int(turn.at))
            if free > turn.at:
                turn = Turn(free, share.limit.reason)
        if turn == before:
            return turn


def _tell_once(run: RunRequest, limit: _Limit, records: Records, now: float) -> None:
    """Raise the limit's Stop for one run of a person in a window, Stop(OVER_LIMIT) for others."""
    key, window = f"told/{limit.reason}/{run.event.author_id}", limit.window
    raise once(run, Stop(limit.reason), Telling(key, now - window, now + window), records, now)


def once(run: RunRequest, why: Stop, telling: Telling, records: Records, now: float) -> Stop:
    """Return why a run is refused if it is the first to be told that, else Stop(OVER_LIMIT)."""

    def told(former: dict[str, Any] | None) -> dict[str, Any]:
        recent = former and former["at"] > telling.since
        return former if former and recent else {"run": run.id, "at": now}

    first = change(telling.key, records, int(telling.until), told)["run"]
    return why if first == run.id else Stop(Reason.OVER_LIMIT)


def _count(run_id: str, limit: _Limit, records: Records, now: float) -> None:
    """Count a run that is told now or not at all; raise Stop where the limit is full."""

    def counted(former: dict[str, Any] | None) -> dict[str, Any]:
        since = now - limit.window
        runs = {run: at for run, at in (former or {}).get("runs", {}).items() if at > since}
        told = (former or {}).get("told")
        if told and told[1] <= since:
            told = None
        if run_id not in runs and len(runs) < limit.maximum:
            return {"runs": runs | {run_id: now}, "told": told}
        return {"runs": runs, "told": told or (None if run_id in runs else [run_id, now])}

    key = f"limit/{limit.key}"
    found = change(key, records, int(now) + limit.window, counted)
    if run_id not in found["runs"]:
        raise Stop(limit.reason if found["told"][0] == run_id else Reason.OVER_LIMIT)


def _short(run_id: str) -> str:
    return run_id[:8]
