"""A pipeline that failed, as GitLab tells of it: whose repair it is, and when it is none's."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from shared.gitlab.values import GitLabError, Job, Member, Project, User
from shared.outcome.reasons import Reason, Retry
from shared.runs.request import TrackRequest
from tests.support import fakes
from tests.support.merge_request_stream import MergeRequest, commit
from tests.support.stages import Stage


class Red(Stage):
    """A stage on which the pipeline of a merge request has failed, and GitLab has told of it."""

    def __init__(self, auto: str = "fix: failed", **piped: Any) -> None:
        super().__init__(AUTO=auto)
        self.merge_request = MergeRequest(self.gitlab)
        self.receive(self.merge_request.piped(**piped))

    def repair(self, *, last: bool = False) -> Reason:
        return self.dispatch(self.queue.tracks[-1], last=last)


@pytest.fixture
def stage() -> Red:
    return Red()


def test_who_started_the_pipeline_is_who_asks_whatever_the_delivery_says() -> None:
    stage = Red(by=43)
    stage.gitlab.users[43] = User(43, "rae", bot=False, state="active")
    stage.gitlab.members[7, 43] = Member(43, 20, "active", "active", None)
    assert stage.repair() is Reason.ROLE_TOO_LOW
    assert not stage.gitlab.triggered + stage.gitlab.replies
    stage.merge_request.piped(by=42, again=True)
    assert stage.repair() is Reason.TRIGGERED


def test_a_delivery_that_invents_a_failure_starts_nothing(stage: Red) -> None:
    stage.merge_request.piped("success", again=True)
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    assert stage.dispatch(TrackRequest(7, 999, "failed", repair=True)) is Reason.NOTHING_TO_REPAIR
    stage.gitlab.projects = []
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_what_a_trigger_started_is_left_alone_whatever_the_delivery_says(stage: Red) -> None:
    number = stage.merge_request.number
    stage.gitlab.statuses[number] = stage.gitlab.statuses[number]._replace(source="trigger")
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_a_pipeline_of_the_default_branch_is_left_alone_whatever_the_delivery_says(
    stage: Red,
) -> None:
    stage.merge_request.fields["source_branch"] = "main"  # into a release's branch
    stage.merge_request.piped(again=True)
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_of_two_pipelines_of_a_head_the_latest_asks(stage: Red) -> None:
    first = stage.queue.tracks[-1]
    stage.receive(stage.merge_request.piped())
    assert stage.dispatch(first) is Reason.NOTHING_TO_REPAIR
    assert stage.repair() is Reason.TRIGGERED


def test_the_job_is_told_the_texts_as_they_are_and_when_the_pipeline_ended(stage: Red) -> None:
    stage.clock.time += 300
    labelled = stage.gitlab.described._replace(updated_at=stage.clock.time)
    stage.gitlab.described = labelled
    assert stage.repair() is Reason.TRIGGERED
    [(_, _, body)] = stage.gitlab.triggered
    assert body["ai_flow"]["context"]["merge_request"]["title"] == "It brews"
    record = stage.records.run(body["ai_flow"]["id"])
    assert record
    assert record.request.event.at == fakes.NOW


def test_of_an_older_commit_s_pipeline_that_fails_late_nothing_comes(stage: Red) -> None:
    stage.merge_request.pushed()  # and no pipeline of that is there yet
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    stage.merge_request.piped("running")
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_a_pipeline_of_merged_results_is_its_head_s_where_that_is_a_parent() -> None:
    stage = Red(kind="merge")
    sha = f"{stage.merge_request.number:040x}"
    stage.gitlab.merged[sha] = (commit(999), commit(998))
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    stage.gitlab.merged[sha] = (commit(999), commit(0))
    assert stage.repair() is Reason.TRIGGERED


def test_a_branch_with_many_merge_requests_costs_few_calls(
    stage: Red, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.merge_request.drafted()
    stage.merge_request.settle()
    stage.gitlab.of_branches = {"feature": list(range(1, 101))}
    asked = Mock(wraps=stage.gitlab.target)
    monkeypatch.setattr(stage.gitlab, "target", asked)
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    assert asked.call_count <= 5


def test_a_branch_without_a_merge_request_is_left_alone(stage: Red) -> None:
    stage.gitlab.of_branches = {}
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


@pytest.mark.parametrize("forks", ["refuse", "read-only"])
def test_a_fork_s_pipeline_starts_nothing(forks: str) -> None:
    stage = Red(kind="head")
    stage.environment["FORKS"] = forks
    stage.merge_request.fields["source_project_id"] = 8
    stage.merge_request.settle()
    assert stage.repair() is Reason.NOT_BY_POLICY
    assert stage.log.lines[-2][1]["rule"] == "forks"


def test_where_our_job_failed_beside_another_the_other_is_repaired(stage: Red) -> None:
    number = stage.merge_request.number
    ours = Job(1, "failed", "script_failure", "", "claude")
    told = stage.gitlab.statuses[number]
    stage.gitlab.statuses[number] = told._replace(jobs=(ours,))
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    stage.gitlab.statuses[number] = told._replace(jobs=(ours, *told.jobs))
    assert stage.repair() is Reason.TRIGGERED


def test_a_pipeline_that_has_no_job_for_its_configuration_is_repaired(stage: Red) -> None:
    number = stage.merge_request.number
    stage.gitlab.statuses[number] = stage.gitlab.statuses[number]._replace(jobs=())
    assert stage.repair() is Reason.TRIGGERED


def test_a_replica_that_has_not_heard_of_the_failure_is_asked_again(stage: Red) -> None:
    stage.merge_request.piped("running", again=True)
    with pytest.raises(Retry):
        stage.repair()
    stage.clock.time += 70  # by now somebody has started it again, and its next end is told
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_a_delivery_from_the_future_is_not_asked_for_without_end(stage: Red) -> None:
    told = json.loads(stage.merge_request.piped("running", again=True).body)
    told["object_attributes"] |= {"status": "failed", "finished_at": "2099-02-02 02:40:00 UTC"}
    stage.receive(fakes.delivery(told))
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_what_failed_more_than_a_day_ago_is_not_repaired_whoever_tells_of_it(stage: Red) -> None:
    stage.clock.time += 24 * 3600 + 1
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    stage.clock.time -= 2
    assert stage.repair() is Reason.TRIGGERED


def test_a_pipeline_that_fails_at_once_may_not_be_its_merge_request_s_yet(stage: Red) -> None:
    latest, stage.merge_request.pipeline = stage.merge_request.pipeline, None
    stage.merge_request.settle()
    with pytest.raises(Retry):
        stage.repair()
    stage.merge_request.pipeline = latest
    stage.merge_request.settle()
    assert stage.repair() is Reason.TRIGGERED


@pytest.mark.parametrize("call", ["progress", "open_of_branch", "target"])
@pytest.mark.parametrize("status", [403, 404])
def test_what_we_may_not_see_is_no_alarm(stage: Red, call: str, status: int) -> None:
    stage.gitlab.faults[call] = [GitLabError(status)]
    assert stage.repair(last=True) is Reason.NOTHING_TO_REPAIR
    [(severity, fields)] = stage.log.lines[1:]
    assert (severity, fields["reason"], fields["pipeline_id"]) == ("INFO", "nothing_to_repair", 501)


def test_a_pipeline_that_fails_again_is_another_message(stage: Red) -> None:
    first = stage.queue.tracks[-1]
    again = json.loads(stage.merge_request.piped(again=True).body)
    again["object_attributes"]["finished_at"] = "2026-02-02 02:50:00 UTC"
    stage.receive(fakes.delivery(again))
    assert [first.id, stage.queue.tracks[-1].id] == [
        "repair-7-501-1770000000",
        "repair-7-501-1770000600",
    ]


@pytest.mark.parametrize("call", ["project", "progress", "open_of_branch", "target"])
def test_while_gitlab_does_not_answer_it_is_asked_again(stage: Red, call: str) -> None:
    stage.gitlab.faults[call] = [GitLabError(503)]
    with pytest.raises(Retry):
        stage.repair()
    assert stage.repair() is Reason.TRIGGERED
    assert stage.repair() is Reason.DUPLICATE
    assert len(stage.gitlab.triggered) == 1


def test_what_gitlab_never_answered_is_an_alarm_and_can_be_replayed(stage: Red) -> None:
    stage.gitlab.faults["progress"] = [GitLabError(503)]
    assert stage.repair(last=True) is Reason.DEAD_LETTER
    assert stage.log.lines[-1][1]["reason"] == "dead_letter"
    assert not stage.gitlab.replies


def test_a_policy_that_was_switched_off_meanwhile_repairs_nothing(stage: Red) -> None:
    stage.environment["AUTO"] = "review: ready"
    assert stage.repair() is Reason.NOTHING_TO_REPAIR


def test_where_our_pipeline_would_be_the_branch_s_latest_nothing_is_repaired(stage: Red) -> None:
    stage.environment["PIPELINE_REF"] = "source"
    assert stage.repair() is Reason.NOTHING_TO_REPAIR
    stage.environment["RUNNER_PROJECT"] = "group/runner"
    stage.gitlab.projects.append(Project(70, "group/runner", "main", public=False))
    assert stage.repair() is Reason.TRIGGERED


def test_a_token_for_another_path_repairs_nothing(stage: Red) -> None:
    stage.tokens = fakes.tokens(json.dumps({"signing_tokens": {"group": fakes.SIGNING_TOKEN}}))
    stage.receive(stage.merge_request.piped(again=True))
    asked = stage.queue.tracks[-1]
    assert asked.bound == ("group",)
    elsewhere = asked._replace(bound=("other",))
    assert stage.dispatch(elsewhere) is Reason.TOKEN_NOT_FOR_PROJECT
    assert elsewhere.id != asked.id
    assert stage.repair() is Reason.TRIGGERED
