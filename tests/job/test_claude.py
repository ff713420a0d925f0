"""Claude Code as it is started: fixed arguments, a chosen environment, limits; a shell script stands in for the command."""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from job.claude import Claude, Result, Run, arguments, variables
from job.failures import Failure, Reason
from job.inputs import Inputs
from job.inputs import tools as parse_tools

DONE = '{"type":"result","subtype":"success","is_error":false,"result":"Yes.","num_turns":2,"total_cost_usd":0.5,"session_id":"s"}'


def run(folder: Path, script: str = "", **changes: Any) -> Run:
    program = folder / "claude"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (folder / "home").mkdir(exist_ok=True)
    made = Run(
        program=str(program),
        folder=folder,
        home=folder / "home",
        extra=folder / "extra",
        system=folder / "system",
        message="the request\n",
        sign_in={"KEY": "k"},
        deadline=30.0,
    )
    return made._replace(**changes)


def started(folder: Path, script: str, **changes: Any) -> Result:
    inputs = Inputs()
    made = run(folder, script, **changes)
    errors = (folder / "stderr").open("wb")
    with errors:
        environment = {"PATH": "/usr/bin:/bin"}
        return Claude().run(
            arguments(made, inputs),
            environment,
            made,
            inputs,
            lambda _: None,
            lambda _: None,
            errors,
        )


def test_nothing_of_the_request_is_an_argument(tmp_path: Path) -> None:
    command = arguments(run(tmp_path, message="--settings={}"), Inputs())
    assert "--settings={}" not in command
    assert command[command.index("--permission-mode") + 1] == "acceptEdits"
    assert command[command.index("--setting-sources") + 1] == "user"
    assert "--strict-mcp-config" in command
    assert command[command.index("--tools") + 1] == "Read,Edit,Write,Glob,Grep,TodoWrite"
    assert "--allowedTools" not in command


def test_only_named_commands_bring_bash(tmp_path: Path) -> None:
    inputs = Inputs(allowed_tools=parse_tools("Bash(npm test), WebFetch(domain:a.b)"))
    command = arguments(
        run(tmp_path, mcp=tmp_path / "mcp.json", mcp_tools=("mcp__gitlab__get_issue",), resume="s"),
        inputs,
    )
    assert command[command.index("--tools") + 1].endswith("TodoWrite,Bash,WebFetch")
    assert command[command.index("--allowedTools") + 1 :] == [
        "Bash(npm test)",
        "WebFetch(domain:a.b)",
        "mcp__gitlab__get_issue",
    ]
    assert command[command.index("--resume") + 1] == "s"


def test_the_environment_is_chosen_name_by_name(tmp_path: Path) -> None:
    given = {
        "PATH": "p",
        "GITLAB_ACCESS_TOKEN": "canary",
        "CI_JOB_TOKEN": "canary",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "TEAM": "t",
        "NODE_OPTIONS": "x",
    }
    made = variables(run(tmp_path), Inputs(environment=("TEAM",)), given)
    assert (made["PATH"], made["TEAM"], made["KEY"], made["CLAUDE_CODE_MAX_RETRIES"]) == (
        "p",
        "t",
        "k",
        "3",
    )
    assert "canary" not in made.values()
    assert "NODE_OPTIONS" not in made


def test_the_request_comes_by_standard_input(tmp_path: Path) -> None:
    result = started(tmp_path, f"cat > {tmp_path}/stdin; echo '{DONE}'")
    assert (result.answer, result.turns, result.cost, result.failure) == ("Yes.", 2, 0.5, None)
    assert (tmp_path / "stdin").read_text() == "the request\n"


def reason(result: Result) -> Reason:
    assert result.failure
    return result.failure.reason


@pytest.mark.parametrize(
    ("fields", "code", "expected"),
    [
        ('"subtype":"error_max_turns","is_error":true', 1, Reason.MAX_TURNS),
        ('"subtype":"error_max_budget_usd","is_error":true', 1, Reason.MAX_BUDGET),
        ('"subtype":"success","is_error":true,"api_error_status":401', 1, Reason.NOT_SIGNED_IN),
        (
            '"subtype":"success","is_error":true,"result":"Not logged in · Please run /login"',
            1,
            Reason.NOT_SIGNED_IN,
        ),
        ('"subtype":"success","is_error":true,"api_error_status":404', 1, Reason.MODEL_UNKNOWN),
        ('"subtype":"success","is_error":true,"api_error_status":429', 1, Reason.RATE_LIMITED),
        ('"subtype":"success","is_error":true,"api_error_status":500', 1, Reason.OVERLOADED),
        ('"subtype":"success","is_error":true,"api_error_status":400', 1, Reason.API_REFUSED),
        ('"subtype":"success","is_error":true', 1, Reason.CLAUDE_FAILED),
        ('"subtype":"success","is_error":false', 3, Reason.CLAUDE_FAILED),
    ],
)
def test_the_end_is_judged_by_exit_code_and_is_error(
    tmp_path: Path, fields: str, code: int, expected: Reason
) -> None:
    result = started(tmp_path, f"""echo '{{"type":"result",{fields}}}'; exit {code}""")
    assert reason(result) is expected
    assert result.answer == ""


@pytest.mark.parametrize("script", ["exit 0", "exit 1", "echo nonsense; exit 2", "kill -9 $$"])
def test_an_end_without_a_result_is_a_failure(tmp_path: Path, script: str) -> None:
    assert reason(started(tmp_path, script)) is Reason.CLAUDE_FAILED


def test_at_the_deadline_claude_and_its_children_end(tmp_path: Path) -> None:
    began = time.monotonic()
    result = started(tmp_path, "tail -f /dev/null & wait", deadline=0.2)
    assert reason(result) is Reason.TIME_LIMIT
    assert time.monotonic() - began < 5


def test_a_run_that_was_stopped_before_it_began_ends_at_once(tmp_path: Path) -> None:
    made = run(tmp_path, "tail -f /dev/null")
    claude = Claude()
    claude.stop(Failure(Reason.CANCELED))
    with (tmp_path / "stderr").open("wb") as errors:
        result = claude.run(
            [made.program],
            {"PATH": "/usr/bin:/bin"},
            made,
            Inputs(),
            lambda _: None,
            lambda _: None,
            errors,
        )
    assert reason(result) is Reason.CANCELED


def test_denied_tools_are_counted(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    made = run(
        tmp_path,
        'echo \'{"type":"result","is_error":false,"permission_denials":[{"tool_name":"Bash"},{"tool_name":"Bash"},7]}\'',
    )
    with (tmp_path / "stderr").open("wb") as errors:
        result = Claude().run(
            [made.program],
            {"PATH": "/usr/bin:/bin"},
            made,
            Inputs(),
            events.append,
            lambda _: None,
            errors,
        )
    assert result.denied == {"Bash": 2}
    assert len(events) == 1
    assert isinstance(errors, io.BufferedWriter)
