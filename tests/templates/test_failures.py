"""Every way a run of the job can fail ends in one readable reply and its own exit code.

Claude Code and gitlab-ci-local are the real ones.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job.failures import ExitCode
from tests.support.job import tooling
from tests.support.job.runner import plain
from tests.support.job.scene import ANSWER, CHANGE, JOB_TOKEN, Installation, Scene

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())


@pytest.mark.parametrize(
    ("inputs", "status", "sentence"),
    [
        ({"max_turns": 1}, 0, "Claude stopped at the limit of 1 turns."),
        ({"max_budget_usd": 0.001}, 0, "Claude stopped at the limit of $0.001."),
        ({}, 401, "The model provider did not accept the job's identity."),
        ({}, 429, "The provider's rate limit is used up (429)."),
        ({}, 529, "The provider is overloaded or out of order (529)."),
    ],
    ids=["turns", "budget", "401", "429", "529"],
)
def test_claude_that_cannot_go_on_is_told_in_plain_words(
    installation: Installation, inputs: dict[str, Any], status: int, sentence: str
) -> None:
    with Scene(installation, CHANGE, inputs) as scene:
        scene.model.status = status
        ended = scene.script(scene.ask("@claude add a greeting"))
        assert ended.code == ExitCode.CLAUDE, plain(ended.log)
        assert sentence in scene.reply()
        assert scene.merge_requests() == []
        assert "Job: [job " in scene.reply() or "turn" in scene.reply()


def test_at_the_time_limit_claude_is_stopped_and_what_it_did_is_kept(
    installation: Installation,
) -> None:
    with Scene(installation, CHANGE, {"timeout_minutes": 0.05}) as scene:
        scene.model.hold = threading.Event()
        ended = scene.script(scene.ask("@claude add a greeting"))
        assert ended.code == ExitCode.TIME, plain(ended.log)
        assert "stopped at the time limit of 0.05 minutes" in scene.reply()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def claude_first(pid: int) -> None:
    for child in children(pid):
        stop(child)
    time.sleep(0.3)
    stop(pid)


@pytest.mark.parametrize(
    ("shell", "cancel", "code"),
    [
        (False, lambda pid: os.killpg(pid, signal.SIGTERM), ExitCode.TIME),
        (False, stop, ExitCode.TIME),
        (False, claude_first, ExitCode.TIME),
        (True, stop, -signal.SIGTERM),
    ],
    ids=["all of the group", "the job alone", "Claude before the job", "the shell above it alone"],
)
def test_a_canceled_job_says_so_and_pushes_nothing(
    installation: Installation, *, shell: bool, cancel: Callable[[int], None], code: int
) -> None:
    with Scene(installation, CHANGE) as scene:
        scene.model.hold = threading.Event()
        if shell:
            scene.runner.start = lambda _: ["sh", "-c", '"$@"; exit $?', "sh"]
        canceled = time.monotonic()
        pipeline = scene.ask("@claude add a greeting")
        began = time.monotonic()

        def during(process: "subprocess.Popen[bytes]") -> None:
            nonlocal canceled
            canceled = time.monotonic()
            cancel(process.pid)

        ended = scene.script(pipeline, during=during)
        assert ended.code == code, plain(ended.log)
        assert began < canceled
        assert time.monotonic() - canceled < 10
        assert "The job was canceled." in scene.reply()
        assert scene.merge_requests() == []
        assert scene.gitlab.projects[scene.number].branches.keys() == {"main"}


def test_a_job_that_is_canceled_while_it_pushes_opens_no_merge_request(
    installation: Installation, tmp_path: Path
) -> None:
    with Scene(installation, CHANGE) as scene:
        reached = tmp_path / "reached"
        hook = scene.gitlab.repository(scene.number) / "hooks" / "pre-receive"
        hook.write_text(f"#!/bin/sh\ntouch {reached}\nsleep 1\n")
        hook.chmod(0o755)

        def during(process: "subprocess.Popen[bytes]") -> None:
            while not reached.exists():
                time.sleep(0.05)
            stop(process.pid)

        ended = scene.script(scene.ask("@claude add a greeting"), during=during)
        assert ended.code == ExitCode.TIME, plain(ended.log)
        assert "The job was canceled while it pushed to `claude/issue-5-" in scene.reply()
        assert "+hello" in ended.artifacts["changes.patch"]
        assert scene.merge_requests() == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"ANTHROPIC_API_KEY": ""},
            ExitCode.SETTINGS,
            "The CI/CD variable ANTHROPIC_API_KEY is not set",
        ),
        ({"GITLAB_ACCESS_TOKEN": ""}, ExitCode.SETTINGS, ""),
        ({"GITLAB_ACCESS_TOKEN": "glpat-expired"}, ExitCode.GITLAB, ""),
    ],
    ids=["no key", "no token", "rejected token"],
)
def test_what_is_missing_is_named_with_where_to_set_it(
    installation: Installation, changes: dict[str, str], code: int, words: str
) -> None:
    with Scene(installation, CHANGE) as scene:
        scene.runner.variables |= changes
        ended = scene.script(scene.ask("@claude add a greeting"))
        assert ended.code == code, plain(ended.log)
        assert next(iter(changes)) in ended.log
        # Without a token nobody can edit: the trigger function's reply stays the only one.
        assert words in scene.reply()
        assert scene.model.conversation == []


@pytest.mark.parametrize(
    ("provider", "refusal"),
    [
        ("bedrock", "<Code>InvalidIdentityToken</Code><Message>Incorrect token audience</Message>"),
        ("vertex", '{"error": "invalid_grant", "error_description": "The audience in ID Token …"}'),
    ],
)
def test_an_identity_with_another_audience_is_told_as_that(
    installation: Installation, provider: str, refusal: str
) -> None:
    inputs = {
        "provider": provider,
        "region": "eu-central-1",
        "model": "eu.anthropic.claude-opus-5-5",
    }
    with Scene(installation, ANSWER, inputs) as scene:
        scene.model.refusal = refusal
        ended = scene.script(scene.ask("@claude what is it?"))
        assert ended.code == ExitCode.CLAUDE, plain(ended.log)
        assert "The model provider did not accept the job's identity." in scene.reply()
        assert "another audience than the token's" in scene.reply()
        assert refusal in ended.log
        assert "GitLab's identity token has " in ended.log


def test_a_push_that_gitlab_refuses_leaves_the_answer_a_patch_and_no_secret(
    installation: Installation,
) -> None:
    with Scene(installation, CHANGE) as scene:
        hook = scene.gitlab.repository(scene.number) / "hooks" / "pre-receive"
        rule = f"GitLab: Commit message does not follow the pattern ^JIRA, {JOB_TOKEN}"
        hook.write_text(f"#!/bin/sh\necho '{rule}'\nexit 1\n")
        hook.chmod(0o755)
        ended = scene.script(scene.ask("@claude add a greeting"))
        assert ended.code == ExitCode.GITLAB, plain(ended.log)
        assert "GitLab did not take the push to `claude/issue-5-" in scene.reply()
        assert "`Commit message does not follow the pattern ^JIRA, [MASKED]`" in scene.reply()
        assert "I added `hello.txt`." in scene.reply()
        assert "+hello" in ended.artifacts["changes.patch"]
        assert "follow the pattern ^JIRA, [MASKED]" in ended.log
        assert JOB_TOKEN not in scene.everything_said(ended)


def test_a_push_of_somebody_else_meanwhile_is_never_overwritten(installation: Installation) -> None:
    with Scene(installation, CHANGE) as scene:
        scene.merge_request("feature", {"app.py": "1\n"})
        scene.model.hold = threading.Event()
        pipeline = scene.ask("@claude fix it", "merge_request", 3)

        def push(_: object) -> None:
            scene.gitlab.commit(scene.number, "feature", {"app.py": "2\n"})

        ended = scene.script(pipeline, during=push)
        assert ended.code == ExitCode.CHANGED, plain(ended.log)
        assert "Somebody pushed to `feature` while Claude worked" in scene.reply()
        assert "hello.txt" not in scene.git("ls-tree", "--name-only", "feature")


def test_a_merge_request_closed_meanwhile_gets_no_push(installation: Installation) -> None:
    with Scene(installation, CHANGE) as scene:
        head = scene.merge_request("feature", {"app.py": "1\n"})
        scene.model.hold = threading.Event()
        record = scene.gitlab.merge_requests[scene.number, 3]
        pipeline = scene.ask("@claude fix it", "merge_request", 3)
        ended = scene.script(pipeline, during=lambda _: record.update(state="closed"))
        assert ended.code == ExitCode.CHANGED, plain(ended.log)
        assert "The merge request is closed, so nothing was pushed." in scene.reply()
        assert "I added `hello.txt`." in scene.reply()
        assert scene.gitlab.head(scene.number, "feature") == head


def test_a_branch_that_moved_on_ends_the_run_before_claude_starts(
    installation: Installation,
) -> None:
    with Scene(installation, ANSWER) as scene:
        scene.merge_request("feature", {"app.py": "1\n"})
        pipeline = scene.ask("@claude fix it", "merge_request", 3)
        scene.gitlab.commit(scene.number, "feature", {"app.py": "2\n"})
        ended = scene.script(pipeline)
        assert ended.code == ExitCode.CHANGED, plain(ended.log)
        assert "The branch has moved on since you asked." in scene.reply()
        assert scene.model.conversation == []


@pytest.mark.parametrize(
    ("inputs", "text"),
    [({"branch_moved": "continue"}, "@claude fix it"), ({}, "@claude review")],
    ids=["by the include", "for a review"],
)
def test_a_branch_that_moved_on_is_taken_as_it_is(
    installation: Installation, inputs: dict[str, Any], text: str
) -> None:
    with Scene(installation, ANSWER, inputs) as scene:
        scene.merge_request("feature", {"app.py": "1\n"})
        pipeline = scene.ask(text, "merge_request", 3)
        scene.gitlab.commit(scene.number, "feature", {"app.py": "2\n"})
        ended = scene.script(pipeline)
        assert ended.code == 0, plain(ended.log)
        assert "The branch had moved on since you asked" in scene.reply()
