"""What one look at a project sees, and at what price."""

from typing import Any

import pytest

from shared.gitlab.values import GitLabError, Hook, SweptNote
from shared.incoming.digests import digest_of_texts
from shared.incoming.event import Event
from shared.look import HOOKS_EVERY
from shared.outcome.reasons import Reason
from shared.runs import store
from shared.runs.detect import request
from tests.shared.test_sweep import Stage, counted
from tests.support.fakes import NOTE, NOW, run


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
    stage.clock.time += 61
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


TARGET = NOTE._replace(
    note_id=0,
    discussion_id=None,
    texts=("It breaks", "Since Monday."),
    before=("", ""),
    added=(("label", "claude"), ("label", "bug")),
    occasion="900",
    at=NOW - 9 * 86400,
    texts_digest=digest_of_texts("It breaks", "Since Monday."),
    own=True,
)


def labelled(stage: Stage, ago: float = 300) -> Event:
    """Let somebody add our label to an issue, of which no delivery tells."""
    at = stage.clock.time - ago
    asked = TARGET._replace(
        before=TARGET.texts, added=(("label", "claude"),), occasion=f"900|label|{at}", at=at
    )
    stage.gitlab.asked.append((TARGET, [asked]))
    stage.gitlab.described = stage.gitlab.described._replace(
        labels=("bug", "claude"), updated_at=stage.clock.time
    )
    return asked


def test_a_label_that_no_delivery_told_of_starts_its_run(stage: Stage) -> None:
    labelled(stage)
    assert stage.sweep().found == 1
    assert stage.dispatch(stage.queue.runs[0]) is Reason.TRIGGERED
    assert stage.gitlab.triggered[0][2]["variables"]["AI_FLOW_EVENT"] == "label"
    stage.clock.time += HOOKS_EVERY
    assert stage.sweep().found == 0


@pytest.mark.parametrize("first", ["delivery", "sweep"])
def test_a_label_that_a_delivery_told_of_as_well_starts_one_run(stage: Stage, first: str) -> None:
    asked = labelled(stage)
    stage.sweep()
    [swept] = stage.queue.runs
    told = request(
        asked._replace(name="label", occasion="900|2026-02-02", at=asked.at + 3),
        swept.instruction or "",
        "gitlab.com",
    )
    runs = [told, swept] if first == "delivery" else [swept, told]
    assert [stage.dispatch(each) for each in runs] == [Reason.TRIGGERED, Reason.DUPLICATE]
    assert [stage.dispatch(each) for each in runs] == [Reason.DUPLICATE] * 2
    assert len(stage.gitlab.triggered) == 1


def test_two_changes_that_deliveries_told_of_are_two_requests(stage: Stage) -> None:
    asked = labelled(stage)._replace(name="label")
    for number in (1, 2):
        told = request(asked._replace(occasion=str(number)), "Work on this.", "gitlab.com")
        assert stage.dispatch(told) is Reason.TRIGGERED


def test_a_target_that_asks_for_nothing_costs_no_further_call(stage: Stage) -> None:
    stage.gitlab.asked.append((TARGET._replace(added=()), []))
    stage.gitlab.faults["askings"] = [AssertionError("asked")]
    assert stage.sweep().found == 0


def test_what_was_asked_while_switched_off_is_not_looked_at_later(stage: Stage) -> None:
    stage.sweep()
    stage.environment = {"ENABLED": "false"}
    stage.clock.time += 2 * HOOKS_EVERY
    labelled(stage)
    assert stage.sweep().found == 0
    stage.environment = {}
    stage.clock.time += 2 * HOOKS_EVERY
    assert stage.sweep().found == 0
