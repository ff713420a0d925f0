import pytest

from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry
from shared.runs import dead_letters
from shared.runs.record import SETTLE, State
from shared.services import Services
from tests.support.fakes import NOTE, NOW, Clock, GitLab, Log, Queue, Records, run, world


class Stage:
    def __init__(self) -> None:
        self.gitlab, self.records, self.clock, self.log, self.queue = (
            GitLab(),
            Records(),
            Clock(),
            Log(),
            Queue(),
        )

    @property
    def world(self) -> Services:
        return world(self.gitlab, self.records, self.clock, self.log)

    def replay(self) -> Reason:
        assert dead_letters.replay(run().id, self.queue, self.records, NOW)
        return dispatch(self.queue.runs[-1], self.world)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_after_the_last_attempt_the_request_is_kept_and_the_thread_is_told(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429)]
    assert dispatch(run(), stage.world, last=True) is Reason.DEAD_LETTER
    assert dead_letters.kept(stage.records) == [run().id]
    assert Reason.DEAD_LETTER.sentence in stage.gitlab.replies[0]
    claim = stage.records.claim(run().id)
    assert claim
    assert (claim.state, claim.reason) == (State.DEAD, "gitlab_unavailable")
    assert stage.log.lines[-1][0] == "ERROR"
    assert stage.log.lines[-1][1]["reason"] == "dead_letter"


def test_a_dead_letter_that_cannot_be_told_is_kept_all_the_same(stage: Stage) -> None:
    stage.gitlab.faults = {"user": [GitLabError(0)], "reply": [GitLabError(0)]}
    assert dispatch(run(), stage.world, last=True) is Reason.DEAD_LETTER
    assert dead_letters.kept(stage.records) == [run().id]


def test_a_replay_goes_on_where_the_run_died(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429)]
    dispatch(run(), stage.world, last=True)
    assert stage.replay() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1
    [reply] = stage.gitlab.replies  # what told of the end tells of the pipeline now
    assert "pipelines/1" in reply
    assert Reason.DEAD_LETTER.sentence not in reply
    assert dead_letters.kept(stage.records) == []
    assert not dead_letters.replay(run().id, stage.queue, stage.records, NOW)


def test_a_replay_looks_for_a_pipeline_that_may_exist(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(0, "acted", unsure=True)]
    dispatch(run(), stage.world, last=True)
    stage.clock.time += SETTLE
    assert stage.replay() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_a_replay_of_a_run_with_a_pipeline_only_tells_of_it(stage: Stage) -> None:
    stage.gitlab.faults["reply"] = [GitLabError(503), GitLabError(503)]
    dispatch(run(), stage.world, last=True)
    assert stage.replay() is Reason.TRIGGERED
    assert len(stage.gitlab.triggered) == 1


def test_the_last_attempt_on_a_run_that_another_holds_is_kept_too(stage: Stage) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    stage.gitlab.award = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        dispatch(run(), stage.world)
    del stage.gitlab.award
    with pytest.raises(Retry):
        dispatch(run(), stage.world)
    assert dispatch(run(), stage.world, last=True) is Reason.DEAD_LETTER
    assert dead_letters.kept(stage.records) == [run().id]
    stage.clock.time += 1000
    assert stage.replay() is Reason.TRIGGERED


def test_a_replayed_request_is_a_message_of_its_own_and_the_same_run(stage: Stage) -> None:
    names = set()
    for _ in range(3):
        dead_letters.keep(run(), stage.records, NOW)
        assert dead_letters.replay(run().id, stage.queue, stage.records, NOW)
    names = {each.message_id for each in stage.queue.runs}
    assert {each.id for each in stage.queue.runs} == {run().id}
    assert run().message_id not in names


def test_letters_of_several_runs_are_kept_apart(stage: Stage) -> None:
    other = run(NOTE._replace(note_id=102))
    for each in (run(), other, run()):
        dead_letters.keep(each, stage.records, NOW)
    assert sorted(dead_letters.kept(stage.records)) == sorted([run().id, other.id])
    assert dead_letters.replay(run().id, stage.queue, stage.records, NOW)
    assert dead_letters.kept(stage.records) == [other.id]


def test_two_that_keep_letters_at_once_both_keep_theirs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, other = Records.write, run(NOTE._replace(note_id=102))

    def overtaken(self: Records, key: str, text: str, version: object, expires: int) -> object:
        if key == "dead":
            monkeypatch.setattr(Records, "write", write)
            dead_letters.keep(other, stage.records, NOW)
        return write(self, key, text, version, expires)

    monkeypatch.setattr(Records, "write", overtaken)
    dead_letters.keep(run(), stage.records, NOW)
    assert sorted(dead_letters.kept(stage.records)) == sorted([run().id, other.id])


def test_a_letter_that_another_keeps_at_the_same_moment_is_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Records.write

    def overtaken(self: Records, key: str, text: str, version: object, expires: int) -> object:
        monkeypatch.setattr(Records, "write", write)
        write(self, key, "{}", version, expires)
        return write(self, key, text, version, expires)

    monkeypatch.setattr(Records, "write", overtaken)
    dead_letters.keep(run(), stage.records, NOW)
    assert stage.records.read(f"dead/{run().id}")[0] == run().to_json()
