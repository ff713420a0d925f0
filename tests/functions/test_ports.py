"""One contract for the stores of all three platforms: real adapters, real SDK clients, local services."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.runs import budgets
from shared.runs.record import Lease, Record
from shared.runs.request import RunRequest, TrackRequest
from shared.runs.store import Records
from tests.functions.test_platforms import PLATFORMS
from tests.support.fakes import GITLAB_SECRETS, NOTE, NOW, WEBHOOK_SECRETS, run, settings
from tests.support.platforms import Platform
from tests.support.platforms.aws import Aws

LATER = int(time.time()) + 3600


@pytest.fixture(params=PLATFORMS, scope="module")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    platform = request.param("http://127.0.0.1:1", WEBHOOK_SECRETS, GITLAB_SECRETS)
    if isinstance(platform, Aws):
        platform.receivers = platform.dispatchers = 0
    with platform:
        yield platform


@pytest.fixture
def records(platform: Platform) -> Records:
    return platform.records()


def test_what_nobody_wrote_is_not_there(records: Records) -> None:
    assert records.read("run/nobody") == (None, None)


def test_a_record_reads_back_as_it_was_written(records: Records) -> None:
    version = None
    for text in ("{}", "é好🚀", "x" * 100_000, ""):
        version = records.write("run/reads-back", text, version, LATER)
        assert version is not None
        assert records.read("run/reads-back") == (text, version)


def test_a_record_is_made_once(records: Records) -> None:
    assert records.write("run/made-once", "first", None, LATER) is not None
    assert records.write("run/made-once", "second", None, LATER) is None
    assert records.read("run/made-once")[0] == "first"


def test_a_stale_version_changes_nothing(records: Records) -> None:
    first = records.write("run/stale", "first", None, LATER)
    second = records.write("run/stale", "second", first, LATER)
    assert second not in (None, first)
    assert records.write("run/stale", "third", first, LATER) is None
    assert records.read("run/stale")[0] == "second"


def test_of_many_at_once_one_wins(records: Records) -> None:
    version = records.write("run/race", "start", None, LATER)
    for key, expected in (("run/race", version), ("run/race-to-create", None)):
        with ThreadPoolExecutor(12) as pool:
            won = list(
                pool.map(
                    lambda n, key=key, read=expected: records.write(key, f"by {n}", read, LATER),
                    range(12),
                )
            )
        winners = [number for number, each in enumerate(won) if each is not None]
        assert len(winners) == 1
        assert records.read(key)[0] == f"by {winners[0]}"


def test_records_do_not_touch_each_other(records: Records) -> None:
    first = records.write("limit/user/1", "one", None, LATER)
    assert records.write("limit/user/11", "eleven", None, LATER) is not None
    assert records.write("limit/user/1", "two", first, LATER) is not None
    assert records.read("limit/user/11")[0] == "eleven"


def test_entries_of_an_index_are_listed_in_the_order_of_their_keys(records: Records) -> None:
    for name in ("c", "a", "b"):
        assert records.write(f"waits/7//{name}", f"text of {name}", None, LATER) is not None
    for other in ("waits/7", "waits/7/d", "waits//e", "waits/77//f", "wait//g"):
        assert records.write(other, "another", None, LATER) is not None
    entries = [(f"waits/7//{name}", f"text of {name}") for name in "abc"]
    assert records.listed("waits/7", 100) == entries
    assert records.listed("waits/7", 2) == entries[:2]
    assert records.listed("waits", 100) == [("waits//e", "another")]
    assert records.listed("nothing", 100) == []


def test_what_is_deleted_is_neither_read_nor_listed(records: Records) -> None:
    for _ in range(2):
        assert records.write("dead//gone", "text", None, LATER) is not None
        assert records.write("dead//gone", "text", None, LATER) is None
        records.delete("dead//gone")
        records.delete("dead//gone")
        assert records.read("dead//gone") == (None, None)
        assert records.listed("dead", 100) == []


def test_names_of_every_kind_of_record_are_taken(records: Records) -> None:
    commit = run(NOTE._replace(kind="commit", iid=0, commit="c" * 64))
    for name in (
        "live/7",
        f"started/{run().id}",
        f"thread/{run().thread}",
        f"limit/command/{commit.thread}/1",
        f"turns/thread/{commit.thread}/0",
    ):
        assert records.write(name, name, None, LATER) is not None
        assert records.read(name)[0] == name


def test_however_many_hold_settle_and_give_back_at_once_no_budget_is_passed(
    records: Records,
) -> None:
    now, caps = time.time(), {"BUDGET_PER_RUN": "1", "BUDGET_PER_USER_DAY": "4"}
    asked = settings(**caps, BUDGET_PER_INSTALLATION_MONTH="6")
    runs = [run(NOTE._replace(note_id=900 + n, author_id=90 + n % 2)) for n in range(14)]

    def within() -> None:
        for one in runs[:2]:
            for budget in budgets.of_run(one, now, asked):
                account = budgets.account(budget, records)
                assert not budget.cap or account.spent + account.reserved <= budget.cap

    def hold(one: RunRequest) -> Record | None:
        lease = Lease(one, records, lambda: now)
        full = budgets.hold(one, 1, asked, records, now)
        within()
        return None if full else lease.record._replace(reserved=now)

    def end(number: int, record: Record) -> None:
        if number % 2:
            budgets.settle(record, 600_000, 0, records)
        else:
            budgets.give_back(record, records)
        within()

    with ThreadPoolExecutor(6) as pool:
        held = [each for each in pool.map(hold, runs[:10]) if each]
        ended = [pool.submit(end, *each) for each in enumerate(held)]
        more = [each for each in pool.map(hold, runs[10:]) if each]
        for each in ended:
            each.result()
    assert 1 <= len(held) <= 6
    *_, installation = budgets.of_run(runs[0], now, asked)
    account = budgets.account(installation, records)
    assert account.spent == 600_000 * (len(held) // 2)
    assert set(account.held) == {each.request.id for each in more}


@pytest.mark.parametrize(
    "request_",
    [
        run(),
        run(NOTE._replace(kind="commit", iid=0, commit="c" * 64)),
        TrackRequest(7, 4711, "waiting_for_resource"),
        TrackRequest(7, 4711, "failed", repair=True, at=NOW, bound=("group/app",)),
    ],
    ids=["a run", "a run on a commit", "a look", "a look for a repair"],
)
def test_a_request_may_be_stored_twice(
    platform: Platform, request_: RunRequest | TrackRequest
) -> None:
    queue = platform.queue()
    for _ in range(2):
        queue.put(request_)
