"""What cannot be read of the indexes and counters is named, and holds nobody up."""

import json
from collections.abc import Callable

import pytest

from shared.outcome.reasons import Reason
from shared.runs import limits, projects, store
from shared.runs.legible import legible
from shared.runs.record import key_of
from tests.support import fakes
from tests.support.fakes import NOTE, NOW, run
from tests.support.stages import Stage

OTHER = run(NOTE._replace(note_id=102))
# Every kind of record beside the runs' own that a day of work leaves.
KINDS = {"asked", "dead", "limit", "live", "pace", "pipeline", "projects", "stranger", "sweep"}
KINDS |= {"thread", "told", "turns", "waits", "auto", "auto-file", "repair"}


def worked() -> Stage:
    """Return an installation in which everything has happened once."""
    stage = Stage(RUNS_PER_THREAD="1", RUNS_PER_USER_PER_HOUR="1", RUNS_PER_DAY="2")
    stage.dispatch()
    stage.dispatch(OTHER)  # it waits
    for number in range(30):  # the day's limit is told
        stage.dispatch(run(NOTE._replace(note_id=200 + number, iid=9, at=NOW - 3600 * 23)))
    stage.dispatch(run(NOTE._replace(note_id=300), "help"))
    stage.dispatch(run(NOTE._replace(note_id=301, author_id=43)))
    stage.dispatch(run(NOTE._replace(note_id=0, iid=6, occasion="x", texts_digest="")))
    limits.count_by_policy(OTHER, 1, stage.records, NOW)
    store.first_of_file(OTHER, "a blob", stage.records, NOW)
    store.note_repair(7, 501, OTHER.id, stage.records, NOW)
    store.add_dead_letter(run(NOTE._replace(note_id=103)).id, stage.records, NOW)
    stage.gitlab.moves(1, "running")
    stage.track()
    stage.sweep()
    return stage


@pytest.mark.parametrize("text", ["{", "null", "[[]]", '{"version": 99}', '"canary"', "[" * 50_000])
def test_whatever_an_index_or_counter_holds_runs_and_sweeps_go_on(text: str) -> None:
    stage = worked()
    own = {key for key in stage.records.stored if key.startswith("run/")}
    others = {*stage.records.stored} - own
    assert {key.partition("/")[0] for key in others} == KINDS
    for key in others:
        stage.records.stored[key] = text, 99
    stage.log.lines.clear()
    stage.clock.time += 90_000
    third = run(NOTE._replace(note_id=104, at=stage.clock.time))
    assert stage.dispatch(third) is Reason.TRIGGERED
    status = run(NOTE._replace(note_id=105, at=stage.clock.time), "status")
    assert stage.dispatch(status) is Reason.ANSWERED
    stage.sweep()
    assert OTHER.id in {each.id for each in stage.queue.runs}  # its key tells what its text did
    named = [str(line.get("key")) for _, line in stage.log.lines if "key" in line]
    assert {"thread", "projects", "dead", "waits"} <= {key.partition("/")[0] for key in named}
    assert "canary" not in str(stage.log.lines)
    stage.log.lines.clear()
    stage.sweep()  # what was written since can be read
    assert not [line for _, line in stage.log.lines if str(line.get("key")).startswith("dead")]


def test_of_many_entries_only_the_wrong_one_is_gone() -> None:
    records, log = fakes.Records(), fakes.Log()
    for project_id in (7, 39):
        projects.add(project_id, records, NOW)
    key = "projects/7"
    marks = json.loads(records.stored[key][0]) | {"71": "canary", "103": [1, 2, 3, 4, 5, 6, 7, 8]}
    records.stored[key] = json.dumps(marks), 2
    assert set(projects.known(legible(records, log))) == {7, 39, 103}
    assert log.lines == [("ERROR", {"reason": "record_unreadable", "key": key})]


def test_a_letter_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    stage = Stage()
    stage.records.stored["dead//x"] = json.dumps({"at": NOW, "told": True, "more": [1]}), 1
    assert store.dead_letters(legible(stage.records, stage.log)) == ["x"]
    assert stage.log.lines == []


@pytest.mark.parametrize("ended", [True, False])
def test_a_letter_that_cannot_be_read_is_still_a_letter(ended: bool) -> None:
    stage = Stage()
    if ended:
        stage.dispatch()
    stage.records.stored[f"dead//{run().id}"] = "{", 1
    assert store.dead_letters(legible(stage.records, stage.log)) == [run().id]
    stage.sweep()
    assert store.untold(stage.records, 9) == []


def test_a_run_s_own_record_is_left_as_it_is() -> None:
    records, log = fakes.Records(), fakes.Log()
    records.stored[key_of("x")] = "{", 1
    again: Callable[..., object] = legible
    readable = legible(records, log)
    assert readable.read(key_of("x")) == ("{", 1)
    assert again(readable, log) is readable
    readable.delete(key_of("x"))
    assert records.stored == {}
    assert log.lines == []
