"""Claude Code as it is started: fixed arguments, a chosen environment, limits.

A shell script stands in for the command.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from job.claude import Claude, Result, Run, arguments, variables
from job.failures import Failure, Reason
from job.inputs import Inputs
from job.inputs import tools as parse_tools
from tests.support.job.programs import program

DONE = json.dumps(
    {
        "type": "result", "subtype": "success", "is_error": False, "result": "Yes.",
        "num_turns": 2, "total_cost_usd": 0.5, "session_id": "s",
    }
)  # fmt: skip


def run(folder: Path, script: str = "", **changes: Any) -> Run:
    (folder / "home").mkdir(exist_ok=True)
    made = Run(
        program=str(program(folder / "claude", script)),
        folder=folder,
        home=folder / "home",
        extra=folder / "extra",
        system=folder / "system",
        message="the request\n",
        sign_in={"KEY": "k"},
        deadline=30.0,
    )
    return made._replace(**changes)


def started(
    folder: Path,
    script: str,
    claude: Claude | None = None,
    on_event: Callable[[Mapping[str, Any]], None] = lambda _: None,
    **changes: Any,
) -> Result:
    """Run the script to its end."""
    made, inputs = run(folder, script, **changes), Inputs()
    with (folder / "stderr").open("wb") as stderr:
        return (claude or Claude()).run(
            arguments(made, inputs),
            {"PATH": "/usr/bin:/bin"},
            made,
            inputs,
            on_event,
            lambda _: None,
            stderr,
        )


def reason(result: Result) -> Reason:
    assert result.failure
    return result.failure.reason


def test_nothing_of_the_request_is_an_argument(tmp_path: Path) -> None:
    command = arguments(run(tmp_path, message="--settings={}"), Inputs())
    assert "Skill" not in ",".join(command)
    assert "--settings={}" not in command
    assert command[command.index("--permission-mode") + 1] == "acceptEdits"
    assert command[command.index("--setting-sources") + 1] == "user"
    assert "--strict-mcp-config" in command
    assert command[command.index("--tools") + 1] == "Read,Edit,Write,Glob,Grep,TodoWrite"
    assert "--allowedTools" not in command


def test_where_a_fork_is_read_there_are_tools_that_read_and_no_others(tmp_path: Path) -> None:
    command = arguments(run(tmp_path, read_only=True), Inputs())
    assert command[command.index("--tools") + 1] == "Read,Glob,Grep"
    assert command[command.index("--permission-mode") + 1] == "default"


def test_skills_bring_their_tool_for_themselves_alone(tmp_path: Path) -> None:
    command = arguments(run(tmp_path, skills=("greet", "part")), Inputs())
    assert command[command.index("--tools") + 1].endswith("TodoWrite,Skill")
    assert command[command.index("--allowedTools") + 1 :] == ["Skill(greet)", "Skill(part)"]
    settings = json.loads(command[command.index("--settings") + 1])
    assert settings == dict.fromkeys(settings, True)
    assert {"disableAllHooks", "disableSkillShellExecution"} <= set(settings)


def test_only_named_commands_bring_bash(tmp_path: Path) -> None:
    inputs = Inputs(allowed_tools=parse_tools("Bash(npm test), WebFetch(domain:a.b)"))
    made = run(tmp_path, mcp=tmp_path / "mcp.json", mcp_tools=("mcp__gitlab__get_issue",))
    command = arguments(made._replace(resume="s"), inputs)
    assert command[command.index("--tools") + 1].endswith("TodoWrite,Bash,WebFetch")
    allowed = ["Bash(npm test)", "WebFetch(domain:a.b)", "mcp__gitlab__get_issue"]
    assert command[command.index("--allowedTools") + 1 :] == allowed
    assert command[command.index("--mcp-config") + 1] == str(tmp_path / "mcp.json")
    assert command[command.index("--resume") + 1] == "s"


def test_the_environment_is_chosen_name_by_name(tmp_path: Path) -> None:
    secrets = ("GITLAB_ACCESS_TOKEN", "CI_JOB_TOKEN", "AWS_SECRET_ACCESS_KEY")
    environment = {
        "PATH": "p",
        "TEAM": "t",
        "NODE_OPTIONS": "x",
        **dict.fromkeys(secrets, "canary"),
    }
    made = variables(run(tmp_path), Inputs(environment=("TEAM",)), environment)
    assert (made["PATH"], made["TEAM"], made["KEY"]) == ("p", "t", "k")
    assert made["CLAUDE_CODE_MAX_RETRIES"] == "3"
    assert "canary" not in made.values()
    assert "NODE_OPTIONS" not in made


def test_the_request_comes_by_standard_input(tmp_path: Path) -> None:
    result = started(tmp_path, f"cat > {tmp_path}/stdin; echo '{DONE}'")
    assert (result.answer, result.turns, result.cost, result.failure) == ("Yes.", 2, 0.5, None)
    assert (tmp_path / "stdin").read_text() == "the request\n"


@pytest.mark.parametrize(
    ("fields", "code", "expected"),
    [
        ({"subtype": "error_max_turns"}, 1, Reason.MAX_TURNS),
        ({"subtype": "error_max_budget_usd"}, 1, Reason.MAX_BUDGET),
        ({"api_error_status": 401}, 1, Reason.NOT_SIGNED_IN),
        ({"result": "Not logged in · Please run /login"}, 1, Reason.NOT_SIGNED_IN),
        ({"api_error_status": 404}, 1, Reason.MODEL_UNKNOWN),
        ({"api_error_status": 429}, 1, Reason.RATE_LIMITED),
        ({"api_error_status": 500}, 1, Reason.OVERLOADED),
        ({"api_error_status": 400}, 1, Reason.API_REFUSED),
        ({}, 1, Reason.CLAUDE_FAILED),
        ({"is_error": False}, 3, Reason.CLAUDE_FAILED),
    ],
)
def test_the_end_is_judged_by_exit_code_and_is_error(
    tmp_path: Path, fields: dict[str, Any], code: int, expected: Reason
) -> None:
    event = {"type": "result", "subtype": "success", "is_error": True} | fields
    result = started(tmp_path, f"echo '{json.dumps(event)}'; exit {code}")
    assert reason(result) is expected
    assert result.answer == ""


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ("0.5", 0.5),
        ("0", 0.0),
        ("-1", None),
        ("true", None),
        ("false", None),
        (f"1{'0' * 400}", None),
        ('"1"', None),
        ("1e9", None),
        ("NaN", None),
    ],
)
def test_a_cost_that_is_none_is_not_known(tmp_path: Path, said: str, cost: float | None) -> None:
    told = f'{{"type": "result", "is_error": false, "total_cost_usd": {said}}}'
    assert started(tmp_path, f"echo '{told}'").cost == cost
    assert started(tmp_path, "exit 1").cost is None


@pytest.mark.parametrize("script", ["exit 0", "exit 1", "echo nonsense; exit 2"])
def test_an_end_without_a_result_is_a_failure(tmp_path: Path, script: str) -> None:
    assert reason(started(tmp_path, script)) is Reason.CLAUDE_FAILED


@pytest.mark.parametrize("script", ["kill -9 $$", "exit 137"])
def test_an_end_for_want_of_memory_says_so(tmp_path: Path, script: str) -> None:
    assert reason(started(tmp_path, script)) is Reason.CLAUDE_KILLED


def test_at_the_deadline_claude_and_its_children_end(tmp_path: Path) -> None:
    began = time.monotonic()
    result = started(tmp_path, "tail -f /dev/null & wait", deadline=0.2)
    assert reason(result) is Reason.TIME_LIMIT
    assert time.monotonic() - began < 5


def test_a_stop_ends_what_does_not_listen_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job.claude._GRACE", 0.2)
    claude, began = Claude(), time.monotonic()
    stop = threading.Timer(0.2, claude.stop, [Failure(Reason.CANCELED)])
    stop.start()
    result = started(tmp_path, "trap '' TERM; while :; do sleep 0.1; done", claude)
    assert reason(result) is Reason.CANCELED
    assert time.monotonic() - began < 5
    assert not claude.running


@pytest.mark.parametrize("end", ["exit 143", "kill -TERM $$"])
def test_whoever_terminates_claude_has_canceled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr("job.claude._HEARD", 0.1)
    assert reason(started(tmp_path, end)) is Reason.CANCELED


def test_a_run_that_was_stopped_before_it_began_ends_at_once(tmp_path: Path) -> None:
    claude = Claude()
    claude.stop(Failure(Reason.CANCELED))
    assert reason(started(tmp_path, "tail -f /dev/null", claude)) is Reason.CANCELED


def test_denied_tools_are_counted(tmp_path: Path) -> None:
    denials = [{"tool_name": "Bash"}, {"tool_name": "Bash"}, 7]
    event = {"type": "result", "is_error": False, "permission_denials": denials}
    events: list[Mapping[str, Any]] = []
    result = started(tmp_path, f"echo '{json.dumps(event)}'", on_event=events.append)
    assert result.denied == {"Bash": 2}
    assert events == [event]
