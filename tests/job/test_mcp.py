"""The GitLab MCP server: a read-only token of its own, tools that read, one of two servers."""

import json
from pathlib import Path
from typing import Any

import pytest

from job import mcp
from job.failures import Failure
from job.inputs import Inputs
from tests.job.test_claude import run
from tests.support.job.programs import program

WRITING = ("create", "update", "delete", "merge_merge", "approve")


def entry(server: mcp.Server) -> dict[str, Any]:
    (found,) = json.loads(server.config.read_text())["mcpServers"].values()
    return dict(found)


def test_the_gitlab_mcp_server_reads_with_a_token_of_its_own(tmp_path: Path) -> None:
    environment = {
        "PATH": str(tmp_path),
        mcp.TOKEN: "glpat-read",
        "CI_API_V4_URL": "https://g/api/v4",
        "CI_PROJECT_ID": "7",
        "GITLAB_ACCESS_TOKEN": "canary",
    }
    server = mcp.server(environment, tmp_path, lambda name, version: tmp_path / f"{name}@{version}")
    assert entry(server)["args"][0].startswith(str(tmp_path / "@zereight"))
    assert entry(server)["env"].items() >= {
        ("GITLAB_PERMISSION_MODE", "readonly"),
        ("GITLAB_PERSONAL_ACCESS_TOKEN", "glpat-read"),
        ("GITLAB_ALLOWED_PROJECT_IDS", "7"),
    }
    assert "canary" not in server.config.read_text()
    assert server.config.stat().st_mode & 0o777 == 0o600
    assert all(name.startswith("mcp__gitlab__") for name in server.tools)
    assert [name for name in server.tools if any(verb in name for verb in WRITING)] == []


def test_glab_serves_where_the_image_has_one_that_can(tmp_path: Path) -> None:
    glab = program(tmp_path / "glab", "exit 0")
    server = mcp.server({"PATH": str(tmp_path), mcp.TOKEN: "t"}, tmp_path, lambda *_: tmp_path)
    assert (entry(server)["command"], entry(server)["args"]) == (str(glab), ["mcp", "serve"])
    assert "mcp__gitlab__glab_issue_view" in server.tools


def test_a_glab_that_is_too_old_is_left_alone(tmp_path: Path) -> None:
    program(tmp_path / "glab", "exit 1")
    server = mcp.server({"PATH": str(tmp_path), mcp.TOKEN: "t"}, tmp_path, lambda *_: tmp_path)
    assert entry(server)["command"] == "node"
    assert entry(server)["args"][0].endswith("/@zereight/mcp-gitlab/build/index.js")


def test_claude_has_the_server_where_the_input_says_so_alone(tmp_path: Path) -> None:
    environment, claude = {"PATH": str(tmp_path), mcp.TOKEN: "t"}, run(tmp_path)
    assert mcp.given(claude, tmp_path, Inputs(), environment, lambda *_: tmp_path) == claude
    found = mcp.given(claude, tmp_path, Inputs(mcp="gitlab"), environment, lambda *_: tmp_path)
    assert found.mcp == tmp_path / "mcp.json"
    assert "mcp__gitlab__get_issue" in found.mcp_tools


def test_without_its_token_there_is_no_mcp_server(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=mcp.TOKEN):
        mcp.server({"PATH": ""}, tmp_path, lambda *_: tmp_path)
