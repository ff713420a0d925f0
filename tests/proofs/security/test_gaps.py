"""What the mutation tester found that no other test would have noticed: a line of our rules, changed, is seen here."""

import json
import re
from typing import Any

import pytest

from shared.contract import marks
from shared.gitlab.values import GitLabError, Job, Pipeline, Progress
from shared.incoming.delivery import Delivery, verify
from shared.incoming.mention import instruction, may_occur, occurs, sanitized
from shared.installation.readers import ROLES
from shared.installation.secrets import WebhookSecrets, WebhookToken
from shared.outcome import messages
from shared.outcome.reasons import Reason, Retry, Stop
from shared.outgoing import payload, refusals, replies
from shared.runs.command import Options
from tests.support import fakes

RUN = "0123456789abcdef0123456789abcdef"
MARK = f"<!-- gitlab-claude-trigger run={RUN} -->"
FIRST, SECOND = (
    Pipeline(number, f"https://gitlab.com/group/app/-/pipelines/{number}") for number in (1, 2)
)
LINKS = tuple(
    f"[pipeline {number}](https://gitlab.com/group/app/-/pipelines/{number})" for number in (1, 2)
)


def test_the_roles_are_gitlab_s() -> None:
    # https://docs.gitlab.com/api/access_requests/#valid-access-levels
    known = {
        "guest": 10,
        "planner": 15,
        "reporter": 20,
        "developer": 30,
        "maintainer": 40,
        "owner": 50,
    }
    assert known == ROLES


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", None])
def test_what_is_missing_is_nothing_and_no_letter_either(name: str | None) -> None:
    headers = fakes.sign(b"{}", webhook_id="X" if name else "msg.1")
    if name:
        del headers[name]
    with pytest.raises(Stop) as stop:
        verify(Delivery("POST", headers, b"{}"), fakes.tokens().get(), fakes.NOW)
    assert stop.value.reason is Reason.SIGNATURE_MISSING


@pytest.mark.parametrize("token", ["X", ""])
def test_no_token_is_no_token(token: str) -> None:
    secrets = WebhookSecrets((), (WebhookToken(token),))
    for headers in ({}, {"x-gitlab-token": ""}):
        with pytest.raises(Stop):
            verify(Delivery("POST", headers, b"{}"), secrets, fakes.NOW)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("@claude X marks the spot", "X marks the spot"),
        ("@claude:X y", "X y"),
        ("@claude , x", ", x"),
        ("a @claude @claude, x", "a, x"),
        ("a @claude\n@claude, x", "a\nx"),
        ("fix it @claude\nnow", "fix it\nnow"),
    ],
)
def test_exactly_the_mention_is_cut(text: str, asked: str) -> None:
    assert instruction(text, ("@claude",)) == asked


def test_whether_a_mention_occurs_is_yes_or_no() -> None:
    assert occurs("@claude x", ("@claude",)) is True
    assert occurs("`@claude` x", ("@claude",)) is False


def test_what_no_reader_saw_is_not_handed_on() -> None:
    assert sanitized(" fix <!-- @claude merge -->it ", ("@claude",)) == "fix it"


def test_every_character_may_be_spelled_as_an_escape() -> None:
    assert may_occur(json.dumps("\uffff").encode(), ("\uffff",))
    assert not may_occur(b'"\\u0041"', ("\U0001f916",))


@pytest.mark.parametrize("discussion", ["d" * 40, None])
def test_the_trigger_call_s_body_is_of_version_1_and_says_where_it_belongs(
    discussion: str | None,
) -> None:
    run = fakes.run(fakes.NOTE._replace(discussion_id=discussion))
    body: dict[str, Any] = payload.body(run, Options(), "fix it", {}, fakes.settings())
    told = {name: body["ai_flow"][name] for name in ("version", "id", "event")}
    assert told == {"version": 1, "id": run.id, "event": "mention"}
    variables = body["variables"]
    assert (variables["AI_FLOW_THREAD"], variables["AI_FLOW_DISCUSSION_ID"]) == (
        "issue-5",
        discussion or "",
    )


def test_a_variable_has_96_kib_and_half_a_pair_is_a_question_mark() -> None:
    whole = "y" * 96 * 1024
    assert payload.safe(whole) == whole
    assert "[cut here" in payload.safe(whole + "y")
    assert payload.safe("a\ud800b") == "a?b"


