import pytest

from shared.outcome.reasons import Reason, Retry, Stop, TriggerError
from shared.runs import limits
from tests.support.fakes import NOTE, NOW, Records, run, settings


def outcome(
    records: Records,
    number: int,
    now: float = NOW,
    author: int = 42,
    iid: int = 5,
    limits_off: bool = False,  # noqa: FBT002
    **environment: str,
) -> Reason | None:
    off = (
        {"RUNS_PER_USER_PER_HOUR": "0", "RUNS_PER_THREAD": "0", "RUNS_PER_DAY": "0"}
        if limits_off
        else {}
    )
    asked = run(NOTE._replace(note_id=number, author_id=author, iid=iid))
    try:
        limits.count(asked, settings(**off | environment), records, now)
    except TriggerError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("variable", "reason", "window"),
    [
        ("RUNS_PER_USER_PER_HOUR", Reason.USER_LIMIT, 3600),
        ("RUNS_PER_THREAD", Reason.THREAD_LIMIT, 600),
        ("RUNS_PER_DAY", Reason.DAY_LIMIT, 86400),
    ],
)
def test_the_run_beyond_a_limit_is_told_once_per_window(
    variable: str, reason: Reason, window: int
) -> None:
    records, start = Records(), NOW // window * window

    def count(number: int, now: float) -> Reason | None:
        return outcome(records, number, now, 42, 5, True, **{variable: "2"})  # noqa: FBT003

    seen = [count(number, start) for number in range(5)]
    assert seen == [None, None, reason, Reason.OVER_LIMIT, Reason.OVER_LIMIT]
    assert count(9, start + window) is None


def test_another_attempt_of_a_run_counts_nothing_and_is_told_the_same() -> None:
    records = Records()
    for _ in range(3):
        assert outcome(records, 1, RUNS_PER_THREAD="1") is None
    for _ in range(3):
        assert outcome(records, 2, RUNS_PER_THREAD="1") is Reason.THREAD_LIMIT
    assert outcome(records, 3, RUNS_PER_THREAD="1") is Reason.OVER_LIMIT


def test_people_and_threads_have_limits_of_their_own() -> None:
    records = Records()
    assert outcome(records, 1, RUNS_PER_THREAD="1", RUNS_PER_USER_PER_HOUR="1") is None
    assert (
        outcome(records, 2, author=43, iid=6, RUNS_PER_THREAD="1", RUNS_PER_USER_PER_HOUR="1")
        is None
    )
    assert outcome(records, 3, author=42, iid=7, RUNS_PER_USER_PER_HOUR="1") is Reason.USER_LIMIT


def test_zero_is_no_limit() -> None:
    records = Records()
    assert {outcome(records, number, limits_off=True) for number in range(300)} == {None}
    assert records.stored == {}


def test_of_two_that_count_at_once_both_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    records, read = Records(), Records.read
    reads: list[str] = []

    def overtaken(self: Records, key: str) -> tuple[str | None, object]:
        found = read(self, key)
        if key.startswith("limit/day") and not reads:
            reads.append(key)
            assert outcome(records, 1) is None
        return found

    monkeypatch.setattr(Records, "read", overtaken)
    assert outcome(records, 2) is None
    assert outcome(records, 3, RUNS_PER_DAY="2") is Reason.DAY_LIMIT


def test_a_store_that_is_always_overtaken_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Records, "write", lambda *_: None)
    with pytest.raises(Retry):
        limits.count(run(), settings(), Records(), NOW)


def test_answers_have_a_limit_of_their_own_in_each_thread() -> None:
    records = Records()

    def answered(number: int, iid: int = 5, now: float = NOW) -> Reason | None:
        try:
            limits.count_command(run(NOTE._replace(note_id=number, iid=iid)), records, now)
        except TriggerError as error:
            return error.reason
        return None

    seen = [answered(number) for number in range(33)]
    assert seen == [None] * 30 + [Reason.COMMAND_LIMIT, Reason.OVER_LIMIT, Reason.OVER_LIMIT]
    assert answered(29) is None  # another attempt counts nothing
    assert answered(40, iid=6) is None
    assert answered(41, now=NOW + 600) is None
    assert outcome(records, 42, RUNS_PER_THREAD="1") is None  # and takes nothing from the runs


def test_what_is_given_back_is_free_for_others() -> None:
    records = Records()
    here = settings(RUNS_PER_DAY="1", RUNS_PER_THREAD="1", RUNS_PER_USER_PER_HOUR="1")
    first, second = run(NOTE), run(NOTE._replace(note_id=102))
    limits.count(first, here, records, NOW)
    limits.give_back(first, here, records, NOW)
    limits.give_back(first, here, records, NOW)
    limits.count(second, here, records, NOW)
    with pytest.raises(Stop):
        limits.count(first, here, records, NOW)
