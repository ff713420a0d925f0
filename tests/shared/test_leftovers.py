"""What an outage leaves: nothing is lost, nobody is left untold, whatever the limits."""

from collections import Counter

import pytest

from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError, Member, SweptNote, User
from shared.incoming.event import Event
from shared.look import OVERLAP
from shared.outcome.reasons import Reason, Retry
from shared.runs import projects, store
from shared.runs.record import LEASE, Lease, key_of
from shared.runs.request import RunRequest
from shared.sweep import carry_out
from tests.support import stages
from tests.support.fakes import NOTE, NOW, run

HOUR = 3600.0
LETTER = "We tried for as long as we may"


class Stage(stages.Stage):
    """Comments that nobody heard of, and a queue that is served until it is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: Counter[Reason] = Counter()
        projects.add(7, self.records, NOW)
        self.sweep()

    def wrote(self, number: int, author: int, iid: int, at: float) -> RunRequest:
        """Let somebody comment while nobody listens."""
        self.gitlab.users[author] = User(author, f"user-{author}", bot=False, state="active")
        self.gitlab.members[7, author] = Member(author, 30, "active", "active", None)
        event = NOTE._replace(note_id=number, author_id=author, iid=iid, at=at)
        self.gitlab.written.append(SweptNote(at, event))
        return run(event)

    def serve(self) -> None:
        """Carry out all that is queued, once each; what is to come again stays."""
        waiting, self.queue.runs = self.queue.runs, []
        for each in waiting:
            self.gitlab.hears(each)
            try:
                self.ends[dispatch(each, self.services)] += 1
            except Retry:
                self.queue.runs.append(each)

    def hours_pass(self, hours: float, every: float = 300.0) -> list[int]:
        """Sweep and serve every few seconds; return how many pipelines there are then."""
        made = []
        for _ in range(int(hours * HOUR / every)):
            self.sweep()
            self.serve()
            made.append(len(self.gitlab.triggered))
            self.clock.time += every
        return made


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    ("people", "comments", "threads", "hours", "run_told_seen"),
    [
        (5, 40, 1, 8, (40, 0, 0)),
        (1, 30, 30, 10, (30, 0, 0)),
        (10, 300, 40, 23.5, (200, 10, 90)),
    ],
    ids=["five people, eight comments each", "thirty of one person", "three hundred in a day"],
)
def test_after_an_outage_every_comment_is_run_or_told(
    stage: Stage,
    people: int,
    comments: int,
    threads: int,
    hours: float,
    run_told_seen: tuple[int, int, int],
) -> None:
    stage.clock.time += hours * HOUR
    asked = [
        stage.wrote(1000 + each, each % people + 1, each % threads + 1, NOW + each * apart)
        for apart in [hours * HOUR / comments]
        for each in range(comments)
    ]
    stage.clock.time += OVERLAP
    made = stage.hours_pass(1)
    heard = [each for each in asked if any(each.id in reply for reply in stage.gitlab.replies)]
    assert len(heard) + stage.ends[Reason.OVER_LIMIT] == comments
    assert made[0] <= 50  # and no flood
    made += stage.hours_pass(47, HOUR)
    begun = {body["ai_flow"]["id"] for _, _, body in stage.gitlab.triggered}
    left = [each for each in asked if each.id not in begun]
    refusals = [each for each in stage.gitlab.replies if "Claude did not start" in each]
    told = [each for each in left if any(each.id in refusal for refusal in refusals)]
    seen = stage.gitlab.awards.count("no_entry_sign")  # a reaction: their authors have been told
    assert (len(begun), len(told), seen) == run_told_seen
    assert sum(run_told_seen) == comments
    assert made[-1] == len(begun)
    # Whoever has a mention that is not run was told so, and once.
    authors = [each.event.author_id for each in told]
    assert len(authors) == len(set(authors)) == len(refusals)
    assert set(authors) == {each.event.author_id for each in left}
    assert stage.ends[Reason.OVER_LIMIT] == seen


def test_runs_that_waited_start_in_the_order_they_were_asked(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "2"}
    stage.clock.time += HOUR
    asked = [stage.wrote(2000 - each, 1, 5, NOW + 60 + each) for each in range(9)]
    stage.clock.time += OVERLAP
    stage.hours_pass(3)
    began = [body["ai_flow"]["id"] for _, _, body in stage.gitlab.triggered]
    assert began == [each.id for each in asked]


def test_thirty_dead_letters_of_one_person_are_replayed_and_run(stage: Stage) -> None:
    for number in range(30):
        stage.gitlab.faults["user"] = [GitLabError(401)]
        stage.gitlab.faults["replied"] = [GitLabError(401)]
        asked = run(NOTE._replace(note_id=number + 1, iid=number))
        assert stage.dispatch(asked, last=True) is Reason.DEAD_LETTER
    stage.gitlab.faults.clear()
    replayed = carry_out({"replay": "all"}, stage.services, stage.queue)["replayed"]
    assert len(replayed) == 30  # type: ignore[arg-type]
    stage.serve()
    assert stage.ends == {Reason.TRIGGERED: 30}


def given_up(stage: Stage, count: int = 3) -> None:
    """Let requests of one author in one thread die while GitLab is away."""
    for number in range(count):
        stage.gitlab.faults["user"] = [GitLabError(0)]
        stage.gitlab.faults["replied"] = [GitLabError(0)]
        asked = run(NOTE._replace(note_id=number + 1))
        assert stage.dispatch(asked, last=True) is Reason.DEAD_LETTER
    stage.gitlab.faults.clear()


def test_dead_letters_are_told_once_when_gitlab_is_back(stage: Stage) -> None:
    given_up(stage)
    stage.gitlab.faults["replied"] = [GitLabError(503)]
    stage.sweep()
    assert stage.gitlab.replies == []
    for _ in range(3):
        stage.sweep()
    assert [LETTER in reply for reply in stage.gitlab.replies] == [True]
    assert len(store.dead_letters(stage.records)) == 3


def test_a_dead_letter_that_was_told_at_once_is_not_told_again(stage: Stage) -> None:
    stage.gitlab.faults["user"] = [GitLabError(0)]
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    stage.sweep()
    assert len(stage.gitlab.replies) == 1


def test_a_thread_that_takes_no_reply_holds_up_no_other(stage: Stage) -> None:
    given_up(stage, 1)
    stage.gitlab.faults["user"] = [GitLabError(0)]
    stage.gitlab.faults["replied"] = [GitLabError(0)]
    stage.dispatch(run(NOTE._replace(note_id=9, iid=6)), last=True)
    stage.gitlab.faults = {"reply": [GitLabError(403)]}
    stage.sweep()
    assert len(stage.gitlab.replies) == 1
    stage.sweep()
    assert len(stage.gitlab.replies) == 1


def test_a_run_that_somebody_still_works_on_is_told_only_when_it_is_left(stage: Stage) -> None:
    Lease(run(), stage.records, stage.clock)
    assert stage.dispatch(last=True) is Reason.DEAD_LETTER
    stage.sweep()
    assert stage.gitlab.replies == []
    stage.clock.time += LEASE + 1
    stage.sweep()
    assert [LETTER in reply for reply in stage.gitlab.replies] == [True]


def test_a_run_that_has_ended_after_all_is_not_told_of(stage: Stage) -> None:
    stage.dispatch()
    store.add_dead_letter(run().id, stage.records, NOW)
    stage.sweep()
    assert len(stage.gitlab.replies) == 1
    assert store.untold(stage.records, 9) == []


def test_what_cannot_be_read_is_named_and_stops_nothing_else(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "1"}
    waiting = [run(NOTE._replace(note_id=number)) for number in (102, 103)]
    ends = [stage.dispatch(each) for each in (None, *waiting)]
    assert ends == [Reason.TRIGGERED, Reason.WAITING, Reason.WAITING]
    given_up(stage, 1)
    store.add_dead_letter("unheard of", stage.records, NOW - 1)
    store.add_dead_letter("unreadable", stage.records, NOW - 2)
    stage.records.stored[key_of("unreadable")] = "{", 1
    stage.records.stored[key_of(waiting[0].id)] = "{", 9
    stage.clock.time += 1200
    for _ in range(2):
        stage.sweep()
    assert [each.id for each in stage.queue.runs] == [waiting[1].id]
    named = [
        str(line["run"]) for _, line in stage.log.lines if line["reason"] == "record_unreadable"
    ]
    assert sorted(named) == sorted(["unreadable", waiting[0].id])
    assert store.dead_letter(waiting[0].id, stage.records)  # a later version may replay it
    assert LETTER in stage.reply


def test_a_turn_that_comes_before_it_is_written_down_is_not_forgotten(stage: Stage) -> None:
    """The reply takes its time, and a sweep comes by between it and the record's next step."""
    stage.environment = {"RUNS_PER_THREAD": "1"}
    stage.dispatch()
    reply, second = stage.gitlab.reply, run(NOTE._replace(note_id=102))

    def slow(event: Event, body: str) -> int:
        stage.clock.time += 601
        stage.sweep()
        stage.clock.time -= 601
        return reply(event, body)

    stage.gitlab.reply = slow  # type: ignore[method-assign]
    assert stage.dispatch(second) is Reason.WAITING
    stage.gitlab.reply = reply  # type: ignore[method-assign]
    assert stage.queue.runs == []
    stage.clock.time += 700
    for _ in range(2):
        stage.sweep()
    assert [each.id for each in stage.queue.runs] == [second.id]


