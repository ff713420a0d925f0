"""Starts by policy, from the delivery on: what starts for which stream, and what is said of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import Diff, GitLabError, Member, User
from shared.incoming.delivery import Delivery
from shared.installation import auto
from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from shared.runs.record import LEASE, State
from shared.runs.request import RunRequest, TrackRequest, from_json
from tests.support import fakes
from tests.support.fakes import NOTE, run
from tests.support.merge_request_stream import MergeRequest, commit
from tests.support.stages import Stage

ALL = "review: opened, ready, pushed"
FILE = (7, auto.FILE, "main")


class Policed(Stage):
    """A stage on which a merge request moves on, and every delivery is carried out at once."""

    def __init__(self, auto: str = ALL, **fields: Any) -> None:
        super().__init__(AUTO=auto, RUNS_PER_THREAD="0", RUNS_PER_USER_PER_HOUR="0")
        self.merge_request = MergeRequest(self.gitlab, **fields)
        self.asked: list[RunRequest] = []
        self.told: list[TrackRequest] = []

    def takes(self, delivery: Delivery) -> Reason | str:
        """Return the end of the run that a delivery asked for, or the answer's reason."""
        before, told = len(self.queue.runs), len(self.queue.tracks)
        answer = self.receive(delivery)
        assert answer.status in (200, 202)
        for look in self.queue.tracks[told:]:
            heard = from_json(look.to_json())
            assert heard == look
            self.told.append(look)
            return self.dispatch(look)
        for each in self.queue.runs[before:]:
            found = from_json(each.to_json())
            assert isinstance(found, RunRequest)
            self.asked.append(found)
            return self.dispatch(found)
        return str(json.loads(answer.body)["reason"])

    def plays(
        self,
        stream: tuple[Callable[[MergeRequest], Delivery], ...],
        file: str | None,
        times: int,
    ) -> None:
        """Let all of a stream happen, each told so often, where the project has this file."""
        if file is not None:
            self.gitlab.files[FILE] = file
        for step in stream:
            delivery = step(self.merge_request)
            for _ in range(times):
                self.takes(delivery)

    def started(self) -> list[int]:
        """Return the heads that had a pipeline, by number of pushes."""
        bodies = [body for _, _, body in self.gitlab.triggered]
        return [int(body["ai_flow"]["context"]["merge_request"]["sha"], 16) for body in bodies]

    def repaired(self) -> list[str]:
        """Return command and head of each pipeline, such as `fix 3`."""
        flows = (body["ai_flow"] for _, _, body in self.gitlab.triggered)
        commands = [str(flow["command"]) for flow in flows]
        return [f"{word} {head}" for word, head in zip(commands, self.started(), strict=True)]

    def said(self) -> list[str]:
        return [reply for reply in self.gitlab.replies if reply]


@pytest.fixture
def stage() -> Policed:
    return Policed()


def test_a_merge_request_that_is_opened_as_ready_is_reviewed_unasked(stage: Policed) -> None:
    assert stage.takes(stage.merge_request.opened()) is Reason.TRIGGERED
    [(_, _, body)] = stage.gitlab.triggered
    flow = body["ai_flow"]
    assert (flow["event"], flow["command"], flow["input"]) == ("auto", "review", "review")
    assert body["ref"] == "main"
    [reply] = stage.gitlab.replies
    assert "Nobody asked: this installation starts a review by itself (`AUTO`)." in reply
    assert stage.gitlab.awards == []


