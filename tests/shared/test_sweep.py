import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import Cause, GitLabError, Hook, Project, SweptNote
from shared.incoming.event import Event
from shared.look import OVERLAP, QUIET
from shared.outcome.reasons import Reason
from shared.runs import projects
from shared.runs.record import ABANDONED, Record, State
from shared.runs.store import KEPT
from shared.sweep import BUDGET, ROUND, Swept, carry_out
from tests.support import stages
from tests.support.fakes import NOTE, NOW, Records, payload, run
from tests.support.merge_request_stream import MergeRequest


class Stage(stages.Stage):
    """Project 7 has been served before, and swept an hour ago."""

    def __init__(self) -> None:
        super().__init__()
        projects.add(7, self.records, NOW)
        self.sweep()
        self.clock.time += 3600

    def wrote(
        self,
        text: str = "@claude fix it",
        ago: float = 600,
        **changes: Any,
    ) -> Event:
        note = NOTE._replace(**{"texts": (text,), "discussion_id": None} | changes)
        self.gitlab.written.append(SweptNote(self.clock.time - ago, note))
        return note


def counted(gitlab: Any, method: str) -> list[object]:
    """Return the list to which each call of a method adds its first argument."""
    asked: list[object] = []
    call = getattr(gitlab, method)

    def counting(first: object, *others: object) -> object:
        asked.append(first)
        return call(first, *others)

    setattr(gitlab, method, counting)
    return asked


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
    projects.add(7, stage.records, stage.clock.time)
    stage.wrote(ago=OVERLAP + 1)
    assert stage.sweep().found == 0


def test_a_project_is_known_from_its_first_mention_on_though_nothing_started() -> None:
    stage = stages.Stage()
    stage.gitlab.members.clear()
    assert stage.dispatch() is Reason.NOT_A_MEMBER
    stage.gitlab.members = stages.Stage().gitlab.members
    stage.clock.time += 7200  # before any sweep came by
    note = NOTE._replace(note_id=102)
    stage.gitlab.written.append(SweptNote(NOW + 60, note))
    assert stage.sweep().found == 1


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


def test_a_failed_delivery_of_a_failed_pipeline_is_found_where_the_policy_repairs(
    stage: Stage,
) -> None:
    stage.gitlab.webhooks = [Hook(1, disabled=False)]
    merge_request = MergeRequest(stage.gitlab)
    stage.gitlab.failed = [merge_request.piped().body]
    assert stage.sweep().found == 0
    stage.environment["AUTO"] = "fix: failed"
    stage.clock.time += 3600
    assert stage.sweep().found == 1
    assert stage.dispatch(stage.queue.tracks[-1]) is Reason.TRIGGERED


def test_a_failed_delivery_about_another_project_is_not_believed(stage: Stage) -> None:
    stage.gitlab.webhooks = [Hook(1, disabled=False)]
    body = payload()
    body["project_id"] = body["project"]["id"] = 8
    stage.gitlab.failed = [json.dumps(body).encode()]
    assert stage.sweep().found == 0
    assert stage.queue.runs == []


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


def test_projects_named_in_the_settings_are_swept_though_nobody_spoke_to_us() -> None:
    environment = {"ALLOWED_PROJECTS": "group/app, group/gone, other/*, 9"}
    stage = stages.Stage(**environment)
    asked = counted(stage.gitlab, "project")
    assert stage.sweep() == Swept(1, 0, 0, 0)
    assert asked == ["group/app", "group/gone", "7", "9"]
    stage.clock.time += 300
    stage.gitlab.written.append(SweptNote(stage.clock.time - 100, NOTE))
    assert stage.sweep() == Swept(1, 0, 1, 0)
    assert asked[4:] == ["7"]


class Slow(Stage):
    """Many projects, each call of GitLab's takes a tenth of a second."""

    def __init__(self, number: int) -> None:
        stages.Stage.__init__(self)
        self.gitlab.projects = [
            Project(each, f"group/{each}", "main", public=False) for each in range(1, number + 1)
        ]
        for project in self.gitlab.projects:
            projects.add(project.id, self.records, NOW)
        self.calls = 0
        for method in (*LISTS, "project", "hooks"):
            self._slow(method)

    def _slow(self, method: str) -> None:
        call = getattr(self.gitlab, method)

        def slowly(*arguments: object) -> object:
            self.clock.time += 0.1
            self.calls += 1
            return call(*arguments)

        setattr(self.gitlab, method, slowly)


