import pytest

from shared.gitlab.values import GitLabError, Member, Project, User
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import LEASE
from shared.runs.store import dead_letters
from tests.support.fakes import NOTE, run
from tests.support.stages import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_claimed_path_is_held_against_gitlab_s_own(stage: Stage) -> None:
    assert stage.dispatch(run()._replace(bound=("group",))) is Reason.TRIGGERED


@pytest.mark.parametrize("seen", [True, False])
def test_a_path_that_was_a_lie_starts_nothing_and_leaves_the_run_to_the_true_one(
    stage: Stage, seen: bool
) -> None:
    if not seen:
        stage.gitlab.projects.clear()
    assert stage.dispatch(run()._replace(bound=("mallorys",))) is Reason.TOKEN_NOT_FOR_PROJECT
    assert not stage.gitlab.awards + stage.gitlab.replies + stage.gitlab.triggered
    severity, fields = stage.log.lines[-1]
    assert (severity, fields["reason"]) == ("WARNING", "token_not_for_project")
    assert stage.record().until == 0  # so that a sweep takes it for missed, and not for under way
    stage.gitlab.projects = [Project(7, "group/app", "main", public=False)]
    assert stage.dispatch() is Reason.TRIGGERED


@pytest.mark.parametrize("path", ["team/app", "group/app"])
def test_a_project_is_served_by_gitlab_s_path_not_by_the_delivery_s(path: str) -> None:
    stage = Stage(ALLOWED_PROJECTS="team/*", RUNNER_PROJECT="team/claude-runner")
    runner = Project(70, "team/claude-runner", "trunk", public=False)
    stage.gitlab.projects = [Project(7, path, "main", public=False), runner]
    served = path == "team/app"
    reason = Reason.TRIGGERED if served else Reason.PROJECT_NOT_ALLOWED
    assert stage.dispatch(run(NOTE._replace(project_path="team/app"))) is reason
    assert len(stage.gitlab.triggered) == len(stage.gitlab.replies) == served


def test_a_lie_leaves_a_run_that_is_under_way_as_it_was(stage: Stage) -> None:
    stage.gitlab.faults["reply"] = [GitLabError(503)]
    stage.retried()
    before = stage.record()
    stage.clock.time += LEASE
    forged = run(NOTE._replace(author="mallory"))._replace(bound=("mallorys",))
    assert stage.dispatch(forged) is Reason.TOKEN_NOT_FOR_PROJECT
    assert stage.record() == before
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_while_gitlab_cannot_be_asked_for_the_path_the_request_waits(stage: Stage) -> None:
    stage.gitlab.faults["project"] = [GitLabError(503)]
    asked = run()._replace(bound=("group",))
    with pytest.raises(Retry):
        stage.dispatch(asked)
    stage.clock.time += LEASE
    assert stage.dispatch(asked) is Reason.TRIGGERED


def test_a_project_that_is_not_shown_to_us_starts_nothing_and_is_told_to_the_operator(
    stage: Stage,
) -> None:
    stage.gitlab.faults["member"] = [GitLabError(404, "404 Project Not Found")] * 3
    assert stage.retried().reason is Reason.GITLAB_UNAVAILABLE  # a replica may be late
    stage.clock.time += 2 * LEASE
    assert stage.dispatch() is Reason.PROJECT_NOT_SEEN
    assert stage.dispatch(last=True) is Reason.PROJECT_NOT_SEEN
    severity, fields = stage.log.lines[-1]
    assert (severity, fields["reason"]) == ("WARNING", "project_not_seen")
    assert stage.gitlab.replies == stage.gitlab.awards == stage.gitlab.triggered == []
    assert dead_letters(stage.records) == []
    assert stage.dispatch() is Reason.TRIGGERED  # once somebody has made us a member


def test_we_never_ask_ourselves(stage: Stage) -> None:
    stage.gitlab.users[99] = User(99, "claude", bot=True, state="active")
    stage.gitlab.members[7, 99] = Member(99, 40, "active", "active", None)
    stage.environment = {"ALLOWED_BOTS": "claude"}
    assert stage.dispatch(run(NOTE._replace(author_id=99))) is Reason.BOT_AUTHOR


def test_the_installation_sets_the_minimum_role(stage: Stage) -> None:
    stage.environment = {"MINIMUM_ROLE": "maintainer"}
    assert stage.dispatch() is Reason.ROLE_TOO_LOW


def test_a_bot_gets_no_answer_at_all(stage: Stage) -> None:
    stage.gitlab.users[42] = User(42, "helper", bot=True, state="active")
    assert stage.dispatch() is Reason.BOT_AUTHOR
    assert not stage.gitlab.replies + stage.gitlab.awards + stage.gitlab.triggered


def test_a_named_bot_may_ask(stage: Stage) -> None:
    stage.gitlab.users[42] = User(42, "Renovate", bot=True, state="active")
    stage.environment = {"ALLOWED_BOTS": "renovate"}
    assert stage.dispatch() is Reason.TRIGGERED


@pytest.mark.parametrize("call", ["user", "member"])
@pytest.mark.parametrize("status", [0, 401, 403, 404, 429, 500])
def test_without_an_answer_about_the_author_nothing_starts(
    stage: Stage, call: str, status: int
) -> None:
    stage.gitlab.faults[call] = [GitLabError(status)]
    stage.retried()
    assert not stage.gitlab.triggered + stage.gitlab.replies
    assert stage.dispatch() is Reason.TRIGGERED


def test_the_author_is_asked_for_at_every_attempt(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429)]
    stage.retried()
    stage.gitlab.members.clear()
    assert stage.dispatch() is Reason.NOT_A_MEMBER
    assert stage.gitlab.triggered == []


@pytest.mark.parametrize("public", [True, False])
def test_a_stranger_costs_gitlab_nothing_for_ten_minutes(stage: Stage, public: bool) -> None:
    stage.gitlab.members.clear()
    asked = [run(NOTE._replace(note_id=number, public=public)) for number in range(1, 62)]
    assert stage.dispatch(asked[0]) is Reason.NOT_A_MEMBER
    stage.gitlab.faults = {
        method: [AssertionError(method)]
        for method in ("user", "member", "own_id", "note", "project", "award", "reply", "replied")
    }
    assert {stage.dispatch(each) for each in asked[1:]} == {Reason.KNOWN_STRANGER}
    stage.gitlab.faults.clear()
    stage.gitlab.members[7, 42] = Member(42, 30, "active", "active", None)
    stage.clock.time += 600
    assert stage.dispatch(run(NOTE._replace(note_id=99))) is Reason.TRIGGERED
