"""Our notes to the letter, as a person reads them."""

import re
from typing import Any

import pytest

from shared.contract import marks
from shared.contract.ai_flow import AUTO
from shared.contract.version import VERSION
from shared.gitlab.values import Job, Pipeline, Progress
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import replies
from shared.outgoing.replies import Understood
from shared.runs.budgets import Account, Budget, Window
from shared.runs.command import Options
from tests.support import fakes
from tests.support.fakes import NOW

RUN = "0123456789abcdef0123456789abcdef"
RUN_MARK = f"<!-- gitlab-claude-trigger run={RUN} -->"
VERSION_MARK = f"<!-- gitlab-claude-version {VERSION} -->"
MARK = f"{VERSION_MARK}\n\n{RUN_MARK}"
PIPELINE = Pipeline(12, "https://gitlab.com/group/app/-/pipelines/12")
OTHER = Pipeline(13, "https://gitlab.com/group/app/-/pipelines/13")
NAMELESS = Pipeline(14, "")
ASKED = Understood("mention", Options(), "@claude")

LINK = "[pipeline 12](https://gitlab.com/group/app/-/pipelines/12)"
OTHER_LINK = "[pipeline 13](https://gitlab.com/group/app/-/pipelines/13)"
JOB_LINK = "[job 120](https://gitlab.com/group/app/-/jobs/120)"
TO_STOP = "To stop it, write `@claude stop` here."
QUEUED = f"Claude is on it: {LINK} is queued."
STUCK = (
    f"Claude is on it, but no runner has taken {LINK} yet. "
    "Is one online that matches the job's tags?"
)
MANUAL = f"{LINK} waits for somebody to start its job by hand."
RUNNING = f"Claude is at work: {JOB_LINK}."
TIMED_OUT = (
    f"Claude ran out of time: {JOB_LINK} reached its time limit. "
    "Ask for less at once, or raise the limit."
)
HELP = """\
Write `@bot` and what you want, in a comment on an issue or a merge request, or in the title or \
description of a new one. These words count when they come first:

| write | what happens |
|---|---|
| `@bot review …` | reviews the merge request; say what to look at |
| `@bot fix …` | finds the cause and fixes it |
| `@bot explain …` | explains, and changes nothing |
| `@bot status` | lists this thread's runs |
| `@bot stop` | cancels this thread's runs |
| `@bot retry` | runs this thread's last request again |
| `@bot help` | shows this |

Options come before the text: `--model NAME` (claude-a, claude-b); `--turns N` (up to 40); \
`--minutes N` (up to 30).
"""


def at(status: str, reason: str = "", **changes: Any) -> Progress:
    job = Job(120, status, reason, "https://gitlab.com/group/app/-/jobs/120")
    return Progress(status, 61, NOW, (job,))._replace(**changes)


def other(status: str, name: str = "build", number: int = 121, **changes: Any) -> Job:
    """A job that is not Claude's."""
    url = f"https://gitlab.com/group/app/-/jobs/{number}"
    return Job(number, status, "script_failure", url, name)._replace(**changes)


def claude(status: str, **changes: Any) -> Job:
    return other(status, "claude", 120)._replace(failure_reason="", **changes)


def moved(progress: Progress, now: float = NOW) -> str:
    return replies.moved(RUN, PIPELINE, progress, ASKED, now)


def failed(cause: str, where: str = JOB_LINK) -> str:
    return (
        f"Claude could not finish. {cause} Its log: {where}. To try again, write `@claude retry`."
    )


def test_the_first_reply_links_the_pipeline_says_what_was_understood_and_how_to_stop_it() -> None:
    understood = Understood("mention", Options("review", "opus", 5, 9), "@claude")
    assert replies.started(RUN, PIPELINE, understood) == (
        f"{QUEUED}\n\n"
        "Understood: a review (model opus, at most 5 turns, at most 9 minutes). "
        f"{TO_STOP}\n\n{MARK}"
    )


@pytest.mark.parametrize(
    ("event", "task"),
    [("assign", "work on this"), ("assign_reviewer", "a review"), ("label", "work on this")],
)
def test_what_was_understood_without_a_command_is_the_event(event: str, task: str) -> None:
    reply = replies.started(RUN, PIPELINE, Understood(event, Options(), "@claude"))
    assert reply == f"{QUEUED}\n\nUnderstood: {task}. {TO_STOP}\n\n{MARK}"


def test_of_a_plain_request_nothing_is_understood_but_its_options() -> None:
    assert replies.started(RUN, PIPELINE, ASKED) == f"{QUEUED}\n\n{TO_STOP}\n\n{MARK}"
    limited = Understood("mention", Options(turns=3), "@claude")
    assert "Understood: your request (at most 3 turns)." in replies.started(RUN, PIPELINE, limited)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "https://x)\n/close",
        "https://x y",
        "https://x/`@all`",
        "https://x/@all",
    ],
)
def test_an_address_that_is_none_is_left_out(url: str) -> None:
    reply = replies.started(RUN, Pipeline(12, url), ASKED)
    assert reply.startswith("Claude is on it: pipeline 12 is queued.\n")


