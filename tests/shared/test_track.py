"""The one reply of a run follows its pipeline, whatever events come, in whatever order."""

import itertools
from unittest.mock import Mock, call

import pytest

from shared.contract import marks
from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError, Job, Progress
from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from shared.runs.record import key_of
from shared.runs.request import TrackRequest
from shared.track import track
from tests.support import stages
from tests.support.fakes import NOW, run

JOB = "<!-- gitlab-claude-job pipeline=1 state={} -->"


class Stage(stages.Stage):
    """A run that has been dispatched: pipeline 1, reply 1."""

    def __init__(self) -> None:
        super().__init__()
        assert self.dispatch() is Reason.TRIGGERED

    def moves(self, status: str, failure_reason: str = "") -> str:
        self.gitlab.moves(1, status, failure_reason)
        self.track()
        return self.reply

    @property
    def reply(self) -> str:
        assert len(self.gitlab.replies) == 1, "one reply per run"
        return self.gitlab.replies[0]

    @property
    def live(self) -> bool:
        return list(store.live_pipelines(7, self.records)) == [1]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_reply_moves_on_with_the_pipeline(stage: Stage) -> None:
    assert "is queued" in stage.reply
    assert "[pipeline 1](https://gitlab.com/group/app/-/pipelines/1) waits for" in stage.moves(
        "waiting_for_resource"
    )
    assert "is at work: [job 10]" in stage.moves("running")
    assert stage.gitlab.awards == ["eyes"]
    assert "has finished" in stage.moves("success")
    assert stage.gitlab.awards == ["white_check_mark"]
    assert not stage.live


