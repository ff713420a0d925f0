import json
from typing import Any

import pytest

from shared.outcome.reasons import Reason, Retry, TriggerError
from shared.runs import limits
from shared.runs.limits import LONGEST, Turn
from shared.runs.request import RunRequest
from tests.support.fakes import NOTE, NOW, Records, run, settings

OFF = {
    "RUNS_PER_USER_PER_HOUR": "0",
    "RUNS_PER_THREAD": "0",
    "RUNS_PER_PROJECT_PER_DAY": "0",
    "RUNS_PER_DAY": "600",
}
WINDOWS = {
    "RUNS_PER_USER_PER_HOUR": (Reason.USER_LIMIT, 3600),
    "RUNS_PER_THREAD": (Reason.THREAD_LIMIT, 600),
    "RUNS_PER_PROJECT_PER_DAY": (Reason.PROJECT_LIMIT, 86400),
    "RUNS_PER_DAY": (Reason.DAY_LIMIT, 86400),
}


def asked(number: int, author: int = 42, iid: int = 5, project: int = 7) -> RunRequest:
    event = NOTE._replace(note_id=number, author_id=author, iid=iid, project_id=project)
    return run(event)


def taken(
    records: Records,
    who: RunRequest,
    at: Any = NOW,  # Any, for limits are given by name beside it
    now: Any = None,
    **environment: str,
) -> Turn | Reason:
    """Return the turn of a run that was asked at a time and is carried out now, or the refusal."""
    here = settings(**OFF | environment)
    try:
        return limits.take_turn(who, here, records, at if now is None else now, at)
    except TriggerError as error:
        return error.reason


@pytest.mark.parametrize("variable", WINDOWS)
def test_who_is_over_a_limit_waits_until_the_window_has_room(variable: str) -> None:
    records, (reason, window) = Records(), WINDOWS[variable]
    seen = [taken(records, asked(each), NOW + each, **{variable: "2"}) for each in range(4)]
    assert seen[:2] == [Turn(NOW), Turn(NOW + 1)]
    assert seen[2:] == [Turn(NOW + window, reason), Turn(NOW + window + 1, reason)]
    assert taken(records, asked(9), NOW + 2 * window + 1, **{variable: "2"}) == Turn(
        NOW + 2 * window + 1
    )


@pytest.mark.parametrize("variable", WINDOWS)
def test_no_window_holds_more_than_its_limit_wherever_it_begins(variable: str) -> None:
    records, (_, window) = Records(), WINDOWS[variable]
    start = NOW // window * window - 5  # right before the clock's own window ends
    turns = [taken(records, asked(each), start + each, **{variable: "5"}) for each in range(15)]
    times = [turn.at for turn in turns if isinstance(turn, Turn)]
    assert all(sum(0 <= other - each < window for other in times) <= 5 for each in times)


def test_what_counts_is_when_it_was_asked_and_not_when_it_is_carried_out() -> None:
    records, after = Records(), NOW + 8 * 3600
    times = [NOW + each * 600 for each in range(40)]
    late = {taken(records, asked(each), at, after) for each, at in enumerate(times)}
    assert late == {taken(Records(), asked(1), at, after) for at in times}
    busy = [taken(Records(), asked(each), NOW, after, RUNS_PER_THREAD="1") for each in range(3)]
    assert busy == [Turn(NOW)] * 3


def test_a_late_run_finds_its_place_among_later_ones() -> None:
    records = Records()
    for number, at in enumerate((NOW + 300, NOW + 400)):
        assert taken(records, asked(number), at, RUNS_PER_THREAD="2") == Turn(at)
    now = NOW + 800
    assert taken(records, asked(7), NOW + 350, now, RUNS_PER_THREAD="2") == Turn(
        NOW + 900, Reason.THREAD_LIMIT
    )
    assert taken(records, asked(8), NOW - 400, now, RUNS_PER_THREAD="2") == Turn(NOW - 400)


def test_another_attempt_of_a_run_counts_nothing_and_has_the_same_turn() -> None:
    records = Records()
    for _ in range(3):
        assert taken(records, asked(1), RUNS_PER_THREAD="1") == Turn(NOW)
    waits = Turn(NOW + 600, Reason.THREAD_LIMIT)
    assert [taken(records, asked(2), RUNS_PER_THREAD="1") for _ in range(3)] == [waits] * 3
    assert taken(records, asked(2), NOW, NOW + 600, RUNS_PER_THREAD="1") == waits
    assert taken(records, asked(3), RUNS_PER_THREAD="1") == waits._replace(at=NOW + 1200)


def test_those_who_wait_keep_the_order_in_which_they_asked() -> None:
    records = Records()
    here = {"RUNS_PER_THREAD": "1", "RUNS_PER_USER_PER_HOUR": "2"}
    turns = [
        taken(records, asked(number, iid=iid), NOW + number, **here)
        for number, iid in enumerate((5, 6, 6, 7, 5))
    ]
    times = [turn.at for turn in turns if isinstance(turn, Turn)]
    assert times == sorted(times)