def test_without_a_policy_the_same_delivery_costs_no_look_and_starts_nothing(
    stage: Policed, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.environment["AUTO"] = ""
    monkeypatch.setattr("shared.incoming.payloads.parse", lambda _: pytest.fail("parsed"))
    assert stage.takes(stage.merge_request.opened()) == "no_mention"


# What happens in turn; a number is the head that each policy starts a run for.
STREAM: tuple[Callable[[MergeRequest], Delivery], ...] = (
    MergeRequest.opened,  # 0, a draft
    MergeRequest.pushed,  # 1
    MergeRequest.readied,
    MergeRequest.approved,
    MergeRequest.pushed,  # 2
    lambda each: each.labelled("backend"),
    MergeRequest.pushed,  # 3
    MergeRequest.drafted,
    MergeRequest.pushed,  # 4
    MergeRequest.readied,
    MergeRequest.readied,
    MergeRequest.pushed,  # 5
    MergeRequest.closed,
)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("policy", "file", "starts"),
    [
        (ALL, None, [1, 2, 3, 4, 5]),
        ("review: opened", None, []),
        ("review: ready", None, [1, 4]),
        ("review: pushed", None, [2, 3, 5]),
        (f"{ALL}; labels: backend", None, [3, 4, 5]),
        (f"{ALL}; labels: !backend", None, [1, 2]),
        (f"{ALL}; targets: release/*", None, []),
        (f"{ALL}; targets: ma*n", None, [1, 2, 3, 4, 5]),
        (f"{ALL}; authors: !ada", None, []),
        (f"{ALL}; paths: src/*", None, [1, 2, 3, 4, 5]),
        (f"{ALL}; paths: docs/*, !*.md", None, []),
        (f"{ALL}; projects: other/*", None, []),
        (f"{ALL}; runs: 2", None, [1, 2]),
        (ALL, "", [1, 2, 3, 4, 5]),
        (ALL, "review: ready", [1, 4]),
        (ALL, "review: none", []),
        (ALL, "labels: backend", [3, 4, 5]),
        (ALL, "paths: docs/*", [1, 2, 3, 4, 5]),
        (f"{ALL}; paths: src/*", "paths: docs/*", []),
        ("review: ready", ALL, [1, 4]),
        (ALL, "runs: 1", [1]),
        (f"{ALL}; runs: 1", "runs: 9", [1]),
        (ALL, "review: all", []),
    ],
)
def test_a_stream_starts_exactly_what_the_policy_says_however_often_it_is_delivered(
    policy: str, file: str | None, starts: list[int], times: int
) -> None:
    stage = Policed(policy, draft=True)
    stage.gitlab.changed = [
        Diff("docs/a.md", "docs/a.md", "modified", ""),
        Diff("src/old.py", "lib/new.py", "renamed", ""),
    ]
    stage.plays(STREAM, file, times)
    assert stage.started() == starts
    stage.clock.time += 10 * LEASE
    assert {stage.dispatch(each) for each in stage.asked} <= {Reason.DUPLICATE}
    assert stage.started() == starts


def test_a_file_of_the_source_branch_is_never_read(stage: Policed) -> None:
    stage.gitlab.files[7, auto.FILE, "feature"] = "review: none"
    assert stage.takes(stage.merge_request.opened()) is Reason.TRIGGERED


def test_what_runs_or_waits_for_an_older_commit_is_cancelled_and_its_reply_goes(
    stage: Policed,
) -> None:
    stage.takes(stage.merge_request.opened())
    stage.takes(stage.merge_request.pushed())
    assert stage.gitlab.cancelled == [1]
    stage.track(1)
    [reply] = stage.said()
    assert "pipeline 2" in reply


def test_what_has_ended_or_was_answered_stays(stage: Policed) -> None:
    stage.takes(stage.merge_request.opened())
    stage.gitlab.moves(1, "success")
    stage.track(1)
    stage.takes(stage.merge_request.pushed())
    assert stage.gitlab.cancelled == []
    assert len(stage.said()) == 2
    answered = marks.of_job(2, marks.ENDED) + "\n"
    stage.gitlab.replies[1] = answered + stage.gitlab.replies[1]
    stage.takes(stage.merge_request.pushed())
    assert stage.gitlab.cancelled == [2]
    assert len(stage.said()) == 3


