"""What Claude ran and how it ended, by Claude Code's own events."""

from typing import Any

import pytest

from job.commands import Commands


def ran(command: str, number: int = 1, **given: Any) -> dict[str, Any]:
    used = {"command": command, **given}
    return {"type": "tool_use", "name": "Bash", "id": f"t{number}", "input": used}


def result(content: object, number: int = 1, *, bad: bool = True) -> dict[str, Any]:
    return {
        "type": "tool_result", "tool_use_id": f"t{number}", "content": content, "is_error": bad,
    }  # fmt: skip


def after(*blocks: dict[str, Any]) -> dict[str, str]:
    commands = Commands()
    for block in blocks:
        commands.block(block)
    return commands.ended


@pytest.mark.parametrize(
    ("content", "bad", "end"),
    [
        ("12 passed", False, "✔"),
        ("Exit code 3 is what it prints", False, "✔"),
        ("Exit code 3\n1 failed", True, "exit 3"),
        ([{"type": "text", "text": "Exit code 127\nnot found"}], True, "exit 127"),
        ("Command timed out after 2m 0s", True, "timed out"),
    ],
)
def test_a_command_is_told_with_its_end(content: object, bad: bool, end: str) -> None:
    assert after(ran("npm test"), result(content, bad=bad)) == {"npm test": end}


def test_what_did_not_run_or_runs_on_is_not_told() -> None:
    denied = "Permission to use Bash with command rm has been denied."
    assert after(ran("rm x"), result(denied)) == {}
    running = result("Command running in background with ID: b", bad=False)
    assert after(ran("npm start", run_in_background=True), running) == {}
    assert after(ran("npm test")) == {}
    assert after(result("Exit code 1\n")) == {}


def test_of_a_command_that_ran_twice_the_last_end_is_told() -> None:
    first = ran("npm test"), result("Exit code 1\n")
    lint = ran("npm run lint", 2), result("", 2, bad=False)
    again = ran("npm test", 3), result("ok", 3, bad=False)
    assert list(after(*first, *lint, *again).items()) == [("npm run lint", "✔"), ("npm test", "✔")]
