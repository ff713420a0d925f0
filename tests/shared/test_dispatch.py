from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError, Job, Member, Progress, User
from shared.incoming.event import Branches
from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from shared.runs.record import LEASE, SETTLE, Record, State
from shared.sweep import carry_out
from tests.support.fakes import NOTE, NOW, TRIGGER_TOKEN, run
from tests.support.stages import Stage

FORBIDDEN = GitLabError(400, "{'base': ['Insufficient permissions to set pipeline variables']}")
EMPTY = GitLabError(400, "The resulting pipeline would have been empty.")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_mention_becomes_a_pipeline_with_eyes_and_a_reply(stage: Stage) -> None:
    assert stage.dispatch() is Reason.TRIGGERED
    assert stage.gitlab.awards == ["eyes"]
    [(project_id, token, body)] = stage.gitlab.triggered
    assert (project_id, token) == (7, TRIGGER_TOKEN)
    assert body["ai_flow"]["input"] == "fix it"
    assert "token" not in body
    [reply] = stage.gitlab.replies
    assert "[pipeline 1](https://gitlab.com/group/app/-/pipelines/1)" in reply
    assert stage.record().state is State.FINISHED
    assert stage.log.lines[-1][1]["pipeline_id"] == 1


def test_a_second_delivery_of_the_mention_starts_nothing(stage: Stage) -> None:
    stage.dispatch()
    stage.clock.time += LEASE * 10
    assert stage.dispatch() is Reason.DUPLICATE
    assert len(stage.gitlab.triggered) == len(stage.gitlab.replies) == 1


def test_while_one_attempt_runs_another_waits(stage: Stage) -> None:
    waits: list[float] = []
    stage.gitlab.award = lambda *_: waits.append(stage.retried().after)  # type: ignore[method-assign,assignment]
    assert stage.dispatch() is Reason.TRIGGERED
    assert waits == [LEASE]
    assert len(stage.gitlab.triggered) == 1


def test_of_two_attempts_that_claim_at_once_one_wins(stage: Stage) -> None:
    def meanwhile(_: Record) -> None:
        stage.records.before_write = lambda _: None
        stage.dispatch()

    stage.records.before_write = meanwhile
    assert stage.dispatch() is Reason.DUPLICATE  # the other has been all through
    assert len(stage.gitlab.triggered) == 1


def test_a_refusal_by_gitlab_is_told_once_and_for_good(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [EMPTY]
    assert stage.dispatch() is Reason.NO_JOB
    [reply] = stage.gitlab.replies
    assert reply.startswith("Claude did not start. No job of the project matches")
    assert stage.record().reason == "no_job"
    assert stage.dispatch() is Reason.DUPLICATE
    assert stage.log.lines[0][0] == "ERROR"


def test_a_stranger_is_told_why_and_gets_no_eyes(stage: Stage) -> None:
    stage.gitlab.members.clear()
    assert stage.dispatch() is Reason.NOT_A_MEMBER
    assert not stage.gitlab.awards + stage.gitlab.triggered
    assert "Only members" in stage.gitlab.replies[0]


def test_a_stranger_on_a_public_project_gets_a_reaction_only(stage: Stage) -> None:
    stage.gitlab.members.clear()
    assert stage.dispatch(run(NOTE._replace(public=True))) is Reason.NOT_A_MEMBER
    assert stage.gitlab.awards == ["no_entry_sign"]
    assert stage.gitlab.replies == []


def test_a_retired_model_is_told_before_a_pipeline_fails_on_it(stage: Stage) -> None:
    stage.environment = {
        "MODEL_PROVIDER": "vertex",
        "MODEL_REGION": "global",
        "MODEL": "claude-sonnet-4-5@20250929",
    }
    assert stage.dispatch() is Reason.TRIGGERED
    stage.clock.time += 365 * 24 * 3600
    later = NOTE._replace(note_id=102, at=stage.clock.time)
    assert stage.dispatch(run(later)) is Reason.MODEL_RETIRED
    assert len(stage.gitlab.triggered) == 1


def test_a_fork_s_merge_request_is_refused_in_the_thread(stage: Stage) -> None:
    note = NOTE._replace(kind="merge_request", branches=Branches("main", "main", 8, "abc"))
    assert stage.dispatch(run(note)) is Reason.FORK_MERGE_REQUEST
    assert stage.gitlab.triggered == []
    assert len(stage.gitlab.replies) == 1


def test_where_forks_are_read_only_members_ask_there() -> None:
    note = NOTE._replace(kind="merge_request", branches=Branches("main", "main", 8, "abc"))
    stage = Stage(FORKS="read-only")
    stage.gitlab.members.clear()
    assert stage.dispatch(run(note)) is Reason.NOT_A_MEMBER
    stage = Stage(FORKS="read-only")
    stage.gitlab.text = "@claude review"
    assert stage.dispatch(run(note, "review")) is Reason.TRIGGERED


def test_where_forks_are_read_an_order_to_fix_starts_nothing_and_hears_why() -> None:
    note = NOTE._replace(kind="merge_request", branches=Branches("main", "main", 8, "abc"))
    stage = Stage(FORKS="read-only")
    assert stage.dispatch(run(note, "fix it")) is Reason.FORK_READ_ONLY
    assert stage.gitlab.triggered == []
    assert "Claude only reads merge requests from forks and changes nothing there." in stage.reply


def test_a_trigger_call_keeps_the_lease_until_gitlab_has_settled(stage: Stage) -> None:
    def slow(*_: object) -> None:
        stage.clock.time += LEASE - 1

    def killed(*_: object) -> None:
        raise Killed

    stage.gitlab.award, stage.gitlab.trigger = slow, killed  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        stage.dispatch()
    stage.clock.time += 2
    assert stage.retried().reason is Reason.BUSY
    assert stage.record().until == stage.record().since + SETTLE


def test_a_failing_call_is_tried_again_when_gitlab_says(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429, after=30)]
    assert stage.retried().after == 30
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.replies) == 1


