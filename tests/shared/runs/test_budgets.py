"""Money is held before a pipeline starts and settled at its end, through `dispatch` and `track`."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import GitLabError, Job, Member, Pipeline, Progress, Project, User
from shared.incoming.event import Branches
from shared.outcome import messages
from shared.outcome.reasons import Reason, Retry
from shared.runs import budgets, store
from shared.runs.budgets import Account
from shared.runs.detect import request
from shared.runs.record import ABANDONED, LEASE, SETTLE, Record, State, key_of
from shared.runs.request import TrackRequest
from tests.support import stages
from tests.support.fakes import NOTE, NOW, Records, run, settings

ALL = {
    "BUDGET_PER_RUN": "2.50",
    "BUDGET_PER_USER_DAY": "10",
    "BUDGET_PER_PROJECT_MONTH": "100",
    "BUDGET_PER_INSTALLATION_MONTH": "1000",
}
MOST, MILLION = 2_500_000, 10**6
LEFT = "$1.00 of $6.00 is left, with $5.00 held for runs under way; a run takes up to $2.50."
NUMBERS = itertools.count(5000)


class Stage(stages.Stage):
    """An installation with budgets; `says` is a comment in issue 5, taken to its end."""

    def __init__(self, **environment: str) -> None:
        super().__init__(**ALL | environment)

    def says(self, instruction: str = "fix it", **changes: Any) -> Reason:
        event = NOTE._replace(note_id=next(NUMBERS), at=self.clock.time, **changes)
        self.asked = request(event, instruction, "gitlab.com")
        return self.dispatch(self.asked)

    def ends(self, cost: float | None, status: str = "success", pipeline: int = 1) -> None:
        """Let the job have its last word, and the pipeline end."""
        if cost is not None:
            told = f"{marks.of_cost(cost)}\n\n{marks.of_job(pipeline, marks.ENDED)}"
            number = next(
                number
                for number, body in enumerate(self.gitlab.replies)
                if f"[pipeline {pipeline}]" in body
            )
            mark = f"<!-- gitlab-claude-trigger run={marks.run_of(self.gitlab.replies[number])} -->"
            self.gitlab.replies[number] = f"Done: [pipeline {pipeline}]\n\n{told}\n{mark}"
        self.gitlab.moves(pipeline, status)
        self.track(pipeline)

    def accounts(self, at: float = 0.0) -> list[Account]:
        """Return what is spent and held of the person, the project and the installation."""
        found = budgets.of_run(run(), at or self.clock.time, self.services.settings)
        stored = [self.records.read(each.key)[0] for each in found]
        read = [json.loads(text) if text else {} for text in stored]
        return [Account(each.get("spent", 0), each.get("held", {})) for each in read]

    def sums(self, at: float = 0.0) -> list[tuple[int, int]]:
        """Return the same as (spent, held) each."""
        return [
            (each.spent, sum(amount for amount, _ in each.held.values()))
            for each in self.accounts(at)
        ]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_run_s_maximum_is_held_and_gives_way_to_what_it_cost(stage: Stage) -> None:
    assert stage.says() is Reason.TRIGGERED
    assert stage.sums() == [(0, MOST)] * 3
    assert stage.gitlab.triggered[0][2]["ai_flow"]["options"]["usd"] == "2.500000"
    stage.ends(0.42)
    assert stage.sums() == [(420_000, 0)] * 3
    stage.track()  # twice is once
    assert stage.sums() == [(420_000, 0)] * 3


def test_without_budgets_nothing_is_counted_and_no_job_is_capped() -> None:
    stage = stages.Stage()
    stage.dispatch()
    assert not [key for key in stage.records.stored if key.startswith("spent/")]
    assert "reserved" not in json.loads(stage.records.read(key_of(run().id))[0] or "")
    assert set(stage.gitlab.triggered[0][2]["ai_flow"]["options"]) == {"turns", "minutes"}
    stage.gitlab.moves(1, "success")
    stage.track()
    assert not [key for key in stage.records.stored if key.startswith("spent/")]


def test_a_cap_for_one_run_alone_counts_nothing() -> None:
    stage = stages.Stage(BUDGET_PER_RUN="0.5")
    stage.dispatch()
    assert stage.gitlab.triggered[0][2]["ai_flow"]["options"]["usd"] == "0.500000"
    assert not [key for key in stage.records.stored if key.startswith("spent/")]


@pytest.mark.parametrize(
    ("variable", "sentence", "hint"),
    [
        (
            "BUDGET_PER_USER_DAY",
            "Your budget for today has no room for another run.",
            f"{LEFT} It starts anew on 2026-02-03 00:00 UTC.",
        ),
        (
            "BUDGET_PER_PROJECT_MONTH",
            "This project's budget for this month has no room for another run.",
            f"{LEFT} It starts anew on 2026-03-01 00:00 UTC.",
        ),
        (
            "BUDGET_PER_INSTALLATION_MONTH",
            "The installation's budget for this month has no room for another run.",
            "It starts anew on 2026-03-01 00:00 UTC.",
        ),
    ],
)
def test_who_would_pass_a_cap_is_told_which_and_when_it_frees(
    variable: str, sentence: str, hint: str
) -> None:
    stage = Stage(**{variable: "6"})
    assert [stage.says() for _ in range(2)] == [Reason.TRIGGERED] * 2
    refused = stage.says()
    assert refused.sentence == sentence
    assert stage.reply.startswith(f"Claude did not start. {sentence} {hint} Whoever runs ")
    assert variable in stage.reply
    assert len(stage.gitlab.triggered) == 2
    assert stage.sums() == [(0, 2 * MOST)] * 3
    [line] = [line for line in stage.log.lines if "spent" in line[1]]
    severity = "INFO" if variable == "BUDGET_PER_USER_DAY" else "WARNING"
    assert (line[0], line[1]["spent"], line[1]["held"]) == (severity, 0.0, 5.0)


def test_each_person_is_told_once_in_a_window_and_again_where_the_cap_was_raised() -> None:
    stage = Stage(BUDGET_PER_USER_DAY="2.5")
    seen = [stage.says() for _ in range(3)]
    assert seen == [Reason.TRIGGERED, Reason.BUDGET_USER, Reason.OVER_LIMIT]
    assert len(stage.gitlab.replies) == 2
    assert stage.gitlab.awards[-1] == "no_entry_sign"
    stage.environment["BUDGET_PER_USER_DAY"] = "3"
    assert stage.says() is Reason.BUDGET_USER
    stage.clock.time += 86400
    assert [stage.says() for _ in range(2)] == [Reason.TRIGGERED, Reason.BUDGET_USER]


def test_another_person_has_a_budget_of_their_own() -> None:
    stage = Stage(BUDGET_PER_USER_DAY="2.5")
    stage.gitlab.users[43] = User(43, "bob", bot=False, state="active")
    stage.gitlab.members[7, 43] = Member(43, 30, "active", "active", None)
    assert stage.says() is Reason.TRIGGERED
    assert stage.says(author_id=43, author="bob") is Reason.TRIGGERED
    assert stage.says() is Reason.BUDGET_USER


def test_a_refused_run_counts_in_no_limit_and_holds_nothing_elsewhere() -> None:
    stage = Stage(BUDGET_PER_INSTALLATION_MONTH="2.5", RUNS_PER_THREAD="2")
    assert [stage.says() for _ in range(3)][1:] == [Reason.BUDGET_INSTALLATION, Reason.OVER_LIMIT]
    stage.ends(0.0)
    assert stage.sums() == [(0, 0)] * 3
    assert stage.says() is Reason.TRIGGERED  # the second that counts


@pytest.mark.parametrize(
    ("cost", "status", "spent"),
    [
        (None, "failed", MOST),  # killed, or a job that tells nothing
        (0.0, "failed", 0),  # it ended before Claude began
        (2.75, "failed", 2_750_000),  # the client ends after the call that passes its cap
        (9.99, "success", 2 * MOST),  # nobody's word counts for more
    ],
)
def test_what_is_not_known_counts_as_the_maximum(
    stage: Stage, cost: float | None, status: str, spent: int
) -> None:
    stage.says()
    stage.ends(cost, status)
    assert stage.sums() == [(spent, 0)] * 3


def test_a_pipeline_whose_job_never_began_has_cost_nothing(stage: Stage) -> None:
    stage.says()
    job = Job(10, "canceled", "", "https://gitlab.com/group/app/-/jobs/10", began=False)
    stage.gitlab.statuses[1] = Progress("canceled", 0, NOW, (job,))
    stage.track()
    assert stage.sums() == [(0, 0)] * 3


def test_a_pipeline_that_was_deleted_may_have_spent_all(stage: Stage) -> None:
    stage.says()
    stage.clock.time += 600
    del stage.gitlab.statuses[1]
    stage.track()
    assert stage.sums() == [(MOST, 0)] * 3


@pytest.mark.parametrize(
    "body",
    [
        "<!-- gitlab-claude-cost 0.000000 -->\n\n{job}\n\nmore\n{run}",
        "{cost}\n\n<!-- gitlab-claude-job pipeline=2 state=ended -->\n{run}",
        "{cost}\n\n<!-- gitlab-claude-job pipeline=1 state=working -->\n{run}",
        "```\n\n{cost}\n\n{job}\n{run}\n```\n\n{job}\n{run}",
    ],
    ids=["elsewhere", "another pipeline's", "at work", "in the answer"],
)
def test_only_the_job_s_last_word_tells_what_it_cost(stage: Stage, body: str) -> None:
    stage.says()
    stage.gitlab.replies[0] = "Done.\n\n" + body.format(
        cost=marks.of_cost(0), job=marks.of_job(1, marks.ENDED), run=marks.of_run(stage.asked.id)
    )
    stage.gitlab.moves(1, "failed")
    stage.track()
    assert stage.sums() == [(MOST, 0)] * 3


def test_the_job_of_a_merge_request_s_own_branch_is_not_believed() -> None:
    stage = Stage(PIPELINE_REF="source")
    branches = Branches("feature", "main", 7, "abc")
    assert stage.says(kind="merge_request", branches=branches) is Reason.TRIGGERED
    stage.ends(0.0)
    assert stage.sums() == [(MOST, 0)] * 3
    stage.says()  # in an issue, whose job is the default branch's
    stage.ends(1.0, pipeline=2)
    assert stage.sums() == [(MOST + MILLION, 0)] * 3


def test_what_gitlab_refuses_to_start_has_cost_nothing(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(400, "The resulting pipeline would have been em")]
    assert stage.says() is not Reason.TRIGGERED
    assert stage.sums() == [(0, 0)] * 3


def test_another_attempt_holds_nothing_more(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(429)]
    with pytest.raises(Retry):
        stage.says()
    assert stage.sums() == [(0, MOST)] * 3
    stage.clock.time += LEASE
    assert stage.dispatch(stage.asked) is Reason.TRIGGERED
    assert stage.sums() == [(0, MOST)] * 3
    assert {attempt for each in stage.accounts() for _, attempt in each.held.values()} == {2}
    stage.ends(1.0)
    assert stage.sums() == [(MILLION, 0)] * 3


def test_a_run_belongs_to_the_day_in_which_it_was_held(stage: Stage) -> None:
    night = datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp()
    stage.clock.time = night
    stage.says()
    stage.clock.time += 3600
    stage.ends(1.0)
    assert stage.sums(night) == [(MILLION, 0)] * 3
    assert stage.sums() == [(0, 0)] * 3


def test_after_december_comes_january() -> None:
    [_, project, _] = budgets.of_run(run(), datetime(2026, 12, 31, 23, tzinfo=UTC).timestamp())
    assert project.key == "spent/project/7/2026-12"
    assert project.window.until == datetime(2027, 1, 1, tzinfo=UTC).timestamp()


def test_budgets_switched_off_meanwhile_are_settled_all_the_same(stage: Stage) -> None:
    stage.says()
    stage.environment.clear()
    stage.ends(1.0)
    assert stage.sums() == [(MILLION, 0)] * 3


def test_a_retry_is_a_run_of_who_repeats_it(stage: Stage) -> None:
    stage.says()
    stage.ends(1.0)
    assert stage.says("retry") is Reason.TRIGGERED
    assert stage.sums() == [(MILLION, MOST)] * 3
    stage.ends(0.5, pipeline=2)
    assert stage.sums() == [(1_500_000, 0)] * 3


def test_a_run_that_waits_for_its_turn_holds_nothing_until_it_starts() -> None:
    stage = Stage(RUNS_PER_THREAD="1")
    assert [stage.says() for _ in range(2)] == [Reason.TRIGGERED, Reason.WAITING]
    assert stage.sums() == [(0, MOST)] * 3
    stage.clock.time += 660
    stage.sweep()
    assert stage.dispatch(stage.queue.runs[-1]) is Reason.TRIGGERED
    assert stage.sums() == [(0, 2 * MOST)] * 3


def test_a_runner_project_s_run_counts_where_it_was_asked() -> None:
    stage = Stage(RUNNER_PROJECT="group/runner")
    stage.gitlab.projects.append(Project(70, "group/runner", "main", public=False))
    stage.says()
    stage.gitlab.replies[0] = (
        f"Done.\n\n{marks.of_cost(1)}\n\n{marks.of_job(1, marks.ENDED)}\n"
        f"{marks.of_run(stage.asked.id)}"
    )
    stage.gitlab.moves(1, "success")
    budget = stage.sums()
    assert budget == [(0, MOST)] * 3
    stage.dispatch(TrackRequest(70, 1, "success"))
    assert stage.sums() == [(MILLION, 0)] * 3


def started_again(stage: Stage, *, job: str) -> None:
    stage.gitlab.moves(1, "running")
    [ours] = stage.gitlab.statuses[1].jobs
    jobs = (ours._replace(name="claude", status=job), ours._replace(id=11, name="lint"))
    stage.gitlab.statuses[1] = Progress("running", 61, NOW, jobs)
    stage.dispatch(TrackRequest(7, 1, "running"))


def test_a_job_started_again_by_hand_holds_and_costs_again(stage: Stage) -> None:
    stage.says()
    stage.ends(1.0)
    started_again(stage, job="pending")
    assert stage.sums() == [(MILLION, MOST)] * 3
    stage.ends(0.5)
    assert stage.sums() == [(1_500_000, 0)] * 3


def test_each_earlier_try_that_a_runner_had_costs_the_maximum_once(stage: Stage) -> None:
    stage.says()
    stage.gitlab.moves(1, "running")
    [ours] = stage.gitlab.statuses[1].jobs
    former = ours._replace(id=90, status="canceled")
    unbegun, other = former._replace(id=91, began=False), former._replace(id=92, name="lint")
    stage.gitlab.retried = (former, unbegun, other)
    stage.ends(0.5)
    assert stage.sums() == [(MOST + 500_000, 0)] * 3
    started_again(stage, job="pending")
    stage.gitlab.retried = (former, former._replace(id=93), former._replace(id=94))
    stage.gitlab.retried = tuple(each._replace(name="claude") for each in stage.gitlab.retried)
    jobs = (ours._replace(name="claude", began=False),)
    stage.gitlab.statuses[1] = Progress("canceled", 61, NOW, jobs)
    stage.track(1)
    assert stage.sums() == [(MOST + 500_000 + MOST, 0)] * 3


def test_another_job_started_again_costs_nothing(stage: Stage) -> None:
    stage.says()
    stage.ends(1.0)
    started_again(stage, job="success")
    stage.ends(1.0)
    assert stage.sums() == [(MILLION, 0)] * 3


def test_a_job_started_again_counts_in_the_budgets_that_are_set() -> None:
    stage = Stage(BUDGET_PER_PROJECT_MONTH="")
    stage.says()
    stage.ends(1.0)
    started_again(stage, job="pending")
    assert stage.sums() == [(MILLION, MOST), (0, 0), (MILLION, MOST)]
    started_again(stage, job="running")  # it was told of twice
    assert stage.sums()[0] == (MILLION, MOST)


def test_without_budgets_a_job_started_again_costs_nothing() -> None:
    stage = Stage(**dict.fromkeys(ALL, ""))
    stage.says()
    stage.ends(1.0)
    started_again(stage, job="pending")
    assert stage.sums() == [(0, 0)] * 3


def held(stage: Stage, **changes: Any) -> None:
    """Leave a hold of a run that died, with its record as it then stood; without changes none."""
    lost = run(NOTE._replace(note_id=1))
    assert budgets.hold(lost, 1, stage.services.settings, stage.records, stage.clock.time) is None
    if changes:
        record = Record(lost, State.CLAIMED, until=NOW + LEASE, expires=int(NOW) + store.KEPT)
        record = record._replace(reserved=NOW, **changes)
        stage.records.stored[record.key] = record.to_json(), 1


@pytest.mark.parametrize(
    ("changes", "spent"),
    [
        ({}, 0),  # there is no such run
        ({"state": State.CLAIMED}, 0),  # it died before its trigger call
        ({"state": State.DEAD, "until": 0.0}, 0),
        ({"state": State.DEAD, "since": NOW}, MOST),  # GitLab may have started it
        ({"state": State.TRIGGERING, "since": NOW}, MOST),
        ({"state": State.FINISHED, "pipeline": [9, "https://gitlab.com/9"]}, MOST),
    ],
)
def test_nothing_is_held_for_ever(changes: dict[str, Any], spent: int) -> None:
    stage = Stage(BUDGET_PER_USER_DAY="2.5")
    if "pipeline" in changes:
        changes = changes | {"pipeline": Pipeline(*changes["pipeline"])}
    held(stage, **changes)
    stage.clock.time += LEASE + ABANDONED + 1
    assert stage.says() is (Reason.BUDGET_USER if spent else Reason.TRIGGERED)
    assert stage.accounts()[0].spent == spent


def test_what_goes_on_keeps_what_it_holds() -> None:
    stage = Stage(BUDGET_PER_USER_DAY="2.5")
    held(stage, state=State.TRIGGERING, since=NOW, until=NOW + SETTLE)
    assert stage.says() is Reason.BUDGET_USER
    stage.records.stored[key_of(run(NOTE._replace(note_id=1)).id)] = '{"version": 99}', 2
    stage.clock.time += LEASE + ABANDONED + 1
    assert stage.says() is Reason.OVER_LIMIT
    assert stage.sums()[0] == (0, MOST)


def test_a_pipeline_that_is_live_keeps_what_it_holds() -> None:
    stage = Stage(BUDGET_PER_USER_DAY="2.5")
    stage.says()
    stage.clock.time += 4 * 3600
    assert stage.says() is Reason.BUDGET_USER
    assert stage.sums()[0] == (0, MOST)


class Busy(Records):
    """Records in which somebody is always faster, once `slow`."""

    slow = False

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        if self.slow and key.startswith("spent/"):
            return None
        return super().write(key, text, version, expires)


def test_where_others_are_always_faster_the_run_waits_for_a_quieter_moment() -> None:
    stage = Stage()
    stage.records = records = Busy()
    records.slow = True
    with pytest.raises(Retry) as retry:
        stage.says()
    assert retry.value.reason is Reason.BUSY
    records.slow, stage.clock.time = False, stage.clock.time + LEASE
    assert stage.dispatch(stage.asked) is Reason.TRIGGERED
    records.slow = True
    with pytest.raises(Retry):
        stage.ends(1.0)
    records.slow = False
    stage.track()
    assert stage.sums() == [(MILLION, 0)] * 3


def test_who_was_faster_counts_before_us() -> None:
    stage = Stage(BUDGET_PER_USER_DAY="2.5")
    former, waiting = stage.records.read, [1]

    def read(key: str) -> tuple[str | None, object]:
        found = former(key)
        if key.startswith("spent/user") and waiting:
            waiting.clear()
            held(stage, state=State.CLAIMED)
        return found

    stage.records.read = read  # type: ignore[method-assign]
    assert stage.says() is Reason.BUDGET_USER
    assert stage.sums()[0] == (0, MOST)


def test_amounts_are_told_to_the_cent_or_closer() -> None:
    assert [budgets.in_dollars(each) for each in (0, 10**7, 1_005_400)] == [
        "$0.00",
        "$10.00",
        "$1.0054",
    ]


class Counted(Records):
    """Records that count what is asked of them."""

    calls = 0

    def read(self, key: str) -> tuple[str | None, object]:
        self.calls += 1
        return super().read(key)

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        self.calls += 1
        return super().write(key, text, version, expires)


def calls(**environment: str) -> tuple[int, int]:
    """Return how many calls of the store a mention takes, and its end."""
    stage = Stage(**dict.fromkeys(ALL, "") | environment)
    stage.records = records = Counted()
    stage.says()
    started, records.calls = records.calls, 0
    stage.ends(1.0)
    return started, records.calls


def test_a_mention_takes_two_calls_more_for_each_budget() -> None:
    started, ended = calls()
    assert started <= 18
    one = {"BUDGET_PER_RUN": "2.5", "BUDGET_PER_USER_DAY": "5"}
    assert calls(**one) == (started + 2, ended + 4)
    assert calls(**ALL) == (started + 6, ended + 6)


def test_in_chinese_the_refusal_is_chinese() -> None:
    messages.speak("zh-CN")
    try:
        stage = Stage(BUDGET_PER_USER_DAY="2.5")
        stage.says()
        assert stage.says() is Reason.BUDGET_USER
        assert "您今天的预算已不够再启动一次运行。$2.50 中还剩 $0.00" in stage.reply
        assert "可花 $2.50。预算将于 2026-02-03 00:00 UTC 重新起算。负责" in stage.reply
        stage.says("budget")
        assert "| 您今天的 | $2.50 | $0.00 | $2.50 | $0.00 | 2026-02-03 00:00 |" in stage.reply
    finally:
        messages.speak("en")


def test_a_run_takes_one_record_a_budget() -> None:
    records = Records()
    assert budgets.hold(run(), 1, settings(**ALL), records, NOW) is None
    assert sorted(records.stored) == [
        "spent/installation/2026-02",
        "spent/project/7/2026-02",
        "spent/user/42/2026-02-02",
    ]