def test_what_a_person_asked_for_is_never_cancelled(stage: Policed) -> None:
    here = NOTE._replace(kind="merge_request", iid=16, branches=stage.gitlab.branches)
    asked = run(here, "review")
    assert stage.dispatch(asked) is Reason.TRIGGERED
    stage.takes(stage.merge_request.opened())
    stage.gitlab.said[102] = "@claude retry"
    again = run(here._replace(note_id=102), "retry")
    assert stage.dispatch(again) is Reason.TRIGGERED
    assert "Understood: a review" in stage.reply
    stage.takes(stage.merge_request.pushed())
    assert stage.gitlab.cancelled == [2]


def test_a_run_that_waits_for_its_turn_is_superseded_too(stage: Policed) -> None:
    stage.environment["RUNS_PER_THREAD"] = "1"
    stage.takes(stage.merge_request.opened())
    assert stage.takes(stage.merge_request.pushed()) is Reason.WAITING
    assert "starts on this by itself" in stage.reply
    assert stage.takes(stage.merge_request.pushed()) is Reason.WAITING
    [reply] = stage.said()
    assert marks.of_run(stage.asked[-1].id) in reply
    first = stage.records.run(stage.asked[1].id)
    assert first
    assert first.state is State.REFUSED


def test_a_run_that_waited_in_vain_takes_its_word_back(stage: Policed) -> None:
    stage.environment["RUNS_PER_THREAD"] = "1"
    stage.takes(stage.merge_request.opened())
    stage.takes(stage.merge_request.pushed())
    stage.merge_request.closed()
    stage.clock.time += 700
    stage.sweep()
    assert stage.dispatch(stage.queue.runs[-1]) is Reason.SUPERSEDED
    assert not [each for each in stage.said() if "starts on this by itself" in each]


def test_where_gitlab_forbids_to_cancel_the_new_run_starts_all_the_same(stage: Policed) -> None:
    stage.takes(stage.merge_request.opened())
    stage.gitlab.faults["cancel"] = [GitLabError(403)]
    assert stage.takes(stage.merge_request.pushed()) is Reason.TRIGGERED


def test_while_gitlab_does_not_cancel_the_older_run_the_new_one_waits(stage: Policed) -> None:
    stage.takes(stage.merge_request.opened())
    stage.gitlab.faults["cancel"] = [GitLabError(503)]
    with pytest.raises(Retry):
        stage.takes(stage.merge_request.pushed())
    stage.clock.time += 5
    assert stage.dispatch(stage.asked[-1]) is Reason.TRIGGERED
    assert stage.gitlab.cancelled == [1]
    assert len(stage.said()) == 1


def test_an_event_of_a_commit_that_is_not_the_head_any_more_starts_nothing(stage: Policed) -> None:
    late = stage.merge_request.opened()
    stage.merge_request.pushed()
    assert stage.takes(late) is Reason.SUPERSEDED
    assert not stage.gitlab.triggered + stage.said()


def test_a_commit_that_was_not_the_head_may_be_it_again(stage: Policed) -> None:
    late = stage.merge_request.opened()
    stage.merge_request.pushed()
    assert stage.takes(late) is Reason.SUPERSEDED
    stage.merge_request.head = 0
    stage.merge_request.settle()
    assert stage.dispatch(stage.asked[-1]) is Reason.TRIGGERED


@pytest.mark.parametrize("step", [MergeRequest.drafted, MergeRequest.closed])
def test_what_became_a_draft_or_was_closed_meanwhile_is_left_alone(
    stage: Policed, step: Callable[[MergeRequest], Delivery]
) -> None:
    opened = stage.merge_request.opened()
    step(stage.merge_request)
    assert stage.takes(opened) is Reason.SUPERSEDED


def test_a_commit_that_comes_while_the_pipeline_starts_takes_it_back(stage: Policed) -> None:
    opened = stage.merge_request.opened()
    trigger = stage.gitlab.trigger

    def pushed_meanwhile(*call: Any) -> Any:
        stage.merge_request.pushed()
        return trigger(*call)

    stage.gitlab.trigger = pushed_meanwhile  # type: ignore[method-assign, assignment]
    assert stage.takes(opened) is Reason.SUPERSEDED
    assert stage.gitlab.cancelled == [1]
    assert not stage.said()


