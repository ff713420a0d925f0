import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.gitlab.values import GitLabError, Pipeline, Progress
from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from shared.runs.command import Options
from shared.runs.detect import request
from shared.runs.record import (
    LEASE,
    SETTLE,
    Lease,
    Record,
    RecordError,
    State,
    key_of,
    load,
    load_all,
    pause,
    replay,
)
from shared.runs.request import TrackRequest
from shared.sweep import replay as replay_all
from tests import DATA
from tests.support import stages
from tests.support.fakes import NOTE, NOW, Records, run

OLD: dict[str, dict[str, str]] = json.loads((DATA / "records-version-1.json").read_text())["scenes"]
RETRY = request(NOTE, "retry --turns 3", "gitlab.com")


class Stage(stages.Stage):
    def replay(self) -> Reason:
        assert replay(run().id, self.queue, self.records, NOW)
        return self.dispatch(self.queue.runs[-1])

    def stored_by_version_1(self, scene: str) -> None:
        """Store what the old code stored, and let its lease and GitLab's doubts run out."""
        self.records.stored = {key: (text, 1) for key, text in OLD[scene].items()}
        self.clock.time += LEASE + SETTLE


@pytest.fixture
def stage() -> Stage:
    return Stage()


# Dead letters.


def test_after_the_last_attempt_the_request_is_kept_and_the_thread_is_told(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429)]
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    assert store.dead_letters(stage.records) == [run().id]
    assert "We tried for as long as we may" in stage.gitlab.replies[0]
    record = stage.records.run(run().id)
    assert record
    assert (record.state, record.reason) == (State.DEAD, "gitlab_unavailable")
    assert stage.log.lines[-1][0] == "ERROR"
    assert stage.log.lines[-1][1]["reason"] == "dead_letter"


def test_a_dead_letter_that_cannot_be_told_is_kept_all_the_same(stage: Stage) -> None:
    stage.gitlab.faults = {"user": [GitLabError(0)], "reply": [GitLabError(0)]}
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    assert store.dead_letters(stage.records) == [run().id]


def test_a_replay_goes_on_where_the_run_died(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429)]
    stage.dispatch(last=True)
    assert stage.replay() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1
    [reply] = stage.gitlab.replies  # what told of the end tells of the pipeline now
    assert "pipelines/1" in reply
    assert "We tried for as long as we may" not in reply
    assert store.dead_letters(stage.records) == []
    assert not replay(run().id, stage.queue, stage.records, NOW)


def test_a_replay_looks_for_a_pipeline_that_may_exist(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(0, "acted", unsure=True)]
    stage.dispatch(last=True)
    stage.clock.time += SETTLE
    assert stage.replay() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_a_replay_of_a_run_with_a_pipeline_only_tells_of_it(stage: Stage) -> None:
    stage.gitlab.faults["reply"] = [GitLabError(503), GitLabError(503)]
    stage.dispatch(last=True)
    assert stage.replay() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_the_last_attempt_on_a_run_that_another_holds_is_kept_too(stage: Stage) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    stage.gitlab.award = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        stage.dispatch()
    del stage.gitlab.award
    with pytest.raises(Retry):
        stage.dispatch()
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    assert store.dead_letters(stage.records) == [run().id]
    stage.clock.time += 1000
    assert stage.replay() is Reason.TRIGGERED


def test_each_replay_is_a_message_of_its_own_and_the_same_run(stage: Stage) -> None:
    messages = [run()]
    for _ in range(3):
        stage.gitlab.faults["trigger"] = [GitLabError(429)]
        stage.dispatch(messages[-1], last=True)
        assert replay(run().id, stage.queue, stage.records, NOW)
        messages.append(stage.queue.runs[-1])
    assert {each.id for each in messages} == {run().id}
    assert len({each.message_id for each in messages}) == 4


def test_what_is_no_dead_letter_is_not_replayed(stage: Stage) -> None:
    stage.dispatch()
    assert not replay(run().id, stage.queue, stage.records, NOW)
    store.add_dead_letter("unheard of", stage.records, NOW)
    assert not replay("unheard of", stage.queue, stage.records, NOW)
    assert stage.queue.runs == []


