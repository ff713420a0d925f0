import pytest

from shared.gitlab.values import GitLabError
from shared.incoming.event import Event
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import LEASE, Lease, State
from tests.support.fakes import run
from tests.support.stages import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("status", [0, 403, 404, 500])
def test_a_run_goes_on_without_its_reaction(stage: Stage, status: int) -> None:
    stage.gitlab.faults["award"] = [GitLabError(status)]
    assert stage.dispatch() is Reason.TRIGGERED


def test_a_reply_that_fails_is_tried_again_without_a_second_pipeline(stage: Stage) -> None:
    stage.gitlab.faults["reply"] = [GitLabError(503)]
    stage.retried()
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == len(stage.gitlab.replies) == 1


def test_a_reply_that_may_have_arrived_is_looked_for_first(stage: Stage) -> None:
    reply = stage.gitlab.reply

    def arrives_unheard(note: Event, body: str) -> int:
        reply(note, body)
        raise GitLabError(0, unsure=True)

    stage.gitlab.reply = arrives_unheard  # type: ignore[method-assign,assignment]
    stage.retried()
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.replies) == 1


@pytest.mark.parametrize(
    ("status", "severity", "reason"),
    [
        (400, "ERROR", "gitlab_refused"),
        (403, "ERROR", "gitlab_refused"),
        (404, "INFO", "thread_gone"),
    ],
)
def test_a_thread_that_takes_no_reply_does_not_hold_the_run(
    stage: Stage, status: int, severity: str, reason: str
) -> None:
    stage.gitlab.faults["reply"] = [GitLabError(status)]
    assert stage.dispatch() is Reason.TRIGGERED
    assert stage.record().state is State.FINISHED
    [told] = [line for line in stage.log.lines if line[1].get("status") == status]
    assert (told[0], told[1]["reason"]) == (severity, reason)


def test_who_lost_the_lease_says_nothing(stage: Stage) -> None:
    lease = Lease(run(), stage.records, stage.clock)
    lease.check()
    stage.clock.time += LEASE
    Lease(run(), stage.records, stage.clock)
    with pytest.raises(Retry) as retry:
        lease.check()
    assert retry.value.reason is Reason.BUSY