def test_a_call_that_may_have_reached_gitlab_is_not_repeated_before_gitlab_has_settled(
    stage: Stage,
) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(0, "acted", unsure=True)]
    assert stage.retried().after == SETTLE
    assert stage.retried().reason is Reason.BUSY
    stage.clock.time += SETTLE
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1
    assert "pipeline 1" in stage.gitlab.replies[0]


def test_a_call_that_never_reached_gitlab_is_repeated(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(0, unsure=True)]
    stage.retried()
    stage.clock.time += SETTLE
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_what_gitlab_did_stays_unknown_until_it_answers(stage: Stage) -> None:
    stage.gitlab.faults = {
        "trigger": [GitLabError(0, "acted", unsure=True)],
        "find_pipeline": [GitLabError(500)],
    }
    stage.retried()
    stage.clock.time += SETTLE
    stage.retried()
    stage.clock.time += SETTLE
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


class Killed(BaseException):
    """The process ends here."""


def killing(when: Callable[[Record], bool]) -> Callable[[Record], None]:
    def kill(record: Record) -> None:
        if when(record):
            raise Killed

    return kill


@pytest.mark.parametrize(
    "state", [State.CLAIMED, State.TRIGGERING, State.TRIGGERED, State.FINISHED]
)
def test_killed_before_any_write_the_run_still_ends_in_one_pipeline(
    stage: Stage, state: State
) -> None:
    stage.records.before_write = killing(lambda record: record.state is state)
    with pytest.raises(Killed):
        stage.dispatch()
    stage.records.before_write = lambda _: None
    stage.clock.time += LEASE
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == len(stage.gitlab.replies) == 1


@pytest.mark.parametrize("call", ["user", "member", "award", "trigger", "reply"])
def test_killed_at_any_call_the_run_still_ends_in_one_pipeline(stage: Stage, call: str) -> None:
    stage.gitlab.faults[call] = [Killed()]  # type: ignore[list-item]
    with pytest.raises(Killed):
        stage.dispatch()
    stage.clock.time += LEASE
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == len(stage.gitlab.replies) == 1


def test_a_refusal_that_cannot_be_told_now_is_tried_again(stage: Stage) -> None:
    stage.gitlab.members.clear()
    stage.gitlab.faults["reply"] = [GitLabError(503)]
    assert stage.retried().reason is Reason.GITLAB_UNAVAILABLE
    assert stage.dispatch() is Reason.NOT_A_MEMBER
    assert len(stage.gitlab.replies) == 1


def test_an_attempt_that_lost_its_lease_leaves_it_to_the_other(stage: Stage) -> None:
    def overtaken(*_: Any) -> None:
        stage.clock.time += LEASE
        stage.gitlab.award = lambda *_: None  # type: ignore[method-assign,assignment]
        assert stage.dispatch() is Reason.TRIGGERED

    stage.gitlab.award = overtaken  # type: ignore[method-assign,assignment]
    assert stage.retried().reason is Reason.BUSY
    assert len(stage.gitlab.triggered) == 1
    assert stage.record().state is State.FINISHED


def test_where_our_token_may_not_look_the_person_is_told_instead(stage: Stage) -> None:
    stage.gitlab.faults = {
        "trigger": [GitLabError(0, "acted", unsure=True)],
        "find_pipeline": [GitLabError(403)],
    }
    stage.retried()
    stage.clock.time += SETTLE
    assert stage.dispatch() is Reason.UNCERTAIN
    assert len(stage.gitlab.triggered) == 1
    assert "GitLab did not say whether the pipeline started" in stage.reply


def test_a_run_over_a_limit_waits_and_its_reply_says_until_when(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "1"}
    assert stage.dispatch() is Reason.TRIGGERED
    second = run(NOTE._replace(note_id=102))
    assert stage.dispatch(second) is Reason.WAITING
    assert stage.reply.startswith(
        "This thread has started as many runs within ten minutes as the installation allows. "
        "Claude starts on this by itself at 2026-02-02 02:50 UTC or soon after."
    )
    assert stage.dispatch(second) is Reason.DUPLICATE  # a second delivery changes nothing
    stage.sweep()
    assert stage.queue.runs == []
    stage.clock.time += 600
    stage.sweep()
    [woken] = stage.queue.runs
    stage.clock.time += 60
    assert stage.dispatch(woken) is Reason.TRIGGERED
    assert stage.dispatch(woken) is Reason.DUPLICATE
    assert "[pipeline 2]" in stage.reply  # in the place of what it said
    assert len(stage.gitlab.replies) == 2
    stage.sweep()
    assert len(stage.queue.runs) == 1


