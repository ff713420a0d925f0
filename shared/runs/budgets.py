"""Budgets: how much money a person's day, a project's month and the installation's month may cost.

Before a run's pipeline starts, the most that it may cost (BUDGET_PER_RUN) is held in each budget
that it concerns; where one has no room for that, it does not start. At the pipeline's end the hold
gives way to what the job said it cost. Days and months are those of UTC; a run belongs to those in
which it was held, whenever it ends.

Of a budget and its window there is one small record: what was spent, and who holds how much. All of
it is in millionths of a US dollar.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from shared.installation.settings import Settings
from shared.outcome import messages
from shared.outcome.reasons import Reason, Retry, Stop
from shared.runs.limits import Telling, once
from shared.runs.record import ABANDONED, ENDED, Record, RecordError, load
from shared.runs.request import RunRequest
from shared.runs.store import KEPT, Records, live_run

_TRIES = 50  # as of any change of a record
# Times a run's maximum that a job may say it cost: Claude Code ends after the call that passes it.
_BEYOND = 2
_DAY = 86400  # seconds
_REASONS = (Reason.BUDGET_USER, Reason.BUDGET_PROJECT, Reason.BUDGET_INSTALLATION)
_LOOKS = 20  # holds whose runs are looked at, where a budget has no room


class Window(NamedTuple):
    """A day or a month: from when until when, in Unix seconds."""

    since: float
    until: float


class Budget(NamedTuple):
    """One budget in its window; `reason` is the refusal that names it, `cap` 0 for none."""

    reason: Reason
    key: str
    cap: int
    window: Window


class Account(NamedTuple):
    """What is known of a budget: spent, and (amount, attempt) by run that holds some of it."""

    spent: int = 0
    held: dict[str, tuple[int, int]] = {}  # noqa: RUF012  never changed

    @property
    def reserved(self) -> int:
        """What is held by all runs together."""
        return sum(amount for amount, _ in self.held.values())

    def others(self, run_id: str) -> int:
        """Return what is spent, and held by other runs."""
        return self.spent + self.reserved - self.held.get(run_id, (0, 0))[0]

    def holding(self, run_id: str, amount: int, attempt: int) -> "Account":
        """Return the account with what a run holds."""
        return self._replace(held={**self.held, run_id: (amount, attempt)})

    def settled(self, run_id: str, cost: Callable[[int], int]) -> "Account":
        """Return the account once a run costs what `cost` makes of its hold; twice is once."""
        if run_id not in self.held:
            return self
        held = dict(self.held)
        amount, _ = held.pop(run_id)
        return Account(self.spent + cost(amount), held)


class Full(NamedTuple):
    """A budget that has no room for so much."""

    budget: Budget
    account: Account
    amount: int


def hold(
    run: RunRequest, attempt: int, settings: Settings, records: Records, now: float
) -> Full | None:
    """Hold a run's maximum in its budgets; return the one without room for it.

    None says that it is held, or that there is no budget. Again is once. Raise Retry(BUSY) where
    others are faster 50 times.
    """
    budgets = [each for each in of_run(run, now, settings) if each.cap]
    amount = settings.budget_per_run
    for _ in range(_TRIES):
        read = [(each, *_read(each.key, records)) for each in budgets]
        full = _without_room(run.id, amount, [(each, account) for each, account, _ in read])
        if full is None:
            # Two attempts never write the same: who looks after the first one's hold finds out.
            if all(
                _write(each, account, account.holding(run.id, amount, attempt), version, records)
                for each, account, version in read
            ):
                return None
        elif not reap(full.budget, records, now):
            _settle(run.id, budgets, records, lambda _: 0)
            return full
    raise Retry(Reason.BUSY)


def refusal(run: RunRequest, full: Full, records: Records, now: float) -> Stop:
    """Return what a run without room in a budget is told: each person once in its window.

    After that it is OVER_LIMIT, which tells nobody. What the installation spends is told to none.
    """
    budget = full.budget
    told = in_words(budget, full.account) | {"run": in_dollars(full.amount)}
    open_to_all = budget.reason is not Reason.BUDGET_INSTALLATION
    hint = anew = messages.BUDGET_ANEW.format(**told)
    if open_to_all:
        hint = messages.BUDGET_LEFT.format(anew=anew, **told)
    key = f"told/{budget.reason}/{budget.cap}/{budget.key}/{run.event.author_id}"
    telling = Telling(key, *budget.window)
    return once(run, Stop(budget.reason, hint), telling, records, now)


def give_back(record: Record, records: Records) -> None:
    """Hold nothing more for a run of which no job has run."""
    _settle_record(record, records, lambda _: 0)


def settle(record: Record, cost: int | None, earlier: int, records: Records) -> None:
    """Let a run have cost so much; None, which is not known, is as much as it may have cost.

    Twice is once. What the job said counts up to twice the run's maximum. So many earlier tries of
    the job, whose word is gone, have cost the maximum each.
    """

    def whole(held: int) -> int:
        return earlier * held + (held if cost is None else min(cost, _BEYOND * held))

    _settle_record(record, records, whole)


def hold_again(record: Record, settings: Settings, records: Records) -> None:
    """Hold a run's maximum once more: somebody has started its job again by hand, in GitLab."""
    if not record.reserved:
        return
    run, amount = record.carried_out, settings.budget_per_run
    for budget in of_run(run, record.reserved, settings):
        if budget.cap:
            _alter(
                budget,
                records,
                lambda account: (
                    account
                    if run.id in account.held
                    else account.holding(run.id, amount, record.attempt)
                ),
            )


