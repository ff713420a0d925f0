import re
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import Job, Pipeline, Progress
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import replies
from shared.outgoing.replies import Understood
from shared.runs.command import Options
from tests.support import fakes
from tests.support.fakes import NOW

RUN = "0123456789abcdef0123456789abcdef"
PIPELINE = Pipeline(12, "https://gitlab.com/group/app/-/pipelines/12")
ASKED = Understood("mention", Options(), "@claude")


def at(status: str, reason: str = "", **changes: Any) -> Progress:
    job = Job(120, status, reason, "https://gitlab.com/group/app/-/jobs/120")
    return Progress(status, 61, NOW, (job,))._replace(**changes)


def moved(progress: Progress, now: float = NOW) -> str:
    return replies.moved(RUN, PIPELINE, progress, ASKED, now)


def test_the_first_reply_links_the_pipeline_says_what_was_understood_and_how_to_stop_it() -> None:
    reply = replies.started(
        RUN, PIPELINE, Understood("mention", Options("review", "opus", 5, 9), "@claude")
    )
    assert reply == (
        "Claude is on it: [pipeline 12](https://gitlab.com/group/app/-/pipelines/12) is queued.\n\n"
        "Understood: a review (model opus, at most 5 turns, at most 9 minutes). "
        "To stop it, write `@claude stop` here.\n\n" + marks.of_run(RUN)
    )


@pytest.mark.parametrize("event", ["assign", "assign_reviewer", "label"])
def test_what_was_understood_without_a_command_is_the_event(event: str) -> None:
    reply = replies.started(RUN, PIPELINE, Understood(event, Options(), "@claude"))
    assert f"Understood: {messages.TASKS[event]}. To stop" in reply


def test_of_a_plain_request_nothing_is_understood_but_its_options() -> None:
    assert "Understood" not in replies.started(RUN, PIPELINE, ASKED)
    assert "your request (at most 3 turns)" in replies.started(
        RUN, PIPELINE, ASKED._replace(order=Options(turns=3))
    )


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
    assert replies.started(RUN, Pipeline(12, url), ASKED).startswith(
        "Claude is on it: pipeline 12 is"
    )


@pytest.mark.parametrize(
    ("progress", "state"),
    [
        (at("created"), "queued"),
        (at("pending"), "queued"),
        (at("preparing"), "queued"),
        (at("waiting_for_resource"), "waiting"),
        (at("manual"), "manual"),
        (at("scheduled"), "manual"),
        (at("running"), "running"),
        (at("canceling"), "running"),
        (at("success"), "success"),
        (at("failed", "script_failure"), "failed"),
        (at("failed", jobs=()), "failed"),
        (at("failed", "job_execution_timeout"), "timed_out"),
        (at("canceled"), "canceled"),
        (at("skipped"), "skipped"),
        (at("something new"), "queued"),
        (at("pending", created_at=NOW - 601), "stuck"),
        (at("running", created_at=NOW - 601), "running"),
        (at("pending", created_at=0.0), "queued"),
    ],
)
def test_each_status_of_a_pipeline_has_its_words(progress: Progress, state: str) -> None:
    assert replies.state_of(progress, NOW) == state
    longest = max(messages.STATES[state].replace("}", "{").split("{"), key=len)
    assert longest in moved(progress)
    assert ("To stop it" in moved(progress)) is not progress.over
    assert moved(progress).endswith(marks.of_run(RUN))


def test_a_running_job_and_a_failed_one_are_linked() -> None:
    assert moved(at("running")).startswith(
        "Claude is at work: [job 120](https://gitlab.com/group/app/-/jobs/120)."
    )
    told = moved(at("failed", "script_failure"))
    assert (
        "The job's script failed. Its log: [job 120](https://gitlab.com/group/app/-/jobs/120)."
        in told
    )
    assert "after" not in moved(at("success"))
    assert "1 min 1 s" in moved(at("success"))


@pytest.mark.parametrize("reason", [*messages.CAUSES, "a reason of tomorrow"])
def test_a_cause_is_told_in_plain_words(reason: str) -> None:
    cause = messages.CAUSES.get(reason, messages.CAUSE_UNKNOWN)
    told = moved(at("failed", reason) if reason != "config_error" else at("failed", jobs=()))
    assert cause in told
    assert reason not in told


@pytest.mark.parametrize(
    ("mark", "at_work", "answer"),
    [
        ("", False, False),
        ("<!-- gitlab-claude-job pipeline=3 state=working -->", True, False),
        ("<!-- gitlab-claude-job pipeline=3 state=ended -->", True, True),
        ("<!-- gitlab-claude-job pipeline=3 -->", True, True),
        ("<!-- gitlab-claude-job pipeline=x -->", False, False),
    ],
)
def test_a_job_s_own_words_are_known(mark: str, *, at_work: bool, answer: bool) -> None:
    body = f"Some text.\n\n{mark}\n{marks.of_run(RUN)}"
    assert (marks.has_job(body), marks.has_answer(body)) == (at_work, answer)


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
    full = replies.help_text(
        RUN, fakes.settings(ALLOWED_MODELS="claude-opus-4-5", TRIGGER_PHRASE="@bot, @claude")
    )
    assert "| `@bot stop` |" in full
    assert (
        "`--model NAME` (claude-opus-4-5); `--turns N` (up to 40); `--minutes N` (up to 30)" in full
    )
    assert "--model" not in replies.help_text(RUN, fakes.settings())
    assert full.endswith(marks.of_run(RUN))


def test_status_lists_pipelines() -> None:
    other = Pipeline(13, "")
    told = replies.status(RUN, [(PIPELINE, at("running")), (other, None)], NOW)
    assert told.startswith(f"- [pipeline 12]({PIPELINE.url}): running\n- pipeline 13: deleted\n\n")
    assert replies.status(RUN, [], NOW).startswith(messages.STATUS_NONE)
    assert replies.status(RUN, [(other, None)] * 30, NOW).count("deleted") == 10


def test_cancelled_names_what_was_and_what_could_not_be() -> None:
    assert replies.cancelled(RUN, [], []).startswith(messages.STOP_NONE)
    told = replies.cancelled(RUN, [PIPELINE], [Pipeline(13, "")])
    assert told.startswith(
        f"Cancelled: [pipeline 12]({PIPELINE.url}). GitLab does not let our token cancel pipeline 13."
    )


def test_the_words_are_whole() -> None:
    assert set(messages.REASONS) == {reason.name for reason in Reason}
    assert set(messages.STATES) == set(messages.STATE_NAMES)
    assert set(messages.OPTIONS) == set(messages.HELP_OPTIONS) == set(Options._fields) - {"command"}
    for text in (
        *messages.STATES.values(),
        *messages.CAUSES.values(),
        messages.HELP,
        messages.UNDERSTOOD,
    ):
        assert not re.search(r"^\s*/", text, re.MULTILINE)