@pytest.mark.parametrize("stopped_by", ["a new comment", "one whose first attempt failed"])
def test_stop_ends_what_waits_in_the_thread(stage: Stage, stopped_by: str) -> None:
    stage.environment = {"RUNS_PER_THREAD": "1"}
    second, stop = run(NOTE._replace(note_id=102)), run(NOTE._replace(note_id=103), "stop")
    stage.dispatch()
    assert stage.dispatch(second) is Reason.WAITING
    if stopped_by != "a new comment":
        stage.gitlab.faults["reply"] = [GitLabError(503)]
        stage.gitlab.hears(stop)
        with pytest.raises(Retry):
            dispatch(stop, stage.services)
        stage.clock.time += LEASE
    assert stage.dispatch(stop) is Reason.ANSWERED
    assert stage.gitlab.cancelled == [1]
    assert "What waited for its turn here will not start." in stage.reply
    assert "Claude did not start. It was stopped before its turn came." in stage.gitlab.replies[1]
    stage.clock.time += 600
    stage.sweep()
    assert stage.queue.runs == []
    assert stage.dispatch(second) is Reason.DUPLICATE
    third = run(NOTE._replace(note_id=104, at=stage.clock.time))
    assert stage.dispatch(third) is Reason.TRIGGERED  # its turn was given back


def test_retry_repeats_the_last_run_that_had_a_pipeline(stage: Stage) -> None:
    stage.environment = {"RUNS_PER_THREAD": "2"}
    for number in range(3):
        stage.dispatch(run(NOTE._replace(note_id=110 + number)))
    stage.clock.time += 1200
    again = run(NOTE._replace(note_id=120, at=stage.clock.time), "retry")
    assert stage.dispatch(again) is Reason.TRIGGERED
