import json
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import GitLabError, Hook, SweptNote
from shared.incoming.event import Event
from shared.outcome.reasons import Reason
from shared.runs import store
from shared.runs.record import Record, State
from shared.runs.store import KEPT
from shared.sweep import ABANDONED, OVERLAP, QUIET, Swept, carry_out
from tests.support import stages
from tests.support.fakes import NOTE, NOW, Records, payload, run


class Stage(stages.Stage):
    """Project 7 has been served before, and swept an hour ago."""

    def __init__(self) -> None:
        super().__init__()
        store.add_project(7, self.records, NOW)
        self.sweep()
        self.clock.time += 3600

    def wrote(
        self,
        text: str = "@claude fix it",
        ago: float = 600,
        *,
        edited: bool = False,
        **changes: Any,
    ) -> Event:
        note = NOTE._replace(**{"texts": (text,), "discussion_id": None} | changes)
        self.gitlab.written.append(SweptNote(self.clock.time - ago, edited, note))
        return note


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_mention_whose_delivery_never_arrived_is_found(stage: Stage) -> None:
    stage.wrote()
    assert stage.sweep() == Swept(projects=1, failed=0, found=1, disabled_hooks=0)
    assert [asked.id for asked in stage.queue.runs] == [run().id]
    assert stage.dispatch(stage.queue.runs[0]) is Reason.TRIGGERED


def test_a_mention_that_has_had_its_run_is_left_alone(stage: Stage) -> None:
    stage.dispatch()
    stage.wrote()
    assert stage.sweep().found == 0


@pytest.mark.parametrize(("idle", "found"), [(0.0, 0), (ABANDONED - 1, 0), (ABANDONED + 1, 1)])
def test_a_run_that_every_queue_has_forgotten_is_found_again(
    stage: Stage, idle: float, found: int
) -> None:
    until = stage.clock.time - idle
    record = Record(run(), State.CLAIMED, until=until, expires=int(until) + KEPT)
    stage.records.write(record.key, record.to_json(), None, record.expires)
    stage.wrote()
    assert stage.sweep().found == found


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "no mention"},
        {"text": "`@claude`"},
        {"edited": True},
        {"ago": QUIET - 1},
        {"ago": 3600 + QUIET + OVERLAP + 10},
        {"text": f"@claude {marks.of_run('x')}"},
    ],
    ids=str,
)
def test_what_a_delivery_would_not_start_the_sweep_does_not_start(
    stage: Stage, changes: dict[str, Any]
) -> None:
    stage.wrote(**changes)
    assert stage.sweep().found == 0


def test_a_comment_younger_than_the_pause_is_found_by_the_next_sweep(stage: Stage) -> None:
    stage.wrote(ago=10)
    assert stage.sweep().found == 0
    stage.clock.time += 300
    assert stage.sweep().found == 1


def test_the_first_sweep_of_a_project_serves_no_history() -> None:
    stage = Stage()
    stage.records = Records()
    store.add_project(7, stage.records, NOW)
    stage.wrote(ago=600)
    assert stage.sweep().found == 0


def test_a_merge_request_s_branches_are_read_for_it(stage: Stage) -> None:
    stage.wrote(kind="merge_request")
    stage.sweep()
    assert stage.dispatch(stage.queue.runs[0]) is Reason.TRIGGERED
    told = stage.gitlab.triggered[0][2]["ai_flow"]["context"]["merge_request"]
    assert (told["source_branch"], told["target_branch"], told["sha"]) == ("feature", "main", "abc")


def test_a_failed_delivery_is_found_in_the_hook_s_log(stage: Stage) -> None:
    stage.gitlab.webhooks = [Hook(1, disabled=False)]
    variables = [{"key": "AI_FLOW_ID", "value": "x"}]
    attributes = {"id": 31, "source": "trigger", "status": "running", "variables": variables}
    pipeline = {"object_kind": "pipeline", "object_attributes": attributes, "project": {"id": 7}}
    bodies = [payload(), pipeline, payload(action="update")]
    stage.gitlab.failed = [b"not json", *(json.dumps(body).encode() for body in bodies)]
    assert stage.sweep().found == 1
    assert stage.queue.runs[0].event.discussion_id == NOTE.discussion_id
    assert stage.queue.tracks == []