def accounts(
    run: RunRequest, settings: Settings, records: Records, now: float
) -> list[tuple[Budget, Account]]:
    """Return the budgets that concern who asks, each as it stands."""
    budgets = [each for each in of_run(run, now, settings) if each.cap]
    for budget in budgets:
        reap(budget, records, now)
    return [(each, account(each, records)) for each in budgets]


def account(budget: Budget, records: Records) -> Account:
    """Return a budget as it stands."""
    return _read(budget.key, records)[0]


def of_run(run: RunRequest, at: float, settings: Settings | None = None) -> list[Budget]:
    """Return the budgets of a run that is held at a moment (Unix seconds); without settings, 0."""
    today = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today.replace(day=1)
    next_month = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    day = Window(today.timestamp(), today.timestamp() + _DAY)
    month = Window(first.timestamp(), next_month.timestamp())
    user, project = f"user/{run.event.author_id}", f"project/{run.event.project_id}"
    caps = (0, 0, 0)
    if settings:
        of_project, of_all = (
            settings.budget_per_project_month,
            settings.budget_per_installation_month,
        )
        caps = (settings.budget_per_user_day, of_project, of_all)
    keys = (
        f"spent/{user}/{today:%Y-%m-%d}",
        f"spent/{project}/{today:%Y-%m}",
        f"spent/installation/{today:%Y-%m}",
    )
    return list(map(Budget, _REASONS, keys, caps, (day, month, month)))


def in_words(budget: Budget, account: Account) -> dict[str, str]:
    """Return the figures of a budget as people read them."""
    left = max(0, budget.cap - account.spent - account.reserved)
    amounts = {"cap": budget.cap, "spent": account.spent, "held": account.reserved, "left": left}
    anew = datetime.fromtimestamp(budget.window.until, UTC)
    told = {name: in_dollars(amount) for name, amount in amounts.items()}
    return told | {"time": f"{anew:%Y-%m-%d %H:%M}"}


def in_dollars(amount: int) -> str:
    """Return an amount as people read it.

    >>> in_dollars(2_500_000), in_dollars(1_005_400)
    ('$2.50', '$1.0054')
    """
    whole, parts = divmod(amount, 10**6)
    return f"${whole}.{f'{parts:06}'.rstrip('0').ljust(2, '0')}"


def reap(budget: Budget, records: Records, now: float) -> bool:
    """Settle what is held for runs that nobody will settle any more; tell whether there were any.

    Whoever worked on them died between two steps. It is given back where no job can have run; else
    it was spent, as far as anybody knows.
    """
    found = False

    def without_lost(account: Account) -> Account:
        nonlocal found
        kept = account
        for run_id in list(account.held)[:_LOOKS]:
            spent = _fate(run_id, records, now)
            if spent is not None:
                kept = kept.settled(run_id, lambda held, spent=spent: held if spent else 0)  # type: ignore[misc]
        found = kept != account
        return kept

    _alter(budget, records, without_lost)
    return found


def _fate(run_id: str, records: Records, now: float) -> bool | None:
    """Tell whether a run that still holds money has spent it; None: it is yet to end."""
    try:
        record = load(run_id, records)
    except RecordError:  # a later version may read it; the window's end frees it
        return None
    if record is None:
        return False
    if record.pipeline and live_run(record.runs_in, record.pipeline.id, records):
        return None
    if record.state not in ENDED and record.until >= now - ABANDONED:
        return None
    return bool(record.pipeline or record.since)  # or a trigger call whose end nobody knows


def _without_room(run_id: str, amount: int, found: list[tuple[Budget, Account]]) -> Full | None:
    full = (
        Full(each, account, amount)
        for each, account in found
        if account.others(run_id) + amount > each.cap
    )
    return next(full, None)


def _settle_record(record: Record, records: Records, cost: Callable[[int], int]) -> None:
    if record.reserved:
        # Also in budgets that were switched off meanwhile.
        budgets = of_run(record.carried_out, record.reserved)
        _settle(record.carried_out.id, budgets, records, cost)


def _settle(
    run_id: str, budgets: list[Budget], records: Records, cost: Callable[[int], int]
) -> None:
    for budget in budgets:
        _alter(budget, records, lambda account: account.settled(run_id, cost))


def _alter(budget: Budget, records: Records, after: Callable[[Account], Account]) -> None:
    """Change an account; raise Retry(BUSY) where others are faster 50 times."""
    for _ in range(_TRIES):
        account, version = _read(budget.key, records)
        if _write(budget, account, after(account), version, records):
            return
    raise Retry(Reason.BUSY)


def _read(key: str, records: Records) -> tuple[Account, object]:
    text, version = records.read(key)
    if text is None:
        return Account(), version
    data = json.loads(text)
    held = {run_id: (amount, attempt) for run_id, (amount, attempt) in data["held"].items()}
    return Account(data["spent"], held), version


def _write(
    budget: Budget, before: Account, account: Account, version: object, records: Records
) -> bool:
    """Store a changed account; tell whether nobody was faster."""
    if account == before:
        return True
    expires = int(budget.window.until) + KEPT
    written = records.write(budget.key, json.dumps(account._asdict()), version, expires)
    return written is not None
