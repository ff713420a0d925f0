"""The trigger call: with and without variables, its token, and runner projects."""

from typing import Any

import pytest

from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError, Project
from shared.installation.secrets import MIN_AGE, Cached, GitLabSecrets, Secret
from shared.outcome.reasons import Reason
from shared.runs import projects, store
from shared.runs.record import LEASE, SETTLE
from shared.runs.request import TrackRequest
from tests.support.fakes import GITLAB_SECRETS, NOW, TRIGGER_TOKEN, run
from tests.support.stages import Stage

FORBIDDEN = GitLabError(400, "{'base': ['Insufficient permissions to set pipeline variables']}")
EMPTY = GitLabError(400, "The resulting pipeline would have been empty.")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_where_variables_are_forbidden_the_call_is_repeated_without_them(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [FORBIDDEN]
    assert stage.dispatch() is Reason.TRIGGERED
    [(_, _, body)] = stage.gitlab.triggered
    assert set(body) == {"ref", "ai_flow"}


def test_a_job_that_needs_variables_where_they_are_forbidden_is_explained(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [FORBIDDEN, EMPTY]
    assert stage.dispatch() is Reason.VARIABLES_FORBIDDEN
    assert "no job of it runs without them. Include the claude component, or" in stage.reply


def test_any_other_refusal_of_the_repeated_call_is_told_as_it_is(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [FORBIDDEN, GitLabError(422, "jobs config")]
    assert stage.dispatch() is Reason.CI_CONFIG_INVALID


def test_a_project_without_a_trigger_token_is_told_so(stage: Stage) -> None:
    asked = run()
    here = stage.services
    only = here.secrets.get()._replace(trigger_tokens={})
    here.secrets.get = lambda **_: only  # type: ignore[method-assign]
    assert dispatch(asked, here) is Reason.TRIGGER_TOKEN_MISSING


def test_a_trigger_token_rotated_in_the_store_is_read_when_gitlab_rejects_the_old_one(
    stage: Stage,
) -> None:
    documents = [GITLAB_SECRETS.replace("glptt-", "glptt-old-"), GITLAB_SECRETS]
    here = stage.services
    here = here._replace(secrets=Cached(lambda: documents.pop(0), GitLabSecrets.parse, stage.clock))
    here.secrets.get()
    stage.clock.time += MIN_AGE
    stage.gitlab.faults["trigger"] = [GitLabError(404)]
    assert dispatch(run(), here) is Reason.TRIGGERED
    assert [token for _, token, _ in stage.gitlab.triggered] == [TRIGGER_TOKEN]


RUNNER = Project(70, "group/claude-runner", "trunk", public=False)


@pytest.fixture
def elsewhere() -> Stage:
    """An installation whose jobs run in a project of their own, which alone has a trigger token."""
    stage = Stage(RUNNER_PROJECT="group/* = group/claude-runner", ALLOWED_PROJECTS="group/app")
    stage.gitlab.projects.append(RUNNER)
    return stage


def test_a_runner_project_has_the_pipeline_and_is_told_for_whom(elsewhere: Stage) -> None:
    assert elsewhere.dispatch() is Reason.TRIGGERED
    [(project_id, _, body)] = elsewhere.gitlab.triggered
    assert (project_id, body["ref"]) == (70, "trunk")
    assert body["variables"]["AI_FLOW_PROJECT_ID"] == "7"
    assert body["variables"]["AI_FLOW_THREAD"] == "7-issue-5"
    assert body["ai_flow"]["context"]["project"]["id"] == 7
    assert (elsewhere.record().runs_in, elsewhere.record().home) == (70, 70)
    assert list(store.live_pipelines(70, elsewhere.records)) == [1]
    assert not store.live_pipelines(7, elsewhere.records)


def test_who_asked_is_shown_no_address_of_the_runner_project(elsewhere: Stage) -> None:
    elsewhere.dispatch()
    assert "pipeline 1 " in elsewhere.reply
    elsewhere.gitlab.moves(1, "running")
    assert elsewhere.dispatch(TrackRequest(70, 1, "running")) is Reason.TRACKED
    elsewhere.gitlab.moves(1, "failed", "script_failure")
    assert elsewhere.dispatch(TrackRequest(70, 1, "failed")) is Reason.TRACKED
    assert "script failed" in elsewhere.reply
    assert elsewhere.gitlab.awards == ["x"]
    assert "http" not in elsewhere.reply
    assert not store.live_pipelines(70, elsewhere.records)


def test_a_call_whose_end_is_not_known_is_looked_for_where_it_went(elsewhere: Stage) -> None:
    elsewhere.gitlab.faults["trigger"] = [GitLabError(0, "acted", unsure=True)]
    elsewhere.retried()
    found, find = [], elsewhere.gitlab.find_pipeline

    def noted(project_id: int, mark: str, since: float) -> object:
        found.append(project_id)
        return find(project_id, mark, since)

    elsewhere.gitlab.find_pipeline = noted  # type: ignore[method-assign,assignment]
    del elsewhere.environment["RUNNER_PROJECT"]  # the way back meanwhile
    elsewhere.clock.time += SETTLE + LEASE
    assert elsewhere.dispatch() is Reason.TRIGGERED
    assert (found, len(elsewhere.gitlab.triggered)) == ([70], 1)
    assert elsewhere.record().runs_in == 70
    assert "http" not in elsewhere.reply


def test_the_sweep_looks_in_the_runner_project_once_for_however_many(elsewhere: Stage) -> None:
    elsewhere.dispatch()
    elsewhere.gitlab.moves(1, "success")
    asked: list[int] = []
    newest = elsewhere.gitlab.newest_pipelines

    def noted(project_id: int) -> object:
        asked.append(project_id)
        return newest(project_id)

    elsewhere.gitlab.newest_pipelines = noted  # type: ignore[method-assign,assignment]
    del elsewhere.environment["RUNNER_PROJECT"]  # what is under way is not lost on the way back
    elsewhere.sweep()
    assert asked == [70]
    assert "has finished" in elsewhere.reply


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        (None, Reason.RUNNER_NOT_SEEN),
        (RUNNER._replace(public=True), Reason.RUNNER_NOT_PRIVATE),
        (RUNNER._replace(id=7), Reason.RUNNER_ASKS),
        (RUNNER._replace(default_branch=""), Reason.REPOSITORY_EMPTY),
    ],
)
def test_a_runner_project_that_cannot_serve_starts_nothing(
    project: Project | None, reason: Reason
) -> None:
    stage = Stage(RUNNER_PROJECT="group/claude-runner")
    stage.gitlab.projects += [project] if project else []
    assert stage.dispatch() is reason
    assert not stage.gitlab.triggered
    assert reason is Reason.RUNNER_ASKS or reason.cure in stage.reply


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (GitLabError(404, "404 Not Found"), Reason.TRIGGER_TOKEN_REJECTED),
        (EMPTY, Reason.NO_JOB),
        (FORBIDDEN, Reason.VARIABLES_FORBIDDEN),
    ],
)
def test_what_the_runner_project_refuses_with_is_told_as_its_own(
    elsewhere: Stage, refusal: GitLabError, reason: Reason
) -> None:
    elsewhere.gitlab.faults["trigger"] = [refusal]
    assert elsewhere.dispatch() is reason
    assert not elsewhere.gitlab.triggered  # without variables no job would hold a token
    assert "(RUNNER_PROJECT)" in elsewhere.reply
    assert "claude-runner" not in elsewhere.reply