# The record.


def test_a_record_reads_back_as_it_was_written() -> None:
    record = Record(
        request=run(),
        state=State.FINISHED,
        until=1.5,
        expires=2,
        attempt=3,
        repeats=RETRY,
        options=Options("", "claude-x", 4, 5),
        since=6.5,
        pipeline=Pipeline(7, "https://gitlab.com/group/app/-/pipelines/7"),
        reply_id=8,
        reason="triggered",
        hint="a hint",
        home=9,
        award_id=10,
    )
    assert Record.from_json(record.to_json()) == record
    plain = Record(run(), State.CLAIMED, 1.0, 2)
    assert Record.from_json(plain.to_json()) == plain
    assert not {"home", "award_id"} & json.loads(plain.to_json()).keys()


def test_a_record_is_ascii_json_of_one_known_version() -> None:
    record = Record(request(NOTE, "好", "gitlab.com"), State.CLAIMED, 1.0, 2)
    assert record.to_json().isascii()
    assert json.loads(record.to_json())["version"] == 2


UNREADABLE = [
    "",
    "[]",
    "{",
    '{"version": 3}',
    '{"version": 2}',
    '{"run": "x"}',
    "{}",
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_record_that_cannot_be_read_is_named_as_that(text: str) -> None:
    with pytest.raises(RecordError):
        Record.from_json(text)


@pytest.mark.parametrize("change", [{"state": "gone"}, {"request": {}}, {"pipeline": 7}])
def test_a_record_with_a_wrong_field_is_named_as_that(change: dict[str, Any]) -> None:
    data = json.loads(Record(run(), State.CLAIMED, 1.0, 2).to_json())
    with pytest.raises(RecordError, match="in a record of version 2"):
        Record.from_json(json.dumps(data | change))
    track_request = json.loads(TrackRequest(7, 1).to_json())
    with pytest.raises(RecordError):
        Record.from_json(json.dumps(data | {"request": track_request}))


@pytest.mark.parametrize("text", UNREADABLE)
def test_one_that_cannot_be_read_stops_nothing_else(stage: Stage, text: str) -> None:
    other = run(NOTE._replace(note_id=102))
    for each in (run(), other):
        assert stage.dispatch(each) is Reason.TRIGGERED
    stage.records.stored[key_of(run().id)] = text, 9
    for each in (run(), other):
        store.add_dead_letter(each.id, stage.records, NOW)
    both = store.runs_of_thread(run().thread, stage.records)
    assert both == [other.id, run().id]
    found = list(load_all(both, stage.records, stage.log))
    assert [record.request.id for record in found] == [other.id]
    stage.gitlab.moves(2, "success")
    stage.sweep()
    assert "has finished" in stage.gitlab.replies[1]
    assert replay_all(stage.services, stage.queue) == [other.id]
    named = [line for _, line in stage.log.lines if line.get("reason") == "record_unreadable"]
    assert {line["run"] for line in named} == {run().id}


def test_a_run_whose_record_cannot_be_read_starts_nothing_and_waits(stage: Stage) -> None:
    stage.records.stored[key_of(run().id)] = "{}", 1
    with pytest.raises(Retry) as waits:
        stage.dispatch()
    assert waits.value.reason is Reason.RECORD_UNREADABLE
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    assert stage.log.lines[-1][1]["error"] == "record_unreadable"
    assert stage.gitlab.triggered == []
    with pytest.raises(Retry):
        store.add_pipeline(run(), 7, 1, stage.records, NOW)
        stage.track()


# Records that version 1 wrote.


@pytest.mark.parametrize(
    ("scene", "end", "triggered"),
    [
        ("claimed: killed before the trigger call", Reason.TRIGGERED, 1),
        ("triggering: the call's end is unknown", Reason.TRIGGERED, 0),
        ("triggered: killed before the reply", Reason.TRIGGERED, 0),
        ("finished", Reason.DUPLICATE, 0),
        ("refused", Reason.DUPLICATE, 0),
    ],
)
def test_a_run_that_version_1_began_goes_on(
    stage: Stage, scene: str, end: Reason, triggered: int
) -> None:
    stage.stored_by_version_1(scene)
    if scene.startswith("triggering"):
        stage.gitlab.find_pipeline = lambda *_: Pipeline(1, "")  # type: ignore[method-assign]
    assert stage.dispatch() is end
    assert len(stage.gitlab.triggered) == triggered
    assert len(stage.gitlab.replies) == (end is Reason.TRIGGERED)
    if end is Reason.TRIGGERED:
        record = stage.records.run(run().id)
        assert record
        assert (record.state, record.pipeline and record.pipeline.id) == (State.FINISHED, 1)
        assert stage.dispatch() is Reason.DUPLICATE


@pytest.mark.parametrize(
    ("scene", "triggered"), [("dead before its pipeline", 1), ("dead after its pipeline", 0)]
)
def test_a_dead_letter_of_version_1_is_replayed_where_it_died(
    stage: Stage, scene: str, triggered: int
) -> None:
    stage.stored_by_version_1(scene)
    assert replay(run().id, stage.queue, stage.records, NOW)
    assert stage.queue.runs[-1].message_id == f"{run().queue_key}-1"
    assert stage.dispatch(stage.queue.runs[-1]) is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == triggered


@pytest.mark.parametrize("scene", ["finished", "finished retry"])
def test_the_reply_of_a_pipeline_of_version_1_is_brought_up_to_date(
    stage: Stage, scene: str
) -> None:
    stage.stored_by_version_1(scene)
    number = 2 if scene == "finished retry" else 1
    stage.gitlab.replies = ["Queued."] * number
    stage.gitlab.statuses[number] = Progress("success", 61, NOW, ())
    assert stage.track(number) is Reason.TRACKED
    assert "has finished" in stage.gitlab.replies[-1]


@pytest.mark.parametrize("scene", ["finished retry", "dead retry"])
def test_what_a_retry_of_version_1_carried_out_is_known(stage: Stage, scene: str) -> None:
    stage.stored_by_version_1(scene)
    record = load(RETRY.id, stage.records)
    assert record
    if scene == "dead retry":  # of others version 1 kept only what they carried out
        assert record.request == RETRY
    assert record.carried_out.instruction == "fix the parser"
    assert record.options.turns == 3
    again = request(NOTE._replace(note_id=900), "retry", "gitlab.com")
    assert stage.dispatch(again) is Reason.TRIGGERED
    sent = stage.gitlab.triggered[-1][2]["ai_flow"]
    assert (sent["input"], sent["options"]["turns"]) == ("fix the parser", 3)


def test_the_sweep_leaves_runs_of_version_1_alone(stage: Stage) -> None:
    stage.stored_by_version_1("claimed: killed before the trigger call")
    assert load(run().id, stage.records, run())
    with pytest.raises(RecordError, match="KeyError in a record of version 1"):
        load(run().id, stage.records)


# The lease.


def test_what_goes_wrong_between_reading_and_taking_is_noticed(stage: Stage) -> None:
    def meanwhile(_: Record) -> None:
        stage.records.before_write = lambda _: None
        Lease(run(), stage.records, stage.clock)

    stage.records.before_write = meanwhile
    with pytest.raises(Retry) as lost:
        Lease(run(), stage.records, stage.clock)
    assert lost.value.reason is Reason.BUSY


def test_pauses_double_up_to_half_an_hour() -> None:
    assert [pause(attempt) for attempt in (1, 2, 3, 9, 10, 99)] == [5, 10, 20, 1280, 1800, 1800]


def test_a_mention_that_starts_a_pipeline_takes_at_most_18_calls_of_the_store(stage: Stage) -> None:
    calls = counting(stage.records)
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(calls) <= 18, calls


def counting(records: Records) -> list[str]:
    """Return a list that grows with each call of the store."""
    calls: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def act(key: str, *more: object) -> object:
            calls.append(f"{name} {key}")
            return call(key, *more)

        return act

    records.read = counted("read", records.read)  # type: ignore[method-assign]
    records.write = counted("write", records.write)  # type: ignore[method-assign]
    return calls