def test_a_reply_whose_pipeline_moved_on_unheard_is_brought_up_to_date(stage: Stage) -> None:
    stage.dispatch()
    stage.gitlab.moves(1, "success")
    stage.sweep()
    assert "has finished" in stage.gitlab.replies[0]
    stage.gitlab.moves(1, "failed")
    stage.sweep()
    assert "has finished" in stage.gitlab.replies[0]


def test_a_reply_that_cannot_be_brought_up_to_date_holds_no_sweep_up(stage: Stage) -> None:
    stage.dispatch()
    stage.gitlab.faults["progress"] = [GitLabError(503)]
    stage.wrote(note_id=102)
    assert stage.sweep() == Swept(1, 0, 1, 0)


def test_a_hook_that_gitlab_switched_off_raises_an_alarm(stage: Stage) -> None:
    stage.gitlab.webhooks = [Hook(1, disabled=True), Hook(2, disabled=False)]
    assert stage.sweep().disabled_hooks == 1
    assert ("ERROR", {"reason": "hook_disabled", "project_id": 7, "hook_id": 1}) in stage.log.lines


def test_without_the_right_to_see_hooks_the_comments_are_enough(stage: Stage) -> None:
    stage.gitlab.faults["hooks"] = [GitLabError(403)]
    stage.wrote()
    assert stage.sweep() == Swept(1, 0, 1, 0)


@pytest.mark.parametrize("call", ["project", "comments"])
def test_what_could_not_be_read_is_read_by_the_next_sweep(stage: Stage, call: str) -> None:
    stage.wrote()
    stage.gitlab.faults[call] = [GitLabError(503)]
    assert stage.sweep() == Swept(projects=0, failed=1, found=0, disabled_hooks=0)
    stage.clock.time += 300
    assert stage.sweep().found == 1


def test_what_the_queue_did_not_take_is_found_by_the_next_sweep(stage: Stage) -> None:
    stage.wrote()
    stage.queue.error = RuntimeError()
    with pytest.raises(RuntimeError):
        stage.sweep()
    stage.queue.error = None
    stage.clock.time += 300
    assert stage.sweep().found == 1


def test_a_disabled_installation_sweeps_only_when_an_operator_asks(stage: Stage) -> None:
    stage.environment = {"ENABLED": "false"}
    stage.wrote()
    assert stage.sweep().found == 0
    stage.environment = {}
    stage.clock.time += 3600
    assert stage.sweep().found == 0
    assert carry_out({"since": "2026-02-01T00:00:00Z"}, stage.services, stage.queue)["found"] == 1


def test_projects_named_in_the_settings_are_swept_too(stage: Stage) -> None:
    assert store.known_projects(
        stage.services.settings, stage.services.secrets.get(), stage.records
    ) == ["7"]
    stage.environment = {"ALLOWED_PROJECTS": "group/app, other/*, 9"}
    assert store.known_projects(
        stage.services.settings, stage.services.secrets.get(), stage.records
    ) == [
        "7",
        "group/app",
        "9",
    ]
    stage.wrote()
    assert stage.sweep() == Swept(1, 0, 1, 0)


def test_a_project_no_longer_allowed_is_not_swept(stage: Stage) -> None:
    stage.environment = {"ALLOWED_PROJECTS": "other/*"}
    stage.wrote()
    assert stage.sweep().projects == 0


def test_an_operator_replays_all_or_some(stage: Stage) -> None:
    for number in (1, 2):
        stage.gitlab.faults["user"] = [GitLabError(0)]
        stage.dispatch(run(NOTE._replace(note_id=number)), last=True)
    one = run(NOTE._replace(note_id=1)).id
    assert carry_out({"replay": [one, "unknown"]}, stage.services, stage.queue) == {
        "replayed": [one]
    }
    assert len(carry_out({"replay": "all"}, stage.services, stage.queue)["replayed"]) == 1  # type: ignore[arg-type]


def test_a_since_that_is_no_time_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="isoformat"):
        carry_out({"since": "yesterday"}, stage.services, stage.queue)
