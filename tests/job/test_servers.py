"""MCP servers of the team: what the file may hold, and what is filled in."""

import json
from pathlib import Path
from typing import Any

import pytest

from job import servers
from job.failures import Failure, Reason
from job.inputs import Inputs

INPUTS = Inputs(allowed_tools=("mcp__own__ping",), mcp_variables=("KEY",))
ENVIRONMENT = {"KEY": "k$1", "ANTHROPIC_API_KEY": "sk-ant-canary", "DEEP": "${KEY}"}
STDIO = {"command": "node", "args": ["a.js"], "env": {"TOKEN": "x ${KEY}"}}
HTTP = {"type": "http", "url": "https://a.b/mcp", "headers": {"Authorization": "Bearer ${KEY}"}}


def read(entry: object, name: str = "own", inputs: Inputs = INPUTS) -> dict[str, Any]:
    return servers.read(json.dumps({"mcpServers": {name: entry}}), inputs, ENVIRONMENT)


def test_named_variables_are_filled_in() -> None:
    assert read(STDIO)["own"]["env"] == {"TOKEN": "x k$1"}
    assert read(HTTP)["own"]["headers"] == {"Authorization": "Bearer k$1"}
    assert read({**HTTP, "type": "sse"})["own"]["type"] == "sse"


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{", "{}", '{"mcpServers": {}}', '{"mcpServers": [1]}', "[" * 9000]
)
def test_what_is_no_configuration_is_refused(text: str | None) -> None:
    with pytest.raises(Failure, match="expected a JSON file of the default branch"):
        servers.read(text, INPUTS, ENVIRONMENT)


@pytest.mark.parametrize(
    "entry",
    [
        "node",
        {},
        {"command": ["node"]},
        {"command": ""},
        {**STDIO, "args": "a"},
        {**STDIO, "args": [1]},
        {**STDIO, "env": {"A": 1}},
        {**STDIO, "cwd": "/"},
        {**HTTP, "url": "http://a.b"},
        {**HTTP, "headersHelper": "sh"},
        {**HTTP, "command": "sh"},
        {**HTTP, "type": "ws"},
        {**HTTP, "type": ["http"]},
    ],
)
def test_an_entry_that_could_do_more_is_refused(entry: object) -> None:
    with pytest.raises(Failure, match="`own`: expected command, args, env"):
        read(entry)


@pytest.mark.parametrize("name", ["", "a b", "../x", "own__x", "a,b", "x" * 300])
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="expected a name"):
        read(STDIO, name)


def test_the_name_of_gitlab_s_own_server_is_taken_where_that_is_there() -> None:
    inputs = INPUTS._replace(allowed_tools=("mcp__gitlab",))
    assert read(STDIO, "gitlab", inputs)
    with pytest.raises(Failure, match="is the name of the server"):
        read(STDIO, "gitlab", inputs._replace(mcp="gitlab"))


@pytest.mark.parametrize("tools", [(), ("mcp__owner__ping",), ("mcp__other",), ("Bash(own)",)])
def test_a_server_none_of_whose_tools_is_allowed_is_refused(tools: tuple[str, ...]) -> None:
    with pytest.raises(Failure, match="mcp__own__<tool>"):
        read(STDIO, inputs=INPUTS._replace(allowed_tools=tools))


@pytest.mark.parametrize(
    "entry",
    [
        {**STDIO, "env": {"A": "${ANTHROPIC_API_KEY}"}},
        {**STDIO, "env": {"A": "${KEY:-x}"}},
        {**STDIO, "env": {"A": "${${KEY}}"}},
        {**STDIO, "env": {"${KEY}": "x"}},
        {**STDIO, "args": ["${KEY}"]},
        {**STDIO, "args": ["${ANTHROPIC_API_KEY}"]},
        {**STDIO, "command": "${KEY}"},
        {**HTTP, "url": "https://${KEY}/"},
    ],
)
def test_no_variable_is_left_for_claude_code_to_fill_in(entry: object) -> None:
    with pytest.raises(Failure, match="mcp_variables") as error:
        read(entry)
    assert error.value.reason is Reason.INPUT_INVALID
    assert "canary" not in error.value.text


def test_a_variable_that_is_not_there_or_names_others_ends_the_job() -> None:
    inputs = INPUTS._replace(mcp_variables=("GONE", "DEEP"))
    with pytest.raises(Failure, match="GONE") as error:
        read({**STDIO, "env": {"A": "${GONE}"}}, inputs=inputs)
    assert error.value.reason is Reason.VARIABLE_MISSING
    with pytest.raises(Failure, match="mcp_variables"):
        read({**STDIO, "env": {"A": "${DEEP}"}}, inputs=inputs)


def test_the_servers_stand_in_one_file_that_is_ours_alone(tmp_path: Path) -> None:
    known = servers.write({"gitlab": {"command": "glab"}}, tmp_path, None)
    config = servers.write(read(STDIO), tmp_path, known)
    assert set(json.loads(config.read_text())["mcpServers"]) == {"gitlab", "own"}
    assert config.stat().st_mode & 0o777 == 0o600
