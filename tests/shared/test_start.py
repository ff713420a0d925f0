import pytest

from shared.gitlab.values import GitLabError, Member
from shared.outcome.reasons import Reason
from tests.support.fakes import NOTE, run
from tests.support.stages import Stage

EMPTY = GitLabError(400, "The resulting pipeline would have been empty.")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_member_is_told_by_role_at_the_time_of_the_run(stage: Stage) -> None:
    stage.gitlab.members[7, 42] = Member(42, 40, "active", "active", None)
    stage.dispatch()
    assert stage.gitlab.triggered[0][2]["ai_flow"]["context"]["author"]["access_level"] == 40


def test_runs_that_gitlab_refuses_to_start_leave_the_day_to_others(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_DAY": "2"}
    stage.gitlab.faults["trigger"] = [EMPTY] * 10
    for number in range(10):
        asked = run(NOTE._replace(note_id=200 + number, iid=300 + number))
        assert stage.dispatch(asked) is Reason.NO_JOB
    assert stage.dispatch() is Reason.TRIGGERED
