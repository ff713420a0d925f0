"""What one look at a project sees, and at what price."""

from typing import Any

import pytest

from shared.gitlab.values import GitLabError, Hook, SweptNote
from shared.look import HOOKS_EVERY
from shared.outcome.reasons import Reason
from shared.runs import store
from tests.shared.test_sweep import Stage, counted
from tests.support.fakes import NOTE, run


@pytest.fixture
def stage() -> Stage:
    return Stage()


def started(stage: Stage, number: int) -> None:
    """Let comments start pipelines, 1 the first."""
    for each in range(1, number + 1):
        stage.environment = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0"}
        assert stage.dispatch(run(NOTE._replace(note_id=100 + each))) is Reason.TRIGGERED


def test_of_many_live_pipelines_one_call_tells_and_only_what_moved_is_looked_at(
    stage: Stage,
) -> None:
    started(stage, 20)
    for number in range(1, 21):
        stage.gitlab.moves(number, "running")
    stage.sweep()
    asked, listed = counted(stage.gitlab, "progress"), counted(stage.gitlab, "newest_pipelines")
    stage.clock.time += 300
    stage.sweep()
    assert (len(listed), asked) == (1, [])
    stage.gitlab.moves(3, "success")
    stage.clock.time += 300
    stage.sweep()
    assert set(asked) == {7}
    assert len(asked) == 1
    assert "has finished" in stage.gitlab.replies[2]


def test_pipelines_that_wait_for_a_person_are_not_looked_at_for_ever(stage: Stage) -> None:
    started(stage, 3)
    for number in (1, 2, 3):
        stage.gitlab.moves(number, "manual")
    stage.sweep()
    assert store.live_pipelines(7, stage.records) == {}
    listed = counted(stage.gitlab, "newest_pipelines")
    for _ in range(3):
        stage.clock.time += 300
        stage.sweep()
    assert listed == []


def test_a_pipeline_without_a_runner_is_said_to_have_none(stage: Stage) -> None:
    started(stage, 1)
    stage.sweep()
    assert "no runner has taken" in stage.reply


def test_a_live_pipeline_that_was_deleted_is_said_to_be(stage: Stage) -> None:
    started(stage, 2)
    stage.gitlab.statuses.pop(1)
    stage.sweep()
    assert "Somebody deleted" in stage.gitlab.replies[0]
    assert list(store.live_pipelines(7, stage.records)) == [2]


def test_one_that_was_started_again_while_another_is_live_is_followed(stage: Stage) -> None:
    started(stage, 2)
    stage.gitlab.moves(1, "failed")
    stage.sweep()
    assert "could not finish" in stage.gitlab.replies[0]
    stage.gitlab.moves(1, "running")
    stage.clock.time += 300
    stage.sweep()
    assert "is at work" in stage.gitlab.replies[0]


def test_pipelines_that_cannot_be_listed_keep_no_comment_from_being_found(stage: Stage) -> None:
    started(stage, 1)
    stage.gitlab.faults["newest_pipelines"] = [GitLabError(403)]
    stage.wrote(note_id=200)
    assert stage.sweep().found == 1


def test_webhooks_that_may_not_be_seen_are_said_to_be_once(stage: Stage) -> None:
    line = {"reason": "hooks_unseen", "error": "hooks", "status": 403, "project_id": 7}
    for each in range(3):
        stage.gitlab.faults["hooks"] = [GitLabError(403)]
        stage.wrote(note_id=300 + each)
        assert stage.sweep().found
        stage.queue.runs.clear()
        stage.clock.time += HOOKS_EVERY
        assert stage.log.lines.count(("WARNING", line)) == 1
    stage.sweep()
    stage.clock.time += HOOKS_EVERY
    stage.gitlab.faults["hooks"] = [GitLabError(403)]
    stage.sweep()  # seen in between: it is news again
    assert stage.log.lines.count(("WARNING", line)) == 2


def test_webhooks_that_gitlab_failed_to_tell_of_are_asked_for_again(stage: Stage) -> None:
    stage.gitlab.webhooks = [Hook(1, disabled=True)]
    stage.gitlab.faults["hooks"] = [GitLabError(500)]
    assert stage.sweep().failed == 1
    stage.clock.time += 300
    assert stage.sweep().disabled_hooks == 1


def test_webhooks_are_looked_at_once_an_hour(stage: Stage) -> None:
    asked = counted(stage.gitlab, "hooks")
    for _ in range(12):
        stage.wrote(ago=100, note_id=NOTE.note_id + len(stage.gitlab.written))
        stage.sweep()
        stage.clock.time += 300
    assert len(asked) == 1


def test_a_project_with_more_comments_than_time_is_read_on_by_the_next_sweep(stage: Stage) -> None:
    begun = stage.clock.time - 3000
    stage.gitlab.written = [
        SweptNote(begun + each, NOTE._replace(note_id=each, at=begun + each))
        for each in range(1, 2001)
    ]
    read, reached = stage.gitlab.comments, []

    def slowly(project: Any, since: float) -> Any:
        for comment in read(project, since):
            if comment.created_at >= since:
                stage.clock.time += 0.05
                reached.append(comment.event.note_id)
                yield comment

    stage.gitlab.comments = slowly  # type: ignore[method-assign]
    found = 0
    for _ in range(4):
        began = stage.clock.time
        found += stage.sweep().found
        assert stage.clock.time - began < 80
        stage.clock.time = began + 300
    assert max(reached) == 2000
    assert {asked.event.note_id for asked in stage.queue.runs} == set(range(1, 2001))