def test_a_replica_that_lags_behind_takes_nothing_back(stage: Policed) -> None:
    pushed = stage.merge_request.pushed()
    trigger = stage.gitlab.trigger

    def read_elsewhere(*call: Any) -> Any:
        stage.gitlab.branches = stage.gitlab.branches and stage.gitlab.branches._replace(
            sha=commit(0)
        )
        stage.gitlab.described = stage.gitlab.described._replace(updated_at=stage.clock.time - 3600)
        return trigger(*call)

    stage.gitlab.trigger = read_elsewhere  # type: ignore[method-assign, assignment]
    assert stage.takes(pushed) is Reason.TRIGGERED
    assert stage.gitlab.cancelled == []


def test_a_replica_that_has_not_heard_of_the_push_is_asked_again(stage: Policed) -> None:
    pushed = stage.merge_request.pushed()
    stage.gitlab.branches = stage.gitlab.branches and stage.gitlab.branches._replace(sha=commit(0))
    stage.gitlab.described = stage.gitlab.described._replace(updated_at=stage.clock.time - 3600)
    with pytest.raises(Retry):
        stage.takes(pushed)
    stage.clock.time += 5
    stage.merge_request.settle()  # with the same time: GitLab need not move it
    stage.gitlab.described = stage.gitlab.described._replace(updated_at=stage.clock.time - 3600)
    assert stage.dispatch(stage.asked[-1]) is Reason.TRIGGERED


def test_what_no_replica_has_after_a_minute_starts_nothing(stage: Policed) -> None:
    pushed = stage.merge_request.pushed()
    stage.merge_request.pushed()
    stage.gitlab.described = stage.gitlab.described._replace(updated_at=stage.clock.time - 3600)
    with pytest.raises(Retry):
        stage.takes(pushed)
    stage.clock.time += 70
    assert stage.dispatch(stage.asked[-1]) is Reason.NOTE_CHANGED
    assert not stage.said()


def test_a_fork_s_merge_request_starts_nothing_by_itself() -> None:
    stage = Policed(source_project_id=8)
    assert stage.takes(stage.merge_request.opened()) is Reason.NOT_BY_POLICY
    assert stage.log.lines[-2][1]["rule"] == "forks"
    assert not stage.said()


def test_where_forks_are_read_who_may_ask_starts_a_review_of_one_by_opening_it() -> None:
    stage = Policed(source_project_id=8)
    stage.environment["FORKS"] = "read-only"
    assert stage.takes(stage.merge_request.opened()) is Reason.TRIGGERED
    [(_, _, body)] = stage.gitlab.triggered
    assert (body["ref"], body["ai_flow"]["read_only"]) == ("main", True)
    stage.gitlab.members.clear()
    assert stage.takes(stage.merge_request.pushed()) is Reason.NOT_A_MEMBER
    assert len(stage.gitlab.triggered) == 1


@pytest.mark.parametrize(
    ("policy", "file", "rule"),
    [
        ("review: opened; labels: bug", "", "labels"),
        ("review: opened", "authors: grace", "authors"),
        ("review: opened; paths: *.rb", "", "paths"),
        ("review: opened", "review: ready", "opened"),
    ],
)
def test_what_the_policy_does_not_let_in_is_told_to_the_log_alone(
    policy: str, file: str, rule: str
) -> None:
    stage = Policed(policy)
    stage.gitlab.files[FILE] = file
    assert stage.takes(stage.merge_request.opened()) is Reason.NOT_BY_POLICY
    severity, fields = stage.log.lines[-2]
    assert (severity, fields["rule"]) == ("INFO", rule)
    assert not stage.said() + stage.gitlab.awards


@pytest.mark.parametrize(
    ("member", "reason"), [(None, Reason.NOT_A_MEMBER), (20, Reason.ROLE_TOO_LOW)]
)
def test_who_may_not_ask_starts_nothing_by_what_they_do_and_hears_nothing(
    stage: Policed, member: int | None, reason: Reason
) -> None:
    known = Member(42, 20, "active", "active", None)
    stage.gitlab.members = {} if member is None else {(7, 42): known}
    assert stage.takes(stage.merge_request.opened()) is reason
    assert not stage.said() + stage.gitlab.awards