@pytest.mark.parametrize(
    ("progress", "state", "told"),
    [
        (at("created"), "queued", QUEUED),
        (at("pending"), "queued", QUEUED),
        (at("preparing"), "queued", QUEUED),
        (
            at("waiting_for_resource"),
            "waiting",
            f"{LINK} waits for an earlier run of this thread to end.",
        ),
        (at("manual"), "manual", MANUAL),
        (at("scheduled"), "manual", MANUAL),
        (at("running"), "running", RUNNING),
        (at("canceling"), "running", f"Claude is at work: {LINK}."),
        (at("success"), "success", f"Claude has finished: {LINK} took 1 min 1 s."),
        (at("failed", "script_failure"), "failed", failed("The job's script failed.")),
        (
            at("failed", jobs=()),
            "failed",
            failed(
                "The project's CI/CD configuration is not valid. "
                "See Build > Pipeline editor > Validate.",
                LINK,
            ),
        ),
        (at("failed", "job_execution_timeout"), "timed_out", TIMED_OUT),
        (at("failed", "job_execution_server_timeout"), "timed_out", TIMED_OUT),
        (at("canceled"), "canceled", f"Cancelled: {LINK}."),
        (at("skipped"), "skipped", f"GitLab skipped {LINK}: no job of it was to run."),
        (at("something new"), "queued", QUEUED),
        (at("pending", created_at=NOW - 601), "stuck", STUCK),
        (at("running", created_at=NOW - 601), "running", RUNNING),
        (at("pending", created_at=0.0), "queued", QUEUED),
        (at("pending", jobs=()), "queued", QUEUED),
    ],
)
def test_each_status_of_a_pipeline_has_its_words(progress: Progress, state: str, told: str) -> None:
    assert replies.state_of(progress, NOW) == state
    until_then = "" if progress.over else f"\n\n{TO_STOP}"
    assert moved(progress) == f"{told}{until_then}\n\n{MARK}"


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, "queued"), (599.5, "queued"), (600, "queued"), (600.5, "stuck"), (9000, "stuck")],
)
def test_a_pipeline_is_stuck_after_ten_minutes(age: float, state: str) -> None:
    assert replies.state_of(at("pending"), NOW + age) == state


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("script_failure", "The job's script failed."),
        ("api_failure", "GitLab lost contact with the job."),
        (
            "stuck_or_timeout_failure",
            "No runner took the job, or it stopped answering. Check that one is online for it.",
        ),
        ("runner_system_failure", "The runner broke down."),
        ("runner_unsupported", "The runner is too old for this job. Update it."),
        (
            "missing_dependency_failure",
            "Something the job needs from an earlier job is gone.",
        ),
        (
            "no_matching_runner",
            "No runner matches the job's tags. Register one or change the tags.",
        ),
        (
            "ci_quota_exceeded",
            "The project has used up its compute minutes. Buy more or bring a runner of your own.",
        ),
        (
            "user_blocked",
            "The owner of the trigger token is blocked. Create a token with another owner.",
        ),
        ("builds_disabled", "CI/CD is switched off for this project."),
        ("data_integrity_failure", "GitLab could not prepare the job."),
        (
            "protected_environment_failure",
            "The owner of the trigger token may not deploy to the job's environment.",
        ),
        ("a reason of tomorrow", "The job failed, and GitLab gave no reason we know."),
    ],
)
def test_a_cause_is_told_in_plain_words(reason: str, cause: str) -> None:
    assert moved(at("failed", reason)) == f"{failed(cause)}\n\n{MARK}"


BUILD = "[`build`](https://gitlab.com/group/app/-/jobs/121)"


def test_the_reply_names_the_jobs_beside_claude_s() -> None:
    jobs = (other("created"), claude("pending"), other("created", "deploy: eu", 122))
    told = moved(at("pending", jobs=jobs))
    deploy = "[`deploy: eu`](https://gitlab.com/group/app/-/jobs/122)"
    assert told == f"{QUEUED}\n\nIn the same pipeline: {BUILD}, {deploy}.\n\n{TO_STOP}\n\n{MARK}"
    alone = at("pending", jobs=(claude("pending"),))
    assert moved(alone) == f"{QUEUED}\n\n{TO_STOP}\n\n{MARK}"


@pytest.mark.parametrize("name", ["`x` @all", "a\n/close", "<b>", "x" * 61, "", "![x](y)"])
def test_a_job_s_name_that_could_act_is_a_number(name: str) -> None:
    told = moved(at("running", jobs=(claude("running"), other("running", name))))
    assert "In the same pipeline: [job 121](https" in told