def test_that_a_pipeline_waits_at_first_is_no_news(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Mock(wraps=stage.gitlab.progress)
    monkeypatch.setattr(stage.gitlab, "progress", look)
    waits = TrackRequest(7, 1, "pending")
    assert dispatch(waits, stage.services) is Reason.NOT_OUR_PIPELINE
    assert look.call_count == 0
    stage.moves("running")
    assert dispatch(waits, stage.services) is Reason.TRACKED


def test_an_event_that_changes_no_word_has_gitlab_asked_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Mock(wraps=stage.gitlab.progress)
    monkeypatch.setattr(stage.gitlab, "progress", look)
    stage.moves("running")
    assert look.call_count == 2, "what was written may be old by then"
    stage.track()
    assert look.call_count == 3


@pytest.mark.parametrize(
    ("status", "reason", "said", "awards"),
    [
        ("failed", "script_failure", "The job's script failed.", ["x"]),
        ("failed", "job_execution_timeout", "ran out of time", ["x"]),
        ("canceled", "", "Cancelled", []),
        ("skipped", "", "skipped", []),
    ],
)
def test_each_end_is_told_and_shown(
    stage: Stage, status: str, reason: str, said: str, awards: list[str]
) -> None:
    assert said in stage.moves(status, reason)
    assert stage.gitlab.awards == awards
    assert not stage.live


def test_claude_s_own_end_decides_the_verdict(stage: Stage) -> None:
    jobs = (Job(11, "failed", "script_failure", "", "build"), Job(10, "success", "", "", "claude"))
    stage.gitlab.statuses[1] = Progress("failed", 61, NOW, jobs)
    stage.track()
    assert "failed for another job: `build`" in stage.reply
    assert stage.gitlab.awards == ["white_check_mark"]


def test_a_pipeline_that_nobody_takes_is_said_to_be_stuck(stage: Stage) -> None:
    stage.clock.time = NOW + 601
    assert "no runner has taken" in stage.moves("pending")


def test_events_in_any_order_leave_the_reply_as_the_pipeline_is() -> None:
    for order in itertools.permutations(["running", "success", "pending"]):
        stage = Stage()
        stage.gitlab.moves(1, "success")
        for _ in order:
            stage.track()
        assert "has finished" in stage.reply
        assert stage.gitlab.awards == ["white_check_mark"]


def test_a_pipeline_that_moves_on_while_we_write_is_written_again(stage: Stage) -> None:
    stage.gitlab.moves(1, "running")
    edit = stage.gitlab.edit_reply

    def edited_slowly(*arguments: object) -> None:
        edit(*arguments)  # type: ignore[arg-type]
        stage.gitlab.moves(1, "success")

    stage.gitlab.edit_reply = edited_slowly  # type: ignore[method-assign,assignment]
    stage.track()
    assert "has finished" in stage.reply


def test_tracking_again_without_a_change_writes_nothing(stage: Stage) -> None:
    stage.moves("running")
    stage.gitlab.faults["edit_reply"] = [AssertionError("edited again")]
    assert stage.track() is Reason.TRACKED


def test_a_job_of_ours_speaks_for_itself(stage: Stage) -> None:
    stage.gitlab.replies[0] = (
        f"Claude is at work.\n\n{JOB.format('working')}\n{marks.of_run(run().id)}"
    )
    assert "pipeline 1" not in stage.moves("running")
    stage.gitlab.replies[0] = f"The answer.\n\n{JOB.format('ended')}\n{marks.of_run(run().id)}"
    assert stage.moves("success").startswith("The answer.")
    assert stage.gitlab.awards == ["white_check_mark"]


def test_a_job_that_died_at_work_is_spoken_for(stage: Stage) -> None:
    stage.gitlab.replies[0] = (
        f"Claude is at work.\n\n{JOB.format('working')}\n{marks.of_run(run().id)}"
    )
    reply = stage.moves("failed", "runner_system_failure")
    assert "The runner broke down." in reply
    assert reply.endswith(
        f"{JOB.format('ended')}\n{marks.of_run(run().id)}"
    )  # no second pipeline works on it again


def test_a_repair_whose_job_died_stays_a_try(stage: Stage) -> None:
    repair = marks.of_repair(2)
    end = f"{JOB.format('working')}\n{marks.of_run(run().id)}"
    stage.gitlab.replies[0] = f"Claude is at work.\n\n{repair}\n\n{end}"
    assert marks.repair(stage.moves("failed", "runner_system_failure")) == 2


def test_a_pipeline_that_is_not_ours_or_over_costs_no_call(stage: Stage) -> None:
    stage.moves("success")
    stage.gitlab.faults["progress"] = [AssertionError("asked")]
    assert stage.track() is Reason.NOT_OUR_PIPELINE
    assert stage.track(99) is Reason.NOT_OUR_PIPELINE
    assert track(TrackRequest(8, 1), stage.services) is Reason.NOT_OUR_PIPELINE


def test_a_pipeline_that_was_deleted_is_said_to_be(stage: Stage) -> None:
    stage.moves("running")
    del stage.gitlab.statuses[1]
    assert stage.track() is Reason.TRACKED
    assert "is at work" in stage.reply  # a replica may not have heard of it yet
    assert stage.live
    stage.clock.time += 61
    assert stage.track() is Reason.TRACKED
    assert not stage.live
    assert "Somebody deleted [pipeline 1]" in stage.reply
    assert stage.gitlab.awards == []


def test_an_answer_stays_when_its_pipeline_is_deleted(stage: Stage) -> None:
    stage.gitlab.replies[0] = f"The answer.\n\n{JOB.format('ended')}\n{marks.of_run(run().id)}"
    del stage.gitlab.statuses[1]
    stage.clock.time += 61
    stage.track()
    assert (stage.live, stage.reply.startswith("The answer.")) == (False, True)


def again(stage: Stage, status: str) -> str:
    """Let an event tell of a pipeline that had ended."""
    stage.gitlab.moves(1, status)
    assert track(TrackRequest(7, 1, status), stage.services) is Reason.TRACKED
    return stage.reply


def test_a_pipeline_started_again_by_hand_is_followed_again(stage: Stage) -> None:
    assert "could not finish" in stage.moves("failed", "runner_system_failure")
    assert "is at work" in again(stage, "running")
    assert stage.live
    assert stage.gitlab.awards == ["eyes"]
    assert "has finished" in stage.moves("success")
    assert stage.gitlab.awards == ["white_check_mark"]
    assert not stage.live


def test_of_a_second_try_the_end_alone_may_be_heard(stage: Stage) -> None:
    stage.moves("failed", "runner_system_failure")
    assert "has finished" in again(stage, "success")
    assert stage.gitlab.awards == ["white_check_mark"]


def test_a_job_that_died_and_was_started_again_is_at_work_again(stage: Stage) -> None:
    stage.gitlab.replies[0] = f"At work.\n\n{JOB.format('working')}\n{marks.of_run(run().id)}"
    assert "The runner broke down." in stage.moves("failed", "runner_system_failure")
    reply = again(stage, "running")
    assert "is at work" in reply
    assert reply.endswith(f"{JOB.format('working')}\n{marks.of_run(run().id)}")
    assert "could not finish" in stage.moves("failed", "script_failure")


def test_what_a_job_answered_stays_when_it_is_started_again(stage: Stage) -> None:
    answer = f"I gave up.\n\n{JOB.format('ended')}\n{marks.of_run(run().id)}"
    stage.gitlab.replies[0] = answer
    stage.moves("failed", "script_failure")
    assert again(stage, "running") == answer
    assert stage.gitlab.awards == ["eyes"]


def test_a_late_event_of_an_end_that_was_told_costs_no_call(stage: Stage) -> None:
    stage.moves("failed")
    stage.gitlab.faults["progress"] = [AssertionError("asked")]
    assert track(TrackRequest(7, 1, "failed"), stage.services) is Reason.NOT_OUR_PIPELINE


def test_an_event_that_was_overtaken_by_the_end_changes_nothing(stage: Stage) -> None:
    stage.moves("failed")
    stage.gitlab.faults["read_reply"] = [AssertionError("read")]
    stage.gitlab.faults["award"] = [AssertionError("awarded")]
    assert track(TrackRequest(7, 1, "running"), stage.services) is Reason.TRACKED
    assert not stage.live


def test_a_pipeline_that_waits_for_a_person_is_not_followed_until_one_comes(stage: Stage) -> None:
    assert "waits for somebody" in stage.moves("manual")
    assert not stage.live
    assert "is at work" in again(stage, "running")
    assert stage.live


def test_the_reply_leads_to_where_a_moved_project_has_its_pipelines(stage: Stage) -> None:
    stage.gitlab.moves(1, "success")
    there = "https://gitlab.com/elsewhere/app/-/pipelines/1"
    stage.gitlab.statuses[1] = stage.gitlab.statuses[1]._replace(url=there)
    stage.track()
    assert f"[pipeline 1]({there})" in stage.reply


def test_a_deleted_reply_is_not_written_again(stage: Stage) -> None:
    stage.gitlab.replies.clear()
    stage.gitlab.moves(1, "success")
    assert stage.track() is Reason.TRACKED
    assert stage.gitlab.replies == []


def test_a_reply_whose_id_was_never_told_is_found_by_its_mark(stage: Stage) -> None:
    record = stage.records.run(run().id)
    assert record
    _, version = stage.records.read(record.key)
    stage.records.write(record.key, record._replace(reply_id=0).to_json(), version, 0)
    assert "has finished" in stage.moves("success")
    store.add_pipeline(run(), 7, 1, stage.records, NOW)
    stage.gitlab.replies.clear()
    assert stage.track() is Reason.TRACKED


@pytest.mark.parametrize("method", ["progress", "read_reply", "edit_reply"])
def test_gitlab_out_of_order_is_tried_again_and_at_last_left_to_the_sweep(
    stage: Stage, method: str
) -> None:
    stage.gitlab.moves(1, "success")
    stage.gitlab.faults[method] = [GitLabError(503, after=9)]
    with pytest.raises(Retry) as retry:
        stage.track()
    assert retry.value.after == 9
    stage.gitlab.faults[method] = [GitLabError(503)]
    assert stage.track(last=True) is Reason.GITLAB_UNAVAILABLE
    assert stage.live
    assert "has finished" in stage.moves("success")


def test_our_eyes_are_taken_away_by_the_id_that_gitlab_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw = Mock(wraps=stage.gitlab.withdraw)
    monkeypatch.setattr(stage.gitlab, "withdraw", withdraw)
    record = stage.records.run(run().id)
    assert record
    assert record.award_id == 1001
    stage.moves("failed")
    assert withdraw.call_args_list == [call(run().event, "eyes", 1001)]
    again(stage, "success")
    assert call(run().event, "x", 0) in withdraw.call_args_list


@pytest.mark.parametrize("method", ["award", "withdraw"])
def test_a_missing_reaction_stops_nothing(stage: Stage, method: str) -> None:
    stage.gitlab.faults[method] = [GitLabError(404)]
    assert "has finished" in stage.moves("success")
    assert not stage.live
    assert stage.log.lines[-1][0] == "WARNING"


def test_dispatch_passes_a_track_request_on(stage: Stage) -> None:
    stage.gitlab.moves(1, "success")
    assert stage.dispatch(TrackRequest(7, 1, "success")) is Reason.TRACKED
    assert "has finished" in stage.reply


def test_records_lost_half_way_lose_no_more(stage: Stage) -> None:
    del stage.records.stored[key_of(run().id)]
    assert stage.track() is Reason.NOT_OUR_PIPELINE
    assert stage.live


def test_a_pipeline_that_never_rests_is_left_to_the_next_look(stage: Stage) -> None:
    statuses = itertools.cycle(["running", "pending"])
    progress = stage.gitlab.progress
    asked = []

    def restless(project_id: int, pipeline_id: int, before: Progress | None) -> Progress | None:
        asked.append(pipeline_id)
        stage.gitlab.moves(1, next(statuses))
        return progress(project_id, pipeline_id, before)

    stage.gitlab.progress = restless  # type: ignore[method-assign,assignment]
    assert stage.track() is Reason.TRACKED
    assert len(asked) == 5
    assert stage.live


def test_a_pipeline_deleted_while_we_wrote_is_forgotten(stage: Stage) -> None:
    stage.gitlab.moves(1, "running")
    edit = stage.gitlab.edit_reply

    def then_gone(*arguments: object) -> None:
        edit(*arguments)  # type: ignore[arg-type]
        stage.gitlab.statuses.clear()

    stage.gitlab.edit_reply = then_gone  # type: ignore[method-assign,assignment]
    stage.clock.time += 61
    assert stage.track() is Reason.TRACKED
    assert not stage.live


def test_two_that_end_at_once_both_end(stage: Stage) -> None:
    for number in (2, 3):
        store.add_pipeline(run()._replace(id=str(number)), 7, number, stage.records, NOW)
    store.end_pipeline(7, 2, stage.records, NOW)
    store.end_pipeline(7, 2, stage.records, NOW)
    store.end_pipeline(7, 3, stage.records, NOW)
    assert list(store.live_pipelines(7, stage.records)) == [1]