def test_what_one_may_not_start_another_may(stage: Policed) -> None:
    stage.gitlab.users[43] = User(43, "rae", bot=False, state="active")
    stage.gitlab.members[7, 43] = Member(43, 20, "active", "active", None)
    stage.takes(stage.merge_request.drafted())
    stage.merge_request.fields["user"] = 43
    assert stage.takes(stage.merge_request.readied()) is Reason.ROLE_TOO_LOW
    stage.merge_request.fields["user"] = 42
    assert stage.takes(stage.merge_request.readied()) is Reason.TRIGGERED


def test_what_a_person_stopped_does_not_start_again(stage: Policed) -> None:
    stage.environment["RUNS_PER_THREAD"] = "1"
    stage.takes(stage.merge_request.opened())
    stage.takes(stage.merge_request.pushed())
    asked = NOTE._replace(kind="merge_request", iid=16, branches=stage.gitlab.branches)
    assert stage.dispatch(run(asked, "stop")) is Reason.ANSWERED
    stage.merge_request.drafted()
    assert stage.takes(stage.merge_request.readied()) is Reason.DUPLICATE


def _loop(stage: Policed, times: int = 30) -> int:
    """Let each pipeline push a commit, as a bot that answers its own review would."""
    stage.gitlab.users[99] = User(99, "claude", bot=True, state="active")
    stage.gitlab.members[7, 99] = Member(99, 40, "active", "active", None)
    stage.takes(stage.merge_request.opened())
    for _ in range(times):
        stage.takes(stage.merge_request.pushed(by=99))
    return len(stage.gitlab.triggered)


def test_our_own_pushes_start_nothing_unless_our_bot_may_ask(stage: Policed) -> None:
    assert _loop(stage) == 1
    assert len(stage.said()) == 1


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_loop_of_our_own_pushes_ends_after_as_many_runs_as_the_policy_allows(most: int) -> None:
    stage = Policed(f"{ALL}; runs: {most}")
    stage.environment["ALLOWED_BOTS"] = "claude"
    assert _loop(stage) == most
    told = [each for each in stage.said() if "all the runs that may start by themselves" in each]
    assert len(told) == 1


def test_a_run_that_gitlab_did_not_start_does_not_count() -> None:
    stage = Policed(f"{ALL}; runs: 1")
    empty = GitLabError(400, "The resulting pipeline would have been empty.")
    stage.gitlab.faults["trigger"] = [empty]
    assert stage.takes(stage.merge_request.opened()) is Reason.NO_JOB
    assert not stage.said()  # the log has it, as an error
    assert stage.log.lines[-1][0] == "ERROR"
    assert stage.takes(stage.merge_request.pushed()) is Reason.TRIGGERED


def test_limits_count_for_who_did_it_and_are_told_once(stage: Policed) -> None:
    stage.environment |= {"RUNS_PER_DAY": "1"}
    stage.takes(stage.merge_request.opened())
    stage.clock.time += 60
    assert stage.takes(stage.merge_request.pushed()) is Reason.WAITING
    stage.environment |= {"RUNS_PER_USER_PER_HOUR": "1"}
    for _ in range(40):
        stage.takes(stage.merge_request.pushed())
    assert len(stage.gitlab.triggered) == 1
    told = [each for each in stage.said() if "Claude did not start" in each]
    assert len(told) <= 1


def test_a_budget_without_room_is_told_once_whoever_asked_or_did_not(stage: Policed) -> None:
    stage.environment |= {"BUDGET_PER_RUN": "2", "BUDGET_PER_USER_DAY": "3"}
    stage.takes(stage.merge_request.opened())
    ends = [stage.takes(stage.merge_request.pushed()) for _ in range(3)]
    assert ends == [Reason.BUDGET_USER, Reason.OVER_LIMIT, Reason.OVER_LIMIT]
    assert len([each for each in stage.said() if "Your budget for today" in each]) == 1