def test_a_job_that_runs_beside_claude_s_is_not_taken_for_it() -> None:
    waits = at("running", jobs=(other("running"), claude("created")))
    assert moved(waits).startswith(f"{QUEUED}\n\nIn the same pipeline: {BUILD}.")
    works = at("running", jobs=(other("running"), claude("running")))
    assert moved(works).startswith(RUNNING)


def test_a_failure_of_another_job_is_told_as_that() -> None:
    before = at("failed", jobs=(other("failed"), claude("skipped", began=False)))
    assert moved(before) == (
        f"Claude did not start: {BUILD} failed before it. "
        f"When that is mended, write `@claude retry`.\n\n{MARK}"
    )
    waited = at("failed", jobs=(other("failed"), claude("canceled", began=False)))
    assert moved(waited) == moved(before)
    beside = at("failed", jobs=(other("failed"), claude("success")))
    assert moved(beside) == (
        f"Claude has finished. {LINK} failed for another job: {BUILD}.\n\n{MARK}"
    )
    stopped = at("failed", jobs=(other("failed"), claude("canceled")))
    assert moved(stopped).startswith(f"Cancelled: {LINK}.")
    both = at("failed", jobs=(other("failed"), claude("failed")))
    assert JOB_LINK in moved(both)


def test_a_job_of_another_name_is_the_one_if_none_is_claude_s() -> None:
    assert moved(at("failed", jobs=(other("failed"),))).startswith(
        "Claude could not finish. The job's script failed."
    )


def test_a_pipeline_cancelled_before_claude_began_is_told_with_the_reason() -> None:
    waited = at("canceled", jobs=(other("success"), claude("canceled", began=False)))
    assert moved(waited) == (
        f"Cancelled before Claude began: {LINK}. GitLab itself does so when newer commits reach "
        f"the branch meanwhile. To start it again, write `@claude retry`.\n\n{MARK}"
    )
    assert moved(at("canceled", jobs=(claude("canceled"),))).startswith(f"Cancelled: {LINK}.")


def test_a_reply_that_speaks_for_a_dead_job_bears_its_mark() -> None:
    job = "<!-- gitlab-claude-job pipeline=12 state=ended -->"
    spoken = replies.spoken_for(RUN, PIPELINE, f"It failed.\n\n{MARK}")
    assert spoken == f"It failed.\n\n{VERSION_MARK}\n\n{job}\n{RUN_MARK}"


def test_a_refusal_tells_the_reason_and_the_cure() -> None:
    assert replies.stopped(RUN, Stop(Reason.FORK_MERGE_REQUEST)) == (
        "Claude did not start. Merge requests from forks are not served: their code must not meet "
        "this project's secrets. Push the branch to this project and open the merge request from "
        "there. Whoever runs this installation can let Claude read forks' with FORKS=read-only."
        f"\n\n{MARK}"
    )


def test_a_refusal_gives_a_hint_where_there_is_one() -> None:
    assert replies.stopped(RUN, Stop(Reason.OPTION_UNKNOWN, "Did you mean `--turns`?")) == (
        "Claude did not start. There is no such option. Did you mean `--turns`? The options are "
        f"--model, --turns and --minutes; they come before the text.\n\n{MARK}"
    )


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_no_reply_can_act_or_call(reason: Reason) -> None:
    reply = replies.stopped(RUN, Stop(reason, "Did you mean --turns?"))
    assert reason.sentence in reply
    assert reason.cure in reply
    assert "Did you mean --turns?" in reply
    assert "  " not in reply
    assert "@" not in reply
    assert not re.search(r"^\s*/", reply, re.MULTILINE)
    assert marks.TRIGGER in reply


def test_help_tells_what_this_installation_offers() -> None:
    offers = fakes.settings(ALLOWED_MODELS="claude-a, claude-b", TRIGGER_PHRASE="@bot, @claude")
    assert replies.help_text(RUN, offers) == f"{HELP.rstrip()}\n\n{MARK}"


def test_help_names_no_option_that_this_installation_has_not() -> None:
    assert "--model" not in replies.help_text(RUN, fakes.settings())


def test_help_tells_of_budgets_where_there_are_any() -> None:
    told = replies.help_text(RUN, fakes.settings(BUDGET_PER_RUN="1"))
    assert (
        "\n| `@claude budget` | tells what may be spent, and what was |\n| `@claude help`" in told
    )
    assert "budget" not in replies.help_text(RUN, fakes.settings())


def test_status_lists_pipelines() -> None:
    told = replies.status(RUN, [(PIPELINE, at("running")), (NAMELESS, None)], NOW)
    assert told == f"- {LINK}: running\n- pipeline 14: deleted\n\n{MARK}"
    assert replies.status(RUN, [], NOW) == f"No run of this thread is known.\n\n{MARK}"
    assert replies.status(RUN, [(NAMELESS, None)] * 30, NOW).count("deleted") == 10


