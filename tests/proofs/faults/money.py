"""Budgets: however many ask at once no cap is passed, and wherever a run dies nothing stays held."""

import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from functions.local.adapters import SqliteRecords, Store
from shared.contract import marks
from shared.dispatch import dispatch
from shared.outcome.reasons import Retry
from shared.runs import budgets
from shared.runs.record import ABANDONED, LEASE, SETTLE, Record, State
from shared.runs.request import RunRequest, TrackRequest
from shared.runs.store import KEPT, Records
from shared.sweep import sweep
from tests.proofs.faults.schedules import SEED
from tests.support import fakes
from tests.support.fakes import NOTE, NOW

WORKERS, USERS = 8, 50
MOST = 2_500_000  # millionths of a dollar: what one run may cost
_COST = 420_000
_RUN = {"BUDGET_PER_RUN": "2.50"}


class Spent(NamedTuple):
    """What a crowd was let spend; amounts in millionths of a dollar.

    `passed` counts looks at a budget that was over its cap, `wrong` budgets whose sums in the end
    are not those of their runs, `left` what was held once all of the dead had been looked after.
    """

    asked: int
    started: int
    refused: int
    looks: int
    passed: int
    wrong: int
    left: int
    seconds: float


class Died(NamedTuple):
    """Journeys that died once: how many there were, and how many ended as none may."""

    journeys: int
    held: int
    under: int  # spent less than it cost
    over: int  # spent more than it may cost
    doubled: int


class _Ask:
    """Runs that hold, then end in one of four ways, from several threads."""

    def __init__(self, number: int, records: Records) -> None:
        self._records = records
        # Room for a fifth of those who ask, by the project, and for fewer of each person's.
        self._settings = fakes.settings(
            **_RUN,
            BUDGET_PER_USER_DAY=f"{number / USERS * 0.75}",
            BUDGET_PER_PROJECT_MONTH=f"{number * 0.5}",
            BUDGET_PER_INSTALLATION_MONTH=f"{number * 0.6}",
        )

    def one(self, note_id: int) -> tuple[bool, int, int, int]:
        """Return whether a run started, what it cost in the end, and looks: all, beyond a cap."""
        draw = random.Random(note_id + SEED)  # noqa: S311
        run = _run(note_id)
        record = Record(run, State.CLAIMED, NOW + LEASE, int(NOW) + KEPT, reserved=NOW)
        self._records.write(record.key, record.to_json(), None, record.expires)
        while True:
            with suppress(Retry):
                full = budgets.hold(run, 1, self._settings, self._records, NOW)
                break
        looks, passed = self._look(run)
        if full:
            return False, 0, looks, passed
        cost = 0 if draw.random() < 0.2 else draw.randrange(MOST)
        end = draw.choice(["settled", "unknown", "given back", "dead", "dead after its call"])
        while True:
            with suppress(Retry):
                if end in ("settled", "unknown"):
                    known = cost if end == "settled" else None
                    budgets.settle(record, known, 0, self._records)
                    cost = cost if end == "settled" else MOST
                elif end == "given back":
                    budgets.give_back(record, self._records)
                    cost = 0
                break
        if end.startswith("dead"):
            version = self._records.read(record.key)[1]
            died = record._replace(since=NOW if end != "dead" else 0.0)
            self._records.write(record.key, died.to_json(), version, record.expires)
            cost = MOST if died.since else 0
        again, beyond = self._look(run)
        return True, cost, looks + again, passed + beyond

    def _look(self, run: RunRequest) -> tuple[int, int]:
        found = [
            (each, budgets.account(each, self._records))
            for each in budgets.of_run(run, NOW, self._settings)
        ]
        return len(found), sum(a.spent + a.reserved > each.cap for each, a in found)

    def settled(self, costs: list[int]) -> tuple[int, int]:
        """Look after the dead; return how many sums are wrong, and what is still held."""
        later, wrong, left = NOW + LEASE + ABANDONED + 1, 0, 0
        of_user = {f"spent/user/{each}/": 0 for each in range(USERS)}
        for note_id, cost in enumerate(costs, 1):
            of_user[f"spent/user/{note_id % USERS}/"] += cost
        for user in range(USERS):
            for budget in budgets.of_run(_run(user), NOW, self._settings):
                while budgets.reap(budget, self._records, later):
                    pass
                account = budgets.account(budget, self._records)
                of_all = sum(costs)
                expected = next(
                    (sum_ for key, sum_ in of_user.items() if budget.key.startswith(key)), of_all
                )
                wrong += account.spent != expected
                left += account.reserved
        return wrong, left