def test_a_file_that_cannot_be_read_starts_nothing_and_is_told_once_for_each_change(
    stage: Policed,
) -> None:
    stage.gitlab.files[FILE] = "review: ready\nlabels bug"
    assert stage.takes(stage.merge_request.opened()) is Reason.AUTO_UNREADABLE
    assert "Line 2 of `.gitlab/claude-auto.conf` is at fault." in stage.reply
    assert stage.takes(stage.merge_request.pushed()) is Reason.NOT_BY_POLICY
    assert len(stage.said()) == 1
    stage.gitlab.files[FILE] = "labels bug"
    assert stage.takes(stage.merge_request.pushed()) is Reason.AUTO_UNREADABLE
    assert len(stage.said()) == 2
    stage.gitlab.files[FILE] = "labels: !bug"
    assert stage.takes(stage.merge_request.pushed()) is Reason.TRIGGERED


@pytest.mark.parametrize("key", ["auto/7/merge_request/16", "auto-file/7"])
def test_what_is_stored_of_the_policy_and_cannot_be_read_is_begun_anew(
    stage: Policed, key: str
) -> None:
    stage.gitlab.files[FILE] = "runs 1" if key == "auto-file/7" else ""
    stage.records.stored[key] = '{"runs": [1]}', 1
    end = Reason.AUTO_UNREADABLE if key == "auto-file/7" else Reason.TRIGGERED
    assert stage.takes(stage.merge_request.opened()) is end


def test_while_gitlab_does_not_tell_the_file_nothing_starts(stage: Policed) -> None:
    stage.gitlab.faults["file"] = [GitLabError(503)]
    with pytest.raises(Retry):
        stage.takes(stage.merge_request.opened())
    assert not stage.gitlab.triggered
    stage.clock.time += 5
    assert stage.dispatch(stage.asked[-1]) is Reason.TRIGGERED


def test_a_policy_that_was_switched_off_meanwhile_starts_nothing(stage: Policed) -> None:
    stage.receive(stage.merge_request.opened())
    stage.environment["AUTO"] = ""
    assert stage.dispatch(stage.queue.runs[-1]) is Reason.NOT_BY_POLICY


def test_a_start_that_was_given_up_is_an_alarm_and_no_reply(stage: Policed) -> None:
    stage.receive(stage.merge_request.opened())
    stage.gitlab.faults["user"] = [GitLabError(503)]
    assert stage.dispatch(stage.queue.runs[-1], last=True) is Reason.DEAD_LETTER
    assert not stage.said()
    assert store.untold(stage.records, 9) == []
    assert stage.log.lines[-1][1]["reason"] == "dead_letter"


def test_no_reaction_is_left_on_a_merge_request_that_nobody_asked_in(stage: Policed) -> None:
    stage.takes(stage.merge_request.opened())
    stage.gitlab.moves(1, "success")
    stage.track(1)
    assert stage.gitlab.awards == []
    assert "Claude has finished" in stage.reply


def test_who_asks_by_the_same_event_is_served_as_who_asks() -> None:
    stage = Policed()
    opened = stage.merge_request.opened()
    body = json.loads(opened.body)
    body["reviewers"] = [{"id": 99, "username": "claude"}]
    stage.takes(fakes.delivery(body))
    assert stage.asked[-1].event.name == "assign_reviewer"


def test_a_merge_request_of_ours_is_reviewed_where_a_person_makes_it_ready(stage: Policed) -> None:
    opened = stage.merge_request.opened()
    body = json.loads(opened.body)
    body["object_attributes"]["description"] = f"@claude fix it\n{marks.OURS}"
    assert stage.takes(fakes.delivery(body)) is Reason.TRIGGERED
    assert stage.asked[-1].event.name == "auto"
    stage.environment["AUTO"] = ""
    assert stage.takes(fakes.delivery(body)) == "own_note"


FIX = "fix: failed"