def test_cancelled_names_what_was_and_what_could_not_be() -> None:
    assert replies.cancelled(RUN, [], []) == f"Nothing is running in this thread.\n\n{MARK}"
    both = replies.cancelled(RUN, [PIPELINE, OTHER], [])
    assert both == f"Cancelled: {LINK}, {OTHER_LINK}.\n\n{MARK}"
    assert replies.cancelled(RUN, [PIPELINE], [NAMELESS]) == (
        f"Cancelled: {LINK}. GitLab does not let our token cancel pipeline 14. "
        f"A member who may run pipelines on that branch can.\n\n{MARK}"
    )


def test_what_waited_is_said_not_to_start() -> None:
    told = replies.cancelled(RUN, [PIPELINE], [], waiting=True)
    assert told == f"Cancelled: {LINK}. What waited for its turn here will not start.\n\n{MARK}"


@pytest.mark.parametrize(("turn", "time"), [(0, "00:00"), (1, "00:01"), (60, "00:01")])
def test_a_run_that_waits_starts_at_a_full_minute_and_not_before_its_turn(
    turn: int, time: str
) -> None:
    assert f"at 1970-01-01 {time} UTC" in replies.waits(RUN, Reason.DAY_LIMIT, turn)


@pytest.mark.parametrize(
    "status", ["created", "pending", "preparing", "scheduled", "waiting_for_resource"]
)
def test_while_claude_s_job_waits_the_pipeline_is_queued_whatever_else_runs(status: str) -> None:
    running = at("running", jobs=(other("running"), claude(status, began=False)))
    assert moved(running).startswith(QUEUED)


def budget_of(reason: Reason, cap: int, spent: int, held: int = 0) -> tuple[Budget, Account]:
    window = Window(1_772_668_800, 1_772_755_200)
    return Budget(reason, "spent/x", cap, window), Account(spent, {"r": (held, 1)} if held else {})


USER = budget_of(Reason.BUDGET_USER, 8_000_000, 3_340_000, 2_500_000)
PROJECT = budget_of(Reason.BUDGET_PROJECT, 100_000_000, 8_340_000)
HEAD = (
    "| budget | of | spent | held for runs under way | left | starts anew (UTC) |\n"
    "|---|---|---|---|---|---|\n"
)
USERS = "| yours today | $8.00 | $3.34 | $2.50 | $2.16 | 2026-03-06 00:00 |"
PROJECTS = "| this project's this month | $100.00 | $8.34 | $0.00 | $91.66 | 2026-03-06 00:00 |"
ROOM = "The installation's budget for this month has room for a run."
FULL = (
    "The installation's budget for this month has no room for another run. "
    "It starts anew on 2026-03-06 00:00 UTC."
)
UP_TO = "A run may spend up to $2.50."


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], UP_TO),
        ([USER], f"{HEAD}{USERS}\n\n{UP_TO}"),
        (
            [USER, PROJECT],
            f"{HEAD}{USERS}\n{PROJECTS}\n\n{UP_TO}",
        ),
        (
            [budget_of(Reason.BUDGET_INSTALLATION, 9_000_000, 4_000_000, 2_500_000)],
            f"{UP_TO}\n\n{ROOM}",
        ),
        (
            [budget_of(Reason.BUDGET_INSTALLATION, 9_000_000, 4_000_001, 2_500_000)],
            f"{UP_TO}\n\n{FULL}",
        ),
    ],
    ids=["none", "a person's", "a project's", "room", "full"],
)
def test_what_may_be_spent_to_the_letter(found: list[tuple[Budget, Account]], text: str) -> None:
    settings = fakes.settings(BUDGET_PER_RUN="2.50")
    assert replies.budget(RUN, settings, found) == f"{text}\n\n{MARK}"


def test_without_a_budget_that_is_said() -> None:
    assert replies.budget(RUN, fakes.settings(), []) == f"No budget is set here.\n\n{MARK}"


def test_what_nobody_asked_for_says_so() -> None:
    understood = Understood(AUTO, Options(command="review"), "@claude")
    told = replies.started(RUN, PIPELINE, understood, None)
    policy = "Nobody asked: this installation starts a review by itself (`AUTO`)."
    assert told == f"{QUEUED}\n\n{policy} {TO_STOP}\n\n{MARK}"


def test_a_repair_stays_one_where_its_job_is_spoken_for() -> None:
    spoken = replies.spoken_for(RUN, PIPELINE, f"It failed.\n\n{MARK}", repair=2)
    ends = f"{marks.of_repair(2)}\n\n{marks.of_job(12, marks.ENDED)}\n{RUN_MARK}"
    assert spoken == f"It failed.\n\n{VERSION_MARK}\n\n{ends}"