def crowd(number: int = 10_000) -> Spent:
    """Let so many ask at once, on one SQLite file."""
    began = time.monotonic()
    memory = Path("/dev/shm")  # noqa: S108  as for the crowd of mentions
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="money-", dir=place) as folder:
        store = Store(Path(folder))
        asking = _Ask(number, SqliteRecords(store, NOW))
        with ThreadPoolExecutor(WORKERS) as pool:
            ends = list(pool.map(asking.one, range(1, number + 1)))
        wrong, left = asking.settled([cost for _, cost, _, _ in ends])
        store.close()
    started = sum(end[0] for end in ends)
    looks, passed = sum(end[2] for end in ends), sum(end[3] for end in ends)
    seconds = time.monotonic() - began
    return Spent(number, started, number - started, looks, passed, wrong, left, seconds)


def _run(note_id: int) -> RunRequest:
    return fakes.run(NOTE._replace(note_id=note_id, author_id=note_id % USERS))


class _Killed(BaseException):
    """The process ends here."""


class _Records(fakes.Records):
    """Records at whose so-and-so-many-th change the process dies: before it, or after."""

    def __init__(self, dies: int, *, after: bool) -> None:
        super().__init__()
        self.left, self._after, self.died = dies, after, False

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        self._die(after=False)
        written = super().write(key, text, version, expires)
        self._die(after=True)
        self.left -= 1
        return written

    def delete(self, key: str) -> None:
        self._die(after=False)
        super().delete(key)
        self._die(after=True)
        self.left -= 1

    def _die(self, *, after: bool) -> None:
        if self.left == 0 and after is self._after and not self.died:
            self.died = True
            raise _Killed


def deaths() -> Died:
    """Let a run die at each change of the store, and come again or be forgotten by the queue."""
    seen = list(_deaths())
    return Died(len(seen), *(sum(each[part] for each in seen) for part in range(4)))


def _deaths() -> Iterator[tuple[bool, bool, bool, bool]]:
    for comes_again in (True, False):
        for after in (False, True):
            for dies in range(1000):
                records = _Records(dies, after=after)
                yield _journey(records, comes_again=comes_again)
                if not records.died:  # it did not come so far
                    break


def _journey(records: _Records, *, comes_again: bool) -> tuple[bool, bool, bool, bool]:
    gitlab, clock, run = fakes.GitLab(), fakes.Clock(), fakes.run()
    caps = {f"BUDGET_PER_{each}": "10" for each in ("USER_DAY", "PROJECT_MONTH")}
    whole = _RUN | caps | {"BUDGET_PER_INSTALLATION_MONTH": "10"}
    services = fakes.services(gitlab, records, clock, fakes.Log(), **whole)
    gitlab.hears(run)

    def ends() -> None:
        if gitlab.replies and gitlab.triggered:
            job = f"{marks.of_cost(_COST / 10**6)}\n\n{marks.of_job(1, marks.ENDED)}"
            gitlab.replies[0] = f"Done.\n\n{job}\n{marks.of_run(run.id)}"
        if gitlab.triggered:
            gitlab.moves(1, "success")

    for _ in range(2 if comes_again else 1):
        with suppress(_Killed, Retry):
            dispatch(run, services)
        clock.time += LEASE + SETTLE
    ends()
    with suppress(_Killed):
        dispatch(TrackRequest(7, 1, "success"), services)
    records.left = -1
    clock.time += LEASE + ABANDONED + 1
    sweep(services, fakes.Queue())
    found = budgets.accounts(run, services.settings, records, clock())
    cost = _COST * len(gitlab.triggered)
    spent = [account.spent for _, account in found]
    return (
        any(account.reserved for _, account in found),
        any(each < cost for each in spent),
        any(each > MOST for each in spent) or (comes_again and spent != [cost] * 3),
        len(gitlab.triggered) > 1 or (comes_again and not gitlab.triggered),
    )
