"""MCP servers of the team for Claude: a file of the default branch, and variables it may name.

It has the form of `.mcp.json`: https://code.claude.com/docs/en/mcp. Claude Code would put any
variable of its own into it, its key to the model as well; so the job fills in the named ones and
nothing else.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from job import messages
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from job.claude import Run
    from job.inputs import Inputs
    from job.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9-]{1,40}(?:_[A-Za-z0-9-]{1,40}){0,5}")
_FILLED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TAKEN = "gitlab"  # the name of ours
# What an entry may have, by its type; `headersHelper` and the like would be commands.
_KEYS = {
    "stdio": ("type", "command", "args", "env"),
    "http": ("type", "url", "headers"),
    "sse": ("type", "url", "headers"),
}
_FORM = 'expected a JSON file of the default branch such as {"mcpServers": {"name": {…}}}'
_BAD_NAME = "`{name}`: expected a name of letters, digits, - and _"
_NAME_TAKEN = "`gitlab` is the name of the server that the input mcp gives"
_BAD_ENTRY = (
    "`{name}`: expected command, args, env of texts; or type http or sse, an https:// url and "
    "headers"
)
_NOT_NAMED = "`{name}`: ${{{variable}}} stands in env and headers only, named in mcp_variables"
_NO_TOOL = (
    "`{name}`: the input allowed_tools names none of its tools; expected mcp__{name}__<tool>, or "
    "mcp__{name} for all"
)


def given(
    run: Run, workspace: Workspace, folder: Path, inputs: Inputs, environment: Mapping[str, str]
) -> Run:
    """Let Claude have the servers of the input's file, by a configuration in `folder`.

    Raise Failure as `read` does.
    """
    if not inputs.mcp_config:
        return run
    team = read(workspace.file(inputs.mcp_config), inputs, environment)
    return run._replace(mcp=write(team, folder, run.mcp))


def read(text: str | None, inputs: Inputs, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the servers of the file's text, with the named variables filled in.

    Raise Failure if there is no such file, if it holds what is not expected, or without a variable.
    """
    try:
        servers = json.loads(text or "")["mcpServers"]
    except (ValueError, TypeError, KeyError, RecursionError):
        servers = None
    if not isinstance(servers, dict) or not servers:
        raise _wrong(_FORM)
    for name, entry in servers.items():
        if not _NAME.fullmatch(name):
            raise _wrong(_BAD_NAME, name=name[:40])
        if name == _TAKEN and inputs.mcp != "none":
            raise _wrong(_NAME_TAKEN)
        if not _is_entry(entry):
            raise _wrong(_BAD_ENTRY, name=name)
        if not any(_is_of(tool, name) for tool in inputs.allowed_tools):
            raise _wrong(_NO_TOOL, name=name)
    return {name: _filled(name, entry, inputs, environment) for name, entry in servers.items()}


def write(servers: Mapping[str, Any], folder: Path, known: Path | None) -> Path:
    """Write the configuration that Claude Code reads; `known` is one whose servers it has too."""
    others = json.loads(known.read_text(encoding="utf-8"))["mcpServers"] if known else {}
    config = folder / "mcp.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"mcpServers": {**servers, **others}}), encoding="utf-8")
    return config


def _is_of(tool: str, server: str) -> bool:
    return tool == f"mcp__{server}" or tool.startswith(f"mcp__{server}__")


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    kind = str(entry.get("type", "stdio"))
    if kind not in _KEYS or not set(entry) <= set(_KEYS[kind]):
        return False
    args, command, url = entry.get("args", []), entry.get("command"), entry.get("url")
    maps = [entry.get(name, {}) for name in ("env", "headers")]
    good = _are_texts(args) and all(
        isinstance(each, dict) and _are_texts([*each, *each.values()]) for each in maps
    )
    if kind == "stdio":
        return good and isinstance(command, str) and bool(command)
    return good and isinstance(url, str) and url.startswith("https://")


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


def _filled(
    name: str, entry: Mapping[str, Any], inputs: Inputs, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return an entry in which no `${` is left for Claude Code to fill in."""
    filled = dict(entry)
    for key in ("env", "headers"):
        if key in entry:
            filled[key] = {
                each: _value(name, text, inputs.mcp_variables, environment)
                for each, text in entry[key].items()
            }
    left = {key: list(value) if isinstance(value, dict) else value for key, value in entry.items()}
    found = re.search(r"\$\{([^}\"]{0,40})", json.dumps(left))
    if found:
        raise _wrong(_NOT_NAMED, name=name, variable=found[1])
    return filled


def _value(name: str, text: str, named: Collection[str], environment: Mapping[str, str]) -> str:
    for variable in _FILLED.findall(text):
        if variable not in named:
            raise _wrong(_NOT_NAMED, name=name, variable=variable)
        if not environment.get(variable):
            raise Failure(Reason.VARIABLE_MISSING, name=variable, purpose=messages.NO_MCP_VARIABLE)
    rest = _FILLED.sub("", text)
    filled = _FILLED.sub(lambda found: environment[found[1]], text)
    if "${" in rest or "${" in filled:
        raise _wrong(_NOT_NAMED, name=name, variable="…")
    return filled


def _wrong(expected: str, **values: str) -> Failure:
    told = expected.format(**values) if values else expected
    return Failure(Reason.INPUT_INVALID, name="mcp_config", expected=told)