def test_a_run_that_waits_is_confirmed_again_when_its_turn_comes(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "1"}
    second = run(NOTE._replace(note_id=102))
    assert [stage.dispatch(each) for each in (None, second)] == [Reason.TRIGGERED, Reason.WAITING]
    stage.clock.time += 600
    stage.sweep()
    stage.gitlab.members.clear()
    assert stage.dispatch(stage.queue.runs[0]) is Reason.NOT_A_MEMBER
    assert "Only members" in stage.reply
    assert len(stage.gitlab.triggered) == 1


def test_a_run_whose_waiting_could_not_be_told_waits_all_the_same(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "1"}
    second = run(NOTE._replace(note_id=102))
    stage.dispatch()
    stage.gitlab.faults["reply"] = [GitLabError(503)]
    stage.gitlab.hears(second)
    with pytest.raises(Retry):
        dispatch(second, stage.services)
    stage.clock.time += LEASE
    assert stage.dispatch(second) is Reason.WAITING
    stage.clock.time += 600
    stage.sweep()
    assert [each.id for each in stage.queue.runs] == [second.id]


def test_a_full_day_is_told_to_each_person_once_and_to_the_operator(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_DAY": "1"}
    for author in range(1, 4):
        stage.gitlab.users[author] = User(author, f"user-{author}", bot=False, state="active")
        stage.gitlab.members[7, author] = Member(author, 30, "active", "active", None)
    asked = [
        run(NOTE._replace(note_id=number, author_id=number % 3 + 1, iid=number))
        for number in range(1, 9)
    ]
    ends = [stage.dispatch(each) for each in asked]
    told = [Reason.DAY_LIMIT] * 3
    assert ends == [Reason.TRIGGERED, Reason.WAITING, *told, *[Reason.OVER_LIMIT] * 3]
    assert len(stage.gitlab.replies) == 5
    assert stage.gitlab.awards.count("no_entry_sign") == 3  # who is told no more sees it was seen
    alarms = [line for _, line in stage.log.lines if line["reason"] == "day_limit"]
    assert len(alarms) == 4


def test_a_replay_is_free(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "1"}
    stage.gitlab.faults["user"] = [GitLabError(401)]
    late = run(NOTE._replace(note_id=102))
    stage.gitlab.hears(late)
    assert dispatch(late, stage.services, last=True) is Reason.DEAD_LETTER
    assert stage.dispatch() is Reason.TRIGGERED
    assert carry_out({"replay": "all"}, stage.services, stage.queue) == {"replayed": [late.id]}
    assert stage.dispatch(stage.queue.runs[0]) is Reason.TRIGGERED


@pytest.mark.parametrize("sent_again", [1, 2])
def test_a_dead_letter_that_comes_again_is_replayed(stage: Stage, sent_again: int) -> None:
    stage.gitlab.faults["user"] = [GitLabError(401)]
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    assert stage.dispatch(last=True) is Reason.DUPLICATE  # its queue has not moved it away yet
    ends = [stage.dispatch() for _ in range(sent_again)]
    assert ends[0] is Reason.TRIGGERED
    assert set(ends[1:]) <= {Reason.DUPLICATE}
    assert store.dead_letters(stage.records) == []
    assert len(stage.gitlab.triggered) == 1


def test_a_dead_letter_that_comes_again_waits_for_its_last_call_to_settle(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(0, "acted", unsure=True)]
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    assert stage.retried().reason is Reason.BUSY
    stage.clock.time += SETTLE
    assert stage.dispatch() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_the_first_reply_names_the_pipeline_s_other_jobs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://gitlab.com/group/app/-/jobs/2"
    jobs = (Job(1, "created", "", "", "claude"), Job(2, "created", "", address, "deploy"))
    made = Progress("created", duration=0, created_at=NOW, jobs=jobs)
    monkeypatch.setattr(stage.gitlab, "progress", lambda *_: made)
    assert stage.dispatch() is Reason.TRIGGERED
    assert f"In the same pipeline: [`deploy`]({address})." in stage.gitlab.replies[0]


def test_who_stood_still_while_the_jobs_were_read_writes_no_second_reply(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_: object) -> tuple[Job, ...]:
        monkeypatch.undo()
        stage.clock.time += LEASE + 1
        assert stage.dispatch() is Reason.TRIGGERED
        return ()

    monkeypatch.setattr(stage.gitlab, "jobs", overtaken)
    assert stage.retried().reason is Reason.BUSY
    assert (len(stage.gitlab.triggered), len(stage.gitlab.replies)) == (1, 1)


def test_a_reply_comes_also_where_gitlab_does_not_tell_the_jobs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.gitlab, "progress", Mock(side_effect=GitLabError(500)))
    assert stage.dispatch() is Reason.TRIGGERED
    assert "is queued" in stage.gitlab.replies[0]
