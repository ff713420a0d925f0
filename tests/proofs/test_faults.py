"""The proofs of `make faults` in small: the same code, fewer journeys, and the page it writes."""

import pytest

from shared.runs.record import Record
from tests.proofs.faults import (
    crowd,
    kills,
    load,
    machine,
    many,
    money,
    outage,
    over_http,
    refusing_queue,
    report,
    scenes,
    schedules,
    stalls,
)
from tests.proofs.faults.catalogue import STEPS, point
from tests.proofs.faults.parts import IDLE, PARTS
from tests.proofs.faults.scenes import SCENES
from tests.proofs.faults.schedules import SEED, Tally
from tests.proofs.rows import Row


def shown(tally: Tally) -> None:
    print(f"seed {SEED}")
    assert not tally.wrong, tally.stories[:10]
    assert not tally.lost + tally.doubled
    assert set(tally.ends) <= {
        "triggered",
        "told",
        "answered",
        "followed",
        "dead letter, then triggered",
        "dead letter, then told",
        "dead letter, then answered",
    }


@pytest.mark.timeout(300)
def test_each_fault_at_each_step_loses_and_doubles_nothing() -> None:
    jobs = list(schedules.singles())
    every = 29  # no factor of a scene's jobs: each fault at each step is among them
    assert len(jobs) // len(SCENES) % every
    tally = schedules.sample(jobs, every)
    # A step that few scenes come to, in all of them.
    missed = set(STEPS) - {met.partition(":")[0] for met in tally.met}
    tally.take(schedules.played(job for job in jobs if any(step in missed for step, *_ in job[1])))
    shown(tally)
    assert {met.partition(":")[0] for met in tally.met} == set(STEPS)


def test_a_look_in_another_project_than_the_call_went_to_would_double(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = next(each for each in scenes.SCENES if "runner project" in each.name)
    unsure = (point("trigger", "time-out, acted"),)
    assert scenes.play(scene, unsure).end.wrong == ()
    here = property(lambda record: record.request.event.project_id)
    monkeypatch.setattr(Record, "runs_in", here)
    assert scenes.play(scene, unsure).end.wrong == ("doubled: pipelines",)


def test_pairs_of_faults_lose_and_double_nothing() -> None:
    shown(schedules.sample(schedules.pairs(), every=251))


def test_random_faults_lose_and_double_nothing() -> None:
    shown(schedules.played(schedules.at_random(800)))


def test_faults_on_the_wire_lose_and_double_nothing() -> None:
    shown(over_http.run(every=20))


def test_of_many_deliveries_of_a_mention_one_starts_a_pipeline() -> None:
    seen = crowd.run(100)
    assert (seen.deliveries, seen.stored) == (1000, 1000)
    assert (seen.pipelines, seen.lost, seen.doubled) == (100, 0, 0)


def test_a_day_without_deliveries_costs_no_mention() -> None:
    seen = outage.run(25)
    assert (seen.pipelines, seen.found_again) == (25, 0)
    assert seen.failed_deliveries == 4
    assert seen.alarms


def test_of_many_projects_none_is_left_out() -> None:
    seen = many.run(number=300, active=30)
    assert (seen.lost, seen.starved, seen.killed) == (0, 0, 0)
    assert seen.latest < 600
    assert many.run(number=100, active=0, days=2).calls_a_day < IDLE


def test_what_is_answered_202_is_stored_and_nothing_else_is() -> None:
    seen = refusing_queue.run(200)
    assert seen.answered_202 == seen.stored
    assert not seen.false_202
    assert set(seen.statuses) == {202, 503}


def test_no_order_of_events_loses_or_doubles() -> None:
    machine.run(40, 40)


def test_killed_again_and_again_the_local_platform_loses_nothing() -> None:
    seen = kills.run(3)
    assert seen.stored
    assert (seen.lost, seen.doubled, seen.untold, seen.dead_letters, seen.leaks) == (0, 0, 0, 0, 0)


def test_under_load_every_delivery_is_answered() -> None:
    seen = load.run(seconds=2, rate=100)
    assert (seen.errors, seen.pipelines) == (0, seen.mentions)


def test_whatever_stands_still_the_answer_leaves_within_three_seconds() -> None:
    assert max(each.longest for each in stalls.run(deliveries=20)) <= 3


def test_budgets_hold_however_many_ask_and_wherever_they_die() -> None:
    seen, died = money.crowd(200), money.deaths()
    assert (seen.passed, seen.wrong, seen.left) == (0, 0, 0)
    assert seen.started
    assert seen.refused
    assert died.journeys > 50
    assert died[1:] == (0, 0, 0, 0)


def test_the_page_is_as_it_was_generated() -> None:
    text = report.PATH.read_text()
    shown_last = text[text.index(f"`{report.COMMAND}`, 20") :].rstrip("\n")
    assert text == report.page(shown_last)
    rows = shown_last.splitlines()[4:]
    assert len(rows) == len(PARTS)
    assert all(row.count(" | ") == 3 and row.endswith("|") for row in rows)


def test_a_bar_that_is_missed_shows_in_the_page() -> None:
    row = Row("a test", "a bar", "a figure", met=False)
    assert "| a test | a bar | a figure | ✘ |" in report.figures([row], 60, "today")