LISTS = ("comments", "active_projects", "newest_pipelines")


def test_a_sweep_ends_in_time_and_the_next_ones_go_on() -> None:
    stage = Slow(600)
    for project in stage.gitlab.projects:
        stage.wrote(ago=-100, project_id=project.id, note_id=project.id)
    stage.clock.time += 300
    for _ in range(3):
        began = stage.clock.time
        assert stage.sweep().left > 250
        assert stage.clock.time - began < BUDGET + 1
        stage.clock.time = began + 300
    assert len({asked.id for asked in stage.queue.runs}) == 600


def test_a_sweep_that_is_killed_is_gone_on_with() -> None:
    stage = Slow(300)
    call, seen = stage.gitlab.comments, []

    def killed(project: Project, since: float) -> Any:
        seen.append(project.id)
        if len(seen) == 100:
            raise KeyboardInterrupt
        return call(project, since)

    stage.gitlab.comments = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stage.sweep()
    stage.sweep()
    assert len(set(seen)) == 300


def test_the_busy_do_not_starve_those_unseen_for_a_day_nor_these_the_busy() -> None:
    stage = Slow(500)
    for _ in range(3):
        stage.sweep()
        stage.clock.time += 300
    stage.clock.time += ROUND
    for project in stage.gitlab.projects[:250]:
        stage.wrote(ago=100, project_id=project.id, note_id=project.id)
    asked = counted(stage.gitlab, "comments")
    swept = stage.sweep()
    busy = sum(project.id <= 250 for project in asked)  # type: ignore[attr-defined]
    assert (busy, swept.found) == (swept.found, busy)
    assert busy > 60
    assert len(asked) - busy > 60


def test_without_news_a_sweep_is_one_call_and_a_day_of_them_below_a_thousand() -> None:
    stage = Slow(100)
    stage.gitlab.webhooks = [Hook(1, disabled=False)]
    stage.sweep()
    stage.clock.time = NOW + 300
    stage.calls = 0
    stage.sweep()
    assert stage.calls == 1
    for number in range(1, 288):
        stage.clock.time = NOW + 300 + number * 300
        stage.sweep()
    assert 288 < stage.calls + 2 * 100 < 1000  # each hook is asked for failed deliveries twice


def test_of_few_projects_each_is_seen_every_hour() -> None:
    stage = Slow(4)
    stage.sweep()
    stage.clock.time += 3700
    assert stage.sweep().projects == 4


def test_what_one_project_has_wrong_with_it_keeps_nobody_from_the_others(stage: Stage) -> None:
    stage.gitlab.projects = [*stage.gitlab.projects, Project(8, "group/b", "main", public=False)]
    projects.add(8, stage.records, NOW)
    stage.wrote(project_id=8, note_id=102)
    read = stage.gitlab.comments

    def broken(project: Project, since: float) -> Any:
        if project.id == 7:
            raise KeyError("id")
        return read(project, since)

    stage.gitlab.comments = broken  # type: ignore[method-assign]
    stage.wrote()
    assert stage.sweep() == Swept(projects=1, failed=1, found=1, disabled_hooks=0)
    line = {"reason": "defect", "error": "KeyError", "status": 0, "project_id": 7}
    assert ("ERROR", line) in stage.log.lines
    stage.gitlab.comments = read  # type: ignore[method-assign]
    stage.queue.runs.clear()
    stage.gitlab.active_projects = lambda since: iter(())  # type: ignore[method-assign]  # noqa: ARG005
    stage.sweep()
    assert [asked.event.project_id for asked in stage.queue.runs] == [7]


def test_a_list_of_the_active_that_gitlab_does_not_give_is_read_by_the_next_sweep(
    stage: Stage,
) -> None:
    stage.sweep()
    stage.clock.time += 300
    stage.wrote(ago=100)
    stage.gitlab.faults["active_projects"] = [GitLabError(502)]
    assert stage.sweep() == Swept(projects=0, failed=1, found=0, disabled_hooks=0)
    stage.clock.time += 300
    assert stage.sweep().found == 1


def test_where_gitlab_is_out_of_order_a_sweep_leaves_it_alone() -> None:
    stage = Slow(50)
    stage.gitlab.faults["comments"] = [GitLabError(429)] * 50
    swept = stage.sweep()
    assert (swept.failed, swept.left) == (5, 45)
    stage.gitlab.faults.clear()
    assert stage.sweep().projects == 50