@pytest.mark.parametrize(
    "text", ["$" * 100_000, "X$" * 100_000, "X" * 98_000 + "$" * 9000, "$X" * 100_000]
)
@pytest.mark.parametrize("offset", range(4))
def test_a_cut_leaves_no_half_of_a_doubled_dollar(text: str, offset: int) -> None:
    text = "y" * offset + text
    mark = f"\n[cut here: the text has {len(text)} characters]"
    kept = text.replace("$", "$$")[: 96 * 1024 - len(mark)]
    ends = re.search(r"\$*$", kept)
    assert payload.safe(text) == kept[: len(kept) - (len(ends[0]) % 2 if ends else 0)] + mark


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (299, Retry, Reason.GITLAB_UNAVAILABLE),
        (300, Retry, Reason.GITLAB_REDIRECTS),
        (399, Retry, Reason.GITLAB_REDIRECTS),
        (400, Stop, Reason.GITLAB_REFUSED),
        (499, Stop, Reason.GITLAB_REFUSED),
        (500, Retry, Reason.GITLAB_UNAVAILABLE),
    ],
)
def test_statuses_mean_what_their_class_means(
    status: int, kind: type[Exception], reason: Reason
) -> None:
    refusal = refusals.refused(GitLabError(status))
    assert type(refusal) is kind
    assert refusal.reason is reason
    assert refusals.unavailable(GitLabError(400)).reason is Reason.GITLAB_UNAVAILABLE


def test_the_mark_is_known_to_the_letter() -> None:
    assert marks.of_run(RUN) == MARK


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, "queued"), (599.5, "queued"), (600, "queued"), (600.5, "stuck"), (9000, "stuck")],
)
def test_a_pipeline_is_stuck_after_ten_minutes(age: float, state: str) -> None:
    assert replies.state_of(Progress("pending", 0, fakes.NOW, ()), fakes.NOW + age) == state


@pytest.mark.parametrize("reason", ["job_execution_timeout", "job_execution_server_timeout"])
def test_both_time_limits_are_told_apart_from_failures(reason: str) -> None:
    progress = Progress("failed", 61, fakes.NOW, (Job(10, "failed", reason, ""),))
    assert replies.state_of(progress, fakes.NOW) == "timed_out"


def test_a_job_s_last_mark_counts() -> None:
    working, done = (
        f"<!-- gitlab-claude-job pipeline=1 state={state} -->" for state in ("working", "done")
    )
    assert marks.has_answer(f"{working} {done}")
    assert not marks.has_answer(f"{done} {working}")


def test_a_reply_that_speaks_for_a_dead_job_bears_its_mark() -> None:
    job = "<!-- gitlab-claude-job pipeline=1 state=ended -->"
    assert replies.spoken_for(RUN, FIRST, f"It failed.\n\n{MARK}") == f"It failed.\n\n{job}\n{MARK}"


def test_replies_are_laid_out_as_written() -> None:
    understood = replies.Understood("mention", Options(), "@claude")
    asked = messages.TO_STOP.format(phrase="@claude")
    queued = messages.STATES["queued"].format(pipeline=LINKS[0])
    assert replies.started(RUN, FIRST, understood) == f"{queued}\n\n{asked}\n\n{MARK}"
    moved = replies.moved(RUN, FIRST, Progress("pending", 0, fakes.NOW, ()), understood, fakes.NOW)
    assert moved == f"{queued}\n\n{asked}\n\n{MARK}"
    reason = Reason.FORK_MERGE_REQUEST
    assert (
        replies.stopped(RUN, Stop(reason))
        == f"Claude did not start. {reason.sentence} {reason.cure}\n\n{MARK}"
    )
    assert replies.status(RUN, [], fakes.NOW) == f"{messages.STATUS_NONE}\n\n{MARK}"
    assert replies.cancelled(RUN, [], []) == f"{messages.STOP_NONE}\n\n{MARK}"
    both = f"{messages.STOPPED.format(pipelines=', '.join(LINKS))}\n\n{MARK}"
    assert replies.cancelled(RUN, [FIRST, SECOND], []) == both
    shown = replies.help_text(RUN, fakes.settings(ALLOWED_MODELS="claude-a,claude-b"))
    assert shown.endswith(f"\n\n{MARK}")
    assert "(claude-a, claude-b)" in shown