def test_both_ways_stand_side_by_side() -> None:
    stage = Stage(RUNNER_PROJECT="other/* = group/claude-runner")
    assert stage.dispatch() is Reason.TRIGGERED
    assert stage.gitlab.triggered[0][0] == 7
    assert "AI_FLOW_PROJECT_ID" not in stage.gitlab.triggered[0][2]["variables"]
    assert "home" not in str(stage.records.stored[stage.record().key])


def test_a_thousand_asking_projects_cost_the_sweep_one_list(elsewhere: Stage) -> None:
    for number in range(1, 1001):
        asked = run()._replace(id=f"{number:032x}")
        asked = asked._replace(event=asked.event._replace(project_id=1000 + number))
        elsewhere.gitlab.moves(number, "running")
        store.add_pipeline(asked, 70, number, elsewhere.records, NOW)
        told = store.Followed(asked.id, "running", "running", ours=True)
        store.follow(70, number, told, elsewhere.records, NOW)
    projects.add(70, elsewhere.records, NOW, live=True)
    calls: list[str] = []
    newest, meet = elsewhere.gitlab.newest_pipelines, elsewhere.gitlab._meet

    def listed(project_id: int) -> Any:
        calls.append(f"list {project_id}")
        return newest(project_id)

    def met(method: str) -> None:
        calls.append(method)
        meet(method)

    elsewhere.gitlab.newest_pipelines, elsewhere.gitlab._meet = listed, met  # type: ignore[method-assign]
    elsewhere.sweep()
    assert calls.count("list 70") == 1
    assert "progress" not in calls
    assert len(calls) < 10


@pytest.mark.parametrize("number", [1, 1000])
def test_a_pipeline_s_event_costs_the_same_however_many_projects_ask(
    elsewhere: Stage, number: int
) -> None:
    elsewhere.dispatch()
    for other in range(2, number + 1):
        asked = run()._replace(id=f"{other:032x}")
        asked = asked._replace(event=asked.event._replace(project_id=1000 + other))
        store.add_pipeline(asked, 70, other, elsewhere.records, NOW)
    elsewhere.gitlab.moves(1, "success")
    calls: list[str] = []
    meet = elsewhere.gitlab._meet

    def met(method: str) -> None:
        calls.append(method)
        meet(method)

    elsewhere.gitlab._meet = met  # type: ignore[method-assign]
    assert elsewhere.dispatch(TrackRequest(70, 1, "success")) is Reason.TRACKED
    assert calls == ["progress", "read_reply", "edit_reply", "award", "withdraw"]


def test_a_runner_project_without_a_trigger_token_is_told_as_its_own(elsewhere: Stage) -> None:
    here = elsewhere.services
    only = here.secrets.get()._replace(trigger_tokens={"7": Secret("glptt-of-app")})
    here.secrets.get = lambda **_: only  # type: ignore[method-assign]
    assert dispatch(run(), here) is Reason.TRIGGER_TOKEN_MISSING
    assert "(RUNNER_PROJECT)" in elsewhere.reply
    assert not elsewhere.gitlab.triggered