def test_projects_out_of_our_reach_end_no_sweep() -> None:
    stage = Slow(50)
    stage.gitlab.faults["comments"] = [GitLabError(403)] * 40
    assert stage.sweep() == Swept(projects=10, failed=40, found=0, disabled_hooks=0)


def test_a_comment_that_gitlab_s_list_is_an_hour_late_with_is_found(stage: Stage) -> None:
    stage.gitlab.active_projects = lambda since: iter([(7, since + 800)])  # type: ignore[method-assign]
    stage.sweep()
    stage.clock.time += 300
    stage.wrote(ago=100)
    assert stage.sweep().found == 1


def test_what_an_operator_asks_for_is_gone_on_with_by_the_sweeps_that_follow() -> None:
    stage = Slow(600)
    for _ in range(4):
        stage.sweep()
        stage.clock.time += 300
    for project in stage.gitlab.projects:
        stage.wrote(ago=7200 - 1300, project_id=project.id, note_id=project.id)
    stage.gitlab.active_projects = lambda since: iter(())  # type: ignore[method-assign]  # noqa: ARG005
    swept = stage.sweep(since=stage.clock.time - 7200)
    found = swept.found
    assert swept.left == 600 - found > 0
    for _ in range(3):
        stage.clock.time += 300
        found += stage.sweep().found
    assert found == 600


def test_a_project_no_longer_allowed_is_not_swept(stage: Stage) -> None:
    stage.environment = {"ALLOWED_PROJECTS": "other/*"}
    stage.wrote()
    assert stage.sweep().projects == 0


def test_an_operator_asks_whether_gitlab_is_reached(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert carry_out({"look": True}, stage.services, stage.queue) == {"gitlab": "answers"}
    assert "looked" not in str(stage.log.lines)
    carry_out({"look": "5ign"}, stage.services, stage.queue)
    told = ("INFO", {"reason": "looked", "look": "5ign", "gitlab": "answers"})
    assert told in stage.log.lines
    errors = iter([GitLabError(0, cause=Cause.TLS), GitLabError(302, "a canary")])

    def fail(_: object) -> int:
        raise next(errors)

    monkeypatch.setattr(type(stage.services.gitlab), "own_id", fail)
    for words in (str(Cause.TLS), "GitLab answered 302"):
        assert carry_out({"look": True}, stage.services, stage.queue) == {"gitlab": words}


@pytest.mark.parametrize(("days", "told"), [(30, False), (15, False), (14, True), (0, True)])
def test_a_token_that_expires_soon_is_warned_of_once_a_day(
    stage: Stage, days: int, told: bool
) -> None:
    asked = []
    stage.gitlab.token_ends = lambda: asked.append(1) or ends  # type: ignore[func-returns-value,method-assign]
    for day in range(2):
        stage.clock.time += 86400
        today = datetime.fromtimestamp(stage.clock.time, UTC).date()
        ends = (today + timedelta(days=days)).isoformat()
        stage.log.lines.clear()
        for _ in range(3):
            stage.sweep()
        said = [line for line in stage.log.lines if line[1]["reason"] == "token_expires"]
        text = f"the API token expires on {ends}, in {days} days"
        warning = ("WARNING", {"reason": "token_expires", "error": text})
        assert said == [warning] * told
        assert len(asked) == day + 1


def test_a_token_that_may_not_be_asked_about_is_no_warning(stage: Stage) -> None:
    for day in range(3):
        stage.clock.time += 86400
        stage.gitlab.faults["token_ends"] = [GitLabError(403)]
        for _ in range(2):
            stage.sweep()
        lines = [line for line in stage.log.lines if line[1].get("error") == "token"]
        assert len(lines) == 1, day
        assert lines[0][0] == "DEBUG"
    stage.clock.time += 86400
    stage.gitlab.until = "some day"
    stage.gitlab.faults["token_ends"] = [GitLabError(502)]
    for _ in range(2):
        stage.sweep()
    assert not [line for line in stage.log.lines if line[1]["reason"] == "token_expires"]
    stage.clock.time += 86400
    stage.gitlab.until = "2020-01-01"
    stage.sweep()
    assert [line for line in stage.log.lines if line[1]["reason"] == "token_expires"]


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