def test_a_pipeline_that_failed_is_repaired_unasked() -> None:
    stage = Policed(FIX)
    assert stage.takes(stage.merge_request.piped()) is Reason.TRIGGERED
    [(_, _, body)] = stage.gitlab.triggered
    flow = body["ai_flow"]
    told = flow["event"], flow["command"], flow["input"]
    assert told == ("auto", "fix", "fix the pipeline")
    assert flow["context"]["author"]["username"] == "ada"
    assert flow["context"]["merge_request"]["title"] == "It brews"
    assert body["ref"] == "main"
    [reply] = stage.said()
    assert "Nobody asked: this installation starts a fix by itself (`AUTO`)." in reply
    assert stage.gitlab.awards == []


def test_where_no_repair_is_allowed_a_failed_pipeline_costs_no_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Policed(ALL)
    monkeypatch.setattr("shared.incoming.payloads.parse", lambda _: pytest.fail("parsed"))
    assert stage.takes(stage.merge_request.piped()) == "no_mention"


# The same of pipelines.
FAILURES: tuple[Callable[[MergeRequest], Delivery], ...] = (
    MergeRequest.opened,  # 0, a draft
    MergeRequest.piped,
    MergeRequest.readied,
    MergeRequest.piped,
    lambda each: each.piped(again=True),  # somebody has started its job once more
    lambda each: each.piped(kind="head"),
    MergeRequest.pushed,  # 1
    lambda each: each.piped("success"),
    lambda each: each.piped("canceled"),
    lambda each: each.piped("skipped"),
    MergeRequest.pushed,  # 2
    lambda each: each.piped("running", kind="merge"),
    lambda each: each.piped(kind="merge", again=True),
    lambda each: each.labelled("backend"),
    MergeRequest.pushed,  # 3
    lambda each: each.piped(job="claude"),
    lambda each: each.piped(source="trigger"),
    lambda each: each.piped(source="parent_pipeline"),
    lambda each: each.piped(source="schedule"),
    MergeRequest.pushed,  # 4
    lambda each: each.piped(kind="train"),
    MergeRequest.drafted,
    MergeRequest.pushed,  # 5
    MergeRequest.piped,
    MergeRequest.readied,
    MergeRequest.closed,
    MergeRequest.piped,
)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("policy", "file", "starts"),
    [
        (FIX, None, "fix 0, fix 2, fix 4"),
        ("review: pushed", None, "review 1, review 2, review 3, review 4"),
        (f"review: ready; {FIX}", None, "review 0, fix 0, fix 2, fix 4, review 5"),
        (f"review: ready; {FIX}; runs: 3", None, "review 0, fix 0, fix 2"),
        (f"{FIX}; runs: 2", None, "fix 0, fix 2"),
        (f"{FIX}; labels: backend", None, "fix 4"),
        (f"{FIX}; targets: release/*", None, ""),
        (f"{FIX}; authors: !ada", None, ""),
        (f"{FIX}; paths: docs/*", None, "fix 0, fix 2, fix 4"),
        (f"{FIX}; projects: other/*", None, ""),
        (FIX, "fix: none", ""),
        (FIX, "review: none", "fix 0, fix 2, fix 4"),
        (f"review: ready; {FIX}", "fix: none", "review 0, review 5"),
        (f"review: ready; {FIX}", "review: none", "fix 0, fix 2, fix 4"),
        ("review: ready", FIX, "review 0, review 5"),
        (FIX, "labels: backend", "fix 4"),
        (FIX, "runs: 1", "fix 0"),
        (FIX, "fix: red", ""),
    ],
)
def test_a_stream_of_pipelines_starts_exactly_the_repairs_that_the_policy_says(
    policy: str, file: str | None, starts: str, times: int
) -> None:
    stage = Policed(policy, draft=True)
    stage.gitlab.changed = [Diff("docs/a.md", "docs/a.md", "modified", "")]
    stage.plays(FAILURES, file, times)
    assert ", ".join(stage.repaired()) == starts
    stage.clock.time += 10 * LEASE
    ends = {stage.dispatch(each) for each in stage.asked}
    ends |= {stage.dispatch(each) for each in stage.told}
    assert ends <= {Reason.DUPLICATE, Reason.NOTHING_TO_REPAIR}
    assert ", ".join(stage.repaired()) == starts