def test_people_threads_and_projects_have_limits_of_their_own() -> None:
    records = Records()
    here = dict.fromkeys(WINDOWS, "1") | {"RUNS_PER_DAY": "9"}
    assert taken(records, asked(1), **here) == Turn(NOW)
    assert taken(records, asked(2, author=43, iid=6, project=8), **here) == Turn(NOW)
    for other, reason in (
        (asked(3, author=44, iid=8), Reason.PROJECT_LIMIT),
        (asked(4, iid=9, project=9), Reason.USER_LIMIT),
    ):
        turn = taken(records, other, **here)
        assert isinstance(turn, Turn)
        assert turn.reason is reason


def test_whose_turn_would_come_after_more_than_a_day_is_told_once() -> None:
    records = Records()
    seen = [taken(records, asked(each), RUNS_PER_DAY="1") for each in range(5)]
    assert seen[:2] == [Turn(NOW), Turn(NOW + LONGEST, Reason.DAY_LIMIT)]
    assert seen[2:] == [Reason.DAY_LIMIT, Reason.OVER_LIMIT, Reason.OVER_LIMIT]
    assert taken(records, asked(2), RUNS_PER_DAY="1") is Reason.DAY_LIMIT  # told again if need be
    others = [taken(records, asked(10 + each, author=each), RUNS_PER_DAY="1") for each in range(4)]
    assert others == [Reason.DAY_LIMIT] * 4
    a_day_on = taken(records, asked(30), NOW + LONGEST + 1, RUNS_PER_DAY="1")
    assert a_day_on == Turn(NOW + 2 * LONGEST, Reason.DAY_LIMIT)


def test_who_is_refused_takes_no_room() -> None:
    records = Records()
    here = {"RUNS_PER_DAY": "1", "RUNS_PER_THREAD": "6"}
    for number in range(6):
        taken(records, asked(number), **here)
    counted = json.loads(str(records.read(f"turns/thread/{asked(1).thread}/0")[0]))
    assert len(counted) == 2


@pytest.mark.parametrize("of_project", ["0", "100"])
def test_zero_is_no_limit_and_without_one_a_day_a_project_has_none(of_project: str) -> None:
    records, here = Records(), {"RUNS_PER_DAY": "0", "RUNS_PER_PROJECT_PER_DAY": of_project}
    assert {taken(records, asked(number), **here) for number in range(300)} == {Turn(NOW)}
    assert records.stored == {}


def test_of_two_that_count_at_once_both_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    records, read = Records(), Records.read
    reads: list[str] = []

    def overtaken(self: Records, key: str) -> tuple[str | None, object]:
        found = read(self, key)
        if key.startswith("turns/day") and not reads:
            reads.append(key)
            assert taken(records, asked(1), RUNS_PER_DAY="2") == Turn(NOW)
        return found

    monkeypatch.setattr(Records, "read", overtaken)
    assert taken(records, asked(2), RUNS_PER_DAY="2") == Turn(NOW)
    assert taken(records, asked(3), RUNS_PER_DAY="2") == Turn(NOW + 86400, Reason.DAY_LIMIT)


def test_a_store_that_is_always_overtaken_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Records, "write", lambda *_: None)
    with pytest.raises(Retry):
        limits.take_turn(run(), settings(), Records(), NOW, NOW)


def test_a_time_that_nobody_told_or_that_is_to_come_is_now() -> None:
    assert taken(Records(), asked(1), 0.0, NOW, RUNS_PER_DAY="1") == Turn(NOW)
    assert taken(Records(), asked(1), NOW + 999, NOW, RUNS_PER_DAY="1") == Turn(NOW)


def test_the_highest_limits_need_no_large_record_and_are_kept() -> None:
    records = Records()
    turns = [
        taken(records, asked(number, author=number), NOW + number, RUNS_PER_DAY="2800")
        for number in range(3_000)
    ]
    now = sum(isinstance(turn, Turn) and turn.reason is None for turn in turns)
    assert 2_660 < now <= 2_800
    assert len(records.stored) == 5
    assert max(len(text) for text, _ in records.stored.values()) < 20_000


def test_turns_that_matter_no_more_are_forgotten() -> None:
    records = Records()
    for day in range(40):
        for number in range(20):
            at = NOW + day * 86400 + number
            taken(records, asked(100 * day + number, author=number), at, RUNS_PER_DAY="20")
    text, _ = records.read("turns/day/0")
    assert len(json.loads(str(text))) <= 60


def test_what_is_given_back_is_free_for_others() -> None:
    records = Records()
    here = dict.fromkeys(WINDOWS, "1")
    first, second = asked(1), asked(2)
    assert taken(records, first, **here) == Turn(NOW)
    for _ in range(2):
        limits.give_back(first, settings(**here), records, NOW)
    assert taken(records, second, **here) == Turn(NOW)
    turn = taken(records, first, **here)
    assert isinstance(turn, Turn)
    assert turn.at > NOW


def test_late_runs_of_a_project_start_one_after_another() -> None:
    records, after = Records(), NOW + 3600
    turns = [limits.pace(asked(each), records, after, NOW) for each in range(300)]
    assert turns[:50] == [Turn(after)] * 50
    times = [turn.at for turn in turns]
    assert times == sorted(times)
    assert {turn.reason for turn in turns[50:]} == {Reason.PACED}
    assert times[-1] == after + 250 * 6
    assert limits.pace(asked(1), records, after, after - 60) == Turn(after)  # which is not late
    assert limits.pace(asked(1, project=8), records, after, NOW) == Turn(after)


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
    assert taken(records, asked(42), RUNS_PER_THREAD="1") == Turn(NOW)  # and takes none of the runs