def test_a_repair_that_waits_is_none_where_the_pipeline_has_become_green() -> None:
    stage = Policed(f"review: opened; {FIX}")
    stage.environment["RUNS_PER_THREAD"] = "1"
    stage.takes(stage.merge_request.opened())
    assert stage.takes(stage.merge_request.piped()) is Reason.WAITING
    stage.merge_request.piped("success", again=True)
    stage.clock.time += 700
    stage.sweep()
    assert stage.dispatch(stage.queue.runs[-1]) is Reason.SUPERSEDED
    assert len(stage.said()) == 1
    stage.merge_request.piped(again=True)
    assert stage.dispatch(stage.told[-1]) is Reason.TRIGGERED


def test_a_push_by_somebody_else_ends_a_repair() -> None:
    stage = Policed(f"review: pushed; {FIX}")
    stage.takes(stage.merge_request.piped())
    stage.takes(stage.merge_request.pushed())
    assert stage.gitlab.cancelled == [1]
    assert stage.repaired() == ["fix 0", "review 1"]


def _red_loop(stage: Policed, times: int = 30) -> list[str]:
    """Let each repair push a commit whose pipeline fails."""
    stage.gitlab.users[99] = User(99, "claude", bot=True, state="active")
    stage.gitlab.members[7, 99] = Member(99, 40, "active", "active", None)
    stage.takes(stage.merge_request.piped())
    for _ in range(times):
        stage.takes(stage.merge_request.pushed(by=99))
        stage.takes(stage.merge_request.piped(by=99))
    return stage.repaired()


def test_what_we_pushed_is_not_repaired_unless_our_bot_may_ask() -> None:
    assert _red_loop(Policed(f"review: pushed; {FIX}")) == ["fix 0"]


def test_a_loop_of_repairs_ends_and_no_commit_of_its_own_cancels_one() -> None:
    stage = Policed(f"{FIX}; runs: 3")
    stage.environment["ALLOWED_BOTS"] = "claude"
    assert _red_loop(stage) == ["fix 0", "fix 1", "fix 2"]
    assert stage.gitlab.cancelled == []
    told = [each for each in stage.said() if "all the runs that may start by themselves" in each]
    assert len(told) == 1


def test_what_the_job_s_own_bot_pushed_does_not_cancel_the_repair_either() -> None:
    stage = Policed(f"review: pushed; {FIX}")
    stage.environment["ALLOWED_BOTS"] = "claude-job"
    stage.gitlab.users[98] = User(98, "claude-job", bot=True, state="active")
    stage.gitlab.members[7, 98] = Member(98, 40, "active", "active", None)
    assert stage.takes(stage.merge_request.piped()) is Reason.TRIGGERED
    assert stage.takes(stage.merge_request.pushed(by=98)) is Reason.TRIGGERED
    assert stage.gitlab.cancelled == []
    stage.takes(stage.merge_request.pushed())
    assert sorted(stage.gitlab.cancelled) == [1, 2]


def test_repairs_and_reviews_of_our_own_commits_count_together() -> None:
    stage = Policed(f"review: pushed; {FIX}; runs: 4")
    stage.environment["ALLOWED_BOTS"] = "claude"
    assert _red_loop(stage) == ["fix 0", "review 1", "fix 1", "review 2"]
    assert set(stage.gitlab.cancelled) == {2, 4}  # reviews of what is not the head any more


def test_a_repair_that_is_found_again_after_it_pushed_goes_on() -> None:
    stage = Policed(FIX)
    stage.gitlab.faults["reply"] = [GitLabError(503)]
    with pytest.raises(Retry):
        stage.takes(stage.merge_request.piped())
    stage.merge_request.pushed(by=99)
    stage.clock.time += 5
    assert stage.dispatch(stage.told[-1]) is Reason.TRIGGERED
    assert stage.gitlab.cancelled == []
    assert len(stage.said()) == 1
